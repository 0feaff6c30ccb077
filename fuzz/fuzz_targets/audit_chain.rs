//! The reader of an audit chain: no bytes make it panic, what it accepts is a chain however the bytes arrive, and nothing that a
//! terminal obeys is in what it says.

#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use ztl_core::audit::chain::{Report, SigningKey, Verifier, VerifyError, seq_of};

/// Hands out a byte at a time.
struct Drip<'a>(&'a [u8]);

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let some = buffer.len().min(1);
        self.0.read(&mut buffer[..some])
    }
}

fn verify(verifier: Verifier, input: impl Read) -> Result<Report, String> {
    let mut verifier = verifier;
    verifier
        .read("fuzz", input)
        .and_then(|()| verifier.finish())
        .map_err(|error: VerifyError| error.to_string())
}

fuzz_target!(|bytes: &[u8]| {
    let whole = verify(Verifier::new(), bytes);
    assert_eq!(whole, verify(Verifier::new(), Drip(bytes)));
    match &whole {
        Ok(report) => {
            assert_eq!(report.files, 1);
            assert!(report.lines >= 1 && seq_of(bytes).is_some() || report.recovered > 0);
            assert_eq!(report.head.seq - report.before.seq, report.lines);
            assert!(verify(Verifier::new().with_head(report.head.hash), bytes).is_ok());
            assert_eq!(report.to_json()["ok"], true);
        }
        Err(message) => {
            assert!(!message.contains(|character: char| character.is_control()));
            assert!(message.len() < 4_000);
        }
    }
    let key = SigningKey::from_bytes(&[7; 32]).expect("key");
    let signed = verify(Verifier::new().with_key(key), bytes);
    assert!(signed.is_err() || whole.is_ok());
});
