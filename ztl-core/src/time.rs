//! Points in time, given to a decision and never read by it.

use core::fmt;
use core::time::Duration;

/// A point in time: milliseconds since 1970-01-01T00:00:00 UTC, without leap seconds.
///
/// A decision takes `now` as an argument (law 3), so the same inputs give the same decision for ever.
///
/// ```
/// use ztl_core::Timestamp;
///
/// let now = Timestamp::from_unix_secs(1_790_000_000);
/// assert_eq!(now.as_unix_secs(), 1_790_000_000);
/// assert!(now < Timestamp::MAX);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// 1970-01-01T00:00:00 UTC.
    pub const EPOCH: Self = Self(0);
    /// Later than every time that occurs: what never expires.
    pub const MAX: Self = Self(u64::MAX);

    /// From whole seconds since the epoch; what does not fit becomes [`Timestamp::MAX`].
    #[must_use]
    pub const fn from_unix_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_unix_secs(self) -> u64 {
        self.0 / 1000
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_unix_millis(self) -> u64 {
        self.0
    }

    /// This time and `span` more, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// This time less `span`, at least [`Timestamp::EPOCH`].
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// How long from `earlier` to this time; zero where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    /// Seconds since the epoch, with three decimals where there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, millis) = (self.0 / 1000, self.0 % 1000);
        if millis == 0 {
            write!(f, "{secs}")
        } else {
            write!(f, "{secs}.{millis:03}")
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::from_unix_secs(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(
            Timestamp::EPOCH.saturating_sub(Duration::MAX),
            Timestamp::EPOCH
        );
        let t = Timestamp::from_unix_millis(1_500);
        assert_eq!(t.to_string(), "1.500");
        assert_eq!(t.since(Timestamp::EPOCH), Duration::from_millis(1_500));
        assert_eq!(Timestamp::EPOCH.since(t), Duration::ZERO);
    }
}
