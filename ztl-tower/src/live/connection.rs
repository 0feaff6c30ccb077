//! One open connection: what it rests on, and whether that still holds.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use core::task::Waker;
#[cfg(feature = "serve")]
use core::time::Duration;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;
use tokio::time::Instant;
use ztl_core::{Arrival, Denial, Direction, Flow, FlowPermit, Peer, Reason, Stage, Timestamp};
use ztl_mtls::{Generations, ProveError, Proved, ProvedChain, Purpose};

use super::shown::{Connection, ConnectionState};
use crate::guard::Guard;
use crate::watch;

/// How often a connection is judged while what it rests on changes under the judgement, before it is refused.
const TRIES: usize = 16;

/// How a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It takes requests.
    Open,
    /// It finishes what runs, and ends at its deadline.
    Draining,
    /// It has ended.
    Revoked,
}

/// Which half of a stream.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Read,
    Write,
}

/// A connection in the registry.
pub(crate) struct Live {
    pub(super) direction: Direction,
    pub(super) since: Timestamp,
    pub(super) arrival: Arrival,
    pub(super) port: u16,
    /// The workload that the peer has to be, where we called it by name.
    named: Option<Box<str>>,
    /// The change of our own SVID that the handshake fell under, where we showed one.
    own: Option<u64>,
    own_not_after: Timestamp,
    /// What proved the peer; empty for a caller without SVID on a public port.
    chain: OnceLock<ProvedChain>,
    /// The server name that the client asked for in its handshake.
    #[cfg(feature = "serve")]
    server_name: OnceLock<Box<str>>,
    grounds: ArcSwapOption<Grounds>,
    state: AtomicU8,
    /// When it is cut though something runs, in milliseconds.
    deadline: AtomicU64,
    changed: Notify,
    wakers: Mutex<[Option<Waker>; 2]>,
    /// When it is drained because it has lasted long enough.
    aged: Timestamp,
    #[cfg(any(feature = "client", feature = "serve"))]
    pub(super) raw: super::raw::Raw,
    /// What a host serves on it is judged.
    #[cfg(feature = "serve")]
    protected: core::sync::atomic::AtomicBool,
    /// It was told to come to its end in good order.
    #[cfg(feature = "serve")]
    parting: core::sync::atomic::AtomicBool,
    #[cfg(feature = "serve")]
    pub(super) requests: super::request::Requests,
}

/// What the last judgement rested on.
struct Grounds {
    permit: FlowPermit,
    epoch: u64,
    trust: u64,
    generations: Option<Generations>,
    /// When the chain has to be proved again though nothing changes.
    until: Timestamp,
}

/// What was there before a connection was judged for the first time: to be taken before its handshake.
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    epoch: u64,
    trust: u64,
}

impl Begun {
    pub(crate) fn now(guard: &Guard) -> Self {
        Self {
            epoch: guard.engine().epoch(),
            trust: guard.engine().trust_generation(),
        }
    }
}

impl Live {
    /// A connection to us. `shows` says whether we prove ourselves by our SVID.
    #[cfg(feature = "serve")]
    pub(crate) fn ingress(guard: &Guard, arrival: Arrival, port: u16, shows: bool) -> Self {
        let live = Self::new(guard, Direction::Ingress, arrival, port, None);
        let aged = guard.limits().age;
        let live = Self {
            aged: aged.map_or(Timestamp::MAX, |age| {
                live.since.saturating_add(jittered(age))
            }),
            ..live
        };
        if shows {
            return live;
        }
        Self {
            own: None,
            own_not_after: Timestamp::MAX,
            ..live
        }
    }

    /// A connection of ours to the workload of this name.
    #[cfg(feature = "client")]
    pub(crate) fn egress(guard: &Guard, named: &str, port: u16) -> Self {
        let (named, arrival) = (Some(named.into()), Arrival::unknown());
        Self::new(guard, Direction::Egress, arrival, port, named)
    }

    /// One that was permitted, of nobody.
    #[cfg(all(test, feature = "client"))]
    pub(crate) fn for_test(permit: FlowPermit) -> Self {
        let live = Self::blank(Direction::Egress, Arrival::unknown(), 0);
        live.grounds.store(Some(Arc::new(Grounds {
            permit,
            epoch: 0,
            trust: 0,
            generations: None,
            until: Timestamp::MAX,
        })));
        live
    }

    fn new(
        guard: &Guard,
        direction: Direction,
        arrival: Arrival,
        port: u16,
        named: Option<Box<str>>,
    ) -> Self {
        let identity = guard.identity();
        // In this order: where it rotates in between, the connection is older than it thinks, and drained.
        let own = Some(identity.generation());
        Self {
            since: guard.now(),
            named,
            own,
            own_not_after: identity.load().not_after(),
            #[cfg(feature = "serve")]
            requests: super::request::Requests::new(
                guard.engine().epoch(),
                guard.evidence_generation(),
            ),
            ..Self::blank(direction, arrival, port)
        }
    }

