//! Whom we can prove: the authorities of each trust domain.

#[cfg(feature = "spiffe-bundle")]
mod document;
#[cfg(feature = "spiffe-bundle")]
mod error;
#[cfg(feature = "spiffe-bundle")]
mod jwk;
#[cfg(feature = "spiffe-bundle")]
mod jwt;
#[cfg(feature = "spiffe-bundle")]
mod map;
#[cfg(feature = "spiffe-bundle")]
mod spiffe;

use core::fmt;
use std::path::{Path, PathBuf};

use rustls_pki_types::{CertificateDer, TrustAnchor};
use thiserror::Error;
use ztl_core::{Timestamp, TrustDomain};

use crate::authority::{self, AuthorityError, Facts};
use crate::file::{self, FileError, PemError};
use crate::fingerprint::Fingerprint;

#[cfg(feature = "spiffe-bundle")]
pub use error::SpiffeBundleError;
#[cfg(feature = "spiffe-bundle")]
pub use jwk::JwkError;
#[cfg(feature = "spiffe-bundle")]
pub use jwt::{JwtAuthority, JwtBundle};
#[cfg(feature = "spiffe-bundle")]
pub use map::SpiffeBundleMap;
#[cfg(feature = "spiffe-bundle")]
pub use spiffe::SpiffeBundle;

/// Most authorities of one bundle.
pub const MAX_AUTHORITIES: usize = 256;
/// Most authorities of one name that one search tries. webpki tries each authority of an issuer's name, and gives a search up after
/// a hundred signatures; an intermediate may bear the same name, and has as many tried above it.
const MAX_NAMESAKES: usize = 32;
/// Most bytes of a bundle document.
#[cfg(feature = "spiffe-bundle")]
pub const MAX_BUNDLE_BYTES: usize = 1024 * 1024;
/// Most elements of `keys` in a bundle document, those that are ignored among them.
#[cfg(feature = "spiffe-bundle")]
pub const MAX_BUNDLE_KEYS: usize = 1024;
/// Most bytes of a bundle map.
#[cfg(feature = "spiffe-bundle")]
pub const MAX_MAP_BYTES: usize = 8 * 1024 * 1024;
/// Most trust domains of a bundle map.
#[cfg(feature = "spiffe-bundle")]
pub const MAX_MAP_DOMAINS: usize = 1024;

/// Why certificates are no trust bundle.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file was read, but is no bundle.
    #[error("`{}`: {error}", path.display())]
    InFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<BundleError>,
    },
    /// The text is not PEM.
    #[error("the bundle of `{trust_domain}` {error}")]
    Pem {
        /// Whose bundle.
        trust_domain: TrustDomain,
        /// What is wrong with the text.
        error: PemError,
    },
    /// The text is a SPIFFE bundle document, and is none that is taken.
    #[cfg(feature = "spiffe-bundle")]
    #[error(transparent)]
    Document(Box<SpiffeBundleError>),
    /// The text is a SPIFFE bundle document, and this program was built without what reads one.
    #[error(
        "the bundle of `{0}` is a SPIFFE bundle document, which takes the feature `spiffe-bundle`, of ztl-tower `federation`: give PEM, or build with it"
    )]
    DocumentUnread(TrustDomain),
    /// A certificate is not that of an authority. The whole bundle is refused, so that none goes missing in silence.
    #[error("certificate {index} of the bundle of `{trust_domain}` {error}")]
    Authority {
        /// Whose bundle.
        trust_domain: TrustDomain,
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        error: AuthorityError,
    },
    /// There are more than [`MAX_AUTHORITIES`].
    #[error("the bundle of `{0}` has more than 256 authorities")]
    TooManyAuthorities(TrustDomain),
    /// Two bundles claim the same trust domain (rule 22).
    #[error("there are two bundles for the trust domain `{0}`: give one")]
    Duplicate(TrustDomain),
}

/// The authorities of one trust domain. They vouch for ids of that domain and of no other (rule 20).
///
/// A bundle without authorities is allowed and proves nobody: every SVID of its domain is invalid (rule 21).
#[derive(Clone)]
pub struct TrustBundle {
    trust_domain: TrustDomain,
    certificates: Vec<CertificateDer<'static>>,
    // The two are of one length: what webpki needs, and what it does not keep.
    anchors: Vec<TrustAnchor<'static>>,
    facts: Vec<Facts>,
    /// How many of them one search tries.
    at_once: usize,
}

impl TrustBundle {
    /// From a PEM text with at least one certificate.
    ///
    /// # Errors
    /// [`BundleError`]: one bad certificate refuses the whole bundle.
    pub fn from_pem(trust_domain: TrustDomain, text: &[u8]) -> Result<Self, BundleError> {
        match file::certificates(text) {
            Ok(certificates) => Self::from_der(trust_domain, certificates),
            Err(error) => Err(BundleError::Pem {
                trust_domain,
                error,
            }),
        }
    }

    /// From a PEM file with at least one certificate.
    ///
    /// # Errors
    /// [`BundleError`], with the name of the file.
    pub fn from_pem_file(
        trust_domain: TrustDomain,
        path: impl AsRef<Path>,
    ) -> Result<Self, BundleError> {
        let path = path.as_ref();
        let text = file::read(path)?;
        Self::from_pem(trust_domain, &text).map_err(|error| error.in_file(path))
    }

