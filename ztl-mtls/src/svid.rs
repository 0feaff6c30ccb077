//! Our own X.509-SVID: who we are, and the key that proves it.

use core::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;
use ztl_core::{SpiffeId, Timestamp};

use crate::cert::{Cert, CertError};
use crate::element::Elements;
use crate::file::{self, FileError, PemError};
use crate::fingerprint::Fingerprint;
use crate::leaf::{self, LeafError};
use crate::pair;

/// Why a certificate chain and a key are not an X.509-SVID.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SvidError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The files were read, but are not an SVID.
    #[error("`{}` and `{}`: {error}", certificates.display(), key.display())]
    InFiles {
        /// The file of the certificate chain.
        certificates: PathBuf,
        /// The file of the private key.
        key: PathBuf,
        /// What is wrong with them.
        error: Box<SvidError>,
    },
    /// The text of the certificates is not PEM.
    #[error("the certificate text {0}")]
    CertificatePem(PemError),
    /// The text of the key is not PEM.
    #[error("the key text {0}")]
    KeyPem(PemError),
    /// There is no certificate.
    #[error("there is no certificate")]
    NoCertificate,
    /// The bytes are not certificates in DER, one after the other.
    #[error("the chain is not a row of certificates in DER: {0}")]
    ChainDer(Box<str>),
    /// There are more certificates than [`MAX_CHAIN`](crate::MAX_CHAIN).
    #[error("the chain has {0} certificates; at most 16 are taken")]
    ChainTooLong(usize),
    /// The first certificate is no leaf of an X.509-SVID.
    #[error("the leaf {0}")]
    Leaf(LeafError),
    /// A certificate after the first cannot be read.
    #[error("certificate {index} of the chain {error}")]
    Issuer {
        /// Its place, the leaf's being 0.
        index: usize,
        /// What is wrong with it.
        error: CertError,
    },
    /// A certificate after the first may not sign others.
    #[error(
        "certificate {0} of the chain is not that of an authority: it needs `cA` and keyCertSign (X509-SVID §4.1, §4.3)"
    )]
    IssuerNotAuthority(usize),
    /// A certificate after the first holds a critical extension that nobody here understands, nor would a peer.
    #[error(
        "certificate {index} of the chain holds the critical extension {oid}, which is not understood here (RFC 5280 §4.2)"
    )]
    IssuerUnknownCritical {
        /// Its place, the leaf's being 0.
        index: usize,
        /// The extension, in numbers.
        oid: Box<str>,
    },
    /// The key is of no kind that the crypto provider loads.
    #[error("the private key is damaged or of a kind that the crypto provider does not know")]
    UnusableKey,
    /// The key is not the certificate's.
    #[error(
        "the certificate of `{subject}` holds the public key {certificate}, but the private key belongs to {key}: \
         put the two that belong together in place"
    )]
    KeyMismatch {
        /// Whom the certificate names.
        subject: Box<str>,
        /// The fingerprint of the certificate's key.
        certificate: Fingerprint,
        /// The fingerprint of the public half of the private key.
        key: Fingerprint,
    },
}

/// A certificate chain that names one workload, and its private key. Cheap to clone.
///
/// The leaf obeys the same clauses that are asked of a peer's ([`LeafError`]), and no certificate of the chain has a critical
/// extension that a peer would not understand, so what we would refuse we do not present. Whether
/// anybody trusts its issuer, and whether it has expired, is not judged here.
#[derive(Clone)]
pub struct X509Svid {
    id: SpiffeId,
    not_before: Timestamp,
    not_after: Timestamp,
    key: Arc<CertifiedKey>,
}

impl X509Svid {
    /// From PEM texts: the chain, leaf first, and the key. They may be the same text. The key is loaded by `provider`.
    ///
    /// # Errors
    /// [`SvidError`] says what is wrong with either, or that they do not belong together.
    pub fn from_pem(
        certificates: &[u8],
        key: &[u8],
        provider: &CryptoProvider,
    ) -> Result<Self, SvidError> {
        let chain = file::certificates(certificates).map_err(SvidError::CertificatePem)?;
        let key = file::private_key(key).map_err(SvidError::KeyPem)?;
        Self::from_parts(chain, key, provider)
    }