    /// One of which nothing is known yet.
    fn blank(direction: Direction, arrival: Arrival, port: u16) -> Self {
        Self {
            direction,
            since: Timestamp::EPOCH,
            arrival,
            port,
            named: None,
            own: None,
            own_not_after: Timestamp::MAX,
            chain: OnceLock::new(),
            #[cfg(feature = "serve")]
            server_name: OnceLock::new(),
            grounds: ArcSwapOption::empty(),
            state: AtomicU8::new(0),
            deadline: AtomicU64::new(u64::MAX),
            changed: Notify::new(),
            wakers: Mutex::new([None, None]),
            aged: Timestamp::MAX,
            #[cfg(any(feature = "client", feature = "serve"))]
            raw: super::raw::Raw::default(),
            #[cfg(feature = "serve")]
            protected: core::sync::atomic::AtomicBool::new(false),
            #[cfg(feature = "serve")]
            parting: core::sync::atomic::AtomicBool::new(false),
            #[cfg(feature = "serve")]
            requests: super::request::Requests::new(0, 0),
        }
    }

    /// The client asked for this name in its handshake (RFC 6066 §3).
    #[cfg(feature = "serve")]
    pub(crate) fn names(&self, server_name: Option<&str>) {
        if let Some(name) = server_name {
            let _ = self.server_name.set(name.into());
        }
    }

