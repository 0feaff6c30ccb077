//! The guard of the clock: which `now` is believed (T23).

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use crate::time::Timestamp;

/// How far one clock may lie behind another: `now` behind the latest `now` that was seen, before it is no longer trusted (T23).
pub const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// How far ahead of the latest `now` another may lie without a second one that agrees: longer than a machine sleeps (T23).
pub const CLOCK_LEAP: Duration = Duration::from_secs(7 * 24 * 3600);

/// The latest `now` that was seen.
#[derive(Debug, Default)]
pub(super) struct Clock {
    latest: AtomicU64,
    /// One that lay too far ahead, and waits for a second that agrees.
    leap: AtomicU64,
}

impl Clock {
    /// Time stands or goes on; a step back is a clock that was set, and one far ahead is believed only when a second
    /// reading agrees, so that one wrong reading does not deny everything that comes after it.
    pub(super) fn trusts(&self, now: Timestamp) -> bool {
        if now == Timestamp::EPOCH {
            return false;
        }
        // Mostly the clock stands since the last decision, and a load disturbs no other core.
        let latest = Timestamp::from_unix_millis(self.latest.load(Ordering::Acquire));
        if now <= latest {
            return now >= latest.saturating_sub(CLOCK_SKEW);
        }
        if latest != Timestamp::EPOCH && now.since(latest) > CLOCK_LEAP {
            let before =
                Timestamp::from_unix_millis(self.leap.swap(now.as_unix_millis(), Ordering::AcqRel));
            if before >= now || now.since(before) > CLOCK_SKEW {
                return false;
            }
        }
        let latest = self
            .latest
            .fetch_max(now.as_unix_millis(), Ordering::AcqRel);
        now >= Timestamp::from_unix_millis(latest).saturating_sub(CLOCK_SKEW)
    }

    /// Whether it lies so far behind the latest that it is one of a clock that was set back.
    pub(super) fn is_behind(&self, now: Timestamp) -> bool {
        let latest = Timestamp::from_unix_millis(self.latest.load(Ordering::Acquire));
        now < latest.saturating_sub(CLOCK_SKEW)
    }

    /// What [`trusts`](Self::trusts) would say, without moving anything.
    pub(super) fn would_trust(&self, now: Timestamp) -> bool {
        let millis = |at: &AtomicU64| Timestamp::from_unix_millis(at.load(Ordering::Acquire));
        let (latest, leap) = (millis(&self.latest), millis(&self.leap));
        let leaps = latest != Timestamp::EPOCH && now > latest && now.since(latest) > CLOCK_LEAP;
        let agreed = leap < now && now.since(leap) <= CLOCK_SKEW;
        now != Timestamp::EPOCH && now >= latest.saturating_sub(CLOCK_SKEW) && (!leaps || agreed)
    }
}
