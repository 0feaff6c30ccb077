//! HTTP/1.1 and HTTP/2 as listeners speak them.
//!
//! Which of them a connection speaks is what ALPN said (RFC 9113 §3.2), and never what its first bytes look like: how a request
//! is ended (law 8) depends on it.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use hyper_util::rt::TokioTimer;
use pin_project_lite::pin_project;

use crate::guard::Limits;
use crate::live::{Carried, Tasks};

/// Largest header section of a request, in bytes.
const MAX_HEADER_BYTES: u32 = 32 * 1024;
/// The same for HTTP/1.1, where it bounds what is read ahead as well.
const MAX_BUFFER_BYTES: usize = 32 * 1024;
/// Most bytes that wait to be sent on one HTTP/2 stream.
const MAX_SEND_BYTES: usize = 64 * 1024;
/// How often an HTTP/2 client that says nothing is asked whether it is there, and how long it may take to answer.
const PING: Duration = Duration::from_secs(20);

/// Which of the two a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    One,
    Two,
}

impl Spoken {
    /// What ALPN said: HTTP/1.1 where it said nothing.
    pub(super) fn from_alpn(alpn: Option<&[u8]>) -> Self {
        if alpn == Some(b"h2") {
            Self::Two
        } else {
            Self::One
        }
    }

    /// How its requests come.
    pub(super) const fn carries(self) -> Carried {
        match self {
            Self::One => Carried::Alone,
            Self::Two => Carried::AmongOthers,
        }
    }
}

/// How each protocol is served, the same for all connections of a listener.
pub(super) struct Protocols {
    one: http1::Builder,
    two: http2::Builder<Tasks>,
}

impl Protocols {
    pub(super) fn new(limits: &Limits) -> Self {
        let mut one = http1::Builder::new();
        // How long a header section may take is looked after by who serves the connection, without a timer for each request. Header
        // fields are hyper's hundred at most.
        one.header_read_timeout(None).max_buf_size(MAX_BUFFER_BYTES);
        let mut two = http2::Builder::new(Tasks);
        two.timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(MAX_HEADER_BYTES)
            .max_send_buf_size(MAX_SEND_BYTES)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .enable_connect_protocol();
        Self { one, two }
    }

    /// Has hyper take a connection.
    pub(super) fn serve<I, S, B>(&self, spoken: Spoken, io: I, service: S) -> Served<I, S>
    where
        I: Read + Write + Unpin + Send + 'static,
        S: HttpService<Incoming, ResBody = B>,
        S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
        B: Body + 'static,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
        Tasks: Http2ServerConnExec<S::Future, B>,
    {
        match spoken {
            Spoken::One => Served::One {
                connection: self.one.serve_connection(io, service).with_upgrades(),
            },
            Spoken::Two => Served::Two {
                connection: self.two.serve_connection(io, service),
            },
        }
    }
}

pin_project! {
    /// A connection that hyper drives.
    #[project = Projected]
    pub(super) enum Served<I, S>
    where
        S: HttpService<Incoming>,
    {
        One { #[pin] connection: http1::UpgradeableConnection<I, S> },
        Two { #[pin] connection: http2::Connection<I, S, Tasks> },
    }
}

impl<I, S, B> Served<I, S>
where
    I: Read + Write + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    Tasks: Http2ServerConnExec<S::Future, B>,
{
    /// Takes no further request, and ends with the last that runs.
    pub(super) fn graceful_shutdown(self: Pin<&mut Self>) {
        match self.project() {
            Projected::One { connection } => connection.graceful_shutdown(),
            Projected::Two { connection } => connection.graceful_shutdown(),
        }
    }
}

impl<I, S, B> Future for Served<I, S>
where
    I: Read + Write + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    Tasks: Http2ServerConnExec<S::Future, B>,
{
    type Output = hyper::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::One { connection } => connection.poll(cx),
            Projected::Two { connection } => connection.poll(cx),
        }
    }
}
