//! What changes while the service runs: the files of the policy, of revocations, of issuers' keys and of what is known of callers, and what
//! the sources of our SVID and our bundles give. Each kind has a task and a thread of its own, as each bundle of policies in a file has a task:
//! none waits for another.
//!
//! A file is taken when two reads a moment apart agree, is checked whole before anything of it is used, and where it is
//! bad the last good one stays in force and an error event says so. What sources give is kept for a grace and then withdrawn;
//! `ztl_mtls::source` has the rules. Where a task ends before the guard does, with its runtime, what it looked at is not kept either.

#[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
mod artefacts;
mod counts;
mod error;
mod expiry;
mod file;
mod kept;
#[cfg(feature = "jwt")]
mod keys;
mod looks;
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
mod truly;
mod unfit;
mod vouched;

use core::pin::pin;
use core::time::Duration;
use std::sync::{Arc, Weak};

use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Interval, MissedTickBehavior};
use ztl_mtls::ExpiryWatch;

pub use error::FileError;
use expiry::Gauged;
pub(crate) use expiry::OnExpiry;
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
pub(crate) use policy::{Authorizers, PolicyFile, Vouching, known};
pub(crate) use revocation::RevocationFiles;
pub(crate) use sources::Sources;
#[cfg(feature = "trust")]
pub(crate) use tables::{TableFile, TableFiles};

use crate::guard::{BuildError, Guard, Inner};
use kept::{Kept, Panicked, caught, caught_in};
use looks::Looks;
use sources::{Look, PROMPT};
use truly::within;
use unfit::Unfit;

/// How often an idle guard looks at the clock, however rarely at anything else.
const CLOCK: Duration = Duration::from_secs(10);

/// Everything that is looked at again from time to time.
pub(crate) struct Refresh {
    pub(crate) policy: Option<PolicyFile>,
    pub(crate) renewed: Renewed,
    pub(crate) revocation: RevocationFiles,
    #[cfg(feature = "trust")]
    pub(crate) tables: TableFiles,
    #[cfg(feature = "jwt")]
    pub(crate) keys: KeyFiles,
}

/// What proves us and others, and when it ends.
pub(crate) struct Renewed {
    sources: Sources,
    expiry: ExpiryWatch,
    on_expiry: Option<OnExpiry>,
    gauged: Gauged,
    unfit: Unfit,
}

/// The same, with the threads that it takes.
pub(crate) struct Ready {
    policy: Option<Kept<PolicyFile>>,
    renewed: Renewed,
    revocation: Option<Kept<RevocationFiles>>,
    #[cfg(feature = "trust")]
    tables: Option<Kept<TableFiles>>,
    #[cfg(feature = "jwt")]
    keys: Option<Kept<KeyFiles>>,
}

/// Files that are looked at again and again.
pub(crate) trait Looked: Send + Sync + 'static {
    /// In words for people.
    const WHAT: &'static str;

    /// Takes what changed.
    fn look(&self, guard: &Guard) -> impl Future<Output = ()> + Send;

    /// Nobody looks any more.
    fn lost(&self, guard: &Guard) {
        guard.close();
    }
}

impl Refresh {
    /// Begins the threads, each where there is something for it.
    ///
    /// # Errors
    /// [`BuildError::Refresh`] where the system gives none.
    pub(crate) fn ready(self) -> Result<Ready, BuildError> {
        let revocation = Some(self.revocation).filter(|files| !files.is_empty());
        #[cfg(feature = "trust")]
        let tables = Some(self.tables).filter(|files| !files.is_empty());
        #[cfg(feature = "jwt")]
        let keys = Some(self.keys).filter(|files| !files.is_empty());
        Ok(Ready {
            policy: kept("policy", self.policy)?,
            renewed: self.renewed,
            revocation: kept("revocation", revocation)?,
            #[cfg(feature = "trust")]
            tables: kept("known", tables)?,
            #[cfg(feature = "jwt")]
            keys: kept("keys", keys)?,
        })
    }
}

