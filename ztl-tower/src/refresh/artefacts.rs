//! The files that a policy document names, watched as it is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ztl_authz::artefacts::{Artefacts, Folder, MAX_ARTEFACT_BYTES};
use ztl_core::policy::{Loader, Policy};
use ztl_mtls::FileKeys;

use super::error::FileError;
use super::file::SteadyFile;
use super::vouched::Signed;
use crate::guard::BuildError;

type Files = BTreeMap<String, One>;

/// A file, and its signature where one has to be there.
struct One {
    file: SteadyFile,
    signed: Option<Signed>,
}

/// The files that were read for the document in force, or for one that was refused.
#[derive(Default)]
pub(super) struct Named(Files);

impl Named {
    /// Loads a document at this path, which may name files in its folder. With keys, one of them has to have signed each of the files.
    pub(super) fn read_by(
        &mut self,
        path: &Path,
        keys: Option<&Arc<FileKeys>>,
        loader: Loader,
        load: impl FnOnce(Loader) -> Result<Policy, BuildError>,
    ) -> Result<Policy, BuildError> {
        let beside = Arc::new(Beside {
            folder: Folder::new(path.parent().unwrap_or(Path::new(""))),
            keys: keys.cloned(),
            files: Mutex::default(),
        });
        let files: Arc<dyn Artefacts> = beside.clone();
        let loaded = load(crate::loader::with_files(loader, &files));
        let read = &mut *beside.files.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.is_ok() {
            self.0 = core::mem::take(read);
        } else {
            // What is in force is watched on; what was refused is looked at again when it changes.
            self.0.append(read);
        }
        loaded
    }

    /// Whether one of them, or its signature, holds something else than was read.
    pub(super) fn differ(&mut self) -> Result<bool, FileError> {
        for One { file, signed } in self.0.values_mut() {
            if file.differs()? || signed.as_mut().map_or(Ok(false), Signed::differs)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Files of the document's folder. One that others may write is refused, as the document is, and so is one that is not signed where the
/// document has to be.
struct Beside {
    folder: Folder,
    keys: Option<Arc<FileKeys>>,
    files: Mutex<Files>,
}

impl core::fmt::Debug for Beside {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Beside").field(&self.folder).finish()
    }
}

impl Artefacts for Beside {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let path = self.folder.path(name)?;
        let keys = self.keys.as_ref();
        let mut one = One {
            signed: keys.map(|keys| Signed::by(Arc::clone(keys), &path)),
            file: SteadyFile::new(path, MAX_ARTEFACT_BYTES),
        };
        let read = one.read();
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(name.to_owned(), one);
        read.map_err(|error| format!("cannot be read: {error}"))
    }
}

impl One {
    fn read(&mut self) -> Result<Vec<u8>, FileError> {
        let bytes = self.file.load()?;
        if let Some(signed) = &mut self.signed {
            signed.check(self.file.path(), &bytes)?;
        }
        Ok(bytes)
    }
}
