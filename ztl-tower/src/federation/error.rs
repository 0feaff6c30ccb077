//! Why the bundle of another trust domain was not refreshed.

use core::time::Duration;

use thiserror::Error;
use ztl_mtls::source::EndpointError;

use crate::fetch::FetchError;

/// Why the bundle of another trust domain was not refreshed. The last good one stays, for as long as it may.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FederationError {
    /// The guard does not fetch the bundle of this trust domain.
    #[error("the bundle of `{0}` is not fetched; give the builder a `federated_bundle` for it")]
    NotFederated(String),
    /// What came is not taken, or a redirect is not followed.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Nothing was fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The whole fetch, its redirects included, took too long.
    #[error("the endpoint did not answer whole within {0:?}")]
    TimedOut(Duration),
    /// Under `https_spiffe` nothing is there to prove the endpoint by.
    #[error(
        "nothing proves the endpoint of `{trust_domain}`: no bundle of `{proved_by}` is at hand; give one with `bootstrap_file`, or with `bundle_file` where it is another trust domain's"
    )]
    NothingProves {
        /// Whose bundle is to be fetched.
        trust_domain: String,
        /// Whose bundle proves the endpoint.
        proved_by: String,
    },
    /// The task that refreshes the bundle and withdraws it has ended, with its runtime or by a panic: so the trust domain proves nobody.
    #[error(
        "nobody keeps the bundle of `{0}` any more, by a panic or because the runtime of the guard has ended; build the guard anew"
    )]
    NotKept(String),
    /// A file could not be worked on.
    #[error("the work on a file was broken off: {0}")]
    Aborted(#[from] tokio::task::JoinError),
}
