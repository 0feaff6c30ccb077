//! Egress connections over their life: what is sent on them, and what ends them.

#![cfg(test)]

mod change;
mod outside;
mod outside_ends;
mod outside_raw;
mod parting;
mod silence;
mod wire;

#[path = "../support/mod.rs"]
mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use support::{Mesh, PATIENCE, listener, now, until};
use ztl_core::Timestamp;
use ztl_core::audit::MemorySink;
use ztl_core::policy::Policy;
use ztl_mtls::{BundleSet, IdentitySource};
use ztl_tower::{EgressError, Guard, GuardBuilder};

const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"
[workloads.caller]
id = "spiffe://prod.example/caller"
[workloads.db]
id = "spiffe://prod.example/db"
ports = [8443]
[workloads.old-db]
id = "spiffe://prod.example/old-db"
ports = [8443]
[[permit]]
name = "reads"
from = "caller"
to = ["db", "old-db"]
actions = ["GET /v1/{*rest}", "POST /v1/{*rest}", "websocket /ws"]
"#;

/// The same, but the name `db` belongs to whom `POLICY` calls `old-db`, and the other way round.
fn renamed() -> Policy {
    let text = POLICY
        .replace("example/db\"", "example/TMP\"")
        .replace("example/old-db\"", "example/db\"")
        .replace("example/TMP\"", "example/old-db\"");
    Policy::from_toml(&text).expect("policy")
}

/// The same without any permit.
fn nothing() -> Policy {
    let text = POLICY.split("[[permit]]").next().expect("head");
    Policy::from_toml(text).expect("policy")
}

/// A response body of one frame that does not end.
struct Endless(bool);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::replace(&mut self.0, true) {
            Poll::Pending
        } else {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"tick")))))
        }
    }
}

/// What a target got.
struct Got {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A target that is not ztl. It shows an SVID, takes any client and says what it got.
#[derive(Clone)]
struct Target {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    opened: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    /// How many connections part with their first request untaken, before one serves.
    parting: Arc<AtomicUsize>,
}

impl Target {
    async fn start(mesh: &Mesh, path: &str, alpn: &[u8]) -> Self {
        let (listener, address) = listener().await;
        let mut config = rustls::ServerConfig::builder_with_provider(ztl_mtls::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(IdentitySource::new(mesh.svid(path))));
        config.alpn_protocols = vec![alpn.to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let target = Self {
            address,
            got: Arc::default(),
            opened: Arc::default(),
            closed: Arc::default(),
            parting: Arc::default(),
        };
        let all = target.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                all.opened.fetch_add(1, Ordering::SeqCst);
                let (one, acceptor) = (all.clone(), acceptor.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        one.speak(stream).await;
                    }
                    one.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        target
    }

    async fn speak(&self, stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>) {
        let left = |left: usize| left.checked_sub(1);
        let (now, then) = (Ordering::SeqCst, Ordering::SeqCst);
        if self.parting.fetch_update(now, then, left).is_ok() {
            return parting::part(stream).await;
        }
        let target = self.clone();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let target = target.clone();
            async move { target.answer(request).await }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http2().enable_connect_protocol();
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        drop(connection.await);
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<http_body_util::Either<Endless, Empty<Bytes>>>, hyper::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let endless = parts.uri.path() == "/v1/endless";
        self.got.lock().expect("lock").push(Got {
            method: parts.method,
            target: parts.uri.to_string(),
            headers: parts.headers,
            body,
        });
        Ok(Response::new(if endless {
            http_body_util::Either::Left(Endless(false))
        } else {
            http_body_util::Either::Right(Empty::new())
        }))
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }
}

/// A guard of the caller that reaches `db` at a target.
fn caller(mesh: &Mesh, target: &Target, audit: &Arc<MemorySink>) -> GuardBuilder {
    mesh.builder("caller", "/caller", audit)
        .endpoint("db", target.address)
}

fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("https://db{path}"))
        .body(Empty::new())
        .expect("request")
}

/// Sends a request in bounded time, and reads its body.
async fn ask(guard: &Guard, request: Request<Empty<Bytes>>) -> Result<StatusCode, EgressError> {
    let response = tokio::time::timeout(PATIENCE, guard.client().request(request))
        .await
        .expect("in time")?;
    let status = response.status();
    let body = tokio::time::timeout(PATIENCE, response.into_body().collect()).await;
    body.expect("in time").expect("body");
    Ok(status)
}
