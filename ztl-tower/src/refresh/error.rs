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
    /// A key is configured, and none signed it (T6).
    #[error(
        "`{path}` is not taken: its signature `{signature}` {why}; sign the file anew, or restore both as they were"
    )]
    NotSigned {
        /// The file.
        path: PathBuf,
        /// Where its signature has to stand.
        signature: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Keys that it would have to be signed with cannot be read.
    #[error("`{path}` {error}")]
    Keys {
        /// The file of keys.
        path: PathBuf,
        /// Why.
        error: ztl_mtls::FileKeyError,
    },
    /// Its serial is older than one that was in force here before (T6), or it has none.
    #[error("`{path}` is not taken: {}, and serial {seen} was in force before, as `{state}` says; raise the `serial` of what you mean", .offered.map_or_else(|| "it has no `serial`".to_owned(), |serial| format!("its serial is {serial}")))]
    WentBack {
        /// The file.
        path: PathBuf,
        /// The serial that it has.
        offered: Option<u64>,
        /// The highest that was in force.
        seen: u64,
        /// Where that stands.
        state: PathBuf,
    },
    /// What an earlier run left cannot be understood.
    #[error(
        "`{path}` holds no serial of a policy: {why}; remove it only if you know which serial was in force"
    )]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
}
