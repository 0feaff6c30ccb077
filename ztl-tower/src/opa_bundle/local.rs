//! Bundles in files, looked at as the policy document is.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use tokio::task::JoinError;
use ztl_authz::bundle::{BundleConsumer, BundleReader, BundleTaker, RevisionOrder, TakeError};

use super::OpaBundleStatus;
use super::error::OpaBundleError;
use super::run::{gauges, store_in, stored_in, unnoted};
use super::unsure::Unsure;
use super::withdraw;
use crate::guard::{BuildError, Guard, GuardBuilder, Inner};
use crate::refresh::{self, SteadyFile, off_thread};
use crate::watch::reloaded;

/// A bundle of policies in a file, and who puts it in force. For [`GuardBuilder::opa_bundle_file`].
///
/// ```no_run
/// use std::sync::Arc;
/// use ztl_tower::OpaBundleFile;
/// use ztl_tower::authz::bundle::{Bundle, BundleFault, BundleReader, Verification, VerificationKey};
///
/// let key = VerificationKey::from_pem("ES256".parse()?, &std::fs::read("bundles.pub.pem")?)?;
/// let reader = BundleReader::verified(Verification::new(key));
/// let engine = |bundle: Option<Bundle>| -> Result<(), BundleFault> {
///     println!("{:?}", bundle.map(|bundle| bundle.manifest.revision));
///     Ok(())
/// };
/// let bundle = OpaBundleFile::new("bundle.tar.gz", reader, Arc::new(engine)).state_file("/var/lib/model-server/authz.json");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct OpaBundleFile {
    path: PathBuf,
    taker: BundleTaker,
    consumer: Arc<dyn BundleConsumer>,
    state: Option<PathBuf>,
}

impl OpaBundleFile {
    /// The bundle in this file, as the reader takes it.
    #[must_use]
    pub fn new(
        path: impl Into<PathBuf>,
        reader: BundleReader,
        consumer: Arc<dyn BundleConsumer>,
    ) -> Self {
        Self {
            path: path.into(),
            taker: BundleTaker::new(reader),
            consumer,
            state: None,
        }
    }

    /// What order revisions have to be in.
    #[must_use]
    pub fn revision_order(mut self, order: RevisionOrder) -> Self {
        self.taker = self.taker.revision_order(order);
        self
    }

    /// Keeps the newest revision in this file, so that no older bundle is taken after a restart (T24). One that cannot be read
    /// builds no guard; one that is not there yet is not an error.
    #[must_use]
    pub fn state_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.state = Some(path.into());
        self
    }
}

impl fmt::Debug for OpaBundleFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpaBundleFile")
            .field("path", &self.path)
            .field("taker", &self.taker)
            .finish_non_exhaustive()
    }
}

impl GuardBuilder {
    /// Takes a bundle of policies from a file, and again when it changes: two looks ([`reload_every`](Self::reload_every)) have to agree.
    /// Call it once a bundle, each under a name of its own.
    ///
    /// A file that group or others may write is refused. One that is not good builds no guard; once one is in force, a bad one leaves
    /// it there, and an error event says so. One that could not be put in force is tried again, less and less often. Where whoever puts it
    /// in force panics, nobody knows what is: it is withdrawn, and tried again as well. Where withdrawing it panics too, what is in force stays
    /// unknown until it is withdrawn, which is tried again, or another is put in force; [`OpaBundleStatus::last_error`] says so.
    pub fn opa_bundle_file(mut self, name: &str, bundle: OpaBundleFile) -> Self {
        self.opa_bundle_files.push((name.into(), bundle));
        self
    }
}

/// All of a guard.
#[derive(Default)]
pub(crate) struct BundleFiles(Vec<Arc<Looking>>);

/// One, which whoever looks at it has locked for as long as it takes to compile what is in it.
struct Looking {
    file: Mutex<BundleFile>,
    /// Nobody looks at it any more.
    lost: AtomicBool,
}

/// A look at it: where nobody looks any more by its end, what was withdrawn may be in force again.
struct Look {
    at: Arc<Looking>,
    guard: Guard,
}

