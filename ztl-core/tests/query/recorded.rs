//! The question of an audit record: what it says is missing of it.

use serde_json::{Value, json};
use ztl_core::policy::{Policy, Query};

use super::{NOW, POLICY};

/// A record of a request that passes somebody on, with `forwarded` as it is given; left out where that is none.
fn record(reason: &str, forwarded: Option<Value>) -> String {
    let mut record = json!({
        "id": "d-1", "time": 1_790_000_000, "direction": "ingress", "me": "one", "port": 8443,
        "peer": "spiffe://prod.example/client", "addr": "10.10.0.5", "stage": "action",
        "action": "GET /docs/7", "verdict": "deny", "reason": reason, "revision": "0",
    });
    if let Some(forwarded) = forwarded {
        record["forwarded"] = forwarded;
    }
    record.to_string()
}

fn told(missing: &[&str]) -> Vec<String> {
    let of_id = missing.iter().filter(|text| text.contains("passed on"));
    of_id.map(|text| (*text).to_owned()).collect()
}

/// T12: without the id the question is another one, and may be answered otherwise.
#[test]
fn t12_an_id_that_was_passed_on_and_is_not_in_the_record_is_missing() {
    let id = "spiffe://prod.example/two";
    let policy = Policy::from_toml(POLICY).expect("policy");
    let dropped = "the id that the peer passed on, which is not in the record";
    let masked = "the id that the peer passed on, which was masked";
    for (reason, forwarded, missing, again) in [
        // As it is written.
        (
            "forwarded_untrusted",
            Some(json!(id)),
            None,
            "forwarded_untrusted",
        ),
        // Dropped by a mask, or written before records had it.
        ("forwarded_untrusted", None, Some(dropped), "permitted"),
        // Hashed by a mask.
        (
            "forwarded_untrusted",
            Some(json!({ "hash": "0" })),
            Some(masked),
            "permitted",
        ),
        // Nothing says that there was one.
        ("no_action_permitted", None, None, "permitted"),
    ] {
        let line = record(reason, forwarded);
        let recorded = Query::from_record(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(told(&recorded.missing), Vec::from_iter(missing), "{line}");
        let decided = recorded.query.decide(&policy, NOW).expect("a question");
        assert_eq!(decided.reason.code(), again, "{line}");
    }
}
