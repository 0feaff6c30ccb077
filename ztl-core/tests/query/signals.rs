//! Signals in a question: weighed by the policy that is asked.

use serde_json::{Value, json};
use ztl_core::policy::{Policy, Query};
use ztl_core::{Reason, Verdict};

use super::NOW;

const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"

[trust]
base = 20
[trust.signals.device]
weight = 80
max_age = "10m"
[trust.signals.threats]
veto = 50
max_age = "10m"

[workloads.client]
id = "spiffe://prod.example/client"
[workloads.one]
id = "spiffe://prod.example/one"
ports = [8443]

[[permit]]
name = "trusted"
from = "client"
to = "one"
actions = "GET /"
[permit.require]
trust_score = 70

[[test]]
name = "signals-in-a-test"
from = "client"
to = "one"
method = "GET"
path = "/"
signals = { device = 70, threats = 0 }
now = 1790000000
expect = "permit"
"#;

fn query(signals: Value) -> Result<Query, ztl_core::policy::QueryError> {
    let query = json!({
        "from": "client", "to": "one", "method": "GET", "path": "/", "signals": signals,
    });
    Query::from_json(&query.to_string())
}

fn refused(signals: Value) -> String {
    let policy = Policy::from_toml(POLICY).expect("policy");
    match query(signals).and_then(|query| query.decide(&policy, NOW)) {
        Ok(decision) => panic!("{decision:?}"),
        Err(error) => error.to_string(),
    }
}

/// A score has a time and an end, and what is not there is below every threshold, 1 among them.
#[test]
fn rule_55_a_score_that_is_missing_early_or_over_is_below_every_threshold() {
    let lowest = Policy::from_toml(&POLICY.replace("trust_score = 70", "trust_score = 1"));
    let lowest = lowest.unwrap_or_else(|error| panic!("{error}"));
    let ask = |evidence: Value, now: u64| {
        let mut query =
            json!({ "from": "client", "to": "one", "method": "GET", "path": "/", "now": now });
        let more = evidence.as_object().expect("object").clone();
        query.as_object_mut().expect("object").extend(more);
        let query = Query::from_json(&query.to_string()).expect("query");
        let decision = query.decide(&lowest, NOW).expect("decision");
        (decision.verdict, decision.reason)
    };
    let now = NOW.as_unix_secs();
    assert_eq!(
        ask(json!({}), now),
        (Verdict::Deny, Reason::EvidenceMissing)
    );
    assert_eq!(
        ask(json!({ "trust_score": 0 }), now),
        (Verdict::Deny, Reason::RequirementUnmet)
    );
    assert_eq!(
        ask(json!({ "trust_score": 1 }), now),
        (Verdict::Permit, Reason::Permitted)
    );
    let signals = |observed: u64, expires: u64| {
        let good =
            |value: u64| json!({ "value": value, "observed_at": observed, "expires_at": expires });
        json!({ "signals": { "device": good(100), "threats": good(0) } })
    };
    for (observed, expires, verdict) in [
        (now, now + 1, Verdict::Permit),
        (now + 60, now + 90, Verdict::Permit),
        (now + 61, now + 90, Verdict::Deny),
        (now - 599, now + 1, Verdict::Permit),
        (now - 600, now + 1, Verdict::Deny),
        (now - 10, now, Verdict::Deny),
    ] {
        let asked = ask(signals(observed, expires), now);
        assert_eq!(asked.0, verdict, "{observed} {expires}");
    }
}

