//! Conditions: no source ends the process, every error stands within the source, and what compiles can only object: a permit and
//! a forbid with one condition never both let a request through, and evidence taken away never widens (rules 7 and 15, T7).

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use ztl_authz::cel::Cel;
use ztl_core::authorizer::Setting;
use ztl_core::policy::{Effect, Format, Loader, Policy, Query};
use ztl_core::{Reason, Timestamp};

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

static LOADER: LazyLock<Loader> =
    LazyLock::new(|| Loader::new().with_conditions(Arc::new(Cel::new())));

/// The same request, knowing everything, and each time one thing less.
static QUERIES: LazyLock<Vec<Query>> = LazyLock::new(|| {
    let all = json!({
        "from": "router", "from_addr": "10.1.2.3", "to": "models", "method": "POST", "path": "/v1/llama",
        "claims": { "iss": "i", "sub": "alice", "aud": ["a"], "scope": "infer", "n": 1, "b": true, "t": "text", "list": [1, 2, 3],
            "texts": ["a", "llama"], "nested": { "roles": ["admin"], "none": null }, "groups": [{ "name": "a" }] },
        "trust_score": 70, "posture": { "managed": true }, "context": { "owner": "alice" },
    });
    let less = |name: &str| {
        let mut less = all.clone();
        object(&mut less).remove(name);
        less
    };
    let mut queries = vec![all.clone()];
    queries.extend(["claims", "trust_score", "posture", "context"].map(less));
    for claim in [
        "sub", "scope", "n", "b", "t", "list", "texts", "nested", "groups",
    ] {
        let mut less = all.clone();
        object(&mut less["claims"]).remove(claim);
        queries.push(less);
    }
    let queries = queries
        .iter()
        .map(|query| Query::from_json(&query.to_string()));
    queries.map(|query| query.expect("a query")).collect()
});

fn object(value: &mut Value) -> &mut Map<String, Value> {
    value.as_object_mut().expect("an object")
}

fn policy(permit: Value, forbids: Value) -> Option<Policy> {
    let document = json!({
        "schema": 1, "trust_domain": "prod.example",
        "workloads": {
            "router": { "id": "spiffe://prod.example/router", "labels": { "tier": "front" } },
            "models": { "id": "spiffe://prod.example/models", "ports": [8443] },
        },
        "permit": [permit], "forbid": forbids,
    });
    LOADER.load(&document.to_string(), Format::Json).ok()
}

fn permits(policy: &Policy, query: &Query) -> bool {
    query.decide(policy, NOW).expect("a decision").reason == Reason::Permitted
}

fuzz_target!(|source: &str| {
    for effect in [Effect::Permit, Effect::Forbid] {
        if let Err(error) = Cel::new().condition(source, &Setting::new(effect, ["model"])) {
            assert!(error.at.clone().is_none_or(|at| source.get(at).is_some()));
            assert!(!error.in_text(source).message.is_empty());
        }
    }
    let open = json!({ "name": "open", "from": "router", "to": "models", "actions": ["POST /v1/{model}"] });
    let mut asks = open.clone();
    asks["require"] = json!({ "when": source });
    let forbid = json!([{ "name": "asks", "from": "router", "to": "models", "actions": ["POST /v1/{model}"], "when": source }]);
    let (permit, forbid) = (policy(asks, json!([])), policy(open, forbid));
    for policy in permit.iter().chain(&forbid) {
        let all = permits(policy, &QUERIES[0]);
        // In a forbid absence may be asked for, and forbids or not as its author says.
        let narrows = !source.contains("has") || permit.is_some();
        assert!(all || !narrows || !QUERIES.iter().any(|query| permits(policy, query)));
    }
    if let (Some(permit), Some(forbid)) = (&permit, &forbid) {
        assert!(
            QUERIES
                .iter()
                .all(|query| !(permits(permit, query) && permits(forbid, query)))
        );
    }
});
