//! Why a text or a file is no set of revocation lists.

use std::path::{Path, PathBuf};

use thiserror::Error;
use ztl_core::TrustDomain;

use crate::cert::CertError;
use crate::file::FileError;

/// Why revocation lists were not taken. One bad list refuses all of them, so that none goes missing in silence.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CrlError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file was read, but what it holds is not taken.
    #[error("`{}`: {error}", path.display())]
    InFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<CrlError>,
    },
    /// A PEM section is cut off or is not base64.
    #[error("the text is damaged: a PEM section is cut off or is not base64")]
    Damaged,
    /// No list is there.
    #[error("there is no PEM section `X509 CRL`")]
    NoCrl,
    /// There are more than [`MAX_CRLS`](crate::MAX_CRLS).
    #[error("the trust domain `{0}` has more than 256 revocation lists")]
    TooMany(TrustDomain),
    /// There are more than [`MAX_CRL_BYTES`](crate::MAX_CRL_BYTES).
    #[error("the revocation lists of `{0}` have more than 16 MiB together")]
    TooLong(TrustDomain),
    /// A list has a lower number than one of the same issuer, key and scope that was taken before it (T25).
    #[error(
        "a revocation list of `{trust_domain}` has the number {found} (hexadecimal), and one of the same issuer with {held} was \
         taken before: it is older, and does not name what was revoked since; fetch the newest, or restart where the issuer \
         numbers its lists anew"
    )]
    WentBack {
        /// Whose list.
        trust_domain: TrustDomain,
        /// The number of the one that was taken.
        held: Box<str>,
        /// Its own number.
        found: Box<str>,
    },
    /// A list is not taken.
    #[error("revocation list {index} of `{trust_domain}` {error}")]
    List {
        /// Whose list.
        trust_domain: TrustDomain,
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        error: CrlListError,
    },
}

impl CrlError {
    pub(crate) fn in_file(self, path: &Path) -> Self {
        Self::InFile {
            path: path.to_owned(),
            error: Box::new(self),
        }
    }
}

/// Why a single revocation list is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CrlListError {
    /// It cannot be read.
    #[error("is not a revocation list in DER: {0}")]
    Malformed(Box<str>),
    /// It is of version 1, which has no extensions.
    #[error("is not of version 2 (RFC 5280 §5.1.2.1)")]
    Version,
    /// It does not say when the next one comes, or has no extensions at all.
    #[error("has no crlNumber (RFC 5280 §5.2.3): have the authority number its lists")]
    NoNumber,
    /// Its number is marked critical.
    #[error("has a critical crlNumber (RFC 5280 §5.2.3)")]
    CriticalNumber,
    /// It names a certificate twice.
    #[error(
        "names a serial number twice, so it was not made from one state of its issuer: have the authority make it anew"
    )]
    SerialTwice,
    /// It lists only what changed since another one.
    #[error("is a delta list (RFC 5280 §5.2.4): give whole lists")]
    Delta,
    /// It lists certificates of other issuers.
    #[error("is an indirect list (RFC 5280 §5.2.5): give the lists of the issuers themselves")]
    Indirect,
    /// It lists certificates revoked for some reasons only.
    #[error("covers only some reasons of revocation (RFC 5280 §5.2.5): give lists of all reasons")]
    SomeReasons,
    /// It names its distribution point in a way that is not read.
    #[error("has an issuingDistributionPoint without a full name (RFC 5280 §5.2.5)")]
    DistributionPoint,
    /// It holds a critical extension that nobody here understands.
    #[error("holds a critical extension that is not understood here (RFC 5280 §5.2)")]
    UnknownCritical,
}

impl CrlListError {
    pub(super) fn of(error: webpki::Error) -> Self {
        use webpki::Error as E;
        match error {
            E::UnsupportedCrlVersion => Self::Version,
            E::UnsupportedDeltaCrl => Self::Delta,
            E::UnsupportedIndirectCrl => Self::Indirect,
            E::UnsupportedRevocationReasonsPartitioning => Self::SomeReasons,
            E::UnsupportedCrlIssuingDistributionPoint => Self::DistributionPoint,
            E::UnsupportedCriticalExtension => Self::UnknownCritical,
            other => Self::Malformed(other.to_string().into()),
        }
    }
}

impl From<CertError> for CrlListError {
    fn from(error: CertError) -> Self {
        Self::Malformed(error.into_reason())
    }
}
