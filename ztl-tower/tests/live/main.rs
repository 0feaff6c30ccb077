//! Open connections and running requests when what they rest on changes: who is still good lives on, who is not ends (law 8).

#![cfg(test)]

mod behaves;
mod crl;
mod deadlines;
mod heavy;
mod known;
mod polled;
mod requests;
mod rotation;
mod score;
mod token;
mod trust;
mod unread;
mod upgraded;

#[path = "../support/provider.rs"]
mod provider;
#[path = "../support/crl.rs"]
mod revoking;
#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get, post};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::{Mesh, get1, get2, listener, now, raw_connect, reasons, serve, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use ztl_core::Timestamp;
use ztl_core::audit::MemorySink;
use ztl_core::policy::Policy;
use ztl_mtls::{BundleSet, Denied};
use ztl_tower::{ConnectionState, Guard, GuardBuilder};

/// What law 8 gives, and what the machine may be late.
const AT_ONCE: Duration = Duration::from_millis(1000 + 500);

fn policy(port: u16) -> String {
    format!(
        r#"
schema = 1
trust_domain = "prod.example"
[workloads.caller]
id = "spiffe://prod.example/caller"
[workloads.db]
id = "spiffe://prod.example/db"
ports = [{port}]
[[permit]]
name = "reads"
from = "caller"
to = "db"
actions = ["GET /v1/{{*rest}}"]
[[permit]]
name = "streams"
from = "caller"
to = "db"
actions = ["GET /feed", "POST /upload", "websocket /chat"]
"#
    )
}

/// How many endless things run in the service.
#[derive(Clone, Default)]
struct Running {
    count: Arc<AtomicUsize>,
    begun: Arc<AtomicUsize>,
}

impl Running {
    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// How many there ever were.
    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn begin(&self) -> Runs {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.count.fetch_add(1, Ordering::SeqCst);
        Runs(self.clone())
    }
}

struct Runs(Running);

impl Drop for Runs {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A response that never ends, silent or as fast as it is read.
struct Feed {
    bytes: Bytes,
    begun: bool,
    _runs: Runs,
}

impl http_body::Body for Feed {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let silent = self.bytes.len() < 100;
        if std::mem::replace(&mut self.begun, true) && silent {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(http_body::Frame::data(self.bytes.clone()))))
    }
}

fn app(running: &Running) -> Router {
    let feed = {
        let running = running.clone();
        move |uri: http::Uri| async move {
            let len = if uri.query() == Some("fast") {
                65_536
            } else {
                4
            };
            axum::body::Body::new(Feed {
                bytes: vec![b'x'; len].into(),
                begun: false,
                _runs: running.begin(),
            })
        }
    };
    let upload = {
        let running = running.clone();
        // As many a gRPC handler does: the body is read somewhere else.
        move |request: axum::extract::Request| async move {
            let runs = running.begin();
            tokio::spawn(async move {
                let _runs = runs;
                let mut body = request.into_body();
                while let Some(Ok(_)) = body.frame().await {}
            });
            axum::body::Body::new(Feed {
                bytes: Bytes::from_static(b"tick"),
                begun: false,
                _runs: running.begin(),
            })
        }
    };
    let chat = {
        let running = running.clone();
        move |mut request: axum::extract::Request| async move {
            let upgrade = hyper::upgrade::on(&mut request);
            let runs = running.begin();
            tokio::spawn(async move {
                let _runs = runs;
                let Ok(stream) = upgrade.await else { return };
                let mut stream = TokioIo::new(stream);
                let mut byte = [0];
                while let Ok(1) = stream.read(&mut byte).await {
                    if stream.write_all(&byte).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                }
            });
            let one = request.version() == http::Version::HTTP_11;
            let response = http::Response::builder();
            let response = if one {
                response
                    .status(StatusCode::SWITCHING_PROTOCOLS)
                    .header("connection", "upgrade")
                    .header("upgrade", "websocket")
            } else {
                response
            };
            response.body(axum::body::Body::empty()).expect("response")
        }
    };
    Router::new()
        .route("/feed", get(feed))
        .route("/upload", post(upload))
        .route("/chat", any(chat))
        .route("/v1/bug", get(faulty))
        .route("/v1/{*rest}", get(|| async { "hello" }))
}

