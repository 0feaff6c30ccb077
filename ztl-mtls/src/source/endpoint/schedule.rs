//! When a bundle is fetched, and how long the last one counts (Federation §4.1, §6.2; rules 23 and 30).

use core::time::Duration;

use ztl_core::Timestamp;

/// How long until the next refresh where a bundle does not say (§4.1), and the longest wait after a failure.
pub const DEFAULT_REFRESH: Duration = Duration::from_secs(300);
/// The least that a hint comes to, whatever it says.
pub const SHORTEST_REFRESH: Duration = Duration::from_secs(30);
/// The most that a hint comes to, whatever it says.
pub const LONGEST_REFRESH: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the last good bundle stays in force when no refresh succeeds, where nothing else is said (rule 30).
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Clone, Debug)]
pub(super) struct Schedule {
    shortest: Duration,
    longest: Duration,
    /// `None` is for ever.
    pub(super) max_age: Option<Duration>,
    next: Timestamp,
    /// When a good bundle last came.
    good: Option<Timestamp>,
    withdrawn: bool,
}

impl Default for Schedule {
    /// The first is due at once.
    fn default() -> Self {
        Self {
            shortest: SHORTEST_REFRESH,
            longest: LONGEST_REFRESH,
            max_age: Some(DEFAULT_MAX_AGE),
            next: Timestamp::EPOCH,
            good: None,
            withdrawn: false,
        }
    }
}

impl Schedule {
    pub(super) fn bound(&mut self, shortest: Duration, longest: Duration) {
        self.shortest = shortest.max(LEAST);
        self.longest = longest.max(self.shortest);
    }

    /// T23: what came at a moment to come, by a clock that was set back since, must not be younger for it.
    pub(super) fn seen_at(&mut self, now: Timestamp) {
        self.good = self.good.map(|good| good.min(now));
    }

    pub(super) const fn is_in_force(&self) -> bool {
        self.good.is_some() && !self.withdrawn
    }

    pub(super) fn is_past_its_age(&self, now: Timestamp) -> bool {
        self.is_in_force() && self.ends().is_some_and(|end| now >= end)
    }

    pub(super) const fn withdraw(&mut self) {
        self.withdrawn = true;
    }

    pub(super) const fn good_at(&mut self, at: Timestamp) {
        self.good = Some(at);
        self.withdrawn = false;
    }

    pub(super) const fn good(&self) -> Option<Timestamp> {
        self.good
    }

    /// When something is to be done again; `None` where that is now.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Timestamp> {
        // T23: a clock that was set back must not put the refresh off by as much.
        if self.next.since(now) > self.longest {
            self.next = now;
        }
        if now >= self.next {
            return None;
        }
        let end = self.ends().filter(|_| self.is_in_force());
        Some(end.map_or(self.next, |end| end.min(self.next)))
    }

    pub(super) fn refreshed_at(&mut self, now: Timestamp, hint: Option<Duration>) {
        self.next = now.saturating_add(self.interval(hint));
    }

    pub(super) fn failed_at(&mut self, now: Timestamp, hint: Option<Duration>) -> Timestamp {
        let wait = self.interval(hint).min(DEFAULT_REFRESH.max(self.shortest));
        self.next = now.saturating_add(wait);
        self.next
    }

    fn interval(&self, hint: Option<Duration>) -> Duration {
        let wait = hint
            .unwrap_or(DEFAULT_REFRESH)
            .clamp(self.shortest, self.longest);
        // Else a bundle whose endpoint is well would be withdrawn before the next one is fetched.
        self.max_age
            .map_or(wait, |age| wait.min((age / 2).max(LEAST)))
    }

    pub(super) fn ends(&self) -> Option<Timestamp> {
        Some(self.good?.saturating_add(self.max_age?))
    }
}

/// Less is never waited, whatever is asked for.
const LEAST: Duration = Duration::from_secs(1);