    /// From PEM files.
    ///
    /// # Errors
    /// [`SvidError`], with the names of the files.
    pub fn from_pem_files(
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
        provider: &CryptoProvider,
    ) -> Result<Self, SvidError> {
        let (certificates, key) = (certificates.as_ref(), key.as_ref());
        let texts = (file::read(certificates)?, file::read(key)?);
        Self::from_pem(&texts.0, &texts.1, provider)
            .map_err(|error| error.in_files(certificates, key))
    }

    /// From DER as the SPIFFE Workload API sends it: certificates one after the other, leaf first, and a key in PKCS#8.
    ///
    /// # Errors
    /// [`SvidError`], as for [`from_pem`](Self::from_pem).
    pub fn from_der(
        chain: &[u8],
        key: &[u8],
        provider: &CryptoProvider,
    ) -> Result<Self, SvidError> {
        let key = PrivatePkcs8KeyDer::from(key.to_vec());
        Self::from_parts(split(chain)?, key.into(), provider)
    }

    /// From a chain and a key that were taken apart before.
    ///
    /// # Errors
    /// [`SvidError`], as for [`from_pem`](Self::from_pem).
    pub fn from_parts(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        provider: &CryptoProvider,
    ) -> Result<Self, SvidError> {
        let (first, issuers) = chain.split_first().ok_or(SvidError::NoCertificate)?;
        let (cert, id) = leaf::check(first).map_err(SvidError::Leaf)?;
        let (not_before, mut not_after) = (cert.not_before, cert.not_after);
        for (index, issuer) in (1..).zip(issuers) {
            not_after = not_after.min(check_issuer(index, issuer)?);
        }
        let key = pair::join(chain, key, id.as_str(), provider)?;
        Ok(Self {
            id,
            not_before,
            not_after,
            key,
        })
    }

    /// Whom it names.
    #[must_use]
    pub const fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// From when on the leaf is valid.
    #[must_use]
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// When the first certificate of the chain ends.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The chain, leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }

    /// Chain and key in the form that rustls takes.
    #[must_use]
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }
}

impl fmt::Debug for X509Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Svid")
            .field("id", &self.id)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl SvidError {
    pub(crate) fn in_files(self, certificates: &Path, key: &Path) -> Self {
        Self::InFiles {
            certificates: certificates.to_owned(),
            key: key.to_owned(),
            error: Box::new(self),
        }
    }
}

/// X509-SVID §4.1, §4.3: what stands between leaf and bundle may sign certificates. Answers when it ends.
fn check_issuer(index: usize, der: &[u8]) -> Result<Timestamp, SvidError> {
    let unreadable = |error| SvidError::Issuer { index, error };
    let cert = Cert::read(der).map_err(unreadable)?;
    let ca = cert.extensions.is_ca().map_err(unreadable)?;
    let usage = cert.extensions.key_usage().map_err(unreadable)?;
    if ca != Some(true) || !usage.is_some_and(|usage| usage.cert_sign) {
        return Err(SvidError::IssuerNotAuthority(index));
    }
    match cert.extensions.unknown_critical() {
        None => Ok(cert.not_after),
        Some(oid) => Err(SvidError::IssuerUnknownCritical { index, oid }),
    }
}

/// Takes a row of DER elements apart.
fn split(row: &[u8]) -> Result<Vec<CertificateDer<'static>>, SvidError> {
    let mut row = Elements::of(row);
    let mut chain = Vec::new();
    while !row.is_finished() {
        if chain.len() == pair::MAX_CHAIN {
            return Err(SvidError::ChainTooLong(chain.len() + 1));
        }
        let certificate = row
            .take_whole()
            .map_err(|error| SvidError::ChainDer(error.into_reason()))?;
        chain.push(CertificateDer::from(certificate.to_vec()));
    }
    Ok(chain)
}
