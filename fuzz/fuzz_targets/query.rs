//! A decide request as data: no text makes the reader panic, an unknown or doubled key is an error, and a query without a caller
//! gets nowhere on a port that is not public.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use ztl_core::policy::{MAX_QUERY_BYTES, Policy, Query, decision_json};
use ztl_core::{Timestamp, Verdict};

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);
const KEYS: [&str; 11] = [
    "from",
    "from_addr",
    "to",
    "port",
    "method",
    "path",
    "action",
    "headers",
    "claims",
    "trust_score",
    "now",
];

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    Policy::from_toml(include_str!("../seeds/policy_toml/minimal.toml"))
        .unwrap_or_else(|error| panic!("{error}"))
});

fuzz_target!(|text: &str| {
    let query = match Query::from_json(text) {
        Ok(query) => query,
        Err(error) => return assert!(!error.to_string().contains('\u{1b}')),
    };
    assert!(text.len() <= MAX_QUERY_BYTES);
    let value: Value = serde_json::from_str(text).expect("JSON");
    let map = value.as_object().expect("an object");
    assert!(map.contains_key("to") && map.keys().all(|key| KEYS.contains(&key.as_str())));
    let Ok(decision) = query.decide(&POLICY, NOW) else {
        return;
    };
    assert_eq!(query.decide(&POLICY, NOW).as_ref(), Ok(&decision));
    let unproved = map.get("from").is_none_or(Value::is_null);
    assert!(!unproved || decision.verdict == Verdict::Deny);
    let answer: Value = serde_json::from_str(&decision_json(&decision)).expect("JSON");
    assert_eq!(answer["verdict"], decision.verdict.as_str());
    assert_eq!(answer["reason"], decision.reason.code());
});
