//! The files that a policy document names, as they were read for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
use ztl_authz::artefacts::{Artefacts, Folder};

/// Where they lie.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named(Arc<Mutex<Vec<PathBuf>>>);

impl Named {
    /// Those that were read so far, each once.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let mut paths = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        paths.sort();
        paths.dedup();
        paths
    }

    /// The files of this folder, which are noted here.
    #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
    pub(crate) fn of(&self, folder: Folder) -> Arc<dyn Artefacts> {
        Arc::new(Noted {
            folder,
            named: self.clone(),
        })
    }
}

#[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
#[derive(Debug)]
struct Noted {
    folder: Folder,
    named: Named,
}

#[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
impl Artefacts for Noted {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let path = self.folder.path(name)?;
        let mut paths = self.named.0.lock().unwrap_or_else(PoisonError::into_inner);
        paths.push(path);
        self.folder.read(name)
    }
}
