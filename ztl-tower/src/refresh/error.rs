//! Why a policy file was not taken.

use std::path::PathBuf;

use thiserror::Error;
use ztl_core::policy::MAX_DOCUMENT_BYTES;

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