impl Renewed {
    pub(crate) fn of(sources: Sources, on_expiry: Option<OnExpiry>) -> Self {
        Self {
            sources,
            expiry: ExpiryWatch::new(),
            on_expiry,
            gauged: Gauged::default(),
            unfit: Unfit::default(),
        }
    }
}

fn kept<T: Send + 'static>(name: &str, files: Option<T>) -> Result<Option<Kept<T>>, BuildError> {
    let kept = files.map(|files| Kept::new(name, files)).transpose();
    kept.map_err(BuildError::Refresh)
}

impl Ready {
    /// A guard was built with the policy of this serial.
    pub(crate) async fn in_force(&self, serial: Option<u64>) -> Result<(), BuildError> {
        match &self.policy {
            Some(file) => file.in_force(serial).await,
            None => Ok(()),
        }
    }

    /// Looks for as long as the guard lives: regularly at everything, and at a source at once where it has news.
    pub(crate) fn spawn(self, guard: &Arc<Inner>, every: Duration) {
        spawn(self.policy, guard, every);
        spawn(self.revocation, guard, every);
        #[cfg(feature = "trust")]
        spawn(self.tables, guard, every);
        #[cfg(feature = "jwt")]
        spawn(self.keys, guard, every);
        tokio::spawn(look(Looks::at(self.renewed, guard), every));
    }
}

/// In a task of their own: nothing waits until a policy is compiled, or until the disk answers on which others lie.
pub(crate) fn spawn<T: Looked>(files: Option<T>, guard: &Arc<Inner>, every: Duration) {
    let Some(files) = files else {
        return;
    };
    let looks = Looks::at(files, guard);
    tokio::spawn(async move {
        let mut ticks = ticks(every);
        loop {
            ticks.tick().await;
            let Some(guard) = alive(&looks.guard) else {
                return;
            };
            let mut look = pin!(caught_in(looks.at.look(&guard)));
            let looked = match within(PROMPT, &mut look).await {
                Some(looked) => looked,
                // Not given up: what it read, it may have put in force.
                None => {
                    hangs(&guard, <T as Looked>::WHAT);
                    look.await
                }
            };
            if let Err(panicked) = looked {
                unlooked(&guard, <T as Looked>::WHAT, panicked);
            }
        }
    });
}

async fn look(mut looks: Looks<Renewed>, every: Duration) {
    let every = every.min(looks.at.sources.often());
    let (mut clock, mut ticks) = (ticks(CLOCK), ticks(every));
    let news = looks.at.sources.news();
    loop {
        let look = tokio::select! {
            _ = clock.tick() => None,
            _ = ticks.tick() => Some(Look::All),
            () = news.notified() => Some(Look::Nudged),
        };
        let Some(guard) = alive(&looks.guard) else {
            return;
        };
        // However long nothing is decided: a clock that is set back after that revives nothing (T23).
        let _ = caught(|| guard.engine().sees(guard.now()));
        let Some(look) = look else { continue };
        let renewed = &mut looks.at;
        if let Err(panicked) = caught_in(renewed.sources.look(&guard, look)).await {
            renewed.sources.lost(&guard, panicked);
        }
        if let Err(panicked) = caught(|| renewed.expiry(&guard)) {
            unlooked(&guard, "when what is in use ends", panicked);
        }
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn alive(guard: &Weak<Inner>) -> Option<Guard> {
    guard.upgrade().map(Guard::from_inner)
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

fn hangs(guard: &Guard, what: &str) {
    let _ = caught(|| {
        let seconds = PROMPT.as_secs();
        tracing::error!(target: "ztl", workload = guard.name(), what, seconds, "a look at it has not come to its end; the last good one stays in force until it does");
    });
}

fn unlooked(guard: &Guard, what: &str, error: Panicked) {
    // What panicked may be whoever hears of it.
    let _ = caught(|| {
        tracing::error!(target: "ztl", workload = guard.name(), what, %error, "not looked at as it should be; the last good one stays in force, and it is looked at again");
    });
}
