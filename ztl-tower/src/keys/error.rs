//! Why the keys of an issuer were not fetched.

use core::time::Duration;

use thiserror::Error;
use ztl_authz::jwt::EndpointError;

/// Why the keys of an issuer were not fetched. The last good ones stay, for as long as they may.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The guard does not fetch the keys of this issuer.
    #[error("the keys of the issuer `{0}` are not fetched; give the builder a `fetched_issuer`")]
    NotFetched(String),
    /// What came is not taken.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The host could not be reached.
    #[error("cannot reach `{host}`: {error}")]
    Connect {
        /// Its host and port.
        host: String,
        /// Why.
        error: std::io::Error,
    },
    /// The host did not prove itself. Nothing that it sent was read.
    #[error("`{host}` is not proved: {why}")]
    Unproven {
        /// Its host and port.
        host: String,
        /// Why.
        why: String,
    },
    /// The exchange broke off.
    #[error("the exchange with `{host}` broke off: {error}")]
    Broken {
        /// Its host and port.
        host: String,
        /// Why.
        error: Box<dyn core::error::Error + Send + Sync>,
    },
    /// The host answered something else than `200`; redirects are not followed.
    #[error("`{host}` answered {status}, and only 200 is taken: no redirect is followed")]
    Status {
        /// Its host and port.
        host: String,
        /// The status.
        status: u16,
    },
    /// The answer is longer than it may be.
    #[error("`{host}` sent more than {most} bytes")]
    TooLong {
        /// Its host and port.
        host: String,
        /// The bound.
        most: usize,
    },
    /// Metadata and keys together took too long.
    #[error("the issuer did not answer whole within {0:?}")]
    TimedOut(Duration),
}
