//! The policy document in a file.

use std::io::Read;
use std::path::{Path, PathBuf};

use ztl_core::policy::{Format, Loader, MAX_DOCUMENT_BYTES, Policy};

use super::error::FileError;
use super::{Refresh, off_thread, unwatched};
use crate::guard::{BuildError, Guard};

/// A policy document in a file.
pub(crate) struct PolicyFile {
    path: PathBuf,
    /// What is in force, or was refused.
    seen: Option<Vec<u8>>,
    /// A change that was read once.
    pending: Option<Vec<u8>>,
}

impl PolicyFile {
    const fn new(path: PathBuf) -> Self {
        Self {
            path,
            seen: None,
            pending: None,
        }
    }

    /// Reads the document for the first time.
    pub(crate) async fn open(path: PathBuf) -> Result<(Policy, Self), BuildError> {
        let failed = |error| FileError::Read {
            path: path.clone(),
            error: std::io::Error::other(error),
        };
        let (file, policy) = off_thread(Self::new(path.clone()), Self::load)
            .await
            .map_err(failed)?;
        Ok((policy?, file))
    }

    fn load(&mut self) -> Result<Policy, BuildError> {
        let bytes = read(&self.path)?;
        let policy = self.parse(&bytes)?;
        self.seen = Some(bytes);
        Ok(policy)
    }

    /// A changed document, once two reads of it agree.
    fn poll(&mut self) -> Result<Option<Policy>, BuildError> {
        let bytes = read(&self.path)?;
        if self.seen.as_ref() == Some(&bytes) {
            self.pending = None;
            return Ok(None);
        }
        if self.pending.as_ref() != Some(&bytes) {
            self.pending = Some(bytes);
            return Ok(None);
        }
        // Taken or refused, it is not looked at again until it changes.
        self.pending = None;
        let policy = self.parse(&bytes);
        self.seen = Some(bytes);
        Ok(Some(policy?))
    }

    fn parse(&self, bytes: &[u8]) -> Result<Policy, BuildError> {
        let text = core::str::from_utf8(bytes).map_err(|_| FileError::NotUtf8 {
            path: self.path.clone(),
        })?;
        Ok(Loader::new()
            .source(&self.path.display().to_string())
            .load(text, Format::of_path(&self.path))?)
    }
}

impl Refresh {
    pub(super) async fn policy(&mut self, guard: &Guard) {
        let Some(file) = self.policy.take() else {
            return;
        };
        let (file, polled) = match off_thread(file, PolicyFile::poll).await {
            Ok(polled) => polled,
            Err(error) => return unwatched(guard, "policy", &error),
        };
        self.policy = Some(file);
        let swapped = match polled {
            Ok(None) => return,
            Ok(Some(policy)) => {
                let revision = policy.revision();
                guard
                    .swap_policy(policy)
                    .map(|()| revision)
                    .map_err(BuildError::from)
            }
            Err(error) => Err(error),
        };
        match swapped {
            Ok(revision) => {
                tracing::info!(target: "ztl", workload = guard.name(), %revision, "policy reloaded")
            }
            Err(error) => {
                tracing::error!(target: "ztl", workload = guard.name(), %error, "policy not reloaded; the last good one stays in force")
            }
        }
    }
}

/// Reads a document, at most [`MAX_DOCUMENT_BYTES`] of it. Type, right and bytes are those of one open file, whatever is put in
/// its place meanwhile.
fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let failed = |error| FileError::Read {
        path: path.to_owned(),
        error,
    };
    let file = ztl_mtls::open_regular(path)
        .map_err(failed)?
        .ok_or_else(|| FileError::NotAFile {
            path: path.to_owned(),
        })?;
    #[cfg(unix)]
    {
        let permissions = file.metadata().map_err(failed)?.permissions();
        let mode = std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o7777;
        if mode & 0o022 != 0 {
            return Err(FileError::Writable {
                path: path.to_owned(),
                mode,
            });
        }
    }
    let limit = u64::try_from(MAX_DOCUMENT_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > MAX_DOCUMENT_BYTES {
        Err(FileError::TooLarge {
            path: path.to_owned(),
        })
    } else {
        Ok(bytes)
    }
}
