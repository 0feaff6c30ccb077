//! Whether a connection is used: one that asks nothing keeps no slot for ever (T35).

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use tokio::time::Instant;

use super::share::Busy;

/// The requests of one connection, counted.
#[derive(Clone)]
pub(crate) struct Activity(Arc<State>);

struct State {
    since: Instant,
    asked: AtomicBool,
    running: AtomicUsize,
    /// When the last request ended, or the last of its answer was written, in milliseconds after `since`.
    last: AtomicU64,
    /// Since when something waits to be written that the client does not take, counted so from one on. Zero: nothing does.
    unwritten: AtomicU64,
    /// What its peer has running here altogether, where one is proved.
    peer: Option<Busy>,
}

/// What to do with a connection now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It never asked anything, or takes nothing of what it asked for: cut it.
    Silent,
    /// Nothing runs, and nothing did for the idle limit: drain it.
    Idle,
    /// Look again then.
    Keep(Instant),
}

impl Activity {
    /// Of a connection of this peer, where one is proved.
    pub(crate) fn new(peer: Option<Busy>) -> Self {
        Self(Arc::new(State {
            since: Instant::now(),
            asked: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            last: AtomicU64::new(0),
            unwritten: AtomicU64::new(0),
            peer,
        }))
    }

    /// A request begins. It runs until the ticket is dropped.
    pub(crate) fn begin(&self) -> Ticket {
        self.0.running.fetch_add(1, Ordering::AcqRel);
        self.0.asked.store(true, Ordering::Release);
        Ticket {
            counts: self.0.peer.as_ref().map(Busy::begin),
            activity: self.clone(),
        }
    }

    pub(super) fn has_asked(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }

    /// A write was tried, and waits for the client or does not. An answer runs until it is written: whoever reads slowly, and reads,
    /// is not idle.
    pub(crate) fn wrote(&self, waits: bool) {
        let waited = self.0.unwritten.load(Ordering::Acquire) != 0;
        if waits && !waited {
            let since = self.0.millis().saturating_add(1);
            self.0.unwritten.store(since, Ordering::Release);
        } else if waited && !waits {
            self.0.last.fetch_max(self.0.millis(), Ordering::AcqRel);
            self.0.unwritten.store(0, Ordering::Release);
        }
    }

    /// Whether something waits to be written.
    pub(super) fn is_writing(&self) -> bool {
        self.0.unwritten.load(Ordering::Acquire) != 0
    }

    /// What to do with one that has so long to ask for the first time, so long between two requests, and so long to take a part of an
    /// answer.
    pub(crate) fn judge(&self, (first, idle, taken): (Duration, Duration, Duration)) -> Verdict {
        let now = Instant::now();
        let due = |from: Instant, limit: Duration| from.checked_add(limit).filter(|due| now < *due);
        if !self.0.asked.load(Ordering::Acquire) {
            return due(self.0.since, first).map_or(Verdict::Silent, Verdict::Keep);
        }
        let later = |limit| later(now, limit);
        let unwritten = self.0.unwritten.load(Ordering::Acquire);
        if self.0.running.load(Ordering::Acquire) > 0 {
            let idle = later(idle);
            let Some(since) = unwritten.checked_sub(1) else {
                return Verdict::Keep(idle);
            };
            // What a service still answers may wait for a client that never takes it.
            let since = self.0.since.checked_add(Duration::from_millis(since));
            return match since.and_then(|since| since.checked_add(taken)) {
                Some(end) if end <= now => Verdict::Silent,
                Some(end) => Verdict::Keep(end.min(idle)),
                None => Verdict::Keep(idle),
            };
        }
        let (last, idle) = match unwritten {
            0 => (self.0.last.load(Ordering::Acquire), idle),
            since => (since.saturating_sub(1), taken),
        };
        let last = Duration::from_millis(last);
        match self.0.since.checked_add(last) {
            Some(last) if last.checked_add(idle).is_some() => {
                due(last, idle).map_or(Verdict::Idle, Verdict::Keep)
            }
            _ => Verdict::Keep(later(FAR_OFF)),
        }
    }
}

impl State {
    fn millis(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// So long after that; far off, where an absurd limit cannot be added.
pub(super) fn later(now: Instant, limit: Duration) -> Instant {
    now.checked_add(limit).unwrap_or(now + FAR_OFF)
}

const FAR_OFF: Duration = Duration::from_secs(86_400);

/// One running request.
pub(crate) struct Ticket {
    activity: Activity,
    /// Whether its peer may have it running, where one is proved.
    counts: Option<bool>,
}

impl Ticket {
    /// Whether its peer has as many running as it may (T35).
    pub(super) fn is_too_many(&self) -> bool {
        self.counts == Some(false)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let state = &self.activity.0;
        if let (Some(true), Some(peer)) = (self.counts, &state.peer) {
            peer.end();
        }
        state.last.fetch_max(state.millis(), Ordering::AcqRel);
        state.running.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn limits(first: u64, idle: u64) -> (Duration, Duration, Duration) {
        let taken = Duration::from_secs(60);
        (
            Duration::from_millis(first),
            Duration::from_millis(idle),
            taken,
        )
    }

    #[test]
    fn t35_a_connection_that_asks_nothing_is_silent_and_then_idle() {
        let activity = Activity::new(None);
        assert_eq!(activity.judge(limits(0, 0)), Verdict::Silent);
        assert!(matches!(
            activity.judge(limits(60_000, 0)),
            Verdict::Keep(_)
        ));
        let (one, two) = (activity.begin(), activity.begin());
        drop(one);
        assert!(
            matches!(activity.judge(limits(0, 0)), Verdict::Keep(_)),
            "one still runs"
        );
        let zero = (Duration::ZERO, Duration::MAX, Duration::ZERO);
        activity.wrote(true);
        let kept = activity.judge(limits(0, 0));
        assert!(matches!(kept, Verdict::Keep(_)), "it may still be taken");
        assert_eq!(activity.judge(zero), Verdict::Silent, "nobody takes it");
        activity.wrote(false);
        assert!(matches!(activity.judge(zero), Verdict::Keep(_)));
        drop(two);
        assert_eq!(activity.judge(limits(0, 0)), Verdict::Idle);
        assert!(matches!(
            activity.judge(limits(0, 60_000)),
            Verdict::Keep(_)
        ));
        let never = (Duration::ZERO, Duration::MAX, Duration::MAX);
        assert!(matches!(activity.judge(never), Verdict::Keep(_)));
        activity.wrote(true);
        assert!(activity.is_writing());
        let kept = activity.judge(limits(0, 0));
        assert!(matches!(kept, Verdict::Keep(_)), "an answer is on its way");
        assert_eq!(activity.judge(zero), Verdict::Idle, "nobody takes it");
        activity.wrote(false);
        assert_eq!(activity.judge(limits(0, 0)), Verdict::Idle);
    }
}
