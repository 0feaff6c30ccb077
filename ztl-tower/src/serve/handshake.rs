//! From an accepted stream to a permitted flow.

use core::future::{Future, poll_fn};
use core::net::SocketAddr;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::sync::{Arc, OnceLock};

use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use ztl_core::{Arrival, Denial, Flow, FlowPermit, Reason, SpiffeId, Stage};
use ztl_mtls::{ClientVerifier, Proved, Refused};

use super::error::ServeError;
use super::listener::Knock;
use super::overflow::Overflow;
use super::place::Place;
use super::protocols::Protocols;
use super::public::PublicTls;
use super::share::Shares;
use crate::guard::{ALPN, Guard};
use crate::live::{Begun, Live};
use crate::prefix::Prefix;
use crate::watch::Handshake;

/// What a connection has to pass.
pub(super) struct Door {
    pub(super) guard: Guard,
    pub(super) protocols: Protocols,
    port: u16,
    kind: Kind,
    computing: Semaphore,
    unproved: Arc<Shares<Prefix>>,
    peers: Arc<Shares<SpiffeId>>,
    /// Turned away by address, and by peer.
    of_prefixes: Overflow,
    of_peers: Overflow,
}

enum Kind {
    /// The caller proves itself.
    Mutual,
    /// Only we do.
    Public(Arc<ServerConfig>),
}

/// A stream, and the proof of its client, where it proved itself.
type Shaken = (TlsStream<TcpStream>, Option<Proved>);

/// How the flow was judged within the handshake.
type Judged = Arc<OnceLock<Result<FlowPermit, Denial>>>;

impl Door {
    pub(super) fn mutual(guard: &Guard, port: u16) -> Self {
        Self::new(guard, port, Kind::Mutual)
    }

    pub(super) fn public(guard: &Guard, port: u16, tls: &PublicTls) -> Result<Self, ServeError> {
        let config =
            ztl_mtls::public_server_config(guard.provider(), tls.identity(guard)?, None, ALPN)
                .map_err(|error| ServeError::Certificate(error.into()))?;
        Ok(Self::new(guard, port, Kind::Public(Arc::new(config))))
    }

    fn new(guard: &Guard, port: u16, kind: Kind) -> Self {
        let limits = guard.limits();
        Self {
            guard: guard.clone(),
            protocols: Protocols::new(&limits),
            port,
            kind,
            computing: Semaphore::new(limits.handshakes),
            unproved: Shares::new(limits.unproved_per_prefix()),
            peers: Shares::new(limits.connections_per_peer()),
            of_prefixes: Overflow::default(),
            of_peers: Overflow::default(),
        }
    }

    /// A place for a connection from this address, unless it holds its share of those that have proved nobody (T35). A caller at
    /// a public door never does.
    pub(super) fn place(&self, slot: OwnedSemaphorePermit, remote: SocketAddr) -> Option<Place> {
        let share = self.unproved.take(&Prefix::from(remote.ip()));
        if share.is_none()
            && let Some(count) = self.of_prefixes.count(Instant::now())
        {
            tracing::warn!(target: "ztl", workload = self.guard.name(), port = self.port, last = %remote.ip(), count, "connections turned away: their address holds its share of those that have proved nobody");
        }
        Some(Place::unproved(slot, share?))
    }

    /// Counts a connection against the peer that it was proved to be, after the handshake: before it a chain is only shown, and
    /// might be anybody's. Tells whether that has a share left (T35).
    fn seats(&self, permit: &FlowPermit, place: &mut Place) -> bool {
        let Some(peer) = permit.peer() else {
            return true;
        };
        if let Some(share) = self.peers.take(peer.id()) {
            place.prove(share);
            return true;
        }
        if let Some(count) = self.of_peers.count(Instant::now()) {
            tracing::warn!(target: "ztl", workload = self.guard.name(), port = self.port, last = %peer.id(), count, "connections turned away: their peer holds its share of this listener");
        }
        false
    }

    /// A connection at this door, before anything of it is known.
    pub(super) fn begins(&self, remote: SocketAddr) -> Live {
        let shows = matches!(self.kind, Kind::Mutual);
        Live::ingress(
            &self.guard,
            Arrival::from_addr(remote.ip()),
            self.port,
            shows,
        )
    }

    /// Lets a connection in, or not. A refusal has been recorded; that a peer holds its share is logged.
    pub(super) async fn admit(
        &self,
        knock: Knock,
        live: &Live,
        place: &mut Place,
    ) -> Option<TlsStream<TcpStream>> {
        let mut timed = Handshake::begin(&self.guard, self.kind());
        let arrival = Arrival::from_addr(knock.remote.ip());
        let deadline = self.guard.limits().handshake;
        let judged = Judged::default();
        // Read before anything is proved: what is withdrawn while a client takes its time covers it (T5).
        let begun = Begun::now(&self.guard);
        let public = match &self.kind {
            // Rule 30: with an SVID that is withdrawn or has ended, nothing is answered, rather than something that no caller
            // should take.
            Kind::Mutual => {
                if let Err(error) = self.guard.svid() {
                    tracing::warn!(target: "ztl", workload = self.guard.name(), %error, "handshake refused: we have no SVID to present");
                    timed.is("unproved");
                    self.unproven(arrival, None);
                    return None;
                }
                None
            }
            Kind::Public(config) => {
                // Who proves nothing is judged before a byte is answered (rule 39).
                let flow = Flow::ingress(self.guard.name(), self.port, arrival, None);
                let permit = self
                    .guard
                    .engine()
                    .permit_flow(&flow, self.guard.now())
                    .inspect_err(|_| timed.is("refused"))
                    .ok()?;
                let _ = judged.set(Ok(permit));
                Some(Arc::clone(config))
            }
        };
        let shaken =
            tokio::time::timeout(deadline, self.shake(knock.stream, arrival, public, &judged))
                .await;
        let failed = match (judged.get(), shaken) {
            (Some(Ok(permit)), Ok(Ok((stream, proved)))) => {
                if !self.seats(permit, place) {
                    timed.is("turned_away");
                    part(stream).await;
                    return None;
                }
                live.names(stream.get_ref().1.server_name());
                // A chain is proved before the handshake ends, at the client's own pace: where anything changed since, it is
                // proved again.
                let begins = live.begin(&self.guard, begun, permit.clone(), proved.as_ref());
                timed.is(if begins { "permitted" } else { "refused" });
                return begins.then_some(stream);
            }
            (Some(judged), shaken) => {
                timed.is(if judged.is_ok() { "failed" } else { "refused" });
                shaken.ok().and_then(Result::err)
            }
            (None, shaken) => {
                timed.is("unproved");
                let failed = shaken.ok().and_then(Result::err);
                self.unproven(
                    arrival,
                    failed.as_ref().and_then(|failed| failed.error.clone()),
                );
                failed
            }
        };
        drop(timed);
        if let Some(stream) = failed.and_then(|failed| failed.stream) {
            part(stream).await;
        }
        None
    }

