//! The files that a policy document names, as they were read for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
use ztl_authz::artefacts::{Artefacts, Folder};

/// Where one lies, and what was read there.
pub(crate) type Artefact = (PathBuf, Vec<u8>);

/// All that were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named(Arc<Mutex<Vec<Artefact>>>);

impl Named {
    /// Those that were read so far, by where they lie. Each once, and each that held something else when it was read again.
    pub(crate) fn read(&self) -> Vec<Artefact> {
        let mut read = core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        read.sort();
        read.dedup();
        read
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
        let bytes = self.folder.read(name)?;
        let mut read = self.named.0.lock().unwrap_or_else(PoisonError::into_inner);
        read.push((path, bytes.clone()));
        drop(read);
        Ok(bytes)
    }
}

#[cfg(all(test, any(feature = "opa", feature = "rego", feature = "schema")))]
mod tests {
    use super::*;

    #[test]
    fn t6_what_was_read_is_kept_whatever_the_file_holds_later() {
        let folder = std::env::temp_dir().join(format!("ztl-named-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let path = folder.join("tune.json");
        let named = Named::default();
        let files = named.of(Folder::new(&folder));
        for text in ["{}", "{}", "{ }"] {
            std::fs::write(&path, text).expect("written");
            assert_eq!(files.read("tune.json").as_deref(), Ok(text.as_bytes()));
        }
        std::fs::remove_file(&path).expect("removed");
        assert!(files.read("tune.json").is_err());
        let read = [b"{ }".to_vec(), b"{}".to_vec()].map(|bytes| (path.clone(), bytes));
        assert_eq!(named.read(), read);
        let _ = std::fs::remove_dir_all(&folder);
    }
}
