//! How long a task that fetches sleeps.

use core::hash::{BuildHasher, Hasher};
use core::time::Duration;
use std::hash::RandomState;

use ztl_core::Timestamp;

/// Longest sleep, so that a machine that was asleep, or whose clock was set, notices soon.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Until then, and up to a tenth longer, of the last minute where it is more: services that started together do not ask
/// together.
pub(crate) fn pause(at: Timestamp, now: Timestamp) -> Duration {
    let wait = at.since(now);
    let draw = RandomState::new().build_hasher().finish() % 100;
    let more = wait
        .checked_div(1000)
        .and_then(|unit| unit.checked_mul(u32::try_from(draw).unwrap_or(0)))
        .unwrap_or_default();
    (wait + more).clamp(Duration::from_millis(1), LONGEST_SLEEP)
}
