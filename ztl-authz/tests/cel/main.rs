//! Conditions in CEL, within policies and by themselves.

#![cfg(test)]

mod cedar;
mod differential;
mod docs;
mod evidence;
mod heavy;
mod hostile;
mod kept;
mod language;
mod laws;
mod refused;

// The tally of the suites of ztl-core: one way to say what is answered otherwise.
#[allow(dead_code, reason = "shared with suites that can leave rows unsaid")]
#[path = "../../../ztl-core/tests/suites/tally.rs"]
mod tally;

use std::sync::Arc;

use serde_json::{Value, json};
use ztl_authz::cel::Cel;
use ztl_core::Timestamp;
use ztl_core::authorizer::{ConditionError, Setting};
use ztl_core::policy::{Effect, Format, LoadError, Loader, Policy, Query};

/// Sunday, 2026-11-22 09:30:15 UTC.
const NOW: Timestamp = Timestamp::from_unix_secs(1_795_339_815);

fn loader() -> Loader {
    Loader::new().with_conditions(Arc::new(Cel::new()))
}

/// Two workloads, and rules between them.
fn load(permits: Value, forbids: Value) -> Result<Policy, LoadError> {
    let document = json!({
        "schema": 1,
        "trust_domain": "prod.example",
        "trust_domain_aliases": ["old.example"],
        "zones": { "office": { "networks": ["10.1.0.0/16"] } },
        "workloads": {
            "router": { "id": "spiffe://prod.example/ns/edge/router", "labels": { "tier": "front" } },
            "models": { "id": "spiffe://prod.example/models", "ports": [8443] },
        },
        "permit": permits,
        "forbid": forbids,
    });
    loader().load(&document.to_string(), Format::Json)
}

const ACTIONS: &str = "POST /v1/models/{model}/infer";

/// A permit with this condition.
fn permit(when: &str) -> Policy {
    let rule = json!({ "name": "asks", "from": "any", "to": "models", "actions": [ACTIONS, "connect"], "require": { "when": when } });
    load(json!([rule]), json!([])).unwrap_or_else(|error| panic!("{error}"))
}

/// A permit of everything, and a forbid with this condition.
fn forbid(when: &str) -> Policy {
    let open = json!({ "name": "open", "from": "any", "to": "models", "actions": [ACTIONS] });
    let rule = json!({ "name": "asks", "from": "any", "to": "models", "actions": [ACTIONS], "when": when });
    load(json!([open]), json!([rule])).unwrap_or_else(|error| panic!("{error}"))
}

/// A request of the router for the model `llama`, and what else is known.
fn query(more: &Value) -> Query {
    let mut query = json!({
        "from": "router", "from_addr": "10.1.2.3", "to": "models", "port": 8443,
        "method": "POST", "path": "/v1/models/llama/infer",
    });
    for (key, value) in more.as_object().expect("an object") {
        query[key] = value.clone();
    }
    Query::from_json(&query.to_string()).expect("a query")
}

/// The reason that a policy gives.
fn ask(policy: &Policy, more: &Value) -> &'static str {
    let decision = query(more).decide(policy, NOW).expect("a decision");
    decision.reason.code()
}

/// Whether a condition holds with this.
#[track_caller]
fn holds(when: &str, more: &Value) -> bool {
    match ask(&permit(when), more) {
        "permitted" => true,
        "objected" => false,
        other => panic!("{when}: {other}: {}", failed(when, more)),
    }
}

/// What the explanation says of a permit whose condition failed.
#[track_caller]
fn failed(when: &str, more: &Value) -> String {
    let policy = permit(when);
    assert_eq!(ask(&policy, more), "authorizer_failed", "{when}");
    let explanation = query(more).explain(&policy, NOW).expect("an explanation");
    let failed = explanation.rules[0].failed().expect("what failed");
    failed.got.clone()
}

/// What a condition is refused with.
fn refused_in(effect: Effect, when: &str) -> ConditionError {
    let setting = Setting::new(effect, ["model"]);
    match Cel::new().condition(when, &setting) {
        Ok(_) => panic!("`{when}` compiles"),
        Err(error) => error,
    }
}