    /// The name that it asked for.
    #[cfg(feature = "serve")]
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.server_name.get().map(AsRef::as_ref)
    }

    /// The handshake is done: what proved the peer, and how its flow was judged. Whether that still holds is judged at once where
    /// anything changed meanwhile.
    ///
    /// Tells whether it is permitted; where not, that has been recorded.
    pub(crate) fn begin(
        &self,
        guard: &Guard,
        begun: Begun,
        permit: FlowPermit,
        proved: Option<&Proved>,
    ) -> bool {
        let until = proved.map_or(Timestamp::MAX, Proved::holds_until);
        if let Some(proved) = proved {
            let _ = self.chain.set(proved.chain().clone());
        }
        self.grounds.store(Some(Arc::new(Grounds {
            until: until.min(permit.expires_at()),
            permit,
            epoch: begun.epoch,
            trust: begun.trust,
            generations: proved.map(Proved::generations),
        })));
        !self.is_stale(guard, guard.now()) || self.judge(guard).is_ok()
    }

    /// The permit of the last judgement, however old.
    pub(crate) fn permit(&self) -> Option<FlowPermit> {
        self.grounds
            .load()
            .as_ref()
            .map(|grounds| grounds.permit.clone())
    }

    /// A permit that rests on what is in force now; where something changed, the connection is judged first (T5).
    ///
    /// # Errors
    /// [`Denial`]: it is no longer permitted, and revoked.
    pub(crate) fn current(&self, guard: &Guard) -> Result<FlowPermit, Denial> {
        {
            let grounds = self.grounds.load();
            if let Some(grounds) = grounds.as_ref()
                && grounds.epoch == guard.engine().epoch()
                && grounds.trust == guard.engine().trust_generation()
                && self.state() != State::Revoked
            {
                return Ok(grounds.permit.clone());
            }
        }
        self.judge(guard)
    }

    /// Judges the connection again: proves the chain, permits the flow. Refused, it is revoked.
    pub(crate) fn judge(&self, guard: &Guard) -> Result<FlowPermit, Denial> {
        let judged = self.judged(guard);
        match &judged {
            Ok(grounds) => self.grounds.store(Some(Arc::clone(grounds))),
            Err(_) => self.revoke(),
        }
        judged.map(|grounds| grounds.permit.clone())
    }

    fn judged(&self, guard: &Guard) -> Result<Arc<Grounds>, Denial> {
        let engine = guard.engine();
        let refuse = |peer: Option<&Peer>, stage, reason| {
            let flow = self.flow(guard, peer);
            engine.refuse(&flow, None, stage, reason, guard.now())
        };
        let last = self.grounds.load_full();
        let peer = last.as_ref().and_then(|last| last.permit.peer());
        for _ in 0..TRIES {
            // Before anything is judged: a change after it shows in the comparison below, or makes the permit stale.
            let (epoch, trust, now) = (engine.epoch(), engine.trust_generation(), guard.now());
            if now >= self.own_not_after {
                return Err(refuse(peer, Stage::Identity, Reason::IdentityExpired));
            }
            let purpose = match self.direction {
                Direction::Ingress => Purpose::Client,
                Direction::Egress => Purpose::Server,
            };
            let proofs = guard.prover().generations();
            let kept = last
                .as_ref()
                .filter(|last| last.generations == Some(proofs) && now < last.until);
            let chain = self.chain.get();
            let (proved, generations, until) = if let (Some(_), Some(last)) = (chain, kept) {
                // Nothing that it rests on has changed but the policy: the proof stands.
                (last.permit.peer().cloned(), Some(proofs), last.until)
            } else if let Some(chain) = chain {
                let proved = guard.prover().prove_again(chain, now, purpose);
                let proved = proved.map_err(|error| {
                    let (stage, reason) = reason_of(&error);
                    let denial = refuse(peer, stage, reason);
                    tracing::info!(target: "ztl", workload = guard.name(), decision = %denial.id(), %error, "peer no longer proved");
                    denial
                })?;
                let (under, until) = (proved.generations(), proved.holds_until());
                (Some(proved.into_peer()), Some(under), until)
            } else {
                (None, None, Timestamp::MAX)
            };
            let permit = match &self.named {
                None => engine.permit_flow(&self.flow(guard, proved.as_ref()), now)?,
                #[cfg(feature = "client")]
                Some(named) => {
                    let Some(proved) = &proved else {
                        return Err(refuse(peer, Stage::Identity, Reason::IdentityUnproven));
                    };
                    let judge = || engine.permit_flow(&self.flow(guard, Some(proved)), now);
                    match crate::egress::as_named(guard, proved.id(), named, judge) {
                        Some(judged) => judged?,
                        // The name is somebody else's now.
                        None => return Err(refuse(peer, Stage::Flow, Reason::FlowWithdrawn)),
                    }
                }
                #[cfg(not(feature = "client"))]
                Some(_) => return Err(refuse(peer, Stage::Flow, Reason::FlowWithdrawn)),
            };
            if engine.trust_generation() == trust
                && generations.is_none_or(|under| under == guard.prover().generations())
            {
                return Ok(Arc::new(Grounds {
                    until: until.min(permit.expires_at()),
                    permit,
                    epoch,
                    trust,
                    generations,
                }));
            }
        }
        Err(refuse(peer, Stage::Flow, Reason::FlowWithdrawn))
    }

    fn flow<'a>(&self, guard: &'a Guard, peer: Option<&'a Peer>) -> Flow<'a> {
        match (self.direction, peer) {
            (Direction::Ingress, _) => Flow::ingress(guard.name(), self.port, self.arrival, peer),
            (Direction::Egress, Some(peer)) => Flow::egress(guard.name(), self.port, peer),
            (Direction::Egress, None) => Flow::egress_unproved(guard.name(), self.port),
        }
    }

    fn is_stale(&self, guard: &Guard, now: Timestamp) -> bool {
        let grounds = self.grounds.load();
        grounds.as_ref().is_some_and(|grounds| {
            grounds.epoch != guard.engine().epoch()
                || grounds.trust != guard.engine().trust_generation()
                || grounds
                    .generations
                    .is_some_and(|under| under != guard.prover().generations())
                || now >= grounds.until
                || now >= self.own_not_after
        })
    }

    /// Whether its peer's id is denied: asked before anything that costs more.
    pub(super) fn is_denied(&self, guard: &Guard) -> bool {
        let grounds = self.grounds.load();
        let peer = grounds.as_ref().and_then(|grounds| grounds.permit.peer());
        peer.is_some_and(|peer| guard.prover().revocation().denies_id(peer.id()))
    }

    /// What the sweeper does with it. A connection in its handshake is judged at its end.
    pub(super) fn sweep(self: &Arc<Self>, guard: &Guard) {
        let now = guard.now();
        if self.state() == State::Revoked || self.grounds.load().is_none() {
            return;
        }
        if now.as_unix_millis() >= self.deadline.load(Ordering::Acquire)
            || (self.is_stale(guard, now) && self.judge(guard).is_err())
        {
            return self.revoke();
        }
        if self
            .own
            .is_some_and(|own| own != guard.identity().generation())
        {
            let by = now.saturating_add(guard.limits().rotation);
            self.drain(by.min(self.own_not_after));
        } else if guard.is_shutting_down() || now >= self.aged {
            self.drain(now.saturating_add(guard.limits().drain));
        }
        #[cfg(any(feature = "client", feature = "serve"))]
        self.sweep_raw(guard, now);
        #[cfg(feature = "serve")]
        self.requests.sweep(self, guard, now);
    }

    /// When it is to be looked at again, where that is before the next regular look: a request may wait no longer for its
    /// judgement, or something that one rests on expires.
    pub(super) fn due(&self, guard: &Guard) -> Option<Instant> {
        #[cfg(feature = "serve")]
        return self.requests.due(guard.now());
        #[cfg(not(feature = "serve"))]
        {
            let _ = guard;
            None
        }
    }

    /// From now on it finishes what runs, until then. The earliest deadline stands.
    pub(crate) fn drain(&self, by: Timestamp) {
        let by = by.as_unix_millis();
        let (set, get) = (Ordering::SeqCst, Ordering::SeqCst);
        let begins = self.state.compare_exchange(0, 1, set, get).is_ok();
        // A deadline that is set again each second would never come.
        if self.deadline.fetch_min(by, Ordering::AcqRel) > by || begins {
            self.changed.notify_one();
        }
    }

    /// When it is cut though something runs.
    pub(crate) fn deadline(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.deadline.load(Ordering::Acquire))
    }

    /// Ends it now, whatever is in flight.
    pub(crate) fn revoke(&self) {
        self.state.store(2, Ordering::SeqCst);
        self.changed.notify_one();
        let wakers =
            core::mem::take(&mut *self.wakers.lock().unwrap_or_else(PoisonError::into_inner));
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
        #[cfg(feature = "serve")]
        self.requests.cut_all();
    }

    /// Says that it is over, and why.
    pub(super) fn tell_end(&self, guard: &Guard) {
        let cause = match (self.grounds.load().is_some(), self.state()) {
            (false, _) => "unproved",
            (true, State::Open) => "closed",
            (true, State::Draining) => "drained",
            (true, State::Revoked) => "revoked",
        };
        watch::ended(guard, self.direction.as_str(), cause);
        watch::connection_ended(guard.name(), cause, || self.shown());
    }

    /// Its stream is gone.
    pub(super) fn closed(&self) {
        #[cfg(feature = "serve")]
        {
            self.requests.cut_all();
            self.requests.release();
        }
    }

    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::SeqCst) {
            0 => State::Open,
            1 => State::Draining,
            _ => State::Revoked,
        }
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.state() == State::Revoked
    }

    /// From here on each request that a host takes from it is judged.
    #[cfg(feature = "serve")]
    pub(crate) fn protect(&self) {
        self.protected.store(true, Ordering::Release);
    }

    #[cfg(feature = "serve")]
    pub(crate) fn is_protected(&self) -> bool {
        self.protected.load(Ordering::Acquire)
    }

    /// It comes to its end in good order, from here on.
    #[cfg(feature = "serve")]
    pub(crate) fn parts(&self) {
        self.parting.store(true, Ordering::Release);
    }

    /// Whether it ends in good order and never carried a request, so that an end of TLS cuts no answer short.
    #[cfg(feature = "serve")]
    pub(super) fn parts_with_nothing_said(&self) -> bool {
        self.parting.load(Ordering::Acquire) && self.requests.none_yet()
    }

    /// Has the task of the connection look at its state.
    #[cfg(feature = "serve")]
    pub(crate) fn notify(&self) {
        self.changed.notify_one();
    }

    /// Resolves when its state may have changed.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What an operator sees of it.
    pub(crate) fn shown(&self) -> Connection {
        let permit = self.permit();
        Connection {
            peer: permit
                .as_ref()
                .and_then(|permit| permit.peer().cloned())
                .map(|peer| peer.id().clone()),
            direction: self.direction,
            arrival: self.arrival,
            port: self.port,
            since: self.since,
            until: self.grounds.load().as_ref().map(|grounds| grounds.until),
            state: match (permit, self.state()) {
                (_, State::Revoked) => ConnectionState::Revoked,
                (_, State::Draining) => ConnectionState::Draining,
                (None, State::Open) => ConnectionState::Handshake,
                (Some(_), State::Open) => ConnectionState::Open,
            },
            #[cfg(feature = "serve")]
            requests: self.requests.len(),
            #[cfg(not(feature = "serve"))]
            requests: 0,
        }
    }

    /// Wakes this one when it is revoked; tells whether it is already.
    pub(super) fn parks(&self, side: Side, waker: &Waker) -> bool {
        {
            let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
            let [read, write] = &mut *wakers;
            let parked = match side {
                Side::Read => read,
                Side::Write => write,
            };
            match parked {
                Some(parked) => parked.clone_from(waker),
                None => *parked = Some(waker.clone()),
            }
        }
        self.is_revoked()
    }
}

/// Up to a tenth less, at random, so that connections which began together do not end together.
#[cfg(feature = "serve")]
fn jittered(age: Duration) -> Duration {
    use core::hash::{BuildHasher as _, Hasher as _};

    // Its keys are drawn anew for each.
    let drawn = std::hash::RandomState::new().build_hasher().finish();
    let thousandth = u32::try_from(drawn % 100).unwrap_or_default();
    age.saturating_sub((age / 1000).saturating_mul(thousandth))
}

/// Why a peer that was proved is no longer.
fn reason_of(error: &ProveError) -> (Stage, Reason) {
    match error.reason() {
        // What would prove it now was taken away.
        Reason::IdentityUnproven => (Stage::Flow, Reason::FlowWithdrawn),
        reason => (Stage::Identity, reason),
    }
}
