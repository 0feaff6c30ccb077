//! Why a document is no SPIFFE bundle, or no map of them.

use std::path::{Path, PathBuf};

use thiserror::Error;
use ztl_core::{IdError, TrustDomain, json};

use super::jwk::JwkError;
use super::{BundleError, MAX_BUNDLE_KEYS, MAX_MAP_DOMAINS};
use crate::file::FileError;

/// Why a document is no SPIFFE bundle, or no bundle map. None is taken in part.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpiffeBundleError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file was read, but is no bundle.
    #[error("`{}`: {error}", path.display())]
    InFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<SpiffeBundleError>,
    },
    /// There are more bytes than are read.
    #[error("the document has {bytes} bytes; at most {most} are read")]
    TooLong {
        /// How many.
        bytes: usize,
        /// The bound.
        most: usize,
    },
    /// It is not one JSON object in which each name stands once (rule 22).
    #[error("the document {0}")]
    Json(json::Fault),
    /// There is no list `keys`. An empty one is allowed, and proves nobody.
    #[error("the bundle has no list `keys` (Bundle §4.1.3)")]
    NoKeys,
    /// There are more than [`MAX_BUNDLE_KEYS`].
    #[error("the bundle has {0} keys; at most {MAX_BUNDLE_KEYS} are read")]
    TooManyKeys(usize),
    /// The sequence number is no integer, or no number of 64 bits.
    #[error("`spiffe_sequence` is not an integer from 0 to 2^64 - 1 (Bundle §4.1.1)")]
    Sequence,
    /// The refresh hint is no integer, or negative.
    #[error("`spiffe_refresh_hint` is not an integer of seconds from 0 (Bundle §4.1.2)")]
    RefreshHint,
    /// A key that no bundle may have. The whole bundle is refused, so that none goes missing in silence.
    #[error("key {index} of the bundle {error}")]
    Key {
        /// Its place in `keys`, from 0.
        index: usize,
        /// What is wrong with it.
        error: JwkError,
    },
    /// The certificates make no trust bundle, or a PEM file holds none.
    #[error(transparent)]
    Authorities(#[from] BundleError),
    /// The key of a certificate is of a kind that no JWK says, so the bundle cannot be written.
    #[error("the key of certificate {0} of the bundle is of a kind that a JWK cannot say")]
    Unwritable(usize),
    /// There is no object `trust_domains`. An empty one is allowed.
    #[error("the bundle map has no object `trust_domains` (Bundle §5.1.1)")]
    NoTrustDomains,
    /// There are more than [`MAX_MAP_DOMAINS`].
    #[error("the bundle map has {0} trust domains; at most {MAX_MAP_DOMAINS} are read")]
    TooManyTrustDomains(usize),
    /// A name in a bundle map is no trust domain's.
    #[error("the trust domain `{name}` of the bundle map {error}")]
    TrustDomain {
        /// The name, escaped and cut.
        name: Box<str>,
        /// What is wrong with it.
        error: IdError,
    },
    /// A bundle in a map is refused, and the whole map with it.
    #[error("the bundle of `{trust_domain}`: {error}")]
    InMap {
        /// Whose bundle.
        trust_domain: TrustDomain,
        /// What is wrong with it.
        error: Box<SpiffeBundleError>,
    },
}

impl From<json::Fault> for SpiffeBundleError {
    fn from(error: json::Fault) -> Self {
        Self::Json(error)
    }
}

impl SpiffeBundleError {
    pub(super) fn in_file(self, path: &Path) -> Self {
        Self::InFile {
            path: path.to_owned(),
            error: Box::new(self),
        }
    }
}
