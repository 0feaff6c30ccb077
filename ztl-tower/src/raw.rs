//! Streams of raw bytes between workloads.

use core::fmt;

use tokio::net::TcpStream;
use ztl_core::{Action, ActionPermit, Denial, FlowPermit, Reason};

use crate::guard::Guard;
use crate::live::{Connection, Revocable};
use crate::peer::Peer;
use crate::transport::{Transport, delegates};

/// A stream of raw bytes whose both ends are proved, whose flow is permitted and which is authorized for the action `connect`.
/// Reads and writes as any stream does. Given by [`Listener::accept`](crate::Listener::accept),
/// [`Accepted::into_raw`](crate::Accepted::into_raw) and [`Guard::connect`](Guard::connect).
///
/// It is judged again while it is open: when it would no longer be authorized, reads and writes fail, within a second, with
/// [`ConnectionAborted`](std::io::ErrorKind::ConnectionAborted) (law 8). No clock runs on it beside that: whoever reads has to
/// know how long to wait. An end without TLS's `close_notify` is an error, not an end.
pub struct RawStream<T: Transport = TcpStream> {
    stream: Revocable<tokio_rustls::TlsStream<T>>,
    peer: Peer,
    flow: FlowPermit,
    action: ActionPermit,
}

impl<T: Transport> RawStream<T> {
    /// Authorizes the action.
    pub(crate) fn authorize(
        guard: &Guard,
        stream: Revocable<tokio_rustls::TlsStream<T>>,
    ) -> Result<Self, Denial> {
        let live = stream.live();
        let flow = live.current(guard)?;
        let Some(peer) = flow.peer().cloned().map(Peer) else {
            // Whoever proves nothing gets no raw stream, whatever a rule for `public` says.
            let (action, reason) = (Action::Connect, Reason::IdentityUnproven);
            let engine = guard.engine();
            return Err(engine.refuse_on(&flow, Some(&action), reason, guard.now()));
        };
        let (flow, action) = live.authorize_connect(guard)?;
        Ok(Self {
            stream,
            peer,
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
