//! Two trust domains over loopback: a guard that fetches the other's bundle, and endpoints that are honest, broken or hostile
//! (rules 20 to 24; SPIFFE Federation §5 to §7).

#![cfg(test)]

mod endpoint;
mod hostile;
mod https_spiffe;
mod https_web;
mod jwt_svids;

#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use endpoint::Endpoint;
use support::{Mesh, now};
use ztl_core::audit::MemorySink;
use ztl_core::{SpiffeId, TrustDomain};
use ztl_mtls::source::{BundleEndpoint, WebRoots};
use ztl_mtls::{DevCa, SpiffeBundle, X509Svid};
use ztl_tower::{FederatedBundle, Guard};

const HOST: &str = "bundles.partner.example";
const ENDPOINT_ID: &str = "spiffe://partner.example/bundle-endpoint";

fn policy(port: u16) -> String {
    format!(
        r#"
schema = 1
trust_domain = "prod.example"

[workloads.model-server]
id = "spiffe://prod.example/model-server"
ports = [{port}]

[[permit]]
name = "the-partner-asks"
from = "spiffe://partner.example/asker"
to = "model-server"
actions = ["GET /v1/models"]
"#
    )
}

fn authority(trust_domain: &str) -> DevCa {
    let domain = TrustDomain::parse(trust_domain).expect("domain");
    DevCa::new(domain, now()).expect("authority")
}

fn svid(authority: &DevCa, path: &str) -> X509Svid {
    let id = format!("spiffe://{}{path}", authority.trust_domain());
    let id = SpiffeId::parse(&id).expect("id");
    let hour = Duration::from_secs(3600);
    let issued = authority.issue(&id, now(), hour, &ztl_mtls::provider());
    issued.expect("svid").svid
}

/// The bundle document of an authority.
fn document(authority: &DevCa, sequence: u64) -> String {
    let bundle = SpiffeBundle::new(authority.bundle()).with_sequence(sequence);
    bundle.to_json().expect("document")
}

/// A URL of the endpoint's host; its address is told apart.
fn url(endpoint: &Endpoint, path: &str) -> String {
    format!("https://{HOST}:{}{path}", endpoint.address.port())
}

fn by_spiffe(endpoint: &Endpoint) -> BundleEndpoint {
    let url = url(endpoint, "/bundle.json");
    BundleEndpoint::https_spiffe("partner.example", &url, ENDPOINT_ID).expect("endpoint")
}

fn by_web(endpoint: &Endpoint, root: &str) -> BundleEndpoint {
    let roots = WebRoots::from_pem(root.as_bytes()).expect("roots");
    let url = url(endpoint, "/bundle.json");
    BundleEndpoint::https_web("partner.example", &url, roots).expect("endpoint")
}

/// A guard of prod.example that federates with partner.example.
async fn guard(federated: FederatedBundle) -> Guard {
    guard_at(1, federated).await
}

async fn guard_at(port: u16, federated: FederatedBundle) -> Guard {
    let audit = Arc::new(MemorySink::new(100));
    let built = Mesh::new(&policy(port))
        .builder("model-server", "/model-server", &audit)
        .federated_bundle(federated)
        .build()
        .await;
    built.unwrap_or_else(|error| panic!("{error}"))
}

/// Why a refresh fails.
async fn refused(guard: &Guard) -> String {
    match guard.refresh_bundle("partner.example").await {
        Ok(refreshed) => panic!("{refreshed:?}"),
        Err(error) => support::chain(&error),
    }
}