    const fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Mutual => "mutual",
            Kind::Public(_) => "public",
        }
    }

    /// The handshake.
    async fn shake(
        &self,
        stream: TcpStream,
        arrival: Arrival,
        public: Option<Arc<ServerConfig>>,
        judged: &Judged,
    ) -> Result<Shaken, Failed> {
        let silent = || Failed {
            error: None,
            stream: None,
        };
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream)
            .await
            .map_err(|_| silent())?;
        let Some(config) = public else {
            let verifier = self.verifier(arrival, judged);
            let config = ztl_mtls::server_config(
                self.guard.provider(),
                self.guard.identity(),
                Arc::clone(&verifier),
                ALPN,
            )
            .map_err(|_| silent())?;
            let stream = self
                .compute(start.into_stream(Arc::new(config)).into_fallible())
                .await
                .map_err(|failed| Failed {
                    error: verifier.error(),
                    stream: failed.map(|(_, stream)| stream),
                })?;
            // rustls asked the verifier, or the handshake would have failed.
            let proved = verifier.proved().cloned().ok_or_else(silent)?;
            return Ok((stream, Some(proved)));
        };
        self.compute(start.into_stream(config).into_fallible())
            .await
            .map(|stream| (stream, None))
            .map_err(|failed| Failed {
                error: None,
                stream: failed.map(|(_, stream)| stream),
            })
    }

    /// Drives a handshake. T35: a slot is held while it computes, never while it waits for the client.
    async fn compute<F, T, E>(&self, handshake: F) -> Result<T, Option<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut handshake = pin!(handshake);
        loop {
            let slot = self.computing.acquire().await.map_err(|_| None)?;
            let polled = poll_fn(|cx| Poll::Ready(handshake.as_mut().poll(cx))).await;
            drop(slot);
            if let Poll::Ready(ended) = polled {
                return ended.map_err(Some);
            }
            // The handshake has this task's waker: it is polled again when its stream is ready.
            let mut waited = false;
            poll_fn(|_| {
                if core::mem::replace(&mut waited, true) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
    }

    /// A verifier for one connection: it proves the peer, and permits its flow before the handshake ends.
    fn verifier(&self, arrival: Arrival, judged: &Judged) -> Arc<ClientVerifier> {
        let (guard, judged, port) = (self.guard.clone(), Arc::clone(judged), self.port);
        let hook = move |peer: ztl_core::Peer| {
            let flow = Flow::ingress(guard.name(), port, arrival, Some(&peer));
            let judgement = guard.engine().permit_flow(&flow, guard.now());
            let permitted = judgement.is_ok();
            // The hook is called once a handshake; were it called again, the first judgement stands.
            let first = judged.set(judgement).is_ok();
            if permitted && first {
                Ok(())
            } else {
                Err(Refused)
            }
        };
        ClientVerifier::new(self.guard.prover().clone(), Arc::new(hook))
    }

    fn unproven(&self, arrival: Arrival, error: Option<ztl_mtls::ProveError>) {
        let unproven = Reason::IdentityUnproven;
        let reason = error
            .as_ref()
            .map_or(unproven, ztl_mtls::ProveError::reason);
        let flow = Flow::ingress(self.guard.name(), self.port, arrival, None);
        let denial =
            self.guard
                .engine()
                .refuse(&flow, None, Stage::Identity, reason, self.guard.now());
        if let Some(error) = error {
            tracing::info!(target: "ztl", workload = self.guard.name(), decision = %denial.id(), %error, "peer not proved");
        }
    }
}

/// A handshake that failed.
struct Failed {
    /// Why the verifier refused the peer, where it did.
    error: Option<ztl_mtls::ProveError>,
    /// The stream, its alert written.
    stream: Option<TcpStream>,
}

/// How long a refused client may take to hear that it was.
const PARTING: Duration = Duration::from_millis(500);
/// Most that is read of what it had sent meanwhile.
const PARTING_BYTES: u64 = 64 * 1024;

/// Closes a refused stream so that its alert arrives. In TLS 1.3 a client sends its first request before it hears of the
/// refusal; closed over unread bytes, the connection would be reset, and the reset can overtake the alert.
async fn part(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let parted = async {
        let _ = stream.shutdown().await;
        let mut rest = stream.take(PARTING_BYTES);
        let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    };
    let _ = tokio::time::timeout(PARTING, parted).await;
}
