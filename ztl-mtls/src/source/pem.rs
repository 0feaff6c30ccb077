//! SVIDs and bundles in PEM files that somebody else replaces.

use core::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use ztl_core::{Timestamp, TrustDomain};

use super::steady::{Seen, Steady, content_of};
use super::{Part, Polled, Source, SourceError};
use crate::bundle::{BundleError, TrustBundle};
use crate::file;
use crate::svid::{SvidError, X509Svid};

/// An SVID in two files, or in one given twice.
///
/// Files may be replaced one after the other or through a link to their folder, as Kubernetes does. As a [`Source`], the first
/// content is taken at once and changed content when two reads in a row agree (T6). A pair that does not belong together is
/// never given: while it lasts, the source fails, and the SVID taken last stays in use for the grace.
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

    /// Both texts, out of one state of their folder: one file is read once, and where a link on the way was turned between two reads,
    /// as Kubernetes does, they are read again.
    fn read(&self) -> Result<(Vec<u8>, Vec<u8>), SvidError> {
        if self.certificates == self.key {
            let both = file::read(&self.key)?;
            return Ok((both.clone(), both));
        }
        let once = || Ok((file::read(&self.certificates)?, file::read(&self.key)?));
        let mut places = self.places();
        for _ in 0..3 {
            let read: Result<_, SvidError> = once();
            let after = self.places();
            if places == after {
                return read;
            }
            places = after;
        }
        once()
    }

    /// Where the two paths lead just now.
    fn places(&self) -> (Option<PathBuf>, Option<PathBuf>) {
        let place = |path: &Path| std::fs::canonicalize(path).ok();
        (place(&self.certificates), place(&self.key))
    }

    fn take(&mut self, texts: &(Vec<u8>, Vec<u8>)) -> Result<X509Svid, SvidError> {
        let svid = X509Svid::from_pem(&texts.0, &texts.1, &self.provider)
            .map_err(|error| error.in_files(&self.certificates, &self.key))?;
        self.steady.take(content_of(&[&texts.0, &texts.1]));
        Ok(svid)
    }
}

impl Source for PemIdentity {
    fn name(&self) -> String {
        if self.certificates == self.key {
            return format!("`{}`", self.certificates.display());
        }
        let (certificates, key) = (self.certificates.display(), self.key.display());
        format!("`{certificates}` and `{key}`")
    }

    fn poll(&mut self, _: Timestamp) -> Polled {
        let mut read = || {
            let texts = self.read()?;
            match self.steady.observe(content_of(&[&texts.0, &texts.1])) {
                Seen::Known => Ok(Part::Current),
                Seen::Unsettled => Ok(Part::Unsettled),
                Seen::Settled => self.take(&texts).map(Part::Changed),
            }
        };
        Polled::svid(
            read().unwrap_or_else(|error: SvidError| Part::Failed(SourceError::new(error))),
        )
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

/// The bundle of one trust domain in a file: certificates in PEM, or, with the feature `spiffe-bundle`, a SPIFFE bundle document,
/// which begins with `{`. Taken as a [`PemIdentity`] is.
///
/// Of a document the certificates are taken (Bundle §4), one without any among them: its trust domain then proves nobody. Sequence and
/// hint are not looked at: whoever writes the file says what is in force, and when.
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

    fn take(&mut self, text: &[u8]) -> Result<TrustBundle, BundleError> {
        let bundle = TrustBundle::from_text(self.trust_domain.clone(), text)
            .map_err(|error| error.in_file(&self.path))?;
        self.steady.take(content_of(&[text]));
        Ok(bundle)
    }
}

impl Source for PemBundle {
    fn name(&self) -> String {
        format!("`{}`", self.path.display())
    }

    fn poll(&mut self, _: Timestamp) -> Polled {
        let mut read = || {
            let text = file::read(&self.path)?;
            match self.steady.observe(content_of(&[&text])) {
                Seen::Known => Ok(Part::Current),
                Seen::Unsettled => Ok(Part::Unsettled),
                Seen::Settled => self.take(&text).map(|bundle| Part::Changed(vec![bundle])),
            }
        };
        Polled::bundles(
            read().unwrap_or_else(|error: BundleError| Part::Failed(SourceError::new(error))),
        )
    }
}
