//! The parts of a listener, for hosts that accept connections themselves.

use core::fmt;
use core::net::SocketAddr;
use std::io;
use std::sync::Arc;

use thiserror::Error;
use tokio::net::TcpStream;
use tracing::Span;
use ztl_core::{Denial, FlowPermit};

use super::door::Door;
use super::error::ServeError;
use super::public::PublicTls;
use super::remote::Remote;
use crate::guard::Guard;
use crate::live::{Connection, Live, Revocable, State};
use crate::peer::Peer;
use crate::raw::RawStream;
use crate::transport::{Transport, delegates};

/// Proves and permits connections that a host has accepted itself. Cheap to clone; every clone is the same acceptor, with one
/// count of connections. Made by [`Guard::acceptor`].
///
/// ```no_run
/// # async fn example(guard: ztl_tower::Guard) -> Result<(), Box<dyn std::error::Error>> {
/// let acceptor = guard.acceptor(8443)?;
/// let listener = tokio::net::TcpListener::bind("0.0.0.0:8443").await?;
/// loop {
///     let (stream, remote) = listener.accept().await?;
///     let acceptor = acceptor.clone();
///     // In a task of its own, so that a slow client stalls nobody.
///     tokio::spawn(async move {
///         let Ok(accepted) = acceptor.accept(stream, Some(remote)).await else {
///             return; // refused, and recorded
///         };
///         // Raw bytes, or a server of one's own with `Guard::protect`.
///         # drop(accepted);
///     });
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Acceptor(Arc<Door>);

impl Guard {
    /// The parts of [`serve`](Guard::serve) for a host that accepts connections itself, as connections to `port`.
    ///
    /// # Errors
    /// [`ServeError::UnlistedPort`]: the policy does not list the port under `ports` of this workload.
    pub fn acceptor(&self, port: u16) -> Result<Acceptor, ServeError> {
        self.check_port("an acceptor", port, "ports")?;
        Ok(Acceptor(Arc::new(Door::mutual(self, port))))
    }

    /// The same for callers without an SVID, as [`serve_public`](Guard::serve_public) serves them.
    ///
    /// # Errors
    /// [`ServeError`]: the certificate cannot be used, the policy does not list the port under `public_ports`, or the file's `[browser]`
    /// is nowhere in force.
    pub fn public_acceptor(&self, port: u16, tls: &PublicTls) -> Result<Acceptor, ServeError> {
        self.check_port("an acceptor", port, "public_ports")?;
        Ok(Acceptor(Arc::new(Door::public(self, port, tls)?)))
    }
}

impl Acceptor {
    /// Shakes hands, proves the caller and permits its flow, under the guard's limits, shares and deadlines. Run it in a task of
    /// its own.
    ///
    /// `remote` is the address that the connection really comes from, which decides its zone: never one that a header names. Where
    /// there is none it is unknown, and all of those count as one client (T26, T35).
    ///
    /// # Errors
    /// [`NotAccepted`]. What was refused has been recorded, and the stream is closed.
    pub async fn accept<T: Transport>(
        &self,
        stream: T,
        remote: Option<SocketAddr>,
    ) -> Result<Accepted<T>, NotAccepted> {
        let door = &self.0;
        if door.guard.is_shutting_down() {
            door.guard.refuses();
            return Err(NotAccepted::ShuttingDown);
        }
        let slot = Arc::clone(&door.slots).try_acquire_owned();
        let remote = Remote::from_addr(remote);
        let Some(place) = slot.ok().and_then(|slot| door.place(slot, remote)) else {
            stream.sever();
            return Err(NotAccepted::Full);
        };
        let (stream, registered, span) = door.open(stream, remote, place).await?;
        Accepted::new(&door.guard, stream, registered, remote, span).ok_or(NotAccepted::Refused)
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("port", &self.0.port)
            .finish_non_exhaustive()
    }
}

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotAccepted {
    /// The listener holds the most connections that it may, or where this one comes from or its peer holds its share of those (T35).
    #[error(
        "there is no place for the connection: the listener, or where it comes from, or its peer holds its share"
    )]
    Full,
    /// The caller did not prove itself in time, or no rule permits its flow; the audit log says why.
    #[error("the connection was refused; the audit log says why")]
    Refused,
    /// The guard shuts down.
    #[error("the guard shuts down and takes no more connections")]
    ShuttingDown,
}

