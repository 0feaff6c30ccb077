//! Why a bundle is not pulled, or what came is not taken.

use thiserror::Error;

use super::super::error::BundleError;
use super::super::revision::RevisionError;
use ztl_core::url::UrlError;

/// Why a bundle is not pulled, or what came is not taken. The one in force stays, for as long as it may.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PullError {
    /// The URL is none that bundles are pulled from.
    #[error(
        "the URL `{url}` {error}; plain `http` is taken from a loopback address, and where a verification key is configured"
    )]
    Url {
        /// The URL, without its query.
        url: Box<str>,
        /// What is wrong with it.
        error: UrlError,
    },
    /// The bearer token cannot stand in a field of HTTP.
    #[error("the bearer token is not of the characters that RFC 6750 §2.1 allows")]
    Token,
    /// The bearer token would go over the network for everybody to read.
    #[error("a bearer token is sent over `https` only, or to a loopback address")]
    TokenInClear,
    /// Another status than 200 and 304: redirects are not followed.
    #[error("the answer is {0}, and only 200 and 304 are taken: no redirect is followed")]
    Status(u16),
    /// 304 where nothing is held that could be unchanged.
    #[error("the answer is 304, and there is no bundle yet that could be unchanged")]
    NothingToKeep,
    /// The bundle was refused.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It goes back.
    #[error(transparent)]
    Revision(#[from] RevisionError),
}
