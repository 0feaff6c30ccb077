//! Why a key endpoint was not configured, or what came from it was not taken.

use thiserror::Error;
use ztl_core::json::Fault;

use super::super::jwks::JwksError;
use ztl_core::url::UrlError;

/// Why a key endpoint was not configured, or what came from it was not taken. The keys held before stay, for as long as they
/// may.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The URL is none that keys are fetched from.
    #[error("the URL `{url}` {error}")]
    Url {
        /// The URL, without its query.
        url: Box<str>,
        /// What is wrong with it.
        error: UrlError,
    },
    /// The metadata is longer than [`MAX_METADATA_BYTES`](super::MAX_METADATA_BYTES).
    #[error(
        "the issuer's metadata has {bytes} bytes; at most {} are read",
        super::MAX_METADATA_BYTES
    )]
    MetadataTooLong {
        /// The length found.
        bytes: usize,
    },
    /// The metadata is not one strict JSON object.
    #[error("the issuer's metadata {0}")]
    Metadata(Fault),
    /// A member of the metadata is missing or no text (OpenID Connect Discovery 1.0 §3).
    #[error("the issuer's metadata has `{0}` missing or malformed")]
    Member(&'static str),
    /// The metadata is that of another issuer (OpenID Connect Discovery 1.0 §4.3).
    #[error(
        "the metadata says `{found}` is the issuer, and `{expected}` is configured: they must be the same, to the letter"
    )]
    OtherIssuer {
        /// The one configured.
        expected: Box<str>,
        /// The one that the metadata says, cut where it is long.
        found: Box<str>,
    },
    /// `jwks_uri` is none that keys are fetched from.
    #[error("the `jwks_uri` of the issuer's metadata {0}")]
    JwksUri(UrlError),
    /// The key set was refused.
    #[error(transparent)]
    Jwks(#[from] JwksError),
    /// An answer to a fetch that another endpoint handed out.
    #[error("the fetch is none of this endpoint's")]
    OtherEndpoint,
}
