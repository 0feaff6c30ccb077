//! Why a bundle endpoint was not configured, or what it sent was not taken.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use ztl_core::{IdError, TrustDomain};

use crate::bundle::SpiffeBundleError;
use crate::file::FileError;
use ztl_core::url::UrlError;

/// Why a bundle endpoint was not configured, or what it sent was not taken. The bundle held before stays.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The trust domain's name is none.
    #[error("the trust domain `{name}` {error}")]
    TrustDomain {
        /// The name.
        name: Box<str>,
        /// What is wrong with it.
        error: IdError,
    },
    /// The endpoint's SPIFFE ID is none of a workload.
    #[error("the SPIFFE ID `{id}` of the endpoint {error}")]
    EndpointId {
        /// The id.
        id: Box<str>,
        /// What is wrong with it.
        error: IdError,
    },
    /// The URL is none that a bundle is fetched from.
    #[error("the URL `{url}` {error}")]
    Url {
        /// The URL, without its query.
        url: Box<str>,
        /// What is wrong with it.
        error: UrlError,
    },
    /// The endpoint sends us elsewhere, and we may not go there.
    #[error("the endpoint redirects to a URL that {0}")]
    Redirect(UrlError),
    /// The endpoint redirects, and that was refused.
    #[error(
        "the endpoint redirects, and redirects are refused; configure the URL that it leads to"
    )]
    RedirectRefused,
    /// More redirects than are followed.
    #[error("the endpoint redirects more than {} times", super::MAX_REDIRECTS)]
    TooManyRedirects,
    /// What was sent, or stored, is no bundle.
    #[error(transparent)]
    Bundle(#[from] SpiffeBundleError),
    /// The bundle is older than the one held (rule 23).
    #[error(
        "the bundle has the sequence {found}, and the one held has {held}: an older one is never taken"
    )]
    SequenceWentBack {
        /// That of the bundle held.
        held: u64,
        /// That of the one refused.
        found: u64,
    },
    /// The keys changed and the sequence did not (Bundle §4.1.1).
    #[error(
        "the bundle has other keys than the one held and the same sequence {0}: which is newer cannot be told"
    )]
    SequenceReused(u64),
    /// The bundle held has a sequence and this one has none, so it may be older (rule 23).
    #[error("the bundle has no sequence, and the one held has {0}: which is newer cannot be told")]
    SequenceMissing(u64),
    /// A bundle of another trust domain was handed in.
    #[error("the bundle is of `{found}`, and the endpoint is for `{expected}`")]
    OtherTrustDomain {
        /// Whose endpoint it is.
        expected: TrustDomain,
        /// Whose bundle it is.
        found: Box<str>,
    },
    /// The stored state is not what [`BundleEndpoint::state`](super::BundleEndpoint::state) wrote.
    #[error("the stored state has `{0}` missing or malformed")]
    State(&'static str),
    /// The file of the state could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file of the state was read, but is none.
    #[error("`{}`: {error}", path.display())]
    StateFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<EndpointError>,
    },
    /// The file of the state could not be written. After a restart the bundle before could be taken again.
    #[error("cannot write `{}`: {error}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// No TLS configuration can be made.
    #[error("cannot be spoken to: {0}")]
    Tls(rustls::Error),
}

impl From<rustls::Error> for EndpointError {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error)
    }
}
