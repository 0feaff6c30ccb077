//! The file in which an endpoint's state outlives a restart (T24).

use core::time::Duration;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use ztl_core::Timestamp;

use super::{BundleEndpoint, EndpointError, MAX_STATE_BYTES};
use crate::bundle::SpiffeBundle;
use crate::file::{self, FileError};
use crate::regular::replace_file;

/// What clocks may differ by: a file that was written later than that from now is of no age that is known.
const CLOCKS_DIFFER: Duration = Duration::from_secs(300);

impl BundleEndpoint {
    /// Begins with the bundle in a file, a document or PEM, which is as old as the file: past [`max_age`](Self::max_age), which is set
    /// first, it proves the endpoint and nobody else. Whoever keeps us from the endpoint cannot have a withdrawn authority back by a
    /// restart. A file of times to come, by more than five minutes, is as old as can be: it would be new at each restart.
    ///
    /// # Errors
    /// [`EndpointError`], with the name of the file.
    pub fn with_bundle_file(
        self,
        path: impl AsRef<Path>,
        now: Timestamp,
    ) -> Result<Self, EndpointError> {
        let path = path.as_ref();
        // Before it is read: what is put in its place meanwhile is no younger than it says. One whose age is not known is as old as can be.
        let written = std::fs::metadata(path).and_then(|file| file.modified());
        let written = written
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let written = written
            .map(|since| Timestamp::from_unix_secs(since.as_secs()))
            .filter(|written| *written <= now.saturating_add(CLOCKS_DIFFER))
            .unwrap_or(Timestamp::EPOCH);
        let bundle = SpiffeBundle::from_file(self.trust_domain.clone(), path)?;
        let mut endpoint = self.with_bundle(bundle, written.min(now))?;
        if endpoint.schedule.is_past_its_age(now) {
            endpoint.schedule.withdraw();
        }
        Ok(endpoint)
    }

    /// [`restore`](Self::restore)s from a file. One that is not there yet is not an error: nothing was fetched before.
    ///
    /// # Errors
    /// [`EndpointError`], with the name of the file. Whoever starts a service stops here: without the state an older bundle
    /// could be taken.
    pub fn restore_file(
        &mut self,
        path: impl AsRef<Path>,
        now: Timestamp,
    ) -> Result<(), EndpointError> {
        let path = path.as_ref();
        let state = match file::read_at_most(path, MAX_STATE_BYTES) {
            Err(FileError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(());
            }
            read => read?,
        };
        self.restore(&state, now)
            .map_err(|error| EndpointError::StateFile {
                path: path.to_owned(),
                error: Box::new(error),
            })
    }

    /// Writes the [`state`](Self::state) beside the file and then into its place, so that a reader sees the old one or the new
    /// one, whole. Readable for its owner only. Writes nothing where no bundle is held.
    ///
    /// # Errors
    /// [`EndpointError`], with the name of the file.
    pub fn store_file(&self, path: impl AsRef<Path>) -> Result<(), EndpointError> {
        let path = path.as_ref();
        let Some(state) = self.state()? else {
            return Ok(());
        };
        replace_file(path, state.as_bytes()).map_err(|error| EndpointError::Write {
            path: path.to_owned(),
            error,
        })
    }
}
