//! One thing that is known of a caller.

use std::sync::Arc;

use crate::time::Timestamp;

/// Whom a signal speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Of {
    /// The workload that calls, by its SPIFFE ID.
    #[default]
    Peer,
    /// The user of the token, by its issuer and subject.
    Subject,
}

impl Of {
    /// `peer` or `subject`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Subject => "subject",
        }
    }
}

/// What a source says of a caller: 0 to 100, of which the document says what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    value: u8,
    observed_at: Timestamp,
    expires_at: Timestamp,
    source: Arc<str>,
}

impl Signal {
    /// A value of 0 to 100; what is above 100 is none. `source` is shown where the score is explained.
    #[must_use]
    pub fn new(
        value: u8,
        observed_at: Timestamp,
        expires_at: Timestamp,
        source: impl Into<Arc<str>>,
    ) -> Option<Self> {
        (value <= 100).then(|| Self {
            value,
            observed_at,
            expires_at,
            source: source.into(),
        })
    }

    /// The same, until then at the latest: for what is said by somebody who was not heard since.
    #[must_use]
    pub fn until(self, end: Timestamp) -> Self {
        Self {
            expires_at: self.expires_at.min(end),
            ..self
        }
    }

    /// What it says, 0 to 100.
    #[must_use]
    pub const fn value(&self) -> u8 {
        self.value
    }

    /// When it was observed.
    #[must_use]
    pub const fn observed_at(&self) -> Timestamp {
        self.observed_at
    }

    /// From when on it says nothing, whatever the document allows.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Who says so.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}
