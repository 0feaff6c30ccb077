//! The attacks of docs/threat-model.md that the engine closes, each cited.

#![cfg(test)]

mod dodges;
mod facts;
mod heavy;
mod permits;
mod proof;
mod records;
mod time;
mod work;

#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use support::{
    NOW, Question, RETRIEVER, ROUTER, SENSOR, STORE, STRANGER, document, load, loader, peer,
    peer_until, try_load,
};
use ztl_core::audit::{AuditError, JsonLinesSink, MemorySink, Record, Sink};
use ztl_core::policy::{Format, Input, decide};
use ztl_core::{
    Action, Arrival, Attributes, Claims, Engine, EngineError, Evidence, Flow, FlowPermit, Peer,
    Proof, Reason, SpiffeId, Stage, Timestamp, TrustScore,
};

fn refusal(document: &Value) -> String {
    try_load(document).expect_err("refused").to_string()
}

fn reason(question: &Question, document: &Value) -> &'static str {
    question.ask(&load(document)).reason.code()
}

fn reads() -> Value {
    json!({ "name": "router-reads", "from": "router", "to": "gateway", "actions": ["GET /v1/{id}"] })
}

fn engine(document: &Value) -> (Engine, Arc<MemorySink>) {
    let audit = Arc::new(MemorySink::new(100));
    (
        Engine::new(load(document), Arc::clone(&audit)).expect("engine"),
        audit,
    )
}

fn at_home() -> Arrival {
    Arrival::from_addr("10.10.0.5".parse().expect("address"))
}

fn permitted(engine: &Engine, peer: &Peer) -> FlowPermit {
    engine
        .permit_flow(&Flow::ingress("gateway", 8443, at_home(), Some(peer)), NOW)
        .expect("permit")
}

fn get(target: &'static str) -> Action<'static> {
    Action::request("GET", target).expect("action")
}