    /// From what a file holds: certificates in PEM, or a SPIFFE bundle document.
    pub(crate) fn from_text(trust_domain: TrustDomain, text: &[u8]) -> Result<Self, BundleError> {
        if is_document(text) {
            Self::from_document(trust_domain, text)
        } else {
            Self::from_pem(trust_domain, text)
        }
    }

    #[cfg(feature = "spiffe-bundle")]
    fn from_document(trust_domain: TrustDomain, json: &[u8]) -> Result<Self, BundleError> {
        SpiffeBundle::from_json(trust_domain, json)
            .map(|bundle| bundle.x509)
            .map_err(|error| BundleError::Document(Box::new(error)))
    }

    #[cfg(not(feature = "spiffe-bundle"))]
    fn from_document(trust_domain: TrustDomain, _: &[u8]) -> Result<Self, BundleError> {
        Err(BundleError::DocumentUnread(trust_domain))
    }

    /// From certificates in DER. None at all is an empty bundle. The same certificate twice counts once.
    ///
    /// # Errors
    /// [`BundleError`]: one bad certificate refuses the whole bundle.
    pub fn from_der(
        trust_domain: TrustDomain,
        certificates: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, BundleError> {
        let mut bundle = Self::empty(trust_domain);
        for (index, certificate) in certificates.into_iter().enumerate() {
            if bundle.certificates.contains(&certificate) {
                continue;
            }
            if bundle.certificates.len() == MAX_AUTHORITIES {
                return Err(BundleError::TooManyAuthorities(bundle.trust_domain));
            }
            match authority::read(&certificate) {
                Ok((anchor, facts)) => {
                    let namesakes = bundle.anchors.iter();
                    let namesakes = namesakes.filter(|held| held.subject == anchor.subject);
                    if namesakes.count() >= MAX_NAMESAKES {
                        bundle.at_once = MAX_NAMESAKES;
                    }
                    bundle.anchors.push(anchor);
                    bundle.facts.push(facts);
                    bundle.certificates.push(certificate);
                }
                Err(error) => {
                    return Err(BundleError::Authority {
                        trust_domain: bundle.trust_domain,
                        index,
                        error,
                    });
                }
            }
        }
        Ok(bundle)
    }

    /// The bundle of a domain that nobody can be proved of (rule 21).
    #[must_use]
    pub const fn empty(trust_domain: TrustDomain) -> Self {
        Self {
            trust_domain,
            certificates: Vec::new(),
            anchors: Vec::new(),
            facts: Vec::new(),
            at_once: MAX_AUTHORITIES,
        }
    }

    /// Whose authorities these are.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The authorities' certificates.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// Whether no authority is there, so that nobody is proved.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// Whether a development authority is among them (T28).
    #[must_use]
    pub fn has_dev_authority(&self) -> bool {
        self.facts.iter().any(|facts| facts.dev_authority)
    }

    /// The keys of authorities that prove nobody, whatever they issue: the extKeyUsage of each certificate of theirs names neither
    /// clientAuth nor serverAuth (RFC 5280 §4.2.1.12), and `anyExtendedKeyUsage` names none. Such an authority is to be reissued without
    /// that extension, or with both.
    pub fn proving_nobody(&self) -> impl Iterator<Item = Fingerprint> {
        let vouches = |facts: &Facts| {
            let purposes = facts.purposes;
            purposes.is_none_or(|purposes| purposes.server_auth || purposes.client_auth)
        };
        let proves = move |key| {
            let mut certificates = self.facts.iter();
            certificates.any(|facts| facts.named.key == key && vouches(facts))
        };
        let unfit = self.facts.iter().filter(move |facts| !vouches(facts));
        let keys = unfit.map(|facts| facts.named.key);
        keys.filter(move |key| !proves(*key))
    }

    /// The life of the authority that ends last: from then on nobody is proved by this bundle. `None` where it is empty.
    #[must_use]
    pub fn validity(&self) -> Option<(Timestamp, Timestamp)> {
        self.facts
            .iter()
            .map(|facts| (facts.not_before, facts.not_after))
            .max_by_key(|(_, not_after)| *not_after)
    }

    pub(crate) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// The same, in as many rows as there are to be searches.
    pub(crate) fn searches(&self) -> impl Iterator<Item = &[TrustAnchor<'static>]> {
        self.anchors.chunks(self.at_once.max(1))
    }

    pub(crate) fn facts(&self) -> &[Facts] {
        &self.facts
    }
}

impl fmt::Debug for TrustBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustBundle")
            .field("trust_domain", &self.trust_domain)
            .field("authorities", &self.certificates.len())
            .finish_non_exhaustive()
    }
}

/// A bundle document is one JSON object, and no text in PEM begins as one.
pub(crate) fn is_document(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(b"{")
}

impl BundleError {
    pub(crate) fn in_file(self, path: &Path) -> Self {
        Self::InFile {
            path: path.to_owned(),
            error: Box::new(self),
        }
    }
}
