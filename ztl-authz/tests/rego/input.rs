//! The input document, field by field.

use super::*;

fn input(reads: Reads, query: Value) -> Value {
    let engine = Says::value(json!(true));
    let decision = decide(&policy(asking(&engine, reads), json!({})), query);
    let mut asked = engine.asked();
    assert_eq!(asked.len(), 1, "{decision:?}");
    asked.remove(0)
}

#[test]
fn every_field_of_a_request() {
    let query = json!({
        "path": "/v1/models/ll%C3%A4ma%20%22x%22/infer?token=secret",
        "headers": { "x-tenant": "acme", "authorization": "Bearer secret" },
        "claims": { "iss": "https://id.example", "sub": "alice", "teams": ["a", "b"] },
        "trust_score": 70,
        "posture": { "disk": "encrypted" },
        "context": { "owner": "alice" },
    });
    let all = json!({
        "attributes": {
            "source": {
                "principal": "spiffe://prod.example/router",
                "workload": "router",
                "labels": { "tier": "front" },
            },
            "destination": { "workload": "models" },
            "request": {
                "kind": "request",
                "http": { "method": "POST", "path": "/v1/models/ll%C3%A4ma%20%22x%22/infer" },
            },
        },
        "parsed_path": ["v1", "models", "lläma \"x\"", "infer"],
        "params": { "model": "lläma \"x\"" },
        "target": "models",
        "zone": "office",
        "now": 1_795_339_815_250_000_000_u64,
        "claims": { "iss": "https://id.example", "sub": "alice", "teams": ["a", "b"] },
        "trust_score": 70,
        "posture": { "disk": "encrypted" },
        "context": { "owner": "alice" },
    });
    let input = input(every_read(), query);
    assert_eq!(input, all);
    assert_eq!(
        ztl_authz::rego::input::now(&input),
        Some(1_795_339_815_250_000_000)
    );
}

#[test]
fn t7_what_is_not_declared_is_not_there() {
    let query = json!({ "claims": { "sub": "alice" }, "trust_score": 70, "posture": { "a": 1 }, "context": { "b": 1 } });
    for (reads, there) in [
        (Reads::nothing(), None),
        (Reads::nothing().with_token(), Some("claims")),
        (Reads::nothing().with_trust_score(), Some("trust_score")),
        (Reads::nothing().with_posture(), Some("posture")),
        (Reads::nothing().with_context(), Some("context")),
    ] {
        let input = input(reads, query.clone());
        for name in ["claims", "trust_score", "posture", "context"] {
            assert_eq!(input.get(name).is_some(), there == Some(name), "{input}");
        }
    }
}

#[test]
fn t7_what_is_declared_is_there_or_the_policy_is_not_asked() {
    let engine = Says::value(json!(true));
    let policy = policy(asking(&engine, every_read()), json!({}));
    let all = json!({ "claims": { "sub": "alice" }, "trust_score": 70, "posture": { "a": 1 }, "context": { "b": 1 } });
    for missing in ["claims", "trust_score", "posture", "context"] {
        let mut query = all.clone();
        query.as_object_mut().expect("an object").remove(missing);
        let decision = decide(&policy, query);
        assert_eq!(decision.reason.code(), "evidence_missing", "{missing}");
    }
    assert!(engine.asked().is_empty());
    assert!(decide(&policy, all).verdict == Verdict::Permit);
}

#[test]
fn a_caller_that_is_no_workload_and_other_kinds_of_action() {
    let stranger = input(
        Reads::nothing(),
        json!({ "from": "spiffe://old.example/x", "method": "GET", "path": "/v1/files/a/b" }),
    );
    let source = json!({ "principal": "spiffe://prod.example/x" });
    assert_eq!(stranger["attributes"]["source"], source);
    assert_eq!(stranger["params"], json!({ "path": "a/b" }));

    let chat = json!({ "method": "GET", "path": "/chat", "headers": { "upgrade": "websocket" } });
    let chat = input(Reads::nothing(), chat);
    assert_eq!(chat["attributes"]["request"]["kind"], "websocket");
    let other = json!({ "method": "GET", "path": "/chat", "headers": { "upgrade": "x" } });
    let other = input(Reads::nothing(), other);
    assert_eq!(other["attributes"]["request"]["kind"], "upgrade");
    assert_eq!(other["attributes"]["request"]["http"]["upgrade"], "x");

    let raw = json!({ "action": "connect", "method": null, "path": null });
    let raw = input(Reads::nothing(), raw);
    let request = json!({ "kind": "connect" });
    assert_eq!(raw["attributes"]["request"], request);
    assert!(raw.get("parsed_path").is_none() && raw["params"] == json!({}));
}

#[test]
fn an_input_beyond_its_bound_is_an_error() {
    let engine = Says::value(json!(true));
    let policy = policy(asking(&engine, Reads::nothing().with_context()), json!({}));
    let asked = |bytes: usize| {
        let context = json!({ "context": { "long": "x".repeat(bytes) } });
        decide(&policy, context).reason.code()
    };
    assert_eq!(asked(100_000), "permitted");
    assert_eq!(asked(262_000), "authorizer_failed");
    assert_eq!(engine.asked().len(), 1);
}
