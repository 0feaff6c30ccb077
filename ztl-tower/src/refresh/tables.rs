//! What is known of callers, in files: signals, and postures of devices.

use std::path::PathBuf;

use super::file::SteadyFile;
use super::{off_thread, unwatched};
use crate::guard::Guard;
use crate::watch::reloaded;

type Error = Box<dyn core::error::Error + Send + Sync>;
/// Puts a table in force, and says how many entries it has.
type Take = dyn Fn(&[u8]) -> Result<usize, Error> + Send;

/// A table in a file.
pub(crate) struct TableFile {
    file: SteadyFile,
    what: &'static str,
    take: Box<Take>,
}

impl TableFile {
    pub(crate) fn new(
        path: PathBuf,
        limit: usize,
        what: &'static str,
        take: impl Fn(&[u8]) -> Result<usize, Error> + Send + 'static,
    ) -> Self {
        Self {
            file: SteadyFile::new(path, limit),
            what,
            take: Box::new(take),
        }
    }

    fn load(&mut self) -> Result<usize, Error> {
        let path = self.file.path().display().to_string();
        let bytes = self.file.load()?;
        (self.take)(bytes).map_err(|error| format!("`{path}`: {error}").into())
    }

    fn poll(&mut self) -> Result<Option<usize>, Error> {
        let path = self.file.path().display().to_string();
        let changed = self.file.poll()?.map(&self.take).transpose();
        changed.map_err(|error| format!("`{path}`: {error}").into())
    }
}

/// All of a guard.
#[derive(Default)]
pub(crate) struct TableFiles(Vec<TableFile>);

impl TableFiles {
    pub(crate) const fn new(files: Vec<TableFile>) -> Self {
        Self(files)
    }

    pub(crate) fn load(&mut self) -> Result<(), Error> {
        for file in &mut self.0 {
            file.load()?;
        }
        Ok(())
    }

    /// What became of those that changed.
    fn poll(&mut self) -> Vec<(&'static str, Result<usize, Error>)> {
        let polled = self.0.iter_mut().map(|file| {
            let polled = file.poll().transpose()?;
            Some((file.what, polled))
        });
        polled.flatten().collect()
    }

    pub(super) async fn look(&mut self, guard: &Guard) {
        if self.0.is_empty() {
            return;
        }
        let (files, polled) = match off_thread(core::mem::take(self), Self::poll).await {
            Ok(polled) => polled,
            Err(error) => return unwatched(guard, "what is known of callers", &error),
        };
        *self = files;
        for (what, polled) in polled {
            match polled {
                Ok(entries) => {
                    reloaded(guard, what, "taken");
                    guard.evidence_changed();
                    tracing::info!(target: "ztl", workload = guard.name(), what, entries, "a table about callers was reloaded");
                }
                Err(error) => {
                    reloaded(guard, what, "refused");
                    tracing::error!(target: "ztl", workload = guard.name(), what, %error, "a table about callers was not reloaded; the last good one stays until its entries are too old");
                }
            }
        }
    }
}
