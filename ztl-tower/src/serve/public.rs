//! The certificate of a public listener.

use core::fmt;
use std::path::Path;
use std::sync::Arc;

use ztl_mtls::{MAX_PEM_BYTES, WebIdentity};

use super::error::ServeError;
use crate::guard::Guard;
use crate::refresh::SteadyFile;

/// Certificate chain and key of a public listener, as PEM: ordinary server-side TLS, proved to callers by the Web PKI.
#[derive(Clone)]
pub struct PublicTls {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl PublicTls {
    /// From PEM in memory.
    #[must_use]
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Self {
        Self {
            certificate: certificate.to_vec(),
            key: key.to_vec(),
        }
    }

    /// From PEM files, read once: regular ones, of bounded size, which only their owner may write.
    ///
    /// # Errors
    /// [`ServeError::Certificate`] where one cannot be read, or is no such file.
    pub fn from_pem_files(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, ServeError> {
        let read = |path: &Path| {
            let mut file = SteadyFile::new(path.to_owned(), MAX_PEM_BYTES);
            file.load()
                .map_err(|error| ServeError::Certificate(error.into()))
        };
        Ok(Self {
            certificate: read(certificate.as_ref())?,
            key: read(key.as_ref())?,
        })
    }
}

impl PublicTls {
    pub(super) fn identity(&self, guard: &Guard) -> Result<Arc<WebIdentity>, ServeError> {
        let identity = WebIdentity::from_pem(&self.certificate, &self.key, &guard.provider());
        identity
            .map(Arc::new)
            .map_err(|error| ServeError::Certificate(error.into()))
    }
}

impl fmt::Debug for PublicTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicTls")
    }
}
