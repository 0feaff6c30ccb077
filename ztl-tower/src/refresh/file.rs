//! A file that only its owner may write, read again and again.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::FileError;

/// A file whose changes are to be taken once two reads of it agree: half of what somebody writes just now is not what they mean (T6).
pub(crate) struct SteadyFile {
    path: PathBuf,
    /// Most bytes of it.
    limit: usize,
    /// What is in force, or was refused.
    seen: Option<Vec<u8>>,
    /// A change that was read once.
    #[cfg(any(feature = "jwt", feature = "trust"))]
    pending: Option<Vec<u8>>,
}

impl SteadyFile {
    pub(crate) const fn new(path: PathBuf, limit: usize) -> Self {
        Self {
            path,
            limit,
            seen: None,
            #[cfg(any(feature = "jwt", feature = "trust"))]
            pending: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it now.
    pub(crate) fn load(&mut self) -> Result<&[u8], FileError> {
        let bytes = self.read()?;
        Ok(self.seen.insert(bytes))
    }

    /// Whether it holds something else than was loaded last.
    pub(crate) fn differs(&self) -> Result<bool, FileError> {
        Ok(self.seen.as_ref() != Some(&self.read()?))
    }

    /// What it holds, where that has changed since it was answered last, and two reads agree.
    #[cfg(any(feature = "jwt", feature = "trust"))]
    pub(crate) fn poll(&mut self) -> Result<Option<&[u8]>, FileError> {
        let bytes = self.read()?;
        if self.seen.as_ref() == Some(&bytes) {
            self.pending = None;
            return Ok(None);
        }
        if self.pending.as_ref() != Some(&bytes) {
            self.pending = Some(bytes);
            return Ok(None);
        }
        self.pending = None;
        Ok(Some(self.seen.insert(bytes)))
    }

    /// Reads at most `limit` bytes. Type, right and bytes are those of one open file, whatever is put in its place meanwhile.
    fn read(&self) -> Result<Vec<u8>, FileError> {
        let failed = |error| FileError::Read {
            path: self.path.clone(),
            error,
        };
        let file = ztl_mtls::open_regular(&self.path)
            .map_err(failed)?
            .ok_or_else(|| FileError::NotAFile {
                path: self.path.clone(),
            })?;
        #[cfg(unix)]
        {
            let permissions = file.metadata().map_err(failed)?.permissions();
            let mode = std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o7777;
            if mode & 0o022 != 0 {
                return Err(FileError::Writable {
                    path: self.path.clone(),
                    mode,
                });
            }
        }
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.len() > self.limit {
            Err(FileError::TooLarge {
                path: self.path.clone(),
                limit: self.limit,
            })
        } else {
            Ok(bytes)
        }
    }
}
