//! P3: a decision under native rules allocates nothing, and neither does the record of it once a memory ring is full.

#![cfg(test)]

use std::alloc::System;
use std::sync::Arc;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use ztl_core::audit::{AuditError, MemorySink, Record, Sink};
use ztl_core::policy::Policy;
use ztl_core::{
    Action, Arrival, Claims, Engine, Evidence, Flow, HeaderPairs, Peer, Proof, SpiffeId, Timestamp,
    TrustScore,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);
const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"
[zones.production]
networks = ["10.0.0.0/8"]
[workloads.caller]
id = "spiffe://prod.example/caller"
zone = "production"
[workloads.target]
id = "spiffe://prod.example/target"
zone = "production"
ports = [8443]
[[permit]]
name = "plain"
from = "caller"
to = "target"
actions = ["GET /plain/{id}"]
[[permit]]
name = "requires"
from = "caller"
to = "target"
actions = ["GET /requires/{id}"]
[permit.require]
trust_score = 50
token = { issuer = "corp", scopes = ["read"], claims = { team = "red" } }
headers = { x-tenant = ["a", "b"] }
"#;

struct Nowhere;

impl Sink for Nowhere {
    fn record(&self, _: &Record<'_>) -> Result<(), AuditError> {
        Ok(())
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test vouches for its own peer and claims"
)]
fn p3_authorize_allocates_nothing() {
    let peer = Peer::assertion(
        Proof::X509 {
            id: SpiffeId::parse("spiffe://prod.example/caller").expect("id"),
            leaf_sha256: [7; 32].into(),
            serial: Box::new([1]),
            not_after: Timestamp::MAX,
        },
        "test",
    );
    let claims =
        serde_json::json!({ "iss": "corp", "sub": "alice", "scope": "read", "team": "red" });
    let claims = Claims::assertion(
        claims.as_object().expect("object").clone(),
        Timestamp::MAX,
        "test",
    );
    let pairs: [(&str, &[u8]); 1] = [("x-tenant", b"a")];
    let headers = HeaderPairs(&pairs);
    let evidence = Evidence::none()
        .with_claims(&claims)
        .with_trust_score(TrustScore::new(70, NOW, Timestamp::MAX).expect("score"))
        .with_headers(&headers);
    let ring = Arc::new(MemorySink::new(8));
    let engines = [
        Engine::new(Policy::from_toml(POLICY).expect("policy"), Nowhere).expect("engine"),
        Engine::new(
            Policy::from_toml(POLICY).expect("policy"),
            Arc::clone(&ring),
        )
        .expect("engine"),
    ];
    for (name, engine) in ["nowhere", "ring"].into_iter().zip(&engines) {
        let arrival = Arrival::from_addr("10.0.0.1".parse().expect("address"));
        let permit = engine
            .permit_flow(&Flow::ingress("target", 8443, arrival, Some(&peer)), NOW)
            .expect("flow");
        for target in ["/plain/7", "/requires/7"] {
            let action = Action::request("GET", target).expect("action");
            let ask = || engine.authorize(&permit, &action, &evidence, NOW);
            // The ring has its buffers after one round.
            for _ in 0..16 {
                assert!(ask().is_ok());
            }
            // The test harness has a thread of its own, which may allocate meanwhile: the least of some rounds counts.
            let fewest = (0..20)
                .map(|_| {
                    let region = Region::new(ALLOCATOR);
                    let permitted = ask();
                    let change = region.change();
                    assert!(permitted.is_ok());
                    change.allocations + change.reallocations
                })
                .min();
            assert_eq!(fewest, Some(0), "{name} {target}");
        }
    }
    assert!(ring.taken() > 32);
}
