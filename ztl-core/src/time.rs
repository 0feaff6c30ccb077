//! Points in time, given to a decision and never read by it.

mod rfc3339;

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use thiserror::Error;

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
/// assert_eq!(now.to_string(), "2026-09-21T14:13:20Z");
/// assert_eq!("2026-09-21T14:13:20Z".parse(), Ok(now));
/// ```
///
/// Whoever enforces reads the clock, and hands on what it says:
///
/// ```
/// # #[allow(clippy::disallowed_methods, reason = "the example stands for an enforcement point")]
/// let now = ztl_core::Timestamp::from(std::time::SystemTime::now());
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

    /// Seconds since the epoch, with three decimals where there are any: how records, explanations and JSON write a time.
    #[must_use]
    pub const fn as_unix(self) -> UnixTime {
        UnixTime(self)
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

impl From<SystemTime> for Timestamp {
    /// To the millisecond, rounded down. A time before 1970 becomes [`Timestamp::EPOCH`], at which every engine denies, and one
    /// too late to be counted [`Timestamp::MAX`], at which everything has expired.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::EPOCH.saturating_add(since)
    }
}

impl From<Timestamp> for SystemTime {
    /// A time that the platform cannot count becomes the end of 9999.
    fn from(at: Timestamp) -> Self {
        let after = |millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis));
        let counted = after(at.0).or_else(|| after(END_OF_9999));
        counted.unwrap_or(UNIX_EPOCH)
    }
}

/// 9999-12-31T23:59:59.999 UTC, in milliseconds.
const END_OF_9999: u64 = 253_402_300_799_999;

impl fmt::Display for Timestamp {
    /// In UTC as RFC 3339 has it, with milliseconds where there are any: `2026-11-24T03:00:00Z`. What lies after 9999 is
    /// written as [`as_unix`](Self::as_unix) has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        rfc3339::write(*self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads a time of RFC 3339 from 1970 to 9999, in any offset, rounded down to the millisecond. No leap second is read.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        rfc3339::read(text).ok_or(TimestampError(()))
    }
}

/// A text is no time of RFC 3339 from 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it has to be a time of RFC 3339, such as `2026-11-22T04:00:00Z`")]
pub struct TimestampError(());

/// A time as a number: what [`Timestamp::as_unix`] returns.
#[derive(Clone, Copy, Debug)]
pub struct UnixTime(Timestamp);

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, millis) = (self.0.0 / 1000, self.0.0 % 1000);
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
        assert_eq!(t.as_unix().to_string(), "1.500");
        assert_eq!(t.since(Timestamp::EPOCH), Duration::from_millis(1_500));
        assert_eq!(Timestamp::EPOCH.since(t), Duration::ZERO);
    }

    #[test]
    fn t23_a_system_time_that_cannot_be_counted_is_clamped() {
        let at = Timestamp::from_unix_millis(1_790_000_000_250);
        assert_eq!(Timestamp::from(SystemTime::from(at)), at);
        let micros = UNIX_EPOCH + Duration::from_micros(1_999);
        assert_eq!(Timestamp::from(micros), Timestamp::from_unix_millis(1));
        let second = Duration::from_secs(1);
        assert_eq!(Timestamp::from(UNIX_EPOCH - second), Timestamp::EPOCH);
        let late = UNIX_EPOCH.checked_add(Duration::from_secs(u64::MAX / 4));
        assert!(late.is_none_or(|late| Timestamp::from(late) == Timestamp::MAX));
        assert!(SystemTime::from(Timestamp::MAX) > SystemTime::from(at));
    }
}
