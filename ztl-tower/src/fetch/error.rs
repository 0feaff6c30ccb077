//! Why nothing was fetched.

use thiserror::Error;

/// Why nothing was fetched from a host.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
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
    /// The host answered another status than one that is taken, or a redirect that is not followed.
    #[error("`{host}` answered {status}, which is not taken")]
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
}
