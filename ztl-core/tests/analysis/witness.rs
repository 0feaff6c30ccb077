//! The request that shows that an assertion does not hold.

use proptest::prelude::*;
use serde_json::{Value, json};
use ztl_core::Verdict;
use ztl_core::policy::{Policy, Query};

use crate::support::*;

const SHOWN: &str = "without the assertion this is permitted: ";

/// The requests shown of a document that is refused, one for each assertion that has one.
fn witnesses(document: &Value) -> Vec<(String, Query)> {
    let error = try_load(document).map(|_| ()).expect_err("refused");
    let error = error.to_string();
    let shown = error.lines().filter_map(|line| line.split_once(SHOWN));
    let texts = shown.map(|(_, text)| text.to_owned());
    texts
        .map(|text| {
            let query = Query::from_json(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            (text, query)
        })
        .collect()
}

fn verdict(policy: &Policy, query: &Query) -> Verdict {
    query.decide(policy, NOW).expect("answer").verdict
}

fn asserted(mut document: Value, never: &Value) -> Value {
    document["never"] = json!([never]);
    document
}

fn never() -> impl Strategy<Value = Value> {
    let from = [
        "any",
        "public",
        "router",
        "label:tier=thing",
        "zone:iot",
        "spiffe://prod.example/agents/**",
        "trust-domain:other.example",
    ];
    let to = [
        "any",
        "store",
        "router",
        "zone:production",
        "label:tier=edge",
    ];
    let actions = [
        "",
        "GET /v1/{id}",
        "PUT /v1/{id}",
        "grpc pkg.Svc/Do",
        "connect",
        "any",
    ];
    let select = |all: &[&'static str]| prop::sample::select(all.to_vec());
    (select(&from), select(&to), select(&actions)).prop_map(|(from, to, actions)| {
        let mut never = json!({ "name": "apart", "from": from, "to": to });
        if !actions.is_empty() {
            never["actions"] = actions.into();
        }
        never
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// T10: what is shown is permitted, and an assertion made a forbid would forbid it.
    #[test]
    fn t10_a_witness_is_permitted_and_is_what_the_assertion_rules_out(
        permits in prop::collection::vec(permit(), 1..4),
        forbids in prop::collection::vec(forbid(), 0..3),
        never in never(),
    ) {
        let plain = document(&permits, &forbids);
        let broken = asserted(plain.clone(), &never);
        if let (Ok(policy), Err(error)) = (try_load(&plain), try_load(&broken)) {
            let error = error.to_string();
            prop_assert!(error.contains("`apart` does not hold"), "{error}");
            let mut more = forbids;
            let mut forbid = never;
            forbid["name"] = "forbids".into();
            more.push(forbid);
            let forbidding = load(&document(&permits, &more));
            for (text, query) in witnesses(&broken) {
                prop_assert_eq!(verdict(&policy, &query), Verdict::Permit, "{}", text);
                if !error.contains("being believed by the target's") {
                    prop_assert_eq!(verdict(&forbidding, &query), Verdict::Deny, "{}", text);
                }
            }
        }
    }
}

/// T10: what a permit asks for is brought along, and every kind of permit has a request.
#[test]
fn t10_a_witness_brings_what_the_permit_asks_for() {
    let never = json!({ "name": "apart", "from": "any", "to": "store" });
    for (action, require) in [
        ("GET /v1/{id}", json!(null)),
        ("PUT /v1/{n:int}/{*rest}", json!({ "trust_score": 80 })),
        (
            "grpc pkg.Svc/Do",
            json!({ "token": { "issuer": "corp", "scopes": ["a", "b"], "claims": { "team": "x" } } }),
        ),
        ("websocket /v1/a", json!({ "mfa": "phishing-resistant" })),
        ("connect", json!({ "zone_trust": 3 })),
        ("any", json!({ "headers": { "x-tenant": ["a"] } })),
    ] {
        let mut permit =
            json!({ "name": "opens", "from": "router", "to": "store", "actions": [action] });
        if !require.is_null() {
            permit["require"] = require;
        }
        let plain = document(&[permit], &[]);
        let shown = witnesses(&asserted(plain.clone(), &never));
        let [(text, query)] = shown.as_slice() else {
            panic!("{action}: {shown:?}")
        };
        assert_eq!(verdict(&load(&plain), query), Verdict::Permit, "{text}");
    }
}

/// T10: the part of a permit that the assertion rules out is shown, and not what a forbid takes away.
#[test]
fn t10_a_witness_is_found_beside_what_is_forbidden() {
    let permit = json!({ "name": "opens", "from": "router", "to": "store", "actions": ["GET /v1/{*rest}", "PUT /v1/a"] });
    let forbid = json!({ "name": "shut", "from": "any", "to": "store", "actions": ["GET /v1/admin/{*rest}"] });
    let never = json!({ "name": "apart", "from": "any", "to": "store", "actions": ["GET /v1/admin/{*rest}", "GET /v1/keys"] });
    let plain = document(&[permit], &[forbid]);
    let shown = witnesses(&asserted(plain, &never));
    let [(text, _)] = shown.as_slice() else {
        panic!("{shown:?}")
    };
    assert!(text.contains(r#""path":"/v1/keys""#), "{text}");
    assert!(text.contains(r#""from_addr":"fd00:10::1""#), "{text}");
}

/// Nothing is shown that is not permitted: a condition that says no to what was made up leaves the words alone.
#[test]
fn t10_no_witness_is_made_up_that_the_document_denies() {
    let mut permit =
        json!({ "name": "opens", "from": "router", "to": "store", "actions": ["GET /v1/a"] });
    permit["require"] = json!({ "when": "false" });
    let never = json!({ "name": "apart", "from": "any", "to": "store" });
    let broken = asserted(document(&[permit], &[]), &never);
    assert_eq!(witnesses(&broken).len(), 0);
}

/// Help holds up no load: of many assertions that fail the first few are shown a request for.
#[test]
fn t34_of_many_assertions_a_few_have_a_witness() {
    let permit =
        json!({ "name": "opens", "from": "router", "to": "store", "actions": ["GET /v1/a"] });
    let mut broken = document(&[permit], &[]);
    let nevers =
        (0..100).map(|at| json!({ "name": format!("apart-{at}"), "from": "any", "to": "store" }));
    broken["never"] = nevers.collect::<Vec<_>>().into();
    assert_eq!(witnesses(&broken).len(), 16);
}