struct BundleFile {
    name: Box<str>,
    file: SteadyFile,
    from: OpaBundleFile,
    /// Whether withdrawing it panicked, and nothing was put in force since.
    unsure: Option<Unsure>,
    /// Why what the file holds is not in force.
    refused: Option<String>,
    again: Again,
    /// Whether the newest revision is not stored, and why that failed last.
    unnoted: Option<String>,
}

/// When a bundle is tried again that could not be put in force: after 1, 2, 4 looks and so on.
#[derive(Default)]
struct Again {
    wait: u32,
    left: u32,
}

/// The most looks until a bundle is tried again.
const LONGEST: u32 = 64;

/// What a look at a file came to.
struct Looked {
    became: Became,
    /// Why what the file holds is not in force, where that is to be told of.
    error: Option<OpaBundleError>,
    /// Why what is in force could not be stored as the newest, where that is to be told of.
    unnoted: Option<OpaBundleError>,
    /// What is wrong, told of or not.
    wrong: Option<String>,
    revision: Option<Box<str>>,
}

enum Became {
    Same,
    /// Another bundle is in force now.
    Taken,
    /// None is; where that panicked, nobody knows which is, or whether one is.
    Withdrawn(Result<(), String>),
}

impl BundleFiles {
    /// Puts what is in the files in force for the first time.
    pub(crate) async fn open(
        guard: &Guard,
        files: Vec<(Box<str>, OpaBundleFile)>,
    ) -> Result<Self, BuildError> {
        let mut opened = Vec::new();
        for (name, from) in files {
            let refused = |error: OpaBundleError| BuildError::OpaBundle {
                name: name.to_string(),
                error: error.into(),
            };
            let file = BundleFile {
                name: name.clone(),
                file: SteadyFile::new(from.path.clone(), from.taker.max_bytes()),
                from,
                unsure: None,
                refused: None,
                again: Again::default(),
                unnoted: None,
            };
            let loaded = off_thread(file, BundleFile::load).await;
            let (file, loaded) =
                loaded.map_err(|error| refused(OpaBundleError::Panicked(error)))?;
            tell(guard, &name, loaded.map_err(refused)?);
            opened.push(Arc::new(Looking {
                file: Mutex::new(file),
                lost: AtomicBool::new(false),
            }));
        }
        Ok(Self(opened))
    }

    /// All that a guard needs but its signal handlers is there: stores their revisions. What no guard was built with was not in force, and may be taken back.
    pub(crate) async fn note(&self, guard: &Guard) {
        for file in &self.0 {
            let _ = aside(guard, file, |file| file.noted(Became::Same, None)).await;
        }
    }

    /// Looks at each again and again for as long as the guard lives: in tasks of their own, for nothing waits until one is compiled.
    pub(crate) fn spawn(self, guard: &Arc<Inner>, every: Duration) {
        for file in self.0 {
            refresh::spawn(Some(file), guard, every);
        }
    }
}

impl refresh::Looked for Arc<Looking> {
    const WHAT: &'static str = "a bundle of policies in a file";

    async fn look(&self, guard: &Guard) {
        let is_due = |unsure: &Unsure| unsure.left().is_zero();
        let due = self.locked().unsure.as_ref().is_some_and(is_due);
        // Whatever the file holds: bytes that are refused withdraw nothing.
        if due {
            let _ = aside(guard, self, BundleFile::withdraw_again).await;
        }
        if let Err(panicked) = aside(guard, self, BundleFile::poll).await {
            // Nobody knows what is in force.
            let error = OpaBundleError::Panicked(panicked);
            let _ = aside(guard, self, |file| file.withdrawn(error)).await;
        }
    }

    fn lost(&self, guard: &Guard) {
        // First: a look that is under way is not waited for, since it may hang, and sees this when it is over.
        self.lost.store(true, Ordering::SeqCst);
        match self.file.try_lock() {
            Ok(mut file) => file.give_up(guard),
            Err(TryLockError::Poisoned(file)) => file.into_inner().give_up(guard),
            Err(TryLockError::WouldBlock) => {}
        }
    }
}

