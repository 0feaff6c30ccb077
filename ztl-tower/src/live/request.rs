//! A running request: judged again while it lives.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::task::Waker;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use http::HeaderMap;
use slab::Slab;
use tokio::time::Instant;
use ztl_core::{
    ActionPermit, Attributes, Claims, Evidence, Forwarding, Reason, SpiffeId, Timestamp,
};

use super::again::{Again, Runs};
use super::connection::Live;
use super::grounds::Why;
use crate::gather::{Gathered, Scored};
use crate::guard::Guard;
use crate::host::Host;
use crate::name::{Fields, WireTarget};
use crate::serve::Ticket;

/// What expires within so many milliseconds is looked at then; what expires later, by the wall clock (T23).
const SOON: u64 = 1000;

/// The running requests of a connection.
pub(super) struct Requests {
    running: Mutex<Slab<Weak<Request>>>,
    /// Whether there was any.
    begun: AtomicBool,
    /// Those that turned into another protocol, out of our sight: they run for as long as the connection is held.
    upgraded: Mutex<Vec<Arc<Request>>>,
    /// The policy under which they were judged.
    epoch: AtomicU64,
    /// What was known of callers and of issuers by then.
    evidence: AtomicU64,
    /// How far scores had drifted by then, or before: who was judged by one since may have another.
    drift: AtomicU64,
    /// How many of those that run were judged by a score: nothing of the others drifts.
    scored: AtomicUsize,
    /// When the first thing that one of them rests on expires, in milliseconds.
    due: AtomicU64,
    /// Those whose judgement could take long.
    pub(super) again: Again,
}

impl Requests {
    /// Of a connection that begins under this policy and with this evidence.
    pub(super) fn new(epoch: u64, evidence: u64) -> Self {
        Self {
            running: Mutex::default(),
            begun: AtomicBool::new(false),
            upgraded: Mutex::default(),
            epoch: AtomicU64::new(epoch),
            evidence: AtomicU64::new(evidence),
            drift: AtomicU64::new(0),
            scored: AtomicUsize::new(0),
            due: AtomicU64::new(u64::MAX),
            again: Again::default(),
        }
    }

    /// Judges those again that rest on an earlier policy, earlier signals or earlier keys of issuers, or all where something that one
    /// rests on has expired (T15). Where only what callers did is another, those whose score is.
    pub(super) fn sweep(&self, live: &Arc<Live>, guard: &Guard, now: Timestamp) {
        self.again.cut_overdue(guard);
        let of_policy = guard.engine().epoch();
        let of_evidence = guard.evidence_generation();
        // Both are taken over, whichever is another.
        let changed = (self.epoch.swap(of_policy, Ordering::AcqRel) != of_policy)
            | (self.evidence.swap(of_evidence, Ordering::AcqRel) != of_evidence);
        let expired = now.as_unix_millis() >= self.due.load(Ordering::Acquire);
        let drift = guard.score_drift();
        // In this order: whoever is judged by a score meanwhile counts before it says which drift it saw.
        let drifted = self.drift.swap(drift, Ordering::AcqRel) != drift && self.any_scored();
        if !changed && !expired {
            if drifted {
                let requests = self.all().into_iter();
                requests
                    .filter(|request| request.has_another_score(guard, now))
                    .for_each(|request| self.judge(live, guard, request));
            }
            return;
        }
        // Those that are still authorized say when they expire themselves.
        self.due.store(u64::MAX, Ordering::Release);
        for request in self.all() {
            self.judge(live, guard, request);
        }
    }

    /// Whether a sweep may have something to judge.
    pub(super) fn are_behind(&self, guard: &Guard, now: Timestamp) -> bool {
        let outdated = self.epoch.load(Ordering::Acquire) != guard.engine().epoch()
            || self.evidence.load(Ordering::Acquire) != guard.evidence_generation()
            || self.any_scored() && self.drift.load(Ordering::Acquire) != guard.score_drift()
            || now.as_unix_millis() >= self.due.load(Ordering::Acquire);
        outdated && self.len() > 0
    }

    fn any_scored(&self) -> bool {
        self.scored.load(Ordering::Acquire) > 0
    }

    fn judge(&self, live: &Arc<Live>, guard: &Guard, request: Arc<Request>) {
        if request.is_heavy(guard) {
            self.again.add(live, guard, request);
        } else {
            request.judge(guard);
        }
    }