/// A handler that panics, once it is within the task of its request.
async fn faulty() -> &'static str {
    tokio::task::yield_now().await;
    panic!("a bug of the service")
}

/// Hands out raw streams, each of which is read until it ends.
fn listen(guard: &Guard, listener: tokio::net::TcpListener, running: &Running) {
    let mut listener = guard.listen_on(listener).expect("listener");
    let running = running.clone();
    tokio::spawn(async move {
        while let Ok(Some(mut stream)) = listener.accept().await {
            let runs = running.begin();
            tokio::spawn(async move {
                let _runs = runs;
                while let Ok(1..) = stream.read(&mut [0; 8]).await {}
            });
        }
    });
}

/// What a service has its connections for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Http,
    Raw,
}

struct Db {
    mesh: Mesh,
    guard: Guard,
    audit: Arc<MemorySink>,
    address: SocketAddr,
    running: Running,
    /// Milliseconds that the guard's clock is ahead.
    ahead: Arc<AtomicU64>,
}

impl Db {
    async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(limits: impl FnOnce(GuardBuilder) -> GuardBuilder) -> Self {
        Self::speaking(Speaks::Http, |_, builder| limits(builder)).await
    }

    async fn speaking(
        speaks: Speaks,
        change: impl FnOnce(&Mesh, GuardBuilder) -> GuardBuilder,
    ) -> Self {
        let (listener, address) = listener().await;
        let mut policy = policy(address.port());
        if speaks == Speaks::Raw {
            policy = policy.replace("\"GET /feed\"", "\"connect\"");
        }
        let mesh = Mesh::new(&policy);
        let audit = Arc::new(MemorySink::new(10_000));
        let ahead = Arc::new(AtomicU64::new(0));
        let shift = Arc::clone(&ahead);
        let clock =
            move || now().saturating_add(Duration::from_millis(shift.load(Ordering::SeqCst)));
        let guard = change(&mesh, mesh.builder("db", "/db", &audit).clock(clock));
        let guard = guard.build().await.expect("guard");
        let running = Running::default();
        match speaks {
            Speaks::Http => serve(&guard, listener, app(&running)),
            Speaks::Raw => listen(&guard, listener, &running),
        }
        Self {
            mesh,
            guard,
            audit,
            address,
            running,
            ahead,
        }
    }

    async fn connect(&self, alpn: &[u8]) -> support::RawStream {
        let svid = self.mesh.svid("/caller");
        raw_connect(self.address, None, Some(&svid), alpn)
            .await
            .expect("connect")
    }

    async fn two(&self) -> Two {
        let io = TokioIo::new(self.connect(b"h2").await);
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
            .await
            .expect("http");
        tokio::spawn(connection);
        sender
    }

    /// The bundle of another authority beside ours, and alone.
    fn other_bundle(&self) -> BundleSet {
        BundleSet::new([Mesh::new("").authority.bundle()]).expect("set")
    }

    async fn none_runs(&self, since: Instant, what: &str) {
        until(what, || self.running.count() == 0).await;
        assert!(since.elapsed() < AT_ONCE, "{what}: {:?}", since.elapsed());
    }
}

type Two = hyper::client::conn::http2::SendRequest<axum::body::Body>;

fn ask(path: &str) -> Request<axum::body::Body> {
    get2(path).body(axum::body::Body::empty()).expect("request")
}

async fn status(sender: &mut Two, path: &str) -> StatusCode {
    let response = sender.send_request(ask(path)).await.expect("response");
    let status = response.status();
    response.into_body().collect().await.expect("body");
    status
}
