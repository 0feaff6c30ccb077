//! The door of a listener: what is known of a connection before its handshake, and what it may take up.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tracing::{Instrument, Span};
use ztl_core::{FlowPermit, SpiffeId};
use ztl_mtls::ServerConfigs;

use super::acceptor::NotAccepted;
use super::error::ServeError;
use super::overflow::Overflow;
use super::place::Place;
use super::protocols::Protocols;
use super::public::PublicTls;
use super::remote::{Origin, Remote};
use super::share::Shares;
use crate::guard::{ALPN, Guard};
use crate::live::{Live, Registered, Registry};
use crate::transport::Transport;
use crate::watch;

/// What a connection has to pass.
pub(super) struct Door {
    pub(super) guard: Guard,
    pub(super) protocols: Protocols,
    pub(super) port: u16,
    pub(super) kind: Kind,
    pub(super) computing: Semaphore,
    pub(super) slots: Arc<Semaphore>,
    unproved: Arc<Shares<Origin>>,
    peers: Arc<Shares<SpiffeId>>,
    /// Turned away by address, and by peer.
    of_prefixes: Overflow,
    of_peers: Overflow,
}

pub(super) enum Kind {
    /// The caller proves itself.
    Mutual(ServerConfigs),
    /// Only we do.
    Public(Arc<ServerConfig>),
}

impl Door {
    pub(super) fn mutual(guard: &Guard, port: u16) -> Self {
        Self::speaking(guard, port, ALPN)
    }

    /// For bytes that are no HTTP: no protocol is agreed on.
    pub(super) fn raw(guard: &Guard, port: u16) -> Self {
        Self::speaking(guard, port, &[])
    }

    fn speaking(guard: &Guard, port: u16, alpn: &'static [&'static [u8]]) -> Self {
        let configs = ServerConfigs::new(guard.provider(), guard.identity(), alpn);
        Self::new(guard, port, Kind::Mutual(configs))
    }

    pub(super) fn public(guard: &Guard, port: u16, tls: &PublicTls) -> Result<Self, ServeError> {
        #[cfg(feature = "browser")]
        if guard.lacks_its_boundary() {
            return Err(ServeError::NoBoundary);
        }
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
            computing: Semaphore::new(limits.handshakes.min(Semaphore::MAX_PERMITS)),
            slots: Arc::new(Semaphore::new(
                limits.connections.min(Semaphore::MAX_PERMITS),
            )),
            unproved: Shares::new(limits.unproved_per_prefix()),
            peers: Shares::new(limits.connections_per_peer()),
            of_prefixes: Overflow::default(),
            of_peers: Overflow::default(),
        }
    }

    /// A place for a connection from there, unless that holds its share of those that have proved nobody (T35). A caller at a
    /// public door never does.
    pub(super) fn place(&self, slot: OwnedSemaphorePermit, remote: Remote) -> Option<Place> {
        let share = self.unproved.take(&remote.share);
        if share.is_none()
            && let Some(count) = self.of_prefixes.count(Instant::now())
        {
            tracing::warn!(target: "ztl", workload = self.guard.name(), port = self.port, last = %remote, count, "connections turned away: their address holds its share of those that have proved nobody");
        }
        Some(Place::unproved(slot, share?))
    }

    /// Counts a connection against the peer that it was proved to be, after the handshake: before it a chain is only shown, and
    /// might be anybody's. Tells whether that has a share left (T35).
    pub(super) fn seats(&self, permit: &FlowPermit, place: &mut Place) -> bool {
        let Some(peer) = permit.peer() else {
            return true;
        };
        // T13: one share under all its names.
        let policy = self.guard.engine().policy();
        if let Some(share) = self.peers.take(&policy.one_id_of(peer.id())) {
            place.prove(share);
            return true;
        }
        if let Some(count) = self.of_peers.count(Instant::now()) {
            tracing::warn!(target: "ztl", workload = self.guard.name(), port = self.port, last = %peer.id(), count, "connections turned away: their peer holds its share of this listener");
        }
        false
    }

    /// Lets a connection in, or not. One that is in is registered, and keeps its place for as long as what is answered. All that is
    /// said of it is said within the span.
    pub(super) async fn open<T: Transport>(
        &self,
        stream: T,
        remote: Remote,
        mut place: Place,
    ) -> Result<(TlsStream<T>, Registered, Span), NotAccepted> {
        let shows = matches!(self.kind, Kind::Mutual(_));
        let arrival = remote.arrival();
        // Before anything is judged, so that no change slips in between.
        let live = Live::ingress(&self.guard, arrival, self.port, shows);
        let registered = Registry::register(&self.guard, live);
        let live = registered.live();
        // On the heap, so that what a handshake needs is given back with its end and an idle connection does not hold it.
        let span = watch::connection(&self.guard, remote.address());
        let admitted = Box::pin(self.admit(stream, arrival, live, &mut place));
        let stream = admitted.instrument(span.clone()).await?;
        watch::is_peer(&span, live);
        if let Some(busy) = place.busy(self.guard.limits().requests_per_peer()) {
            live.shares(busy);
        }
        // What came while the handshake ran.
        if self.guard.is_shutting_down() {
            let by = self.guard.now().saturating_add(self.guard.limits().drain);
            live.drain(by);
        }
        Ok((stream, registered.keep(place), span))
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use super::*;
    use ztl_core::Flow;

    const POLICY: &str = "schema = 1\ntrust_domain = 'prod.example'\ntrust_domain_aliases = ['old.example']\n\
        [workloads.db]\nid = 'spiffe://prod.example/db'\nports = [8443]\n\
        [workloads.caller]\nid = 'spiffe://prod.example/caller'\n\
        [[permit]]\nfrom = ['caller', 'spiffe://prod.example/jobs/**']\nto = 'db'\nactions = ['GET /v1/x']\n";

    #[tokio::test]
    async fn t13_a_peer_has_one_share_under_all_its_names() {
        let guard = crate::test::builder("db", POLICY).max_connections_per_peer(2);
        let guard = guard.build().await.expect("a guard");
        let door = Door::mutual(&guard, 8443);
        let slots = Arc::new(Semaphore::new(9));
        let seat = |id: &str| {
            let peer = crate::test::peer(id);
            let flow = Flow::ingress("db", 8443, Remote::from_addr(None).arrival(), Some(&peer));
            let permit = guard.engine().permit_flow(&flow, guard.now());
            let slot = Arc::clone(&slots).try_acquire_owned().expect("a slot");
            let place = door.place(slot, Remote::from_addr(None));
            let mut place = place.expect("a place");
            let seated = door.seats(&permit.expect("permitted"), &mut place);
            seated.then_some(place)
        };
        // Declared in the policy, and not.
        for who in ["caller", "jobs/7"] {
            let first = seat(&format!("spiffe://prod.example/{who}"));
            let second = seat(&format!("spiffe://old.example/{who}"));
            assert!(first.is_some() && second.is_some(), "{who}");
            for domain in ["prod.example", "old.example"] {
                assert!(
                    seat(&format!("spiffe://{domain}/{who}")).is_none(),
                    "{domain}, {who}"
                );
            }
            drop(second);
            assert!(
                seat(&format!("spiffe://prod.example/{who}")).is_some(),
                "{who}"
            );
        }
    }
}
