//! Slow clients, the public door, zones on loopback, files that change, and hosts with a server of their own.

#![cfg(test)]

mod aliases;
mod answers;
mod audit;
mod called;
mod conditions;
mod expectations;
mod features;
mod files;
mod guard_file;
mod handlers;
mod heavy;
#[cfg(unix)]
mod hosted;
#[cfg(unix)]
mod hosts;
mod layer;
mod listeners;
mod looks;
mod own_tls;
mod proxied;
mod pushed;
mod quiet;
mod raw;
mod revocation;
mod routed;
mod signed;
mod source_faults;
mod sources;
mod stop;
mod target;

#[path = "../support/folder.rs"]
mod folder;
#[path = "../attacks/watched/listens.rs"]
#[allow(dead_code, reason = "each test file uses another part")]
mod listens;
#[path = "../support/mod.rs"]
mod support;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use serde_json::json;
use support::{Marker, Mesh, get1, get2, knock, listener, listener_at, now, reasons, serve, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::Layer;
use tower::ServiceExt;
use ztl_authz::jwt::{DevIssuer, Issuer, Jwks, TokenVerifier};
use ztl_core::audit::MemorySink;
use ztl_core::policy::Policy;
use ztl_core::{Arrival, Flow};
use ztl_mtls::DevWebCa;
use ztl_tower::{ActionPermit, BuildError, Guard, GuardBuilder, PublicTls, Refused, TracingSink};

fn policy(port: u16, public: u16) -> String {
    format!(
        r#"
schema = 1
trust_domain = "prod.example"

[zones.inside]
trust = 3
networks = ["127.0.0.0/24"]
[zones.outside]
networks = ["127.0.9.0/24"]

[workloads.caller]
id = "spiffe://prod.example/caller"
zone = "inside"

[workloads.gateway]
id = "spiffe://prod.example/gateway"
zone = "inside"
ports = [{port}]
public_ports = [{public}]

[issuers.corp]
issuer = "https://idp.example"
audience = "gateway"

[[permit]]
name = "caller-reads"
from = "caller"
to = "gateway"
ports = {port}
actions = ["GET /v1/{{*rest}}"]

[[permit]]
name = "users-ask"
from = "public"
to = "gateway"
actions = ["GET /ask"]
require = {{ token = {{ issuer = "corp", scopes = ["ask"] }} }}

[[permit]]
name = "anyone-says-hello"
from = "public"
to = "gateway"
anonymous = true
actions = ["GET /hello"]
"#
    )
}

/// Takes the access tokens of this issuer for this audience.
fn verifier(issuer: &DevIssuer, audience: &str) -> TokenVerifier {
    let jwks = Jwks::from_json(issuer.jwks_json().as_bytes()).expect("jwks");
    let corp = Issuer::access_tokens("corp", issuer.iss(), audience, jwks);
    let builder = TokenVerifier::builder().issuer(corp);
    builder.build().expect("verifier")
}

/// Takes the tokens of nobody who was ever heard of.
fn some_verifier(audience: &str) -> TokenVerifier {
    verifier(
        &DevIssuer::new("https://idp.example").expect("issuer"),
        audience,
    )
}

struct Running {
    mesh: Mesh,
    guard: Guard,
    audit: Arc<MemorySink>,
    marker: Marker,
    mutual: SocketAddr,
    public: SocketAddr,
    issuer: DevIssuer,
}

async fn running(handshake: Duration) -> Running {
    let ((mutual, mutual_at), (public, public_at)) = (listener().await, listener().await);
    let mesh = Mesh::new(&policy(mutual_at.port(), public_at.port()));
    let issuer = DevIssuer::new("https://idp.example").expect("issuer");
    let tokens = verifier(&issuer, "gateway");
    let audit = Arc::new(MemorySink::new(1000));
    let guard = mesh
        .builder("gateway", "/gateway", &audit)
        .token_verifier(tokens)
        .handshake_timeout(handshake)
        .build()
        .await
        .expect("guard");
    let marker = Marker::default();
    serve(&guard, mutual, marker.app());
    let web = DevWebCa::new(now())
        .expect("authority")
        .issue(&["gateway.example"], now(), Duration::from_secs(3600))
        .expect("certificate");
    let tls = PublicTls::from_pem(web.cert_pem.as_bytes(), web.key_pem.as_bytes());
    {
        let (guard, app) = (guard.clone(), marker.app());
        tokio::spawn(async move {
            guard
                .serve_public_listener(public, tls, app)
                .await
                .unwrap_or_else(|error| panic!("{error}"))
        });
    }
    Running {
        mesh,
        guard,
        audit,
        marker,
        mutual: mutual_at,
        public: public_at,
        issuer,
    }
}
