//! Why a listener could not serve.

use thiserror::Error;

/// Why a listener could not serve.
#[derive(Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is not `host:port`, or could not be bound.
    #[error("cannot listen on `{address}`: {error}")]
    Bind {
        /// The address.
        address: String,
        /// Why.
        error: std::io::Error,
    },
    /// The policy does not list the port for this workload (T22).
    #[error(
        "the workload `{workload}` does not list port {port} under `{key}` in the policy, so every flow to {address} would be denied"
    )]
    UnlistedPort {
        /// The workload.
        workload: String,
        /// Where it was to listen.
        address: String,
        /// The port that rules would see.
        port: u16,
        /// The key of the policy.
        key: &'static str,
    },
    /// The certificate or key of a public listener could not be used.
    #[error("the public listener's certificate could not be used: {0}")]
    Certificate(#[source] Box<dyn core::error::Error + Send + Sync>),
    /// [`Guard::run`](crate::Guard::run) has nothing to serve.
    #[error(
        "the guard was told of no listener; write `[[listen]]` in its file, or call `listener` on its builder"
    )]
    NoListener,
    /// The guard's file has a boundary towards browsers that is nowhere in force.
    #[cfg(feature = "browser")]
    #[error(
        "`[browser]` of the guard's file is not in force; put what `Guard::browser` gives around the service, or remove it"
    )]
    NoBoundary,
    /// The listener broke.
    #[error("the listener on {address} broke: {error}")]
    Accept {
        /// The listener.
        address: String,
        /// Why.
        error: std::io::Error,
    },
}

/// As it is displayed: what a `main` returns is printed this way, and whoever reads it has to mend a file.
impl core::fmt::Debug for ServeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}
