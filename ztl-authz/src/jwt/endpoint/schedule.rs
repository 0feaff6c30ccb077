//! When keys are fetched, and how long the last good ones count (rule 63).

use core::time::Duration;

use ztl_core::Timestamp;

/// How often keys are fetched again where nothing else is said.
pub const DEFAULT_REFRESH: Duration = Duration::from_secs(300);
/// The least time between two fetches where nothing else is said, whatever is asked for in between.
pub const DEFAULT_COOL_DOWN: Duration = Duration::from_secs(30);
/// How long keys count after the last good answer where nothing else is said.
pub const DEFAULT_MAX_STALE: Duration = Duration::from_secs(3600);
/// The least that any of them can be set to.
const SHORTEST: Duration = Duration::from_secs(1);
/// The most that any of them can be set to.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Clone, Debug)]
pub(super) struct Schedule {
    refresh: Duration,
    cool_down: Duration,
    max_stale: Duration,
    /// When the last fetch was handed out.
    tried: Option<Timestamp>,
    next: Timestamp,
    /// When a good answer last came, while its keys are in force.
    good: Option<Timestamp>,
}

impl Default for Schedule {
    /// The first is due at once.
    fn default() -> Self {
        Self {
            refresh: DEFAULT_REFRESH,
            cool_down: DEFAULT_COOL_DOWN,
            max_stale: DEFAULT_MAX_STALE,
            tried: None,
            next: Timestamp::EPOCH,
            good: None,
        }
    }
}

impl Schedule {
    pub(super) fn set_refresh(&mut self, every: Duration) {
        self.refresh = every.clamp(SHORTEST, LONGEST);
    }

    pub(super) fn set_cool_down(&mut self, span: Duration) {
        self.cool_down = span.clamp(SHORTEST, LONGEST);
    }

    pub(super) fn set_max_stale(&mut self, span: Duration) {
        self.max_stale = span.clamp(SHORTEST, LONGEST);
    }

    pub(super) const fn refresh(&self) -> Duration {
        self.refresh
    }

    pub(super) const fn good(&self) -> Option<Timestamp> {
        self.good
    }

    /// From when on the keys held count no more.
    pub(super) fn ends(&self) -> Option<Timestamp> {
        Some(self.good?.saturating_add(self.max_stale))
    }

    pub(super) const fn withdraw(&mut self) {
        self.good = None;
    }

    /// When something is to be done again; `None` where a fetch is due.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Timestamp> {
        // T23: a clock that was set back must neither put a fetch off by as much, nor keep keys for longer.
        let wait = self.refresh.max(self.cool_down);
        if self.next.since(now) > wait {
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
    pub(super) fn tried_at(&mut self, now: Timestamp) {
        self.tried = Some(now);
        self.next = now.saturating_add(self.cool_down);
    }

    pub(super) fn good_at(&mut self, now: Timestamp) {
        self.good = Some(now);
        self.next = now.saturating_add(self.refresh.max(self.cool_down));
    }

    /// Somebody would have it sooner: as soon as the cool-down lets it be, by time alone (rule 63).
    pub(super) fn hasten(&mut self, now: Timestamp) {
        let cooled = self
            .tried
            .map_or(now, |tried| tried.min(now).saturating_add(self.cool_down));
        self.next = self.next.min(cooled.max(now));
    }
}
