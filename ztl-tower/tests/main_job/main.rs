//! Two workloads, one policy, real mutual TLS: who is named gets in, everybody else does not.

#![cfg(test)]

mod change;
mod egress;
mod ingress;
mod slow;

#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use support::{Marker, Mesh, get1, get2, knock, listener, now, reasons, serve, until};
use ztl_core::audit::MemorySink;
use ztl_mtls::DevCa;
use ztl_tower::{EgressError, Guard};

fn policy(port: u16) -> String {
    format!(
        r#"
schema = 1
trust_domain = "prod.example"

[workloads.retriever]
id = "spiffe://prod.example/retriever"

[workloads.router]
id = "spiffe://prod.example/router"

[workloads.model-server]
id = "spiffe://prod.example/model-server"
ports = [{port}]

[[permit]]
name = "retriever-infers"
from = "retriever"
to = "model-server"
actions = ["POST /v1/models/{{model}}/infer", "GET /v1/models/{{model}}"]
"#
    )
}

struct Running {
    mesh: Mesh,
    guard: Guard,
    audit: Arc<MemorySink>,
    marker: Marker,
    address: SocketAddr,
}

async fn running() -> Running {
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port()));
    let (guard, audit) = mesh.guard("model-server", "/model-server").await;
    let marker = Marker::default();
    serve(&guard, listener, marker.app());
    Running {
        mesh,
        guard,
        audit,
        marker,
        address,
    }
}
