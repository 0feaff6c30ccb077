//! Random documents in which every form of the policy language occurs, and random questions that come near what their rules
//! name. Both are chosen by bytes alone: property tests make these up, and a fuzz target is given them.
#![allow(dead_code, unused_imports, reason = "each user needs another part")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests vouch for their own peers, hosts and claims"
)]

mod asked;
mod choices;
mod draft;
mod kinds;
mod near;
mod rule;
mod spoilt;
mod world;

pub(crate) use asked::Asked;
pub(crate) use choices::Choices;
pub(crate) use kinds::kinds;
pub(crate) use world::World;

use ztl_core::Timestamp;

pub(crate) const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);
/// The `iss` of the issuer `corp`.
pub(crate) const CORP: &str = "https://idp.example";
/// A UUID, as a segment of paths.
pub(crate) const UUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

/// The declared workloads: name, path of the id, and an address where it stands.
pub(crate) const WORKLOADS: [(&str, &str, &str); 5] = [
    ("gateway", "/edge/gateway", "10.10.0.5"),
    ("router", "/agents/router", "10.10.0.6"),
    ("retriever", "/agents/retriever", "10.10.0.7"),
    ("sensor", "/things/sensor", "10.20.0.5"),
    ("store", "/data/store", "10.10.7.5"),
];

/// The id of a declared workload in the primary trust domain.
pub(crate) fn id_of(workload: &str) -> Option<String> {
    let found = WORKLOADS.iter().find(|(name, ..)| *name == workload)?;
    Some(format!("spiffe://prod.example{}", found.1))
}
