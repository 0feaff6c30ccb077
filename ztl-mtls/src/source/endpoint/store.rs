//! The file in which an endpoint's state outlives a restart (T24).

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ztl_core::Timestamp;

use super::{BundleEndpoint, EndpointError, MAX_STATE_BYTES};
use crate::file::{self, FileError};

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
        replace(path, &state).map_err(|error| EndpointError::Write {
            path: path.to_owned(),
            error,
        })
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // What an earlier write left behind, or a link that somebody put there, is not written through.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    drop(file);
    fs::rename(&beside, path)
}
