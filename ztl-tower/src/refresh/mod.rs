//! Files that change while the service runs: policy, identity, bundles and revocations.
//!
//! A file is taken when two reads a moment apart agree, is checked whole before anything of it is used, and where it is bad
//! the last good one stays in force and an error event says so.

mod bundles;
mod error;
mod identity;
mod policy;
mod revocation;

use core::time::Duration;
use std::sync::{Arc, Weak};

use tokio::task::{JoinError, spawn_blocking};
use tokio::time::MissedTickBehavior;
use ztl_mtls::TrustBundle;
use ztl_mtls::source::{PemBundle, PemIdentity};

pub use error::FileError;
pub(crate) use policy::PolicyFile;
pub(crate) use revocation::RevocationFiles;

use crate::guard::{Guard, Inner};

/// Everything that is read again from time to time.
pub(crate) struct Refresh {
    pub(crate) policy: Option<PolicyFile>,
    pub(crate) identity: Option<PemIdentity>,
    pub(crate) bundle_files: Vec<PemBundle>,
    /// All bundles, those from files among them.
    pub(crate) bundles: Vec<TrustBundle>,
    pub(crate) revocation: RevocationFiles,
}

impl Refresh {
    /// Looks at the files for as long as the guard lives.
    pub(crate) fn spawn(mut self, guard: &Arc<Inner>, every: Duration) {
        if self.policy.is_none()
            && self.identity.is_none()
            && self.bundle_files.is_empty()
            && self.revocation.is_empty()
        {
            return;
        }
        let guard: Weak<Inner> = Arc::downgrade(guard);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(guard) = guard.upgrade().map(Guard::from_inner) else {
                    return;
                };
                self.policy(&guard).await;
                self.identity(&guard).await;
                self.bundles(&guard).await;
                self.revocation.look(&guard).await;
            }
        });
    }
}

/// Files are read where they block no request.
pub(crate) async fn off_thread<T, R>(
    mut files: T,
    work: impl FnOnce(&mut T) -> R + Send + 'static,
) -> Result<(T, R), JoinError>
where
    T: Send + 'static,
    R: Send + 'static,
{
    spawn_blocking(move || {
        let done = work(&mut files);
        (files, done)
    })
    .await
}

fn unwatched(guard: &Guard, what: &str, error: &JoinError) {
    tracing::error!(target: "ztl", workload = guard.name(), what, %error, "no longer read again; the last good one stays in force");
}
