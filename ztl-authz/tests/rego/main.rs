//! Policies in Rego, within policy documents and by themselves.

#![cfg(test)]

mod authorizer;
mod input;
mod interpreter;
mod kind;
mod missing;
mod vm;

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use ztl_authz::rego::{RegoAuthorizer, RegoEngine, RegoError};
use ztl_core::authorizer::{Authorizer, Reads};
use ztl_core::policy::{Format, LoadError, Loader, Policy, Query};
use ztl_core::{Decision, Timestamp, Verdict};

/// Sunday, 2026-11-22 09:30:15.250 UTC.
const NOW: Timestamp = Timestamp::from_unix_millis(1_795_339_815_250);

/// An engine that answers what it is told to, and keeps what it was asked.
#[derive(Debug)]
struct Says {
    answer: Result<Option<Value>, RegoError>,
    asked: Mutex<Vec<Value>>,
}

impl Says {
    fn new(answer: Result<Option<Value>, RegoError>) -> Arc<Self> {
        Arc::new(Self {
            answer,
            asked: Mutex::default(),
        })
    }

    fn value(answer: Value) -> Arc<Self> {
        Self::new(Ok(Some(answer)))
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().expect("a lock").clone()
    }
}

impl RegoEngine for Says {
    fn evaluate(&self, input: &str) -> Result<Option<Value>, RegoError> {
        let input = serde_json::from_str(input).expect("JSON");
        self.asked.lock().expect("a lock").push(input);
        self.answer.clone()
    }
}

fn every_read() -> Reads {
    (Reads::nothing().with_token())
        .with_trust_score()
        .with_posture()
        .with_context()
}

/// Three workloads, and one permit with what it requires and obliges to.
fn document(more: Value) -> Value {
    let mut document = json!({
        "schema": 1,
        "trust_domain": "prod.example",
        "trust_domain_aliases": ["old.example"],
        "zones": { "office": { "networks": ["10.1.0.0/16"] } },
        "workloads": {
            "router": { "id": "spiffe://prod.example/router", "labels": { "tier": "front" } },
            "models": { "id": "spiffe://prod.example/models", "ports": [8443] },
        },
        "limits": { "slow": { "requests": 1, "per": "1m" }, "fast": { "requests": 100, "per": "1m" } },
        "permit": [{
            "name": "asks",
            "from": ["router", "zone:office"],
            "to": "models",
            "actions": ["POST /v1/models/{model}/infer", "GET,POST /v1/files/{*path}", "websocket /chat", "upgrade:x /chat"],
            "require": { "authorizer": "rego" },
        }, {
            "name": "streams",
            "from": ["router", "zone:office"],
            "to": "models",
            "actions": ["connect"],
            "require": { "authorizer": "rego" },
        }],
    });
    for (key, value) in more.as_object().expect("an object") {
        document["permit"][0][key] = value.clone();
    }
    document
}

fn load(document: &Value, loader: &Loader) -> Result<Policy, LoadError> {
    loader.load(&document.to_string(), Format::Json)
}

fn policy(authorizer: impl Authorizer + 'static, more: Value) -> Policy {
    let loader = Loader::new().with_authorizer("rego", Arc::new(authorizer));
    load(&document(more), &loader).expect("a policy")
}

fn asking(engine: &Arc<Says>, reads: Reads) -> RegoAuthorizer {
    RegoAuthorizer::new(engine.clone(), reads)
}

fn decide(policy: &Policy, more: Value) -> Decision {
    let mut query = json!({ "from": "router", "from_addr": "10.1.2.3", "to": "models", "method": "POST", "path": "/v1/models/llama/infer" });
    for (key, value) in more.as_object().expect("an object") {
        query[key] = value.clone();
        if value.is_null() {
            query.as_object_mut().expect("an object").remove(key);
        }
    }
    let query = Query::from_json(&query.to_string()).expect("a query");
    query.decide(policy, NOW).expect("a decision")
}

/// The router, as if a verifier had proved it.
#[expect(clippy::disallowed_methods, reason = "a test vouches for its own peer")]
fn peer() -> ztl_core::Peer {
    let proof = ztl_core::Proof::X509 {
        id: ztl_core::SpiffeId::parse("spiffe://prod.example/router").expect("an id"),
        leaf_sha256: [0; 32].into(),
        serial: Box::default(),
        not_after: Timestamp::MAX,
    };
    ztl_core::Peer::assertion(proof, "test")
}
