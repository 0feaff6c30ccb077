//! The ways in which systems of this kind were got around, each as a request that must not pass here. What the tests of the
//! numbered rules and of the threat model show already is not shown again.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod paths;
mod rules;

use serde_json::{Value, json};
use support::{Question, ROUTER, document, load};
use ztl_core::policy::Policy;

/// One permit for the router at the gateway.
fn permit(actions: &[&str]) -> Policy {
    load(&document(&[router_may(actions)], &[]))
}

/// The router may ask for anything but what is forbidden.
fn all_but(actions: &[&str]) -> Policy {
    let forbid = json!({ "from": "router", "to": "gateway", "actions": actions });
    load(&document(
        &[router_may(&["any", "HEAD /{*rest}"])],
        &[forbid],
    ))
}

fn router_may(actions: &[&str]) -> Value {
    json!({ "from": "router", "to": "gateway", "actions": actions })
}

fn get(policy: &Policy, target: &'static str) -> &'static str {
    ask(policy, &Question::get(ROUTER, "gateway", 8443, target))
}

fn ask(policy: &Policy, question: &Question) -> &'static str {
    question.ask(policy).reason.code()
}
