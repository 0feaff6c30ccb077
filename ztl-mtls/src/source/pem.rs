//! SVIDs and bundles in PEM files that somebody else replaces.

use core::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use ztl_core::TrustDomain;

use super::steady::{Seen, Steady, content_of};
use crate::bundle::{BundleError, TrustBundle};
use crate::file;
use crate::svid::{SvidError, X509Svid};

/// An SVID in two files, or in one given twice.
///
/// Files may be replaced one after the other or through a link to their folder. A pair that does not belong together is never
/// returned: while it lasts, each [`poll`](Self::poll) is an error, and the SVID taken last stays in use.
pub struct PemIdentity {
    certificates: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    steady: Steady,
}

impl PemIdentity {
    /// Names the files; reads nothing yet.
    #[must_use]
    pub fn new(
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self {
            certificates: certificates.into(),
            key: key.into(),
            provider,
            steady: Steady::default(),
        }
    }

    /// Reads the files now.
    ///
    /// # Errors
    /// [`SvidError`], with the names of the files.
    pub fn load(&mut self) -> Result<X509Svid, SvidError> {
        let texts = self.read()?;
        self.take(&texts)
    }

    /// Reads the files again. Answers `None` while they are what was taken last, or changed but not yet seen twice in a row.
    ///
    /// # Errors
    /// [`SvidError`] as long as the files cannot be read, or are no SVID.
    pub fn poll(&mut self) -> Result<Option<X509Svid>, SvidError> {
        let texts = self.read()?;
        match self.steady.observe(content_of(&[&texts.0, &texts.1])) {
            Seen::Known | Seen::Unsettled => Ok(None),
            Seen::Settled => self.take(&texts).map(Some),
        }
    }

    fn read(&self) -> Result<(Vec<u8>, Vec<u8>), SvidError> {
        Ok((file::read(&self.certificates)?, file::read(&self.key)?))
    }

    fn take(&mut self, texts: &(Vec<u8>, Vec<u8>)) -> Result<X509Svid, SvidError> {
        let svid = X509Svid::from_pem(&texts.0, &texts.1, &self.provider)
            .map_err(|error| error.in_files(&self.certificates, &self.key))?;
        self.steady.take(content_of(&[&texts.0, &texts.1]));
        Ok(svid)
    }
}

impl fmt::Debug for PemIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PemIdentity")
            .field("certificates", &self.certificates)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// The bundle of one trust domain in a file.
#[derive(Debug)]
pub struct PemBundle {
    trust_domain: TrustDomain,
    path: PathBuf,
    steady: Steady,
}

impl PemBundle {
    /// Names the file; reads nothing yet.
    #[must_use]
    pub fn new(trust_domain: TrustDomain, path: impl Into<PathBuf>) -> Self {
        Self {
            trust_domain,
            path: path.into(),
            steady: Steady::default(),
        }
    }

    /// Whose bundle it is.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file now.
    ///
    /// # Errors
    /// [`BundleError`], with the name of the file.
    pub fn load(&mut self) -> Result<TrustBundle, BundleError> {
        let text = file::read(&self.path)?;
        self.take(&text)
    }

    /// Reads the file again. Answers `None` while it is what was taken last, or changed but not yet seen twice in a row.
    ///
    /// # Errors
    /// [`BundleError`] as long as the file cannot be read, or is no bundle; the bundle taken last stays in use.
    pub fn poll(&mut self) -> Result<Option<TrustBundle>, BundleError> {
        let text = file::read(&self.path)?;
        match self.steady.observe(content_of(&[&text])) {
            Seen::Known | Seen::Unsettled => Ok(None),
            Seen::Settled => self.take(&text).map(Some),
        }
    }

    fn take(&mut self, text: &[u8]) -> Result<TrustBundle, BundleError> {
        let bundle = TrustBundle::from_pem(self.trust_domain.clone(), text)
            .map_err(|error| error.in_file(&self.path))?;
        self.steady.take(content_of(&[text]));
        Ok(bundle)
    }
}
