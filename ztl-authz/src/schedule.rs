//! When something is fetched again, and how long the last good answer counts (rules 57, 63).

use core::time::Duration;

use ztl_core::Timestamp;

/// The least that any of them can be set to.
const SHORTEST: Duration = Duration::from_secs(1);
/// The most that any of them can be set to.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    refresh: Duration,
    cool_down: Duration,
    max_stale: Duration,
    /// When the last fetch was handed out.
    tried: Option<Timestamp>,
    next: Timestamp,
    /// The longest that `next` can be ahead.
    longest: Duration,
    /// When a good answer last came, while what it brought is in force.
    good: Option<Timestamp>,
}

impl Schedule {
    /// The first is due at once.
    pub(crate) const fn new(refresh: Duration, cool_down: Duration, max_stale: Duration) -> Self {
        Self {
            refresh,
            cool_down,
            max_stale,
            tried: None,
            next: Timestamp::EPOCH,
            longest: Duration::ZERO,
            good: None,
        }
    }

    pub(crate) fn set_refresh(&mut self, every: Duration) {
        self.refresh = every.clamp(SHORTEST, LONGEST);
    }

    #[cfg(any(feature = "oidc", feature = "trust"))]
    pub(crate) fn set_cool_down(&mut self, span: Duration) {
        self.cool_down = span.clamp(SHORTEST, LONGEST);
    }

    pub(crate) fn set_max_stale(&mut self, span: Duration) {
        self.max_stale = span.clamp(SHORTEST, LONGEST);
    }

    pub(crate) const fn refresh(&self) -> Duration {
        self.refresh
    }

    #[cfg(feature = "trust")]
    pub(crate) const fn cool_down(&self) -> Duration {
        self.cool_down
    }

    pub(crate) const fn good(&self) -> Option<Timestamp> {
        self.good
    }

    /// From when on what is held counts no more.
    pub(crate) fn ends(&self) -> Option<Timestamp> {
        Some(self.good?.saturating_add(self.max_stale))
    }

    pub(crate) const fn withdraw(&mut self) {
        self.good = None;
    }

    /// When something is to be done again; `None` where a fetch is due.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<Timestamp> {
        // T23: a clock that was set back must neither put a fetch off by as much, nor keep anything for longer.
        if self.next.since(now) > self.longest {
            self.next = now;
        }
        if self.tried.is_some_and(|tried| tried > now) {
            self.tried = Some(now);
        }
        if self.good.is_some_and(|good| good > now) {
            self.good = Some(now);
        }
        if now >= self.next {
            return None;
        }
        Some(self.ends().map_or(self.next, |end| end.min(self.next)))
    }

    /// A fetch is handed out: it counts as tried, whatever comes of it.
    pub(crate) fn tried_at(&mut self, now: Timestamp) {
        self.tried = Some(now);
        self.next_in(now, self.cool_down);
    }

    pub(crate) fn good_at(&mut self, now: Timestamp) {
        self.good = Some(now);
        self.next_in(now, self.refresh.max(self.cool_down));
    }

    fn next_in(&mut self, now: Timestamp, span: Duration) {
        self.longest = span;
        self.next = now.saturating_add(span);
    }

    /// The next fetch is due after this long, but never sooner than the cool-down after the last.
    #[cfg(any(feature = "bundle", feature = "trust"))]
    pub(crate) fn wait(&mut self, now: Timestamp, span: Duration) {
        let cooled = self.cooled(now).since(now);
        self.next_in(now, span.max(cooled));
    }

    /// When the cool-down lets the next fetch be, by time alone (rule 63).
    fn cooled(&self, now: Timestamp) -> Timestamp {
        self.tried
            .map_or(now, |tried| tried.min(now).saturating_add(self.cool_down))
    }

    /// Somebody would have it sooner: as soon as the cool-down lets it be.
    #[cfg(feature = "oidc")]
    pub(crate) fn hasten(&mut self, now: Timestamp) {
        self.next = self.next.min(self.cooled(now).max(now));
    }
}
