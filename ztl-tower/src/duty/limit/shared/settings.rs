//! Where the shared counts are, and what is done without them.

use core::num::NonZeroU32;
use core::time::Duration;

use redis::Client;

use super::Shared;
use crate::guard::{BuildError, GuardBuilder};

/// A Redis in which replicas of a service count together.
///
/// ```no_run
/// use core::num::NonZeroU32;
/// use core::time::Duration;
/// use ztl_tower::{Away, Guard, RedisLimits};
///
/// let replicas = NonZeroU32::new(3).ok_or("none")?;
/// let builder = Guard::builder("model-server").shared_limits(
///     RedisLimits::new("redis://127.0.0.1:6379/0")
///         .timeout(Duration::from_millis(20))
///         .away(Away::Local { replicas }),
/// );
/// # let _ = builder;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RedisLimits {
    url: Box<str>,
    pub(super) prefix: Box<str>,
    pub(super) timeout: Duration,
    pub(super) away: Away,
}

/// What is done while Redis does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Away {
    /// What is limited is refused, with 503.
    #[default]
    Deny,
    /// Each replica counts by itself, with a share of every limit (T36).
    Local {
        /// How many replicas there are at most.
        replicas: NonZeroU32,
    },
}

impl RedisLimits {
    /// The Redis at this URL: `redis://[user:password@]host[:port][/database]`, or `redis+unix:///path`. What goes over the wire is
    /// not encrypted: put it on the same host, or within a tunnel that proves both ends.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.into(),
            prefix: "ztl".into(),
            timeout: Duration::from_millis(50),
            away: Away::default(),
        }
    }

    /// What the names of its keys begin with: `ztl` where not set. Services with a limit of the same name and rate share it where
    /// they share the prefix.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a request waits for it at most, the making of a connection included. 50 ms where not set.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What is done while it does not answer. [`Away::Deny`] where not set; there is no *unlimited*.
    #[must_use]
    pub const fn away(mut self, away: Away) -> Self {
        self.away = away;
        self
    }

    fn open(&self) -> Result<Shared, BuildError> {
        // The error of the crate may hold a piece of the URL, which may hold a password (law 7).
        let client = Client::open(&*self.url).map_err(|_| BuildError::RedisUrl)?;
        Ok(Shared::new(client, self))
    }
}

impl core::fmt::Debug for RedisLimits {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RedisLimits")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .field("away", &self.away)
            .finish_non_exhaustive()
    }
}

impl GuardBuilder {
    /// Counts limits in a Redis that replicas of the service share. Without this each process counts by itself. The guard is built
    /// without waiting for it.
    ///
    /// # Errors
    /// [`build`](Self::build) fails where the URL cannot be read.
    pub fn shared_limits(mut self, redis: RedisLimits) -> Self {
        self.duties.shared_limits = Some(redis);
        self
    }
}

impl crate::duty::Duties {
    /// Opens what was told.
    pub(in crate::duty) fn open_shared(&mut self) -> Result<(), BuildError> {
        let told = self.shared_limits.take();
        self.limits.shared = told.map(|told| told.open()).transpose()?;
        Ok(())
    }
}