/// Does something with one where no request waits; counts and tells what became of it.
async fn aside(
    guard: &Guard,
    file: &Arc<Looking>,
    work: impl FnOnce(&mut BundleFile) -> Looked + Send + 'static,
) -> Result<(), JoinError> {
    let look = Look {
        at: Arc::clone(file),
        guard: guard.clone(),
    };
    let done = off_thread(look, |look| {
        let mut file = look.at.locked();
        (file.name.clone(), work(&mut file))
    });
    let (_, (name, looked)) = done.await?;
    if !matches!(looked.became, Became::Same) {
        // Before it is counted and told: whoever hears of it may panic.
        guard.opa_bundle_changed();
    }
    match (&looked.became, &looked.error) {
        (Became::Taken, _) => reloaded(guard, "opa_bundle", "taken"),
        (Became::Withdrawn(withdrawn), _) => {
            reloaded(guard, "opa_bundle", withdraw::outcome(withdrawn))
        }
        (Became::Same, Some(_)) => reloaded(guard, "opa_bundle", "refused"),
        (Became::Same, None) => {}
    }
    tell(guard, &name, looked);
    Ok(())
}

impl Looking {
    /// Also where putting it in force panicked: what is kept of the file is as it was before.
    fn locked(&self) -> MutexGuard<'_, BundleFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        if self.at.lost.load(Ordering::SeqCst) {
            let give_up = || self.at.locked().give_up(&self.guard);
            let _ = catch_unwind(AssertUnwindSafe(give_up));
        }
    }
}

impl BundleFile {
    fn load(&mut self) -> Result<Looked, OpaBundleError> {
        if let Some(path) = &self.from.state
            && let Some(mark) = stored_in(path)?
        {
            self.from.taker = self.from.taker.clone().with_mark(mark);
        }
        let bytes = self.file.load().map_err(OpaBundleError::File)?;
        self.take(&bytes)?;
        Ok(self.looked(Became::Taken, None))
    }

    fn poll(&mut self) -> Looked {
        if self.again.is_due() {
            self.file.forget();
        }
        let (became, error) = match self.file.poll() {
            Ok(None) => (Became::Same, None),
            Ok(Some(bytes)) => {
                // Where it panics, it is tried again.
                self.again.failed();
                match self.take(&bytes) {
                    Ok(()) => (Became::Taken, None),
                    Err(error) => (Became::Same, Some(error)),
                }
            }
            Err(error) => (Became::Same, Some(OpaBundleError::File(error))),
        };
        self.noted(became, error)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), OpaBundleError> {
        let taken = self.from.taker.take(bytes, &*self.from.consumer);
        let taken = taken.map_err(|error| match error {
            TakeError::NotInForce(fault) => OpaBundleError::NotInForce(fault),
            TakeError::Bundle(error) => OpaBundleError::Pull(error),
            other => OpaBundleError::NotInForce(other.into()),
        });
        // What would not be taken at another time either waits for other bytes.
        if !matches!(taken, Err(OpaBundleError::NotInForce(_))) {
            self.again = Again::default();
        }
        self.refused = taken.as_ref().err().map(ToString::to_string);
        if taken.is_ok() {
            self.unsure = None;
            // In force it is already: a full disk must not keep an old policy.
            self.unnoted = Some(String::new());
        }
        taken
    }

    /// Whoever put it in force panicked.
    fn withdrawn(&mut self, error: OpaBundleError) -> Looked {
        self.refused = Some(error.to_string());
        let withdrawn = self.take_back();
        let error = error.then(withdrawn.clone());
        self.looked(Became::Withdrawn(withdrawn), Some(error))
    }

    /// Withdraws it, since nobody looks at it any more.
    fn give_up(&mut self, guard: &Guard) {
        let error = OpaBundleError::NotLookedAt(self.name.to_string());
        let looked = self.withdrawn(error);
        guard.opa_bundle_changed();
        let (became, wrong) = (looked.became, looked.wrong);
        shows(guard, &self.name, became, wrong, looked.revision);
    }

