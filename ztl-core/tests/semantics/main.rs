//! The numbered rules of docs/rules.md that an engine must get right, each cited.

#![cfg(test)]

mod action;
mod algebra;
mod evidence;
mod flow;
mod long;
mod many_forbids;
mod obligations;
mod outside;
mod parties;
mod plain;
mod versions;

#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use support::{
    GATEWAY, NOW, Question, RETRIEVER, ROUTER, SENSOR, STRANGER, document, load, peer, try_load,
};
use ztl_core::policy::Policy;
use ztl_core::{Lack, Reason, Stage, Verdict};

fn permit(rule: Value) -> Policy {
    load(&document(&[rule], &[]))
}

/// Verdict, stage, reason, rule.
fn outcome(question: &Question, policy: &Policy) -> (Verdict, Stage, Reason, Option<String>) {
    let decision = question.ask(policy);
    (
        decision.verdict,
        decision.stage,
        decision.reason,
        decision.rule.map(|rule| rule.to_string()),
    )
}

fn reason(question: &Question, policy: &Policy) -> &'static str {
    question.ask(policy).reason.code()
}

fn refusal(document: &Value) -> String {
    try_load(document).expect_err("refused").to_string()
}

fn router_reads() -> Value {
    json!({ "name": "router-reads", "from": "router", "to": "gateway", "actions": ["GET /v1/{id}"] })
}
