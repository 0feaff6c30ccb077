//! A small universe: five workloads, three zones, a few paths; and documents, questions and toy conditions over them.
#![allow(dead_code, unused_imports, reason = "each test file uses another part")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests vouch for their own peers and claims"
)]

mod question;
mod random;
mod toys;

use proptest::prelude::*;
use serde_json::{Value, json};
use ztl_core::policy::{Format, Input, Policy, decide};
use ztl_core::{
    Action, Arrival, Claims, Decision, Evidence, Flow, HeaderPairs, Peer, Proof, SpiffeId,
    Timestamp, TrustScore,
};

pub(crate) use question::*;
pub(crate) use random::*;
pub(crate) use toys::*;

pub(crate) const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

/// A document with these rules. Every workload states a zone and the label `tier`, so that any forbid may speak of them.
pub(crate) fn document(permits: &[Value], forbids: &[Value]) -> Value {
    let mut document = json!({
        "schema": 1,
        "trust_domain": "prod.example",
        "trust_domain_aliases": ["old.example"],
        "relays": ["10.10.0.99/32"],
        "zones": {
            "production": { "trust": 3, "networks": ["10.10.0.0/16", "fd00:10::/64"] },
            "vault": { "trust": 9, "networks": ["10.10.7.0/24"] },
            "iot": { "trust": 1, "networks": ["10.20.0.0/16"] },
        },
        "workloads": {
            "gateway": { "id": "spiffe://prod.example/edge/gateway", "zone": "production", "labels": { "tier": "edge" }, "ports": [8443], "public_ports": [443] },
            "router": { "id": "spiffe://prod.example/agents/router", "zone": "production", "labels": { "tier": "agent" }, "ports": [8443], "forwards": ["retriever", "label:tier=thing", "spiffe://other.example/**"] },
            "retriever": { "id": "spiffe://prod.example/agents/retriever", "zone": "production", "labels": { "tier": "agent" }, "ports": [8443, 9000] },
            "sensor": { "id": "spiffe://prod.example/things/sensor", "zone": "iot", "labels": { "tier": "thing" }, "ports": [1883] },
            "store": { "id": "spiffe://prod.example/data/store", "zone": "vault", "labels": { "tier": "data" }, "ports": [6333], "asserted_by": ["front-proxy"] },
        },
        "issuers": { "corp": { "issuer": CORP } },
        "limits": { "slow": { "requests": 10, "per": "1m" } },
        "authorizers": { "configured": { "kind": "fixed", "objects": false } },
    });
    if !permits.is_empty() {
        document["permit"] = permits.into();
    }
    if !forbids.is_empty() {
        document["forbid"] = forbids.into();
    }
    document
}

pub(crate) fn load(document: &Value) -> Policy {
    try_load(document).unwrap_or_else(|error| panic!("{error}\n{document:#}"))
}

pub(crate) fn try_load(document: &Value) -> Result<Policy, ztl_core::policy::LoadError> {
    let text = serde_json::to_string_pretty(document).expect("json");
    loader().load(&text, Format::Json)
}

/// The `iss` of the issuer `corp`.
pub(crate) const CORP: &str = "https://idp.example";
pub(crate) const GATEWAY: &str = "spiffe://prod.example/edge/gateway";
pub(crate) const ROUTER: &str = "spiffe://prod.example/agents/router";
pub(crate) const RETRIEVER: &str = "spiffe://prod.example/agents/retriever";
pub(crate) const SENSOR: &str = "spiffe://prod.example/things/sensor";
pub(crate) const STORE: &str = "spiffe://prod.example/data/store";
pub(crate) const STRANGER: &str = "spiffe://prod.example/agents/stranger";

/// An address in the zone where a workload stands.
pub(crate) fn home(id: &str) -> Option<&'static str> {
    match id {
        SENSOR => Some("10.20.0.5"),
        STORE => Some("10.10.7.5"),
        "" => None,
        _ => Some("10.10.0.5"),
    }
}
