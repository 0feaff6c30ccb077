//! Streams of raw bytes between workloads.

use core::fmt;

use tokio::net::TcpStream;
use ztl_core::{ActionPermit, Denial, FlowPermit};

use crate::guard::Guard;
use crate::live::{Connection, Revocable};
use crate::peer::Peer;
use crate::transport::{Transport, delegates};

type Stream<T> = Revocable<tokio_rustls::TlsStream<T>>;

/// A stream of raw bytes whose both ends are proved, whose flow is permitted and which is authorized for the action `connect`.
/// Reads and writes as any stream does. Given by [`Listener::accept`](crate::Listener::accept),
/// [`Accepted::into_raw`](crate::Accepted::into_raw) and [`Guard::connect`](Guard::connect).
///
/// It is judged again while it is open: when it would no longer be authorized, reads and writes fail, within a second, with
/// [`ConnectionAborted`](std::io::ErrorKind::ConnectionAborted) (law 8). No clock runs on it beside that: whoever reads has to
/// know how long to wait. An end without TLS's `close_notify` is an error, not an end.
pub struct RawStream<T: Transport = TcpStream> {
    stream: Stream<T>,
    peer: Peer,
    flow: FlowPermit,
    action: ActionPermit,
}

impl<T: Transport> RawStream<T> {
    /// Authorizes the action.
    pub(crate) async fn authorize(guard: &Guard, stream: Stream<T>) -> Result<Self, Denial> {
        let (peer, flow, action) = stream.live().authorize_connect(guard).await?;
        Ok(Self {
            stream,
            peer: Peer(peer),
            flow,
            action,
        })
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The permit of the flow, as it was when the stream was authorized.
    pub const fn flow(&self) -> &FlowPermit {
        &self.flow
    }

    /// The permit of the action, as it was when the stream was authorized.
    pub const fn action(&self) -> &ActionPermit {
        &self.action
    }

    const fn stream(&mut self) -> std::io::Result<&mut Stream<T>> {
        Ok(&mut self.stream)
    }

    /// How it stands, as [`Guard::connections`] shows it.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.stream.live().shown()
    }
}

delegates!(RawStream);

impl<T: Transport> fmt::Debug for RawStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawStream")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
