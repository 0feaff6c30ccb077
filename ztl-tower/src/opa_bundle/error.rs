//! Why a bundle of policies is not in force.

use core::time::Duration;
use std::path::PathBuf;

use thiserror::Error;
use ztl_authz::bundle::{BundleFault, PullError, RevisionError};

use crate::fetch::FetchError;
use crate::refresh::FileError;

/// Why a bundle of policies is not in force. The last good one stays, for as long as it may, unless whoever puts them in force panicked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpaBundleError {
    /// The guard pulls no bundle of this name.
    #[error("no bundle `{0}` is pulled; give the builder an `opa_bundle`")]
    NotPulled(String),
    /// Two bundles go by one name.
    #[error("two bundles go by this name; give each its own")]
    DuplicateName,
    /// What came is not taken.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// The bundle is good, and could not be put in force: it does not compile, for one.
    #[error("the bundle could not be put in force: {0}")]
    NotInForce(#[source] BundleFault),
    /// Whoever puts bundles in force panicked.
    #[error("putting the bundle in force broke off: {0}")]
    Panicked(#[source] tokio::task::JoinError),
    /// Whoever puts bundles in force panicked, and again when it was to withdraw what there is, over this.
    #[error("{0}; withdrawing it broke off as well, over `{1}`: what is in force is not known")]
    NotWithdrawn(#[source] Box<OpaBundleError>, String),
    /// The task that pulls the bundle and withdraws it has ended, with its runtime or by a panic: so nothing of it is in force.
    #[error(
        "nobody pulls the bundle `{0}` any more, by a panic or because the runtime of the guard has ended; build the guard anew"
    )]
    NotKept(String),
    /// The task that looks at the bundle's file has ended, with its runtime or by a panic: so nothing of it is in force.
    #[error(
        "nobody looks at the file of the bundle `{0}` any more, by a panic or because the runtime of the guard has ended; build the guard anew"
    )]
    NotLookedAt(String),
    /// Nothing came that counts.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The file cannot be read.
    #[error(transparent)]
    File(FileError),
    /// It took too long.
    #[error("the bundle did not come whole within {0:?}")]
    TimedOut(Duration),
    /// The state of an earlier run cannot be read. Without it an old bundle could be served again (T24).
    #[error(transparent)]
    StateFile(#[from] FileError),
    /// The state of an earlier run is none.
    #[error("`{path}`: {error}")]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        error: RevisionError,
    },
    /// The state could not be stored. The bundle is in force all the same.
    #[error("the newest revision could not be stored in `{path}`: {error}")]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl OpaBundleError {
    /// This panic, and what became of withdrawing what there is.
    pub(super) fn then(self, withdrawn: Result<(), String>) -> Self {
        match withdrawn {
            Ok(()) => self,
            Err(over) => Self::NotWithdrawn(self.into(), over),
        }
    }

    /// This alone: that it could not be withdrawn is said for as long as it is so.
    pub(super) fn alone(&self) -> &Self {
        match self {
            Self::NotWithdrawn(error, _) => error,
            other => other,
        }
    }
}
