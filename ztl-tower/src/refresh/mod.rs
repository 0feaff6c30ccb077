//! What changes while the service runs: the files of the policy, of revocations, of issuers' keys and of what is known of callers, and what
//! the sources of our SVID and our bundles give. Files of bundles of policies have tasks of their own.
//!
//! A file is taken when two reads a moment apart agree, is checked whole before anything of it is used, and where it is
//! bad the last good one stays in force and an error event says so. What sources give is kept for a grace and then withdrawn;
//! `ztl_mtls::source` has the rules.

#[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
mod artefacts;
mod error;
mod expiry;
mod file;
#[cfg(feature = "jwt")]
mod keys;
mod nudge;
#[cfg(any(feature = "jwt", feature = "trust"))]
mod parsed;
#[cfg(any(
    feature = "bundle",
    feature = "federation",
    feature = "oidc",
    all(feature = "client", feature = "trust")
))]
mod pause;
mod policy;
mod revocation;
mod sources;
#[cfg(feature = "trust")]
mod tables;
mod vouched;

use core::time::Duration;
use std::sync::{Arc, Weak};

use tokio::task::{JoinError, spawn_blocking};
use tokio::time::MissedTickBehavior;
use ztl_mtls::ExpiryWatch;

pub use error::FileError;
pub(crate) use expiry::{Gauged, OnExpiry};
pub(crate) use file::SteadyFile;
#[cfg(feature = "jwt")]
pub(crate) use keys::{KeyFile, KeyFiles};
#[cfg(any(
    feature = "bundle",
    feature = "federation",
    feature = "oidc",
    all(feature = "client", feature = "trust")
))]
pub(crate) use pause::{LONGEST_SLEEP, pause};
pub(crate) use policy::{Authorizers, PolicyFile, Vouching};
pub(crate) use revocation::RevocationFiles;
pub(crate) use sources::Sources;
#[cfg(feature = "trust")]
pub(crate) use tables::{TableFile, TableFiles};

use crate::guard::{Guard, Inner};
use sources::Look;

/// Everything that is looked at again from time to time.
pub(crate) struct Refresh {
    pub(crate) policy: Option<PolicyFile>,
    pub(crate) sources: Sources,
    pub(crate) expiry: ExpiryWatch,
    pub(crate) on_expiry: Option<OnExpiry>,
    pub(crate) gauged: Gauged,
    pub(crate) revocation: RevocationFiles,
    #[cfg(feature = "trust")]
    pub(crate) tables: TableFiles,
    #[cfg(feature = "jwt")]
    pub(crate) keys: KeyFiles,
}

impl Refresh {
    /// Looks for as long as the guard lives: regularly at everything, and at a source at once where it has news.
    pub(crate) fn spawn(mut self, guard: &Arc<Inner>, every: Duration) {
        let guard: Weak<Inner> = Arc::downgrade(guard);
        let news = self.sources.news();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let look = tokio::select! {
                    _ = ticks.tick() => Look::All,
                    () = news.notified() => Look::Nudged,
                };
                let Some(guard) = guard.upgrade().map(Guard::from_inner) else {
                    return;
                };
                if look == Look::All {
                    self.policy(&guard).await;
                    self.revocation.look(&guard).await;
                    #[cfg(feature = "trust")]
                    self.tables.look(&guard).await;
                    #[cfg(feature = "jwt")]
                    self.keys.look(&guard).await;
                }
                self.sources.look(&guard, look).await;
                self.expiry(&guard);
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