    /// Withdraws once more what could not be.
    fn withdraw_again(&mut self) -> Looked {
        let withdrawn = self.take_back();
        self.looked(Became::Withdrawn(withdrawn), None)
    }

    /// Withdraws what is in force. Where that panics, nobody knows how much was withdrawn.
    fn take_back(&mut self) -> Result<(), String> {
        let withdrawn = withdraw::withdraw(&*self.from.consumer);
        Unsure::note(&mut self.unsure, &withdrawn);
        withdrawn
    }

    /// Stores what is to be stored, whatever a look came to.
    fn noted(&mut self, became: Became, error: Option<OpaBundleError>) -> Looked {
        let unnoted = self.note().err();
        Looked {
            unnoted,
            ..self.looked(became, error)
        }
    }

    /// Stores the newest revision, where it is not. It is told of the first time that it cannot be.
    fn note(&mut self) -> Result<(), OpaBundleError> {
        let Some(before) = self.unnoted.take() else {
            return Ok(());
        };
        let (Some(path), Some(mark)) = (&self.from.state, self.from.taker.mark()) else {
            return Ok(());
        };
        let Err(error) = store_in(path, mark) else {
            return Ok(());
        };
        let why = self.unnoted.insert(error.to_string());
        if *why == before { Ok(()) } else { Err(error) }
    }

    fn looked(&mut self, became: Became, error: Option<OpaBundleError>) -> Looked {
        let now = error.as_ref().map(|error| error.alone().to_string());
        let unnoted = self.unnoted.clone().filter(|why| !why.is_empty());
        let wrong = now.or_else(|| self.refused.clone()).or(unnoted);
        Looked {
            became,
            error,
            unnoted: None,
            wrong: Unsure::beside(&mut self.unsure, wrong),
            revision: (self.from.taker.mark()).map(|mark| mark.revision().into()),
        }
    }
}

impl Again {
    fn failed(&mut self) {
        self.wait = self.wait.saturating_mul(2).clamp(1, LONGEST);
        self.left = self.wait;
    }

    /// Another look; whether it is time.
    fn is_due(&mut self) -> bool {
        let before = self.left;
        self.left = before.saturating_sub(1);
        before == 1
    }
}

/// Says what became of a look.
fn tell(guard: &Guard, bundle: &str, looked: Looked) {
    let Looked {
        became,
        error,
        unnoted: not_noted,
        wrong,
        revision,
    } = looked;
    let workload = guard.name();
    match (&became, &error) {
        (Became::Same, None) => {}
        (Became::Same, Some(error)) => {
            let in_force = (guard.opa_bundle_status(bundle)).is_some_and(|status| status.in_force);
            tracing::error!(target: "ztl", workload, bundle, in_force, %error, "bundle not taken as it should be; the last good one stays, where one is in force");
        }
        (Became::Taken, _) => {
            tracing::info!(target: "ztl", workload, bundle, revision, "bundle in force");
        }
        (Became::Withdrawn(_), Some(error)) => {
            withdraw::panicked(guard, bundle, error);
        }
        (Became::Withdrawn(withdrawn), None) => {
            withdraw::again(guard, bundle, withdrawn);
        }
    }
    if let Some(error) = &not_noted {
        unnoted(guard, bundle, error);
    }
    shows(guard, bundle, became, wrong, revision);
}

/// Shows what became of a look.
fn shows(
    guard: &Guard,
    bundle: &str,
    became: Became,
    wrong: Option<String>,
    revision: Option<Box<str>>,
) {
    let Some(status) = guard.opa_bundles().file(bundle) else {
        return;
    };
    let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
    match became {
        Became::Same => {}
        Became::Taken => {
            gauges(guard, bundle, Some(guard.now()));
            *status = OpaBundleStatus {
                in_force: true,
                revision,
                fetched_at: Some(guard.now()),
                ends_at: None,
                last_error: None,
            };
        }
        // What is not known counts as none: nobody is to rely on it.
        Became::Withdrawn(_) => {
            gauges(guard, bundle, None);
            status.in_force = false;
        }
    }
    status.last_error = wrong;
}
