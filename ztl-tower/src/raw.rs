//! Streams of raw bytes, between workloads and to hosts outside the mesh.

use core::fmt;

use tokio::net::TcpStream;
#[cfg(feature = "client")]
use ztl_core::WebHost;
use ztl_core::{Action, ActionPermit, Denial, FlowPermit, Reason};

use crate::guard::Guard;
use crate::live::{Connection, Revocable};
use crate::peer::Peer;
use crate::transport::{Transport, delegates};

type Stream<T> = Revocable<tokio_rustls::TlsStream<T>>;

/// What both kinds of stream show, and do.
macro_rules! authorized {
    ($name:ident) => {
        impl<T: Transport> $name<T> {
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

            const fn stream(&mut self) -> std::io::Result<&mut Stream<T>> {
                Ok(&mut self.stream)
            }
        }

        delegates!($name);
    };
}

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
        let (flow, action) = stream.live().authorize_connect(guard).await?;
        let Some(peer) = flow.peer().cloned() else {
            return Err(unproven(guard, &flow));
        };
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
}

authorized!(RawStream);

impl<T: Transport> fmt::Debug for RawStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawStream")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// A stream of raw bytes to a host outside the mesh, which the Web PKI proved for exactly its name, whose flow is permitted and
/// which is authorized for the action `connect`. Given by [`Guard::connect_host`](Guard::connect_host). Our SVID was not shown
/// to it, and nobody but our own policy judged it.
///
/// It is judged again while it is open, and ends, as a [`RawStream`] does.
#[cfg(feature = "client")]
pub struct HostStream<T: Transport = TcpStream> {
    stream: Stream<T>,
    host: WebHost,
    flow: FlowPermit,
    action: ActionPermit,
}

#[cfg(feature = "client")]
impl<T: Transport> HostStream<T> {
    /// Authorizes the action.
    pub(crate) async fn authorize(guard: &Guard, stream: Stream<T>) -> Result<Self, Denial> {
        let (flow, action) = stream.live().authorize_connect(guard).await?;
        let Some(host) = flow.host().cloned() else {
            return Err(unproven(guard, &flow));
        };
        Ok(Self {
            stream,
            host,
            flow,
            action,
        })
    }

    /// The host at the other end, and the address at which it was proved.
    #[must_use]
    pub const fn host(&self) -> &WebHost {
        &self.host
    }
}

#[cfg(feature = "client")]
authorized!(HostStream);

#[cfg(feature = "client")]
impl<T: Transport> fmt::Debug for HostStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostStream")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// The other end is not one of this kind.
fn unproven(guard: &Guard, flow: &FlowPermit) -> Denial {
    let (action, reason) = (Some(&Action::Connect), Reason::IdentityUnproven);
    guard.engine().refuse_on(flow, action, reason, guard.now())
}
