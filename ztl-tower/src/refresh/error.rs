//! Why a file was not taken.

use std::path::PathBuf;

use thiserror::Error;

/// Why a file that is read again and again was not taken.
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
    /// It is larger than what is read of such a file.
    #[error("`{path}` has more than {limit} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How many bytes are read.
        limit: usize,
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
