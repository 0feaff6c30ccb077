//! How long to wait between two fetches.

use core::hash::{BuildHasher as _, Hasher as _};
use core::time::Duration;
use std::hash::RandomState;

/// The shorter wait after a good answer, where nothing else is said: OPA's.
pub const DEFAULT_MIN_DELAY: Duration = Duration::from_secs(60);
/// The longer one, and the longest after failures.
pub const DEFAULT_MAX_DELAY: Duration = Duration::from_secs(120);
/// The wait after the first failure, before it is drawn.
const FIRST: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(super) struct Delay {
    least: Duration,
    most: Duration,
    failures: u32,
    state: u64,
}

impl Default for Delay {
    fn default() -> Self {
        Self {
            least: DEFAULT_MIN_DELAY,
            most: DEFAULT_MAX_DELAY,
            failures: 0,
            state: RandomState::new().build_hasher().finish(),
        }
    }
}

impl Delay {
    pub(super) fn between(self, least: Duration, most: Duration) -> Self {
        let most = most.max(SHORTEST);
        Self {
            least: least.clamp(SHORTEST, most),
            most,
            ..self
        }
    }

    pub(super) const fn seed(mut self, seed: u64) -> Self {
        self.state = seed;
        self
    }

    /// Between the two, so that a fleet that started together does not ask together.
    pub(super) fn after_success(&mut self) -> Duration {
        self.failures = 0;
        let span = self.most.saturating_sub(self.least);
        self.least.saturating_add(self.drawn(span))
    }

    /// From half of it to all of a wait that doubles each time.
    pub(super) fn after_failure(&mut self) -> Duration {
        let doubled = FIRST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1).min(31);
        let half = doubled.min(self.most) / 2;
        half.saturating_add(self.drawn(half))
    }

    /// From nothing to all of a span.
    fn drawn(&mut self, span: Duration) -> Duration {
        // SplitMix64: nothing here has to be hard to guess.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let thousandths = u32::try_from((z ^ (z >> 31)) % 1001).unwrap_or(0);
        (span / 1000).saturating_mul(thousandths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_drawn_between_the_two() {
        let least = Duration::from_secs(10);
        let most = Duration::from_secs(20);
        let mut delay = Delay::default().between(least, most).seed(7);
        let drawn: Vec<_> = (0..200).map(|_| delay.after_success()).collect();
        assert!(drawn.iter().all(|it| (least..=most).contains(it)));
        let (first, rest) = drawn.split_first().expect("some");
        assert!(rest.iter().any(|it| it != first));
        let mut wrong_way = Delay::default().between(most, least);
        assert_eq!(wrong_way.after_success(), least);
    }

    #[test]
    fn waits_after_failures_double_up_to_the_longest() {
        let mut delay = Delay::default().seed(7);
        let mut expected = FIRST;
        for _ in 0..100 {
            let wait = delay.after_failure();
            assert!((expected / 2..=expected).contains(&wait), "{wait:?}");
            expected = (expected * 2).min(DEFAULT_MAX_DELAY);
        }
        assert!(delay.after_success() >= DEFAULT_MIN_DELAY);
        assert!(delay.after_failure() <= FIRST);
    }
}
