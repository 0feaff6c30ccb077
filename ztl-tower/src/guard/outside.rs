//! By which roots hosts outside the mesh are proved.

use std::path::PathBuf;

use ztl_mtls::{WebRoots, WebRootsError};

use super::GuardBuilder;

/// Where the roots come from: none are built in, and those of the system are not looked for.
#[derive(Default)]
pub(super) enum WebRootsFrom {
    #[default]
    Nowhere,
    Memory(WebRoots),
    File(PathBuf),
}

impl WebRootsFrom {
    pub(super) async fn open(self) -> Result<Option<WebRoots>, WebRootsError> {
        match self {
            Self::Nowhere => Ok(None),
            Self::Memory(roots) => Ok(Some(roots)),
            Self::File(path) => {
                let read = tokio::task::spawn_blocking(|| WebRoots::from_pem_file(path));
                match read.await {
                    Ok(roots) => roots.map(Some),
                    // The runtime ends: nothing is called outside by no roots.
                    Err(_) => Ok(None),
                }
            }
        }
    }
}

impl GuardBuilder {
    /// The roots of the Web PKI that prove hosts outside the mesh (`[external.NAME]` of the policy). Without any none of them is
    /// reached: none are built in, and those of the system are not looked for.
    pub fn web_roots(mut self, roots: WebRoots) -> Self {
        self.web_roots = WebRootsFrom::Memory(roots);
        self
    }

    /// The same from a PEM file, which on most systems is `/etc/ssl/certs/ca-certificates.crt`. It is read once.
    pub fn web_roots_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.web_roots = WebRootsFrom::File(path.into());
        self
    }
}
