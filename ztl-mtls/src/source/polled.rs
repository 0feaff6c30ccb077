//! What a source says when it is asked.

use core::fmt;
use std::sync::Arc;

use crate::bundle::TrustBundle;
use crate::svid::X509Svid;

/// What a source says of one of the two things that it may give.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Part<T> {
    /// What it gave last, if anything, still holds.
    #[default]
    Current,
    /// It gives something else from now on.
    Changed(T),
    /// It is changing just now: what it gave last is not confirmed, and nothing else is there yet.
    Unsettled,
    /// It gives nothing that can be used.
    Failed(SourceError),
}

/// What a source says of both.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Polled {
    /// Who we are.
    pub svid: Part<X509Svid>,
    /// Whom we can prove: all bundles of this source. A trust domain that is no longer among them is no longer trusted.
    pub bundles: Part<Vec<TrustBundle>>,
}

impl Polled {
    /// From a source that gives both.
    #[must_use]
    pub const fn new(svid: Part<X509Svid>, bundles: Part<Vec<TrustBundle>>) -> Self {
        Self { svid, bundles }
    }

    /// From a source that gives only an SVID.
    #[must_use]
    pub const fn svid(svid: Part<X509Svid>) -> Self {
        Self::new(svid, Part::Current)
    }

    /// From a source that gives only bundles.
    #[must_use]
    pub const fn bundles(bundles: Part<Vec<TrustBundle>>) -> Self {
        Self::new(Part::Current, bundles)
    }
}

/// Why a source gives nothing that can be used. Never quotes a key.
#[derive(Clone)]
pub struct SourceError(Arc<dyn core::error::Error + Send + Sync>);

impl SourceError {
    /// From any error, or from a text.
    #[must_use]
    pub fn new(error: impl Into<Box<dyn core::error::Error + Send + Sync>>) -> Self {
        Self(Arc::from(error.into()))
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl core::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&*self.0)
    }
}

impl<T> From<Result<Option<T>, SourceError>> for Part<T> {
    fn from(read: Result<Option<T>, SourceError>) -> Self {
        match read {
            Ok(Some(value)) => Self::Changed(value),
            Ok(None) => Self::Current,
            Err(error) => Self::Failed(error),
        }
    }
}