    /// When something of it is due.
    pub(super) fn due(&self, now: Timestamp) -> Option<Instant> {
        let expires = self.due.load(Ordering::Acquire);
        let wait = expires.saturating_sub(now.as_unix_millis());
        let expires = (expires != u64::MAX && wait < SOON)
            .then(|| Instant::now() + Duration::from_millis(wait));
        expires.into_iter().chain(self.again.by()).min()
    }

    pub(super) fn cut_all(&self) {
        for request in self.all() {
            request.end();
        }
    }

    pub(super) fn release(&self) {
        let upgraded = core::mem::take(&mut *lock(&self.upgraded));
        drop(upgraded);
    }

    /// Whether none has begun so far.
    pub(super) fn none_yet(&self) -> bool {
        !self.begun.load(Ordering::Acquire)
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.running).len()
    }

    fn all(&self) -> Vec<Arc<Request>> {
        let running = lock(&self.running);
        (running.iter())
            .filter_map(|(_, request)| request.upgrade())
            .collect()
    }
}

/// How a request is carried, and so how it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// It has the connection to itself (HTTP/1.1).
    Alone,
    /// It is one of several, in a task of its own (HTTP/2).
    AmongOthers,
    /// It is one of several, in a server of the host's own: nobody here can end it alone.
    Elsewhere,
}

/// Most streams of one connection that are kept because nobody here sees their end.
const MAX_STREAMS: usize = 256;

/// What a request was judged as. Holds a credential: it has no `Debug`.
pub(super) struct Asked {
    pub(super) wire: WireTarget,
    pub(super) host: Host,
    pub(super) claims: Option<Claims>,
    /// With which key they were verified.
    #[cfg(feature = "jwt")]
    pub(super) key: Option<ztl_authz::jwt::KeyFingerprint>,
    /// Where a rule read any.
    pub(super) headers: Option<HeaderMap>,
    /// What the service said of it.
    pub(super) context: Option<Attributes>,
    /// Where its caller might pass ids on.
    pub(super) forwards_in: Option<Forwarding>,
    /// Whom it did.
    pub(super) forwarded: Option<SpiffeId>,
}

impl Asked {
    /// The claims of its token, while the key of that is in use.
    fn claims(&self, guard: &Guard, now: Timestamp) -> Option<&Claims> {
        let claims = self.claims.as_ref();
        claims.filter(|_| self.vouched_until(guard, now).is_some())
    }

    /// Until when the key that the token was verified with is in use, as far as is known. One that is gone leaves a request as one
    /// with a bad token.
    #[cfg(feature = "jwt")]
    fn vouched_until(&self, guard: &Guard, now: Timestamp) -> Option<Timestamp> {
        match &self.key {
            Some(key) => guard.holds_token_key_until(key, now),
            None => Some(Timestamp::MAX),
        }
    }

    #[cfg(not(feature = "jwt"))]
    const fn vouched_until(&self, _: &Guard, _: Timestamp) -> Option<Timestamp> {
        Some(Timestamp::MAX)
    }
}

/// Who waits for a request to be cut.
#[derive(Clone, Copy)]
pub(crate) enum Waits {
    /// The task that answers it.
    Task,
    /// Whoever reads its body.
    Body,
}

/// A running request, for as long as anything of it is held: what answers it, either body, its task.
pub(crate) struct Request {
    live: Arc<Live>,
    /// Its place among those that run.
    key: usize,
    carried: Carried,
    cut: AtomicBool,
    became_stream: AtomicBool,
    wakers: Mutex<[Option<Waker>; 2]>,
    asked: Mutex<Option<Arc<Asked>>>,
    /// By which score it was judged last.
    scored: Mutex<Scored>,
    /// Whether it waits to be judged again.
    again: AtomicBool,
    /// It counts as running while this is there.
    ticket: Mutex<Option<Ticket>>,
}

