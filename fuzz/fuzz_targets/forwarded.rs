//! `Forwarded` (RFC 7239): no text makes the reader panic, and nobody who wrote an earlier element decides who the client of the
//! last one is (T12).

#![no_main]

use libfuzzer_sys::fuzz_target;
use ztl_core::{Forwarding, SpiffeId};

const LAST: &[u8] = b"for=192.0.2.1;by=\"_front\";spiffe=\"spiffe://prod.example/cart\"";

fuzz_target!(|text: &[u8]| {
    match Forwarding::Forwarded.read([text]) {
        Ok(Some(passed)) => {
            assert!(SpiffeId::parse_workload(passed.id.as_str()).is_ok());
            // Who writes this says nothing that was asked for.
            assert_eq!(passed.by, None);
        }
        Ok(None) => panic!("a line says somebody or nothing that can be read"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let appended = [text, b",", LAST].concat();
    // RFC 7239 §4: several lines are one list.
    for read in [
        Forwarding::Forwarded.read([&appended[..]]),
        Forwarding::Forwarded.read([text, LAST]),
    ] {
        if let Ok(passed) = read {
            assert_eq!(
                passed.expect("somebody").id.as_str(),
                "spiffe://prod.example/cart"
            );
        }
    }
});
