//! The certificate of a public listener: an ordinary one of the Web PKI, which names hosts and proves no workload.

use core::fmt;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::file;
use crate::pair;
use crate::svid::SvidError;

/// A certificate and key for callers without an SVID. It can be replaced while in use; the next handshake presents the new one.
pub struct WebIdentity {
    current: ArcSwap<CertifiedKey>,
}

impl WebIdentity {
    /// From PEM texts: the chain, leaf first, and the key.
    ///
    /// # Errors
    /// [`SvidError`]; the clauses of an SVID's leaf are not asked of it.
    pub fn from_pem(
        certificates: &[u8],
        key: &[u8],
        provider: &CryptoProvider,
    ) -> Result<Self, SvidError> {
        let chain = file::certificates(certificates).map_err(SvidError::CertificatePem)?;
        let key = file::private_key(key).map_err(SvidError::KeyPem)?;
        let key = pair::join(chain, key, "the public listener", provider)?;
        Ok(Self {
            current: ArcSwap::new(key),
        })
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

    /// Presents the other's certificate from now on.
    pub fn swap(&self, other: Self) {
        self.current.store(other.current.into_inner());
    }
}

impl ResolvesServerCert for WebIdentity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl fmt::Debug for WebIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebIdentity").finish_non_exhaustive()
    }
}