impl Request {
    /// A request begins: it is known before it is judged.
    pub(crate) fn begin(live: &Arc<Live>, carried: Carried, ticket: Ticket) -> Arc<Self> {
        let requests = &live.requests;
        requests.begun.store(true, Ordering::Release);
        let mut running = lock(&requests.running);
        let place = running.vacant_entry();
        let request = Arc::new(Self {
            live: Arc::clone(live),
            key: place.key(),
            carried,
            cut: AtomicBool::new(false),
            became_stream: AtomicBool::new(false),
            wakers: Mutex::default(),
            asked: Mutex::default(),
            scored: Mutex::default(),
            again: AtomicBool::new(false),
            ticket: Mutex::new(Some(ticket)),
        });
        place.insert(Arc::downgrade(&request));
        drop(running);
        request
    }

    pub(crate) const fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// It was authorized as this, by evidence of that generation. Where either is outdated already, it is judged again at once:
    /// whoever looked at what runs in between did not know yet as what (T5).
    pub(super) fn authorized(
        &self,
        guard: &Guard,
        permit: &ActionPermit,
        evidence: u64,
        asked: Asked,
        scored: Scored,
    ) {
        let now = guard.now();
        let vouched = asked.vouched_until(guard, now);
        *lock(&self.asked) = Some(Arc::new(asked));
        self.scored_as(scored);
        self.holds_until(permit, vouched);
        if guard.evidence_generation() != evidence
            || vouched.is_none()
            || !guard.engine().is_current(permit, now)
        {
            self.judge(guard);
        }
    }

    /// It was judged by that score. What drifted since, by its own record at the least, is for the sweeper to look at.
    pub(super) fn scored_as(&self, scored: Scored) {
        let requests = &self.live.requests;
        let mut held = lock(&self.scored);
        let before = core::mem::replace(&mut *held, scored);
        // While it is locked, so that what is counted is what is held.
        match (before.is_any(), scored.is_any()) {
            (false, true) => drop(requests.scored.fetch_add(1, Ordering::AcqRel)),
            (true, false) => drop(requests.scored.fetch_sub(1, Ordering::AcqRel)),
            _ => {}
        }
        drop(held);
        if scored.is_any() {
            requests.drift.fetch_min(scored.drift, Ordering::AcqRel);
        }
    }

    fn asked(&self) -> Option<Arc<Asked>> {
        lock(&self.asked).clone()
    }

    /// Whether judging it again could take so long that nobody must wait for it.
    fn is_heavy(&self, guard: &Guard) -> bool {
        let (Some(asked), Some(flow)) = (self.asked(), self.live.permit()) else {
            return false;
        };
        let action = asked.wire.action();
        action.is_ok_and(|action| guard.engine().asks_heavy(&flow, Some(&action)))
    }

    /// Whether its caller would get another score than it was judged by.
    fn has_another_score(&self, guard: &Guard, now: Timestamp) -> bool {
        let scored = *lock(&self.scored);
        let (true, Some(asked), Some(flow)) = (scored.is_any(), self.asked(), self.live.permit())
        else {
            return false;
        };
        scored.is_outdated(guard, &flow, asked.claims(guard, now), now)
    }

    /// Judges it again as what it was asked for; what is no longer authorized is cut.
    pub(super) fn judge(&self, guard: &Guard) {
        // First: what changes from here on has it judged once more.
        self.again.store(false, Ordering::Release);
        let judged = {
            let Some(asked) = self.asked() else { return };
            let Ok(flow) = self.live.current_for(guard, Why::Changed) else {
                return;
            };
            let Ok(action) = asked.wire.action() else {
                return self.cut();
            };
            if flow.reads_token() && asked.claims.is_none() && asked.wire.has_credential() {
                // T12: rules read tokens now, and this one's was not read: whom it speaks of is not known.
                return self.cut();
            }
            if flow.forwards_in() != asked.forwards_in {
                // T12: whom it speaks for was read elsewhere, or not at all.
                return self.cut();
            }
            let now = guard.now();
            let server_name = self.live.server_name();
            if !(asked.host).is_listed(flow.hosts(), guard.name(), server_name) {
                // T21, as at its beginning.
                let (engine, reason) = (guard.engine(), Reason::Misdirected);
                engine.refuse_again(&flow, Some(&action), reason, now);
                return self.cut();
            }
            let vouched = asked.vouched_until(guard, now);
            let claims = asked.claims.as_ref().filter(|_| vouched.is_some());
            let fields = |headers| Fields::new(headers, asked.forwards_in);
            let fields = asked.headers.as_ref().map(fields);
            let context = asked.context.clone();
            let gathered = Gathered::now(guard, &flow, claims, context, now);
            self.scored_as(gathered.scored());
            let mut evidence = gathered.beside(Evidence::none());
            if let Some(fields) = &fields {
                evidence = evidence.with_headers(fields);
            }
            if let Some(claims) = claims {
                evidence = evidence.with_claims(claims);
            }
            if let Some(forwarded) = &asked.forwarded {
                evidence = evidence.with_forwarded(forwarded);
            }
            let renew = || self.live.current_for(guard, Why::Changed);
            let engine = guard.engine();
            let judged = engine.authorize_again(&flow, renew, &action, &evidence, now);
            judged.map(|permit| (permit, vouched))
        };
        match judged {
            Ok((permit, vouched)) => self.holds_until(&permit, vouched),
            Err(_) => self.cut(),
        }
    }

