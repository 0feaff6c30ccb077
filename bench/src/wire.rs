//! The same service on loopback: over bare mutual TLS, behind a guard, and without TLS for a sidecar. And a client of all.

use core::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

use axum::Router;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use ztl_core::audit::MemorySink;

use crate::service::Hello;
use crate::tls::{self, Caller};

/// The protocols that can be measured.
pub const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// How requests come.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What it is called where figures are shown.
    pub name: &'static str,
    /// Over which protocol.
    pub protocol: &'static str,
    /// How many at once.
    pub at_once: usize,
}

/// One request after the other and 32 at once, over each protocol.
pub const COLUMNS: [Column; 4] = [
    column("http/1.1, 1 connection", "http/1.1", 1),
    column("http/1.1, 32 connections", "http/1.1", 32),
    column("h2, 1 stream", "h2", 1),
    column("h2, 32 streams", "h2", 32),
];

const fn column(name: &'static str, protocol: &'static str, at_once: usize) -> Column {
    Column {
        name,
        protocol,
        at_once,
    }
}

/// A server in a thread of its own, until the process ends.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// The files in which the kernel counts the processor time of all that serves.
    schedstats: Vec<PathBuf>,
}

impl Server {
    /// axum on tokio-rustls, with rustls's own verifier for clients.
    #[must_use]
    pub fn bare(hello: &Hello) -> Self {
        let (config, app) = (tls::webpki_server(hello), hello.router());
        spawn(move |listener, ready| async move {
            ready();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            loop {
                let (stream, acceptor, app) =
                    (accept(&listener).await, acceptor.clone(), app.clone());
                tokio::spawn(async move {
                    // Whom the verifier refuses is no error of a bench.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, app).await;
                    }
                });
            }
        })
    }

    /// The same service, served by its guard.
    #[must_use]
    pub fn guarded(hello: &Arc<Hello>) -> Self {
        let hello = Arc::clone(hello);
        spawn(move |listener, ready| async move {
            let port = listener.local_addr().expect("an address").port();
            let guard = hello.guard(port, MemorySink::new(1024)).await;
            ready();
            guard
                .serve_listener(listener, hello.router())
                .await
                .expect("served");
        })
    }

    /// The same service without TLS, for a sidecar to stand before it.
    #[must_use]
    pub fn plain(hello: &Hello) -> Self {
        let app = hello.router();
        spawn(move |listener, ready| async move {
            ready();
            loop {
                tokio::spawn(serve(accept(&listener).await, app.clone()));
            }
        })
    }

    /// Behind another process, which listens there and whose processor time counts as well.
    #[must_use]
    pub fn behind(self, address: SocketAddr, process: u32) -> Self {
        let mut schedstats = self.schedstats;
        schedstats.push(schedstat(Path::new(&process.to_string())));
        Self {
            address,
            schedstats,
        }
    }

    /// How long all that serves has run, in seconds.
    #[must_use]
    pub fn cpu(&self) -> f64 {
        let nanos = self.schedstats.iter().map(|file| {
            let text = std::fs::read_to_string(file).expect("schedstat");
            let first = text.split(' ').next();
            first
                .and_then(|field| field.parse::<f64>().ok())
                .expect("nanoseconds")
        });
        nanos.sum::<f64>() / 1e9
    }
}

/// Where the kernel counts how long this one ran.
fn schedstat(process: &Path) -> PathBuf {
    Path::new("/proc").join(process).join("schedstat")
}

/// Pins this thread to one core, where there is more than one.
pub fn pin(core: usize) {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    if let Some(id) = cores.get(core) {
        core_affinity::set_for_current(*id);
    }
}

/// A runtime for one thread.
#[must_use]
pub fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn spawn<F, S>(serve: S) -> Server
where
    F: Future<Output = ()>,
    S: FnOnce(TcpListener, Box<dyn FnOnce()>) -> F + Send + 'static,
{
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        pin(0);
        runtime().block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .expect("a port");
            let address = listener.local_addr().expect("an address");
            let thread = std::fs::read_link("/proc/thread-self").expect("a thread");
            let server = Server {
                address,
                schedstats: vec![schedstat(&thread)],
            };
            serve(
                listener,
                Box::new(move || sender.send(server).expect("heard")),
            )
            .await;
        });
    });
    receiver.recv().expect("a server")
}

async fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    stream
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, app: Router) {
    let service = TowerToHyperService::new(app);
    let builder = auto::Builder::new(TokioExecutor::new());
    // The client going away is no error of a bench.
    let _ = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
}

/// What both ends of a connection agreed on, for a look at whether two servers did the same.
///
/// # Panics
/// Where there is no connection.
pub async fn agreed(caller: &Caller, address: SocketAddr) -> String {
    let stream = tls_stream(caller, address).await;
    let (_, tls) = stream.get_ref();
    format!(
        "{:?} {:?} {:?}",
        tls.protocol_version().expect("a version"),
        tls.negotiated_cipher_suite().expect("a suite").suite(),
        tls.negotiated_key_exchange_group().expect("a group").name(),
    )
}

async fn tls_stream(caller: &Caller, address: SocketAddr) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("no delay");
    let connector = TlsConnector::from(Arc::new(caller.config()));
    let name = "hello.example".try_into().expect("a name");
    connector.connect(name, stream).await.expect("a handshake")
}

/// One open connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Connection {
    /// HTTP/1.1
    One(hyper::client::conn::http1::SendRequest<Empty<Bytes>>),
    /// HTTP/2
    Two(hyper::client::conn::http2::SendRequest<Empty<Bytes>>),
}

impl Connection {
    /// Connects as the caller.
    pub async fn open(caller: &Caller, address: SocketAddr) -> Self {
        let io = TokioIo::new(tls_stream(caller, address).await);
        if caller.protocol() == "h2" {
            let (sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                    .await
                    .expect("h2");
            tokio::spawn(connection);
            Self::Two(sender)
        } else {
            let (sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("h1");
            tokio::spawn(connection);
            Self::One(sender)
        }
    }

    /// One more that asks on the same connection, where it carries many at once.
    #[must_use]
    pub fn stream(&self) -> Option<Self> {
        match self {
            Self::One(_) => None,
            Self::Two(sender) => Some(Self::Two(sender.clone())),
        }
    }

    /// Asks once and reads the whole answer.
    ///
    /// # Panics
    /// Where it is not `hello`.
    pub async fn ask(&mut self, path: &str) {
        let answer = self.send(path).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        assert_eq!(&body[..], b"hello");
    }

    /// Asks once; the status, or nothing where the connection ends without an answer.
    pub async fn status(&mut self, path: &str) -> Option<StatusCode> {
        self.send(path).await.ok().map(|answer| answer.status())
    }

    async fn send(&mut self, path: &str) -> hyper::Result<Response<Incoming>> {
        let request = |request: http::request::Builder| {
            let request = request.body(Empty::new());
            request.expect("a request")
        };
        match self {
            Self::One(sender) => {
                sender.ready().await?;
                let get = Request::get(path).header("host", "hello.example");
                sender.send_request(request(get)).await
            }
            Self::Two(sender) => {
                sender.ready().await?;
                let get = Request::get(format!("https://hello.example{path}"));
                sender.send_request(request(get)).await
            }
        }
    }
}
