//! The file in which an endpoint's state outlives a restart (T24).

use std::io;
use std::path::Path;

use ztl_core::Timestamp;

use super::{BundleEndpoint, EndpointError, MAX_STATE_BYTES};
use crate::file::{self, FileError};
use crate::regular::replace_file;

impl BundleEndpoint {
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
