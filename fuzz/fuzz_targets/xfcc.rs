//! `X-Forwarded-Client-Cert`: no text makes the reader panic, and nobody who wrote an earlier element decides who the client of the
//! last one is (T12).

#![no_main]

use libfuzzer_sys::fuzz_target;
use ztl_core::{Forwarding, MAX_FORWARDING_BYTES, SpiffeId};

const LAST: &[u8] =
    b"By=spiffe://prod.example/front;Hash=00;Subject=\"CN=a\";URI=spiffe://prod.example/cart";

fuzz_target!(|text: &[u8]| {
    let read = |line: &[u8]| Forwarding::Xfcc.read([line]);
    match read(text) {
        Ok(Some(passed)) => {
            assert!(SpiffeId::parse_workload(passed.id.as_str()).is_ok());
            assert!(text.len() <= MAX_FORWARDING_BYTES);
        }
        Ok(None) => panic!("a line says somebody or nothing that can be read"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let appended = [text, b",", LAST].concat();
    if let Ok(passed) = read(&appended) {
        assert_eq!(
            passed.expect("somebody").id.as_str(),
            "spiffe://prod.example/cart"
        );
    }
    // One line, and no more.
    assert!(Forwarding::Xfcc.read([text, LAST]).is_err());
});
