//! Files that change while the service runs: policy, identity and bundles.
//!
//! A file is taken when two reads a moment apart agree, is checked whole before anything of it is used, and where it is bad
//! the last good one stays in force and an error event says so.

use core::time::Duration;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::MissedTickBehavior;
use ztl_core::policy::{Format, Loader, MAX_DOCUMENT_BYTES, Policy};
use ztl_mtls::source::{PemBundle, PemIdentity};
use ztl_mtls::{BundleSet, TrustBundle};

use crate::guard::{BuildError, Guard, Inner};

/// Why a policy file was not taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// It could not be read.
    #[error("`{path}` could not be read: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is a pipe, a device or a folder, which could keep a reader for ever.
    #[error("`{path}` is not a regular file")]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// It is larger than [`MAX_DOCUMENT_BYTES`].
    #[error("`{path}` has more than {MAX_DOCUMENT_BYTES} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is not UTF-8.
    #[error("`{path}` is not UTF-8")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// Others than its owner may write it (T6).
    #[error("`{path}` may be written by its group or by others (mode {mode:o}); `chmod go-w` it")]
    Writable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

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

/// Everything that is read again from time to time.
pub(crate) struct Refresh {
    pub(crate) policy: Option<PolicyFile>,
    pub(crate) identity: Option<PemIdentity>,
    pub(crate) bundle_files: Vec<PemBundle>,
    /// All bundles, those from files among them.
    pub(crate) bundles: Vec<TrustBundle>,
}

impl Refresh {
    /// Looks at the files for as long as the guard lives.
    pub(crate) fn spawn(mut self, guard: &Arc<Inner>, every: Duration) {
        if self.policy.is_none() && self.identity.is_none() && self.bundle_files.is_empty() {
            return;
        }
        let guard: Weak<Inner> = Arc::downgrade(guard);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(guard) = guard.upgrade().map(Guard::from_inner) else {
                    return;
                };
                self.policy(&guard).await;
                self.identity(&guard).await;
                self.bundles(&guard).await;
            }
        });
    }

    async fn policy(&mut self, guard: &Guard) {
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

    async fn identity(&mut self, guard: &Guard) {
        let Some(files) = self.identity.take() else {
            return;
        };
        let (files, polled) = match off_thread(files, PemIdentity::poll).await {
            Ok(polled) => polled,
            Err(error) => return unwatched(guard, "SVID", &error),
        };
        self.identity = Some(files);
        let swapped = match polled {
            Ok(None) => return,
            Ok(Some(svid)) => guard.swap_identity(svid).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match swapped {
            Ok(()) => tracing::info!(target: "ztl", workload = guard.name(), "SVID reloaded"),
            Err(error) => {
                tracing::error!(target: "ztl", workload = guard.name(), error, "SVID not reloaded; the last good one stays in use")
            }
        }
    }

    async fn bundles(&mut self, guard: &Guard) {
        let files = core::mem::take(&mut self.bundle_files);
        let poll_all = |files: &mut Vec<PemBundle>| -> Vec<_> {
            files.iter_mut().map(PemBundle::poll).collect()
        };
        let (files, polled) = match off_thread(files, poll_all).await {
            Ok(polled) => polled,
            Err(error) => return unwatched(guard, "trust bundles", &error),
        };
        self.bundle_files = files;
        let mut changed = false;
        for bundle in polled {
            match bundle {
                Ok(None) => {}
                Ok(Some(bundle)) => {
                    self.bundles
                        .retain(|other| other.trust_domain() != bundle.trust_domain());
                    self.bundles.push(bundle);
                    changed = true;
                }
                Err(error) => {
                    tracing::error!(target: "ztl", workload = guard.name(), %error, "trust bundle not reloaded; the last good one stays in use");
                }
            }
        }
        if !changed {
            return;
        }
        match BundleSet::new(self.bundles.clone()) {
            Ok(set) => {
                guard.swap_bundles(set);
                tracing::info!(target: "ztl", workload = guard.name(), "trust bundles reloaded");
            }
            Err(error) => {
                tracing::error!(target: "ztl", workload = guard.name(), %error, "trust bundles not reloaded; the last good ones stay in use")
            }
        }
    }
}

/// Files are read where they block no request.
pub(crate) async fn off_thread<T, R>(
    mut files: T,
    work: impl FnOnce(&mut T) -> R + Send + 'static,
) -> Result<(T, R), JoinError>
where
    T: Send + 'static,
    R: Send + 'static,
{
    spawn_blocking(move || {
        let done = work(&mut files);
        (files, done)
    })
    .await
}

fn unwatched(guard: &Guard, what: &str, error: &JoinError) {
    tracing::error!(target: "ztl", workload = guard.name(), what, %error, "no longer read again; the last good one stays in force");
}

/// Reads a document, at most [`MAX_DOCUMENT_BYTES`] of it. Type, right and bytes are those of one open file, whatever is put in
/// its place meanwhile.
fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let failed = |error| FileError::Read {
        path: path.to_owned(),
        error,
    };
    let file = open(path)
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

/// Opens a regular file; anything else is `None`.
fn open(path: &Path) -> std::io::Result<Option<File>> {
    // To open a pipe waits for its other end, so it is not even tried; where it takes the file's place just then, O_NONBLOCK
    // keeps the open from waiting.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(all(
        any(target_os = "linux", target_os = "android"),
        any(
            target_arch = "x86_64",
            target_arch = "x86",
            target_arch = "aarch64",
            target_arch = "arm",
            target_arch = "riscv64"
        )
    ))]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, 0o4000);
    #[cfg(target_vendor = "apple")]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, 0x4);
    let file = options.open(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}
