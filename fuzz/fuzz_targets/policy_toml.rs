//! Policy documents in TOML: no text makes the loader panic, and what loads denies by default (laws 1 and 4).

#![no_main]

mod loaded;

use libfuzzer_sys::fuzz_target;
use ztl_core::policy::Format;

fuzz_target!(|text: &str| {
    let Some(policy) = loaded::load(text, Format::Toml) else {
        return;
    };
    loaded::check(&policy);
    let again = loaded::load(text, Format::Toml).expect("what loads once loads again");
    assert_eq!(policy.revision(), again.revision());
});