    /// Until its permit ends, or the keys that vouch for its token: whoever should fetch others may hang, or be gone.
    fn holds_until(&self, permit: &ActionPermit, vouched: Option<Timestamp>) {
        // Without its token it was judged by the permit alone.
        let vouched = vouched.unwrap_or(Timestamp::MAX);
        let until = permit.expires_at().min(vouched).as_unix_millis();
        self.live.requests.due.fetch_min(until, Ordering::AcqRel);
    }

    /// It became another protocol: its stream is in the hands of the service, out of reach of everything but the connection.
    pub(crate) fn becomes_stream(self: &Arc<Self>) {
        self.became_stream.store(true, Ordering::SeqCst);
        // Taken first: a connection that ends cuts what runs before it lets go of what is kept here.
        let mut upgraded = lock(&self.live.requests.upgraded);
        if self.is_cut() {
            // It was cut before it could be seen to be a stream. Kept, it would keep its connection, and that it.
            drop(upgraded);
            return self.live.revoke();
        }
        if self.carried == Carried::AmongOthers {
            return;
        }
        if upgraded.len() < MAX_STREAMS {
            upgraded.push(Arc::clone(self));
        } else {
            // One that is not kept is not judged again.
            drop(upgraded);
            self.live.revoke();
        }
    }

    /// Ends it, and where it cannot be ended alone, its connection.
    fn cut(&self) {
        // The flag first: whoever becomes a stream from here on sees it.
        self.end();
        if self.carried != Carried::AmongOthers || self.became_stream.load(Ordering::SeqCst) {
            self.live.revoke();
        }
    }

    fn end(&self) {
        self.cut.store(true, Ordering::SeqCst);
        let wakers = core::mem::take(&mut *lock(&self.wakers));
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    /// Its answer is over. One that has its connection to itself runs no longer, whatever of it the service keeps: the next request
    /// may come, and its clock runs (T35).
    pub(crate) fn is_answered(&self) {
        if self.is_alone() && !self.became_stream.load(Ordering::SeqCst) {
            drop(lock(&self.ticket).take());
        }
    }

    pub(crate) const fn is_alone(&self) -> bool {
        matches!(self.carried, Carried::Alone)
    }

    /// Wakes this one when it is cut; tells whether it is already.
    pub(crate) fn parks(&self, waits: Waits, waker: &Waker) -> bool {
        {
            let mut wakers = lock(&self.wakers);
            let [task, body] = &mut *wakers;
            let parked = match waits {
                Waits::Task => task,
                Waits::Body => body,
            };
            match parked {
                Some(parked) => parked.clone_from(waker),
                None => *parked = Some(waker.clone()),
            }
        }
        self.is_cut()
    }
}

impl Runs for Request {
    fn waits_again(&self) -> bool {
        self.again.swap(true, Ordering::AcqRel)
    }

    fn judge_again(&self, guard: &Guard) {
        self.judge(guard);
    }

    fn ends_unjudged(&self, guard: &Guard) {
        let flow = self.live.current_for(guard, Why::Changed);
        if let (Some(asked), Ok(flow)) = (self.asked(), flow) {
            let (action, now) = (asked.wire.action().ok(), guard.now());
            let engine = guard.engine();
            engine.refuse_again(&flow, action.as_ref(), Reason::AuthorizerFailed, now);
        }
        self.cut();
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.scored_as(Scored::default());
        lock(&self.live.requests.running).try_remove(self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
