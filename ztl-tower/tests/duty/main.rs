//! What permits oblige to: limits, bodies, schemas, the access log; and the headers of services with pages.

#![cfg(test)]

mod body;
mod browser;
mod limit;
mod log;
mod openapi;
mod redis;
mod schema;
mod waiting;

#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use support::{Mesh, now, reasons};
use tower::{Layer as _, ServiceExt as _};
use ztl_core::audit::MemorySink;
use ztl_core::{Arrival, Flow, Peer, Timestamp};
use ztl_tower::{Guard, GuardBuilder};

/// A document whose one permit obliges to this.
fn policy(oblige: &str, more: &str) -> String {
    format!(
        r#"
schema = 1
trust_domain = "prod.example"
trust_domain_aliases = ["old.example"]
[workloads]
caller = {{ id = "spiffe://prod.example/caller" }}
batch = {{ id = "spiffe://prod.example/batch" }}
gateway = {{ id = "spiffe://prod.example/gateway", ports = [8443], public_ports = [8080] }}
[[permit]]
name = "everybody-posts"
from = "any"
to = "gateway"
ports = 8443
actions = ["GET,POST /v1/{{*rest}}", "grpc pkg.Service/*"]
[permit.oblige]
{oblige}
[[permit]]
name = "anyone-posts"
from = "public"
to = "gateway"
ports = 8080
anonymous = true
actions = ["POST /v1/{{*rest}}"]
[permit.oblige]
{oblige}
{more}
"#
    )
}

/// A guard before a service that reads the whole body, says how long it was, and answers 200 whatever happened.
struct Running {
    guard: Guard,
    audit: Arc<MemorySink>,
    calls: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
    millis: Arc<AtomicU64>,
}

impl Running {
    async fn new(oblige: &str, more: &str) -> Self {
        Self::with(&policy(oblige, more), |builder| builder).await
    }

    async fn with(policy: &str, change: impl FnOnce(GuardBuilder) -> GuardBuilder) -> Self {
        let mesh = Mesh::new(policy);
        Self::of(&mesh, |mesh, audit| {
            change(mesh.builder("gateway", "/gateway", audit))
        })
        .await
    }

    async fn of(mesh: &Mesh, build: impl FnOnce(&Mesh, &Arc<MemorySink>) -> GuardBuilder) -> Self {
        let audit = Arc::new(MemorySink::new(1000));
        let millis = Arc::new(AtomicU64::new(now().as_unix_millis()));
        let clock = Arc::clone(&millis);
        let guard = build(mesh, &audit)
            .clock(move || Timestamp::from_unix_millis(clock.load(Ordering::SeqCst)))
            .build()
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            guard,
            audit,
            calls: Arc::default(),
            failed: Arc::default(),
            millis,
        }
    }

    fn app(&self) -> Router {
        let (calls, failed) = (Arc::clone(&self.calls), Arc::clone(&self.failed));
        Router::new().fallback(any(move |body: Body| async move {
            calls.fetch_add(1, Ordering::SeqCst);
            match body.collect().await {
                Ok(body) => format!("{}", body.to_bytes().len()),
                Err(_) => format!("failed {}", failed.fetch_add(1, Ordering::SeqCst)),
            }
        }))
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn last_reason(&self) -> String {
        reasons(&self.audit).pop().expect("a record")
    }

    /// Asks as a workload that the test vouches for, or as nobody.
    async fn ask(&self, who: Who<'_>, mut request: Request<Body>) -> Response<Bytes> {
        let now = Timestamp::from_unix_millis(self.millis.load(Ordering::SeqCst));
        let addr = |addr: &str| Arrival::from_addr(addr.parse().expect("address"));
        let peer = match who {
            Who::Peer(id) => Some(vouched(id)),
            Who::Public(_) => None,
        };
        let flow = match who {
            Who::Peer(_) => Flow::ingress("gateway", 8443, addr("192.0.2.1"), peer.as_ref()),
            Who::Public(from) => Flow::ingress("gateway", 8080, addr(from), None),
        };
        let permit = self.guard.engine().permit_flow(&flow, now).expect("flow");
        request.extensions_mut().insert(permit);
        let app = self.guard.authorize().layer(self.app());
        let response = app.oneshot(request).await.expect("response");
        let (parts, body) = response.into_parts();
        Response::from_parts(parts, body.collect().await.expect("body").to_bytes())
    }

    /// A GET of the caller.
    async fn get(&self) -> Response<Bytes> {
        let caller = Who::Peer("spiffe://prod.example/caller");
        self.ask(caller, request("GET", &[], Body::empty())).await
    }
}

#[derive(Clone, Copy)]
enum Who<'a> {
    Peer(&'a str),
    Public(&'a str),
}

const CALLER: Who<'static> = Who::Peer("spiffe://prod.example/caller");

#[expect(
    clippy::disallowed_methods,
    reason = "the test stands for the verifier"
)]
fn vouched(id: &str) -> Peer {
    let proof = ztl_core::Proof::X509 {
        id: ztl_core::SpiffeId::parse(id).expect("id"),
        leaf_sha256: [0; 32].into(),
        serial: Box::new([1]),
        not_after: Timestamp::MAX,
    };
    Peer::assertion(proof, "test")
}

fn request(method: &str, fields: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let builder = Request::builder().method(method).uri("/v1/x");
    let builder = builder.header("host", "a");
    let builder = fields
        .iter()
        .fold(builder, |it, (name, value)| it.header(*name, *value));
    builder.body(body.into()).expect("request")
}

/// A body of chunks whose length nobody knows.
fn chunks(chunks: &'static [&'static str]) -> Body {
    let mut rest = chunks.iter();
    Body::new(http_body_util::StreamBody::new(Frames(Box::new(
        move || rest.next().copied(),
    ))))
}

struct Frames(Box<dyn FnMut() -> Option<&'static str> + Send>);

impl futures_core::Stream for Frames {
    type Item = Result<http_body::Frame<Bytes>, std::convert::Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let chunk = (self.0)();
        std::task::Poll::Ready(chunk.map(|chunk| Ok(http_body::Frame::data(chunk.into()))))
    }
}

fn field<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().expect("text"))
}

fn problem(response: &Response<Bytes>) -> Value {
    assert_eq!(field(response, "content-type"), "application/problem+json");
    serde_json::from_slice(response.body()).expect("a problem document")
}

fn record(running: &Running) -> Value {
    serde_json::from_str(running.audit.lines().last().expect("a record")).expect("json")
}
