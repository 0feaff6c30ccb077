//! The files that a policy document names, watched as it is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ztl_authz::artefacts::{Artefacts, Folder, MAX_ARTEFACT_BYTES};
#[cfg(any(feature = "opa", feature = "rego"))]
use ztl_authz::rego::RegoKind;
use ztl_core::policy::{Loader, Policy};

use super::error::FileError;
use super::file::SteadyFile;
use crate::guard::BuildError;

type Files = BTreeMap<String, SteadyFile>;

/// The files that were read for the document in force, or for one that was refused.
#[derive(Default)]
pub(super) struct Named(Files);

impl Named {
    /// Loads a document at this path, which may name files in its folder.
    pub(super) fn read_by(
        &mut self,
        path: &Path,
        loader: Loader,
        load: impl FnOnce(Loader) -> Result<Policy, BuildError>,
    ) -> Result<Policy, BuildError> {
        let beside = Arc::new(Beside {
            folder: Folder::new(path.parent().unwrap_or(Path::new(""))),
            files: Mutex::default(),
        });
        #[cfg(feature = "rego")]
        let loader =
            loader.authorizer_kind("rego", Arc::new(RegoKind::interpreter(beside.clone())));
        #[cfg(feature = "opa")]
        let loader = loader.authorizer_kind("opa", Arc::new(RegoKind::wasm(beside.clone())));
        #[cfg(feature = "schema")]
        let loader = loader.with_schemas(Arc::new(ztl_authz::schema::Schemas::new(beside.clone())));
        let loaded = load(loader);
        let read = &mut *beside.files.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.is_ok() {
            self.0 = core::mem::take(read);
        } else {
            // What is in force is watched on; what was refused is looked at again when it changes.
            self.0.append(read);
        }
        loaded
    }

    /// Whether one of them holds something else than was read.
    pub(super) fn differ(&mut self) -> Result<bool, FileError> {
        for file in self.0.values_mut() {
            if file.differs()? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Files of the document's folder. One that others may write is refused, as the document is.
struct Beside {
    folder: Folder,
    files: Mutex<Files>,
}

impl core::fmt::Debug for Beside {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Beside").field(&self.folder).finish()
    }
}

impl Artefacts for Beside {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let mut file = SteadyFile::new(self.folder.path(name)?, MAX_ARTEFACT_BYTES);
        let bytes = match file.load() {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(format!("cannot be read: {error}")),
        };
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(name.to_owned(), file);
        bytes
    }
}