/// A connection whose caller is proved and whose flow is permitted. **Nothing that comes on it is authorized yet**: it is for an
/// HTTP server whose service is behind [`Guard::protect`], or for raw bytes by [`into_raw`](Self::into_raw).
///
/// Until it was given to [`Protect::on`](crate::Protect::on), reads and writes fail with
/// [`PermissionDenied`](io::ErrorKind::PermissionDenied): a server that nothing protects serves nobody (T1). From then on it reads and
/// writes as any stream does, until it would no longer be permitted: then both fail, within a second (law 8).
pub struct Accepted<T: Transport = TcpStream> {
    stream: Revocable<tokio_rustls::TlsStream<T>>,
    guard: Guard,
    flow: FlowPermit,
    remote: Remote,
    span: Span,
}

impl<T: Transport> Accepted<T> {
    pub(super) fn new(
        guard: &Guard,
        stream: tokio_rustls::server::TlsStream<T>,
        registered: crate::live::Registered,
        remote: Remote,
        span: Span,
    ) -> Option<Self> {
        let flow = registered.live().permit()?;
        let activity = registered.live().hosted().clone();
        Some(Self {
            stream: Revocable::new(stream.into(), registered).telling(&activity),
            guard: guard.clone(),
            flow,
            remote,
            span,
        })
    }

    /// Who is calling; nobody at a public door.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        self.flow.peer().cloned().map(Peer)
    }

    /// The permit of the flow, as it was at the end of the handshake.
    pub const fn flow(&self) -> &FlowPermit {
        &self.flow
    }

    /// Where it comes from, where that is an address.
    #[must_use]
    pub const fn remote(&self) -> Option<SocketAddr> {
        self.remote.address()
    }

    /// How it stands, as [`Guard::connections`] shows it.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.live().shown()
    }

    /// Whether the handshake agreed on HTTP/2.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        let (_, tls) = self.stream.get_ref().get_ref();
        tls.alpn_protocol() == Some(b"h2")
    }

    /// Authorizes the action `connect`: from then on its bytes are the service's. One decision, one record. Where a rule asks what
    /// takes long it is made on threads that are there for it, as a request's is.
    ///
    /// # Errors
    /// [`Denial`]: no rule permits it, or the caller has proved nothing. The connection is closed.
    pub async fn into_raw(self) -> Result<RawStream<T>, Denial> {
        RawStream::authorize(&self.guard, self.stream).await
    }

    /// Resolves when the connection has to come to an end: the guard shuts down, the connection has lasted long enough, our SVID
    /// was rotated, or it was revoked. A server of one's own then lets what runs finish; what is open at the deadline is cut.
    ///
    /// For one task at a time.
    pub fn ends(&self) -> impl Future<Output = ()> + Send + 'static {
        let live = Arc::clone(self.live());
        async move {
            while live.state() == State::Open {
                live.changed().await;
            }
        }
    }

    /// The stream, once something judges what comes on it (T1).
    fn stream(&mut self) -> io::Result<&mut Revocable<tokio_rustls::TlsStream<T>>> {
        if self.live().is_protected() {
            return Ok(&mut self.stream);
        }
        let why = "nothing judges what comes on this connection: serve it with `Guard::protect`, or take raw bytes by `Accepted::into_raw`";
        Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
    }

    /// Whether this guard let it in.
    pub(super) fn is_of(&self, guard: &Guard) -> bool {
        Arc::ptr_eq(self.guard.inner(), guard.inner())
    }

    pub(super) const fn span(&self) -> &Span {
        &self.span
    }

    pub(super) fn live(&self) -> &Arc<Live> {
        self.stream.live()
    }
}

delegates!(Accepted);

impl<T: Transport> fmt::Debug for Accepted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted")
            .field("flow", &self.flow)
            .finish_non_exhaustive()
    }
}
