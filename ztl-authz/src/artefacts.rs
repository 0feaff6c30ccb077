//! The files that a policy document names.

use core::fmt;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

/// Longest file that a policy is made from, in bytes.
pub const MAX_ARTEFACT_BYTES: usize = 16 * 1024 * 1024;

/// Where the files come from that `[authorizers.NAME]` names. Asked while a policy document is loaded, and never afterwards.
pub trait Artefacts: fmt::Debug + Send + Sync {
    /// The whole file of this name.
    ///
    /// # Errors
    /// What is wrong with it, for whoever wrote the name. One that is longer than [`MAX_ARTEFACT_BYTES`] is an error.
    fn read(&self, name: &str) -> Result<Vec<u8>, String>;
}

/// Files of a folder and below it, such as that of the policy document. A name that leads out of it is refused.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The files of this folder.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where the file of a name lies.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn path(&self, name: &str) -> Result<PathBuf, String> {
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if name.is_empty() || !Path::new(name).components().all(plain) {
            return Err(
                "names no file beside the document or below it: write a relative path without `..`"
                    .to_owned(),
            );
        }
        Ok(self.0.join(name))
    }
}

impl Artefacts for Folder {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let path = self.path(name)?;
        let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err("is no file".to_owned());
        }
        let limit = u64::try_from(MAX_ARTEFACT_BYTES).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| error.to_string())?;
        checked(bytes)
    }
}

/// Files by name, as a program has them at hand.
impl Artefacts for BTreeMap<String, Vec<u8>> {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let bytes = self.get(name).ok_or("is not given")?;
        checked(bytes.clone())
    }
}

fn checked(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    if bytes.len() > MAX_ARTEFACT_BYTES {
        Err(format!("is longer than {MAX_ARTEFACT_BYTES} bytes"))
    } else {
        Ok(bytes)
    }
}
