//! Policy documents in JSON: the same as in TOML, and a name that is given twice is refused (rule 22).

#![no_main]

mod loaded;

use libfuzzer_sys::fuzz_target;
use ztl_core::policy::Format;

fuzz_target!(|text: &str| {
    let Some(policy) = loaded::load(text, Format::Json) else {
        return;
    };
    loaded::check(&policy);
    // Another JSON parser, and a lenient one, reads the same value; written in another form it is the same document.
    let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let pretty = serde_json::to_string_pretty(&value).expect("JSON");
    let again = loaded::load(&pretty, Format::Json).expect("the same document in another form");
    assert_eq!(policy.revision(), again.revision());
});