#[test]
fn t4_a_question_is_decided_by_the_score_that_its_signals_make() {
    let policy = Policy::from_toml(POLICY).unwrap_or_else(|error| panic!("{error}"));
    let cases = [
        (json!({ "device": 70, "threats": 0 }), Verdict::Permit, 76),
        (json!({ "device": 50, "threats": 0 }), Verdict::Deny, 60),
        (json!({ "device": 100, "threats": 50 }), Verdict::Deny, 0),
        (json!({ "device": 100 }), Verdict::Deny, 0),
        (json!({ "threats": 0 }), Verdict::Deny, 20),
        (
            json!({ "device": { "value": 70, "observed_at": 1_789_999_401_u64 }, "threats": 0 }),
            Verdict::Permit,
            76,
        ),
        (
            json!({ "device": { "value": 70, "observed_at": 1_789_999_400_u64 }, "threats": 0 }),
            Verdict::Deny,
            20,
        ),
        (
            json!({ "device": 70, "threats": { "value": 0, "expires_at": 1_790_000_000_u64 } }),
            Verdict::Deny,
            0,
        ),
    ];
    for (signals, verdict, score) in cases {
        let asked = query(signals.clone()).expect("query");
        let decision = asked.decide(&policy, NOW).expect("decision");
        assert_eq!(decision.verdict, verdict, "{signals}");
        if verdict == Verdict::Deny {
            assert_eq!(decision.reason, Reason::RequirementUnmet, "{signals}");
        }
        let why = asked.explain(&policy, NOW).expect("explanation");
        let scored = why.trust.as_ref().expect("a score");
        assert_eq!(scored.score.value(), score, "{signals}");
        assert_eq!(why.decision.verdict, verdict, "{signals}");
        assert_eq!(why.json(POLICY)["trust"]["score"], score, "{signals}");
    }
}

#[test]
fn an_explanation_lists_every_contribution() {
    let policy = Policy::from_toml(POLICY).expect("policy");
    let given =
        json!({ "device": { "value": 50, "observed_at": 1_789_999_940_u64, "source": "mdm" } });
    let why = query(given).expect("query").explain(&policy, NOW);
    let json = why.expect("explanation").json(POLICY);
    assert_eq!(
        json["trust"],
        json!({
            "score": 0,
            "base": 20,
            "signals": [
                {
                    "name": "device", "of": "peer", "value": 50, "source": "mdm", "age": 60,
                    "effect": "adds", "points": 40, "zeroes": false,
                    "text": "`device` of the peer is 50 by `mdm`, 60 s old: adds 40 of 80",
                },
                {
                    "name": "threats", "of": "peer", "value": null, "source": null, "age": null,
                    "effect": "missing", "points": 0, "zeroes": true,
                    "text": "`threats` of the peer is not known: it could lower the score, so the score is 0",
                },
            ],
        })
    );
}

#[test]
fn what_is_no_signal_is_refused() {
    let cases = [
        (json!(7), "`signals` is 7; it has to be an object"),
        (
            json!({ "devise": 7 }),
            "has `devise`, which `[trust]` does not weigh; did you mean `device`?",
        ),
        (
            json!({ "device": 101 }),
            "has `device`, which is no integer from 0 to 100",
        ),
        (
            json!({ "device": {} }),
            "has `device`, which is no integer from 0 to 100",
        ),
        (
            json!({ "device": { "value": 7, "age": 3 } }),
            "with the unknown key `age`",
        ),
        (
            json!({ "device": { "value": 7, "observed_at": "now" } }),
            "whose `observed_at` is `now`; it has to be seconds",
        ),
        (
            json!({ "device": { "value": 7, "source": 7 } }),
            "whose `source` is 7",
        ),
    ];
    for (signals, message) in cases {
        let found = refused(signals.clone());
        assert!(found.contains(message), "{signals}: {found}");
    }
    let many: serde_json::Map<_, _> = (0..65).map(|n| (format!("s{n}"), json!(1))).collect();
    assert!(refused(many.into()).contains("has more than 64 entries"));
    let both = r#"{"to": "one", "signals": {}, "trust_score": 7}"#;
    let both = Query::from_json(both).expect_err("two scores").to_string();
    assert!(both.contains("stands beside `trust_score`"), "{both}");
    let plain = POLICY.split("[trust]").next().expect("head");
    let plain =
        format!("{plain}[workloads.one]\nid = \"spiffe://prod.example/one\"\nports = [8443]\n");
    let plain = Policy::from_toml(&plain).expect("policy");
    let to_one = Query::from_json(r#"{"to": "one", "signals": {"device": 7}}"#).expect("query");
    let error = to_one
        .decide(&plain, NOW)
        .expect_err("no [trust]")
        .to_string();
    assert!(error.contains("a policy without `[trust]`"), "{error}");
}
