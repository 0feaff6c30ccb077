//! Connections that were turned away because somebody's share was full: all are counted, and some are spoken of.

use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// How often they are spoken of at most: a flood must not become one of log lines.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Overflow(Mutex<Count>);

#[derive(Default)]
struct Count {
    unsaid: u64,
    said: Option<Instant>,
}

impl Overflow {
    /// One more. Where a word is due: how many there were since the last one.
    pub(super) fn count(&self, now: Instant) -> Option<u64> {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count.unsaid = count.unsaid.saturating_add(1);
        if count
            .said
            .is_some_and(|said| now.saturating_duration_since(said) < EVERY)
        {
            return None;
        }
        count.said = Some(now);
        Some(core::mem::take(&mut count.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t35_a_flood_is_counted_and_spoken_of_once_a_second() {
        let overflow = Overflow::default();
        let begin = Instant::now();
        assert_eq!(overflow.count(begin), Some(1));
        for _ in 0..1000 {
            assert_eq!(overflow.count(begin + EVERY / 2), None);
        }
        assert_eq!(overflow.count(begin + EVERY), Some(1001));
        assert_eq!(overflow.count(begin + EVERY), None);
    }
}
