//! `[limits.NAME]`: how often something may be asked.

use core::time::Duration;
use std::sync::Arc;

/// `[limits.NAME]`: how often something may be asked. Whoever asks spends one of its own count, and one of the
/// [`total`](Self::total); where either has none left, it is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limit {
    /// Its name.
    pub name: Arc<str>,
    /// `requests`, `per` and `burst`: how often each may ask that no override names.
    pub each: Rate,
    /// `by`: who shares one count.
    pub by: LimitBy,
    /// `total`: how often all may ask together.
    pub total: Option<Rate>,
    /// `[limits.NAME.overrides.WORKLOAD]`: how often a workload may ask instead, whatever `by` says.
    pub overrides: Vec<(Arc<str>, Rate)>,
}

impl Limit {
    /// The rate of a workload that is named by itself.
    #[must_use]
    pub fn of_workload(&self, name: &str) -> Option<Rate> {
        let mut overrides = self.overrides.iter();
        let (_, rate) = overrides.find(|(workload, _)| **workload == *name)?;
        Some(*rate)
    }
}

/// So many in so long a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Rate {
    /// `requests`: how many, at least 1.
    pub requests: u32,
    /// `per`: in how long a time, one second to one day.
    pub per: Duration,
    /// `burst`: how many at once; `requests` where absent.
    pub burst: Option<u32>,
}

impl Rate {
    pub(crate) const fn new(requests: u32, per: Duration, burst: Option<u32>) -> Self {
        Self {
            requests,
            per,
            burst,
        }
    }

    /// How many at once.
    #[must_use]
    pub const fn at_once(self) -> u32 {
        match self.burst {
            Some(burst) => burst,
            None => self.requests,
        }
    }
}

/// Who shares one count of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitBy {
    /// The requests of one proved peer. Callers without an SVID share one count.
    #[default]
    Peer,
    /// The requests of one subject of a token, which is the pair of issuer and subject (T16). Callers without a token share one
    /// count.
    Subject,
    /// The requests from one IPv4 address, or one /64 of IPv6.
    Address,
}
