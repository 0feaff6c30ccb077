//! `[authorizers.NAME]` of kind `opa`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use ztl_authz::rego::RegoKind;
use ztl_core::policy::{Format, LoadError, Loader, Policy, Query};
use ztl_core::{Decision, Timestamp};

use super::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_795_339_815_250);

fn with(module: &[u8], section: Value) -> Result<Policy, LoadError> {
    let files = [
        ("policy.wasm", module.to_vec()),
        ("more.wasm", module.to_vec()),
        ("data.json", br#"{"team":"search"}"#.to_vec()),
    ];
    let files = BTreeMap::from(files.map(|(name, bytes)| (name.to_owned(), bytes)));
    let mut authorizer = json!({
        "kind": "opa", "policy": "policy.wasm", "data": "data.json", "entrypoint": "policy/readers", "timeout": "5s",
    });
    for (key, value) in section.as_object().expect("an object") {
        authorizer[key] = value.clone();
    }
    let document = json!({
        "schema": 1,
        "trust_domain": "prod.example",
        "workloads": {
            "router": { "id": "spiffe://prod.example/router" },
            "models": { "id": "spiffe://prod.example/models", "ports": [8443] },
        },
        "authorizers": { "opa": authorizer },
        "permit": [{
            "from": "router",
            "to": "models",
            "actions": ["GET,POST /v1/models"],
            "require": { "authorizer": "opa" },
        }],
    });
    let kind = RegoKind::wasm(Arc::new(files));
    let loader = Loader::new().authorizer_kind("opa", Arc::new(kind));
    loader.load(&document.to_string(), Format::Json)
}

fn decide(policy: &Policy, method: &str) -> Decision {
    let query = json!({ "from": "router", "to": "models", "method": method, "path": "/v1/models" });
    let query = Query::from_json(&query.to_string()).expect("a query");
    query.decide(policy, NOW).expect("a decision")
}

fn reason(section: Value) -> &'static str {
    let module = bytes(&text("{}"));
    let policy = with(&module, section).expect("a policy");
    decide(&policy, "GET").reason.code()
}

#[test]
fn t24_a_document_names_a_module_and_its_revision_covers_it() {
    let (one, other) = (bytes(&text("{}")), bytes(&text(r#"{"sprintf":0}"#)));
    let policy = with(&one, json!({})).expect("a policy");
    assert_eq!(decide(&policy, "GET").reason.code(), "permitted");
    assert_eq!(decide(&policy, "POST").reason.code(), "objected");
    let revision = |module: &[u8]| with(module, json!({})).expect("a policy").revision();
    assert_eq!(revision(&one), policy.revision());
    assert_ne!(revision(&other), policy.revision());
    assert_eq!(
        reason(json!({ "entrypoint": "policy.readers" })),
        "permitted"
    );
    assert_eq!(
        reason(json!({ "entrypoint": "policy/undefined" })),
        "objected"
    );
}

#[test]
fn rule_15_time_and_memory_are_as_the_document_says() {
    let begun = Instant::now();
    let forever = json!({ "entrypoint": "policy/forever", "timeout": "20ms" });
    assert_eq!(reason(forever), "authorizer_failed");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let grows = json!({ "entrypoint": "policy/grows", "memory": "4MiB" });
    assert_eq!(reason(grows), "authorizer_failed");
}

#[test]
fn what_is_wrong_with_a_module_refuses_the_document() {
    let good = bytes(&text("{}"));
    let greedy = bytes(&text(r#"{"http.send":0}"#));
    for (module, section, why) in [
        (
            good.as_slice(),
            json!({ "policy": ["policy.wasm", "more.wasm"] }),
            "`policy` takes one module",
        ),
        (
            &good,
            json!({ "entrypoint": "policy/nothing" }),
            "`policy.wasm`: the module has no entrypoint `policy/nothing`",
        ),
        (
            &greedy,
            json!({}),
            "`policy.wasm`: the policy calls the builtin `http.send`",
        ),
        (
            b"package policy",
            json!({}),
            "this is no WebAssembly module",
        ),
    ] {
        match with(module, section) {
            Ok(_) => panic!("taken: {why}"),
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains(why), "{said}");
            }
        }
    }
}
