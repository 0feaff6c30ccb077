//! Files of one kind, each under a name and with what makes something of it.

use std::path::PathBuf;

use super::file::SteadyFile;
use super::kept::{Kept, caught};
use super::unlooked;
use crate::guard::Guard;

pub(super) use super::kept::Error;
/// Makes something of what a file holds.
pub(super) type Read<T> = dyn Fn(&[u8]) -> Result<T, Error> + Send;

/// A file, and what makes a `T` of it.
pub(crate) struct ParsedFile<N, T> {
    name: N,
    file: SteadyFile,
    read: Box<Read<T>>,
}

impl<N: Clone, T> ParsedFile<N, T> {
    pub(super) const fn new(name: N, path: PathBuf, limit: usize, read: Box<Read<T>>) -> Self {
        Self {
            name,
            file: SteadyFile::new(path, limit),
            read,
        }
    }

    fn load(&mut self) -> Result<(N, T), Error> {
        let path = self.file.path().display().to_string();
        let bytes = self.file.load()?;
        let read = (self.read)(&bytes).map_err(|error| format!("`{path}`: {error}"))?;
        Ok((self.name.clone(), read))
    }

    fn poll(&mut self) -> Result<Option<T>, Error> {
        let path = self.file.path().display().to_string();
        let changed = self
            .file
            .poll()?
            .map(|bytes| (self.read)(&bytes))
            .transpose();
        changed.map_err(|error| format!("`{path}`: {error}").into())
    }
}

/// All of a guard that are of this kind.
pub(crate) struct ParsedFiles<N, T>(Vec<ParsedFile<N, T>>);

impl<N, T> Default for ParsedFiles<N, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<N: Clone, T> ParsedFiles<N, T> {
    pub(crate) const fn new(files: Vec<ParsedFile<N, T>>) -> Self {
        Self(files)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &N> {
        self.0.iter().map(|file| &file.name)
    }

    /// What each holds, by its name.
    pub(crate) fn load(&mut self) -> Result<Vec<(N, T)>, Error> {
        self.0.iter_mut().map(ParsedFile::load).collect()
    }

    /// What became of those that changed.
    fn poll(&mut self) -> Vec<(N, Result<T, Error>)> {
        let polled = self.0.iter_mut().map(|file| {
            // One that panics takes no other's change with it, which is not read twice.
            let polled = caught(|| file.poll()).map_err(Error::from);
            let polled = polled.and_then(|polled| polled).transpose()?;
            Some((file.name.clone(), polled))
        });
        polled.flatten().collect()
    }
}

impl<N: Clone + Send + 'static, T: Send + 'static> Kept<ParsedFiles<N, T>> {
    /// The same. `what` they are is said where they cannot be looked at.
    pub(super) async fn changed(&self, guard: &Guard, what: &str) -> Vec<(N, Result<T, Error>)> {
        self.work(ParsedFiles::poll).await.unwrap_or_else(|error| {
            unlooked(guard, what, error);
            Vec::new()
        })
    }
}
