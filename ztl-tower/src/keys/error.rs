//! Why the keys of an issuer were not fetched.

use core::time::Duration;
use std::sync::Arc;

use thiserror::Error;
use ztl_authz::jwt::EndpointError;

use crate::fetch::FetchError;

/// Why the keys of an issuer were not fetched. The last good ones stay, for as long as they may.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The guard does not fetch the keys of this issuer.
    #[error("the keys of the issuer `{0}` are not fetched; give the builder a `fetched_issuer`")]
    NotFetched(String),
    /// What came is not taken.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Nothing was fetched.
    #[error(transparent)]
    Fetch(Arc<FetchError>),
    /// Metadata and keys together took too long.
    #[error("the issuer did not answer whole within {0:?}")]
    TimedOut(Duration),
}

impl From<FetchError> for KeysError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(Arc::new(error))
    }
}
