//! A guard's file: no text makes the reader panic, what is refused says where, and what is read is read the same way again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ztl_tower::{BuildError, GuardBuilder};

fuzz_target!(|text: &str| {
    match GuardBuilder::from_toml(text, "guard.toml") {
        Ok(_) => {
            // A file that is read has no room for a key that nobody knows.
            let more = format!("no-such-key = 1\n{text}");
            assert!(GuardBuilder::from_toml(&more, "guard.toml").is_err());
        }
        Err(BuildError::GuardSettings(error)) => {
            assert!(!error.diagnostics().is_empty());
            assert!(error.to_string().starts_with("guard.toml:"));
        }
        Err(error) => panic!("{error}"),
    }
});
