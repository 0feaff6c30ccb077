//! One open connection: what it rests on, and whether that still holds.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use core::task::Waker;
#[cfg(feature = "serve")]
use core::time::Duration;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;
use tokio::time::Instant;
use ztl_core::{Arrival, Direction, Timestamp, WebHost};
use ztl_mtls::ProvedChain;

use super::grounds::{Grounds, Why};
use super::shown::{Connection, ConnectionState};
use crate::guard::Guard;
#[cfg(feature = "serve")]
use crate::serve::{Activity, Busy, Verdict};
use crate::watch;

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
    pub(super) named: Option<Box<str>>,
    /// The change of our own SVID that the handshake fell under, where we showed one.
    own: Option<u64>,
    pub(super) own_not_after: Timestamp,
    /// What proved the peer; empty for a caller without SVID on a public port.
    pub(super) chain: OnceLock<ProvedChain>,
    /// The host outside the mesh that was proved.
    pub(super) host: OnceLock<WebHost>,
    /// The server name that the client asked for in its handshake.
    #[cfg(feature = "serve")]
    server_name: OnceLock<Box<str>>,
    pub(super) grounds: ArcSwapOption<Grounds>,
    state: AtomicU8,
    /// Why it was ended, where that is no revocation.
    cause: OnceLock<&'static str>,
    /// When it is cut though something runs, in milliseconds.
    deadline: AtomicU64,
    changed: Notify,
    wakers: Mutex<[Option<Waker>; 2]>,
    /// When it is drained because it has lasted long enough.
    aged: Timestamp,
    #[cfg(any(feature = "client", feature = "serve"))]
    pub(super) raw: super::raw::Raw,
    #[cfg(feature = "client")]
    pub(super) sent: super::sent::Sent,
    /// What its peer has running on all its connections.
    #[cfg(feature = "serve")]
    busy: OnceLock<Busy>,
    /// Whether it is used, where a host has it.
    #[cfg(feature = "serve")]
    hosted: OnceLock<Activity>,
    /// What a host serves on it is judged.
    #[cfg(feature = "serve")]
    protected: core::sync::atomic::AtomicBool,
    /// It was told to come to its end in good order.
    #[cfg(feature = "serve")]
    parting: core::sync::atomic::AtomicBool,
    #[cfg(feature = "serve")]
    pub(super) requests: super::request::Requests,
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
        if shows { live } else { live.showing_nothing() }
    }

    /// One on which we prove ourselves by no SVID, so that none of it rests on ours.
    #[cfg(any(feature = "client", feature = "serve"))]
    fn showing_nothing(self) -> Self {
        Self {
            own: None,
            own_not_after: Timestamp::MAX,
            ..self
        }
    }

    /// A connection of ours to the workload of this name.
    #[cfg(feature = "client")]
    pub(crate) fn egress(guard: &Guard, named: &str, port: u16) -> Self {
        let (named, arrival) = (Some(named.into()), Arrival::unknown());
        Self::new(guard, Direction::Egress, arrival, port, named)
    }

    /// A connection of ours to a host outside the mesh, at this address.
    #[cfg(feature = "client")]
    pub(crate) fn external(guard: &Guard, at: Arrival, port: u16) -> Self {
        Self::new(guard, Direction::Egress, at, port, None).showing_nothing()
    }

    /// One that was permitted, of nobody.
    #[cfg(all(test, feature = "client"))]
    pub(crate) fn for_test(permit: ztl_core::FlowPermit) -> Self {
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
            host: OnceLock::new(),
            #[cfg(feature = "serve")]
            server_name: OnceLock::new(),
            grounds: ArcSwapOption::empty(),
            state: AtomicU8::new(0),
            cause: OnceLock::new(),
            deadline: AtomicU64::new(u64::MAX),
            changed: Notify::new(),
            wakers: Mutex::new([None, None]),
            aged: Timestamp::MAX,
            #[cfg(any(feature = "client", feature = "serve"))]
            raw: super::raw::Raw::default(),
            #[cfg(feature = "client")]
            sent: super::sent::Sent::default(),
            #[cfg(feature = "serve")]
            busy: OnceLock::new(),
            #[cfg(feature = "serve")]
            hosted: OnceLock::new(),
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

    /// What the sweeper does with it. A connection in its handshake is judged at its end.
    pub(super) fn sweep(self: &Arc<Self>, guard: &Guard) {
        let now = guard.now();
        if self.state() == State::Revoked || self.grounds.load().is_none() {
            return;
        }
        if now.as_unix_millis() >= self.deadline.load(Ordering::Acquire) {
            return self.ends("drained");
        }
        if self.is_stale(guard, now) && self.judge(guard, Why::Changed).is_err() {
            return self.revoke();
        }
        if self.is_without_own(guard) {
            let by = now.saturating_add(guard.limits().rotation);
            self.drain(by.min(self.own_not_after(guard)));
        } else if guard.is_shutting_down() || self.is_aged(now) {
            self.drain(now.saturating_add(guard.limits().drain));
        }
        #[cfg(feature = "serve")]
        if let Some(activity) = self.hosted.get().filter(|_| !self.is_raw()) {
            let limits = guard.limits();
            match activity.judge((limits.header, limits.idle, limits.idle)) {
                Verdict::Silent => return self.ends("closed"),
                Verdict::Idle => self.drain(now.saturating_add(guard.limits().drain)),
                Verdict::Keep(_) => {}
            }
        }
        #[cfg(any(feature = "client", feature = "serve"))]
        self.sweep_raw(guard, now);
        #[cfg(feature = "client")]
        self.sweep_sent(guard);
        #[cfg(feature = "serve")]
        self.requests.sweep(self, guard, now);
    }

    /// Whether the SVID of ours that it rests on is another by now, or outside the mesh, where none is shown, withdrawn (rule 30).
    fn is_without_own(&self, guard: &Guard) -> bool {
        let identity = guard.identity();
        match self.own {
            Some(own) => own != identity.generation(),
            None => self.host.get().is_some() && identity.presentable().is_err(),
        }
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

    /// Whether something runs on it that rests on what is no longer so.
    pub(super) fn is_behind(&self, guard: &Guard, now: Timestamp) -> bool {
        #[cfg(any(feature = "client", feature = "serve"))]
        if self.is_raw_behind(guard, now) {
            return true;
        }
        #[cfg(feature = "client")]
        if self.is_sent_behind(guard) {
            return true;
        }
        #[cfg(feature = "serve")]
        return self.requests.are_behind(guard, now);
        #[cfg(not(feature = "serve"))]
        {
            let _ = (guard, now);
            false
        }
    }

    /// Whether it has lasted long enough.
    pub(crate) fn is_aged(&self, now: Timestamp) -> bool {
        now >= self.aged
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

    /// Ends it now though nothing was withdrawn that it rests on, by this cause.
    fn ends(&self, cause: &'static str) {
        let _ = self.cause.set(cause);
        self.revoke();
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

    /// Why it is over.
    pub(super) fn cause(&self) -> &'static str {
        match (self.grounds.load().is_some(), self.state()) {
            (false, _) => "unproved",
            (true, State::Open) => "closed",
            (true, State::Draining) => "drained",
            (true, State::Revoked) => self.cause.get().copied().unwrap_or("revoked"),
        }
    }

    /// Says that it is over, and why.
    pub(super) fn tell_end(&self, guard: &Guard) {
        let cause = self.cause();
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

    /// When our own SVID ends: the one that the handshake showed, or outside the mesh, where none is shown, the one in force (rule 30).
    pub(super) fn own_not_after(&self, guard: &Guard) -> Timestamp {
        match self.host.get() {
            Some(_) => guard.identity().load().not_after(),
            None => self.own_not_after,
        }
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.state() == State::Revoked
    }

    /// A host has it. From here on it has to be used, and the sweeper sees to that (T35).
    #[cfg(feature = "serve")]
    pub(crate) fn hosted(&self) -> &Activity {
        self.hosted.get_or_init(|| Activity::new(self.busy()))
    }

    /// Its requests count among those of its peer.
    #[cfg(feature = "serve")]
    pub(crate) fn shares(&self, busy: Busy) {
        let _ = self.busy.set(busy);
    }

    #[cfg(feature = "serve")]
    pub(crate) fn busy(&self) -> Option<Busy> {
        self.busy.get().cloned()
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
            host: self.host.get().map(|host| host.name().to_owned()),
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
