//! Signals about callers, in files.

use std::path::PathBuf;

use ztl_authz::trust::{SharedTable, SignalTable};

use super::file::SteadyFile;
use super::{off_thread, unwatched};
use crate::guard::Guard;

type Error = Box<dyn core::error::Error + Send + Sync>;

/// A table in a file.
pub(crate) struct SignalFile {
    file: SteadyFile,
    table: SharedTable,
}

impl SignalFile {
    pub(crate) const fn new(path: PathBuf, limit: usize, table: SharedTable) -> Self {
        Self {
            file: SteadyFile::new(path, limit),
            table,
        }
    }

    fn load(&mut self) -> Result<usize, Error> {
        let path = self.file.path().display().to_string();
        put_in_force(&self.table, &path, self.file.load()?)
    }

    fn poll(&mut self) -> Result<Option<usize>, Error> {
        let path = self.file.path().display().to_string();
        let changed = self.file.poll()?;
        changed
            .map(|bytes| put_in_force(&self.table, &path, bytes))
            .transpose()
    }
}

/// How many signals there are now.
fn put_in_force(shared: &SharedTable, path: &str, bytes: &[u8]) -> Result<usize, Error> {
    let table = SignalTable::from_json(bytes).map_err(|error| format!("`{path}`: {error}"))?;
    let signals = table.len();
    shared.swap(table);
    Ok(signals)
}

/// All of a guard.
#[derive(Default)]
pub(crate) struct SignalFiles(Vec<SignalFile>);

impl SignalFiles {
    pub(crate) const fn new(files: Vec<SignalFile>) -> Self {
        Self(files)
    }

    pub(crate) fn load(&mut self) -> Result<(), Error> {
        for file in &mut self.0 {
            file.load()?;
        }
        Ok(())
    }

    /// What became of those that changed.
    fn poll(&mut self) -> Vec<Result<usize, Error>> {
        let polled = self.0.iter_mut().map(SignalFile::poll);
        polled.filter_map(Result::transpose).collect()
    }

    pub(super) async fn look(&mut self, guard: &Guard) {
        if self.0.is_empty() {
            return;
        }
        let (files, polled) = match off_thread(core::mem::take(self), Self::poll).await {
            Ok(polled) => polled,
            Err(error) => return unwatched(guard, "signals", &error),
        };
        *self = files;
        for polled in polled {
            match polled {
                Ok(signals) => {
                    guard.signals_changed();
                    tracing::info!(target: "ztl", workload = guard.name(), signals, "signals reloaded");
                }
                Err(error) => {
                    tracing::error!(target: "ztl", workload = guard.name(), %error, "signals not reloaded; the last good ones stay until they are too old");
                }
            }
        }
    }
}
