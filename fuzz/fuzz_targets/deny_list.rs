//! Deny lists: no text makes the reader panic, and what is written is read again. An entry is one of its three kinds, or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ztl_mtls::{Denied, DenyList};

fuzz_target!(|text: &[u8]| {
    let list = match DenyList::parse(text) {
        Ok(list) => list,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let lines = text.split(|byte| *byte == b'\n').count();
    assert!(list.len() <= lines, "an entry is a line");
    let written = list.to_string();
    let read = DenyList::parse(written.as_bytes()).expect("what was written");
    assert_eq!(read.to_string(), written);
    for denied in list.iter() {
        assert!(read.contains(&denied));
        assert_eq!(denied.to_string().parse::<Denied>().as_ref(), Ok(&denied));
        assert!(!list.without(&denied).contains(&denied));
    }
    // Whatever is put after the end changes nothing, or refuses.
    let mut longer = written.clone().into_bytes();
    longer.extend(text);
    assert!(DenyList::parse(&longer).map_or(true, |longer| longer.to_string() == written));
});
