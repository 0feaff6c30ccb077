//! From an accepted stream to a permitted flow.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::sync::{Arc, OnceLock};

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use ztl_core::{Arrival, Denial, Flow, FlowPermit, Reason, Stage};
use ztl_mtls::{ClientVerifier, Proved, Refused};

use super::acceptor::NotAccepted;
use super::door::{Door, Kind};
use super::place::Place;
use crate::live::{Begun, Live};
use crate::transport::Transport;
use crate::watch::Handshake;

/// A stream, and the proof of its client, where it proved itself.
type Shaken<T> = (TlsStream<T>, Option<Proved>);

/// How the flow was judged within the handshake.
type Judged = Arc<OnceLock<Result<FlowPermit, Denial>>>;

impl Door {
    /// Lets a connection in, or not. A refusal has been recorded; that a peer holds its share is logged as well.
    pub(super) async fn admit<T: Transport>(
        &self,
        stream: T,
        arrival: Arrival,
        live: &Live,
        place: &mut Place,
    ) -> Result<TlsStream<T>, NotAccepted> {
        let mut timed = Handshake::begin(&self.guard, self.kind());
        let deadline = self.guard.limits().handshake;
        let judged = Judged::default();
        // Read before anything is proved: what is withdrawn while a client takes its time covers it (T5).
        let begun = Begun::now(&self.guard);
        match &self.kind {
            // Rule 30: with an SVID that is withdrawn or has ended, nothing is answered, rather than something that no caller
            // should take.
            Kind::Mutual(_) => {
                if let Err(error) = self.guard.svid() {
                    tracing::warn!(target: "ztl", workload = self.guard.name(), %error, "handshake refused: we have no SVID to present");
                    timed.is("unproved");
                    self.unproven(arrival, None);
                    return Err(NotAccepted::Refused);
                }
            }
            Kind::Public(_) => {
                // Who proves nothing is judged before a byte is answered (rule 39).
                let flow = Flow::ingress(self.guard.name(), self.port, arrival, None);
                let permit = self
                    .guard
                    .engine()
                    .permit_flow(&flow, self.guard.now())
                    .inspect_err(|_| timed.is("refused"))
                    .map_err(|_| NotAccepted::Refused)?;
                let _ = judged.set(Ok(permit));
            }
        }
        let shaken = tokio::time::timeout(deadline, self.shake(stream, arrival, &judged)).await;
        let failed = match (judged.get(), shaken) {
            (Some(Ok(permit)), Ok(Ok((stream, proved)))) => {
                if !self.seats(permit, place) {
                    timed.is("turned_away");
                    let (engine, now) = (self.guard.engine(), self.guard.now());
                    drop(engine.refuse_on(permit, None, Reason::LimitExceeded, now));
                    part(stream).await;
                    return Err(NotAccepted::Full);
                }
                live.names(stream.get_ref().1.server_name());
                // A chain is proved before the handshake ends, at the client's own pace: where anything changed since, it is
                // proved again.
                let begins = live.begin(&self.guard, begun, permit.clone(), proved.as_ref());
                timed.is(if begins { "permitted" } else { "refused" });
                return begins.then_some(stream).ok_or(NotAccepted::Refused);
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
        timed.end();
        if let Some(stream) = failed.and_then(|failed| failed.stream) {
            part(stream).await;
        }
        Err(NotAccepted::Refused)
    }

    const fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Mutual(_) => "mutual",
            Kind::Public(_) => "public",
        }
    }

    /// The handshake.
    async fn shake<T: Transport>(
        &self,
        stream: T,
        arrival: Arrival,
        judged: &Judged,
    ) -> Result<Shaken<T>, Failed<T>> {
        let silent = || Failed {
            error: None,
            stream: None,
        };
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream)
            .await
            .map_err(|_| silent())?;
        let configs = match &self.kind {
            Kind::Mutual(configs) => configs,
            Kind::Public(config) => {
                let config = Arc::clone(config);
                return self
                    .compute(start.into_stream(config).into_fallible())
                    .await
                    .map(|stream| (stream, None))
                    .map_err(|failed| Failed {
                        error: None,
                        stream: failed.map(|(_, stream)| stream),
                    });
            }
        };
        let verifier = self.verifier(arrival, judged);
        // Ours until the handshake has ended, however it ends.
        let lent = configs.lend(Arc::clone(&verifier)).map_err(|_| silent())?;
        let stream = self
            .compute(start.into_stream(lent.config()).into_fallible())
            .await
            .map_err(|failed| Failed {
                error: verifier.error(),
                stream: failed.map(|(_, stream)| stream),
            })?;
        // rustls asked the verifier, or the handshake would have failed.
        let proved = verifier.proved().cloned().ok_or_else(silent)?;
        Ok((stream, Some(proved)))
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
struct Failed<T> {
    /// Why the verifier refused the peer, where it did.
    error: Option<ztl_mtls::ProveError>,
    /// The stream, its alert written.
    stream: Option<T>,
}

/// How long a refused client may take to hear that it was.
const PARTING: Duration = Duration::from_millis(500);
/// Most that is read of what it had sent meanwhile.
const PARTING_BYTES: u64 = 64 * 1024;

/// Closes a refused stream so that its alert arrives. In TLS 1.3 a client sends its first request before it hears of the
/// refusal; closed over unread bytes, the connection would be reset, and the reset can overtake the alert.
pub(super) async fn part(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let parted = async {
        let _ = stream.shutdown().await;
        let mut rest = stream.take(PARTING_BYTES);
        let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    };
    let _ = tokio::time::timeout(PARTING, parted).await;
}
