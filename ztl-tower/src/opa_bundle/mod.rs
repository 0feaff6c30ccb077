//! Bundles of policies and data, pulled while the service runs by OPA's bundle protocol, or read from files (rule 57; T24).
//!
//! 1. What is due, and what of an answer is taken, is said by [`BundlePull`]; here it is only carried out: one task a bundle, for as
//!    long as the guard lives, and so one fetch at a time. Where that task ends sooner, with its runtime, the bundle is withdrawn.
//! 2. The guard is built once the first good bundle is in force. Where none comes in time it is not built.
//! 3. A bundle is read, verified and put in force on a thread for blocking work: no request waits for it. One that cannot be put
//!    in force leaves the last good one, and an error event says so.
//!    Where whoever does that panics, nobody knows what is in force: it is withdrawn, and tried again (law 1). Where withdrawing it panics
//!    too, that is tried again as well, soon and then less and less often, whatever becomes of the next bundle.
//! 4. When another bundle is in force, or none any more, running requests are judged again (law 8).
//! 5. A fetch ends within its time, however slow the host sends, and reads no more than may come. It follows no redirect, uses no
//!    proxy of the environment, sends no cookie and no certificate of ours, and no credential but the configured token.

mod error;
mod fetch;
mod keeper;
mod local;
mod run;
mod unsure;
mod withdraw;

use core::fmt;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::{Mutex, Notify};
use ztl_authz::bundle::{BundleConsumer, BundlePull};
use ztl_core::Timestamp;
use ztl_mtls::source::WebRoots;

pub use error::OpaBundleError;
pub use local::OpaBundleFile;
pub use run::OpaBundleRefreshed;

pub(crate) use local::BundleFiles;
pub(crate) use run::{begin, note, spawn};

use crate::guard::{BuildError, Guard, GuardBuilder};
use crate::watch::{OF_BUNDLE_FILES, OF_PULLS, counts_fetches, counts_reloads};
use unsure::Unsure;

/// How long a fetch may take, where nothing else is said.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a guard waits for the first bundle, where nothing else is said.
const FIRST_WITHIN: Duration = Duration::from_secs(30);

/// A bundle of policies that is pulled, and who puts it in force. For [`GuardBuilder::opa_bundle`].
///
/// ```no_run
/// use std::sync::Arc;
/// use ztl_tower::OpaBundle;
/// use ztl_tower::authz::bundle::{Bundle, BundleFault, BundlePull, BundleReader, Verification, VerificationKey};
/// use ztl_tower::mtls::source::WebRoots;
///
/// let key = VerificationKey::from_pem("ES256".parse()?, &std::fs::read("bundles.pub.pem")?)?;
/// let reader = BundleReader::verified(Verification::new(key));
/// let pull = BundlePull::new("https://bundles.example/authz.tar.gz", reader)?;
/// let roots = WebRoots::from_pem_file("/etc/ssl/certs/ca-certificates.crt")?;
/// let engine = |bundle: Option<Bundle>| -> Result<(), BundleFault> {
///     println!("{:?}", bundle.map(|bundle| bundle.manifest.revision));
///     Ok(())
/// };
/// let bundle = OpaBundle::new(pull, roots, Arc::new(engine)).state_file("/var/lib/model-server/authz.json");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct OpaBundle {
    pull: BundlePull,
    roots: Option<WebRoots>,
    consumer: Arc<dyn BundleConsumer>,
    timeout: Duration,
    first_within: Duration,
    address: Option<SocketAddr>,
    state: Option<PathBuf>,
    /// The newest revision is not stored yet.
    unnoted: bool,
}

impl OpaBundle {
    /// Pulls this bundle from a host that these roots prove.
    #[must_use]
    pub fn new(pull: BundlePull, roots: WebRoots, consumer: Arc<dyn BundleConsumer>) -> Self {
        let mut bundle = Self::without_roots(pull, consumer);
        bundle.roots = Some(roots);
        bundle
    }

    /// Pulls without any root, so that no `https` host is ever proved: for what is `http`, signed or from a loopback address.
    #[must_use]
    pub fn without_roots(pull: BundlePull, consumer: Arc<dyn BundleConsumer>) -> Self {
        Self {
            pull,
            roots: None,
            consumer,
            timeout: FETCH_TIMEOUT,
            first_within: FIRST_WITHIN,
            address: None,
            state: None,
            unnoted: false,
        }
    }

    /// How long a fetch may take, beyond what the server may let it wait for news. 30 seconds where not set.
    #[must_use]
    pub const fn fetch_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long building the guard waits for the first good bundle. 30 seconds where not set.
    #[must_use]
    pub const fn first_within(mut self, span: Duration) -> Self {
        self.first_within = span;
        self
    }

    /// Where the host is reached. The address proves nothing; without this the host is looked up in the DNS. For plain `http`
    /// from a loopback address it has to be one as well: nothing is asked for anywhere else.
    #[must_use]
    pub const fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
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

impl fmt::Debug for OpaBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpaBundle")
            .field("pull", &self.pull)
            .finish_non_exhaustive()
    }
}

/// How a bundle stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpaBundleStatus {
    /// Whether one is in force; not, where that is not known, as [`last_error`](Self::last_error) says then.
    pub in_force: bool,
    /// The revision of the one that is in force, or was last.
    pub revision: Option<Box<str>>,
    /// When the server last gave it, or said that it is the newest; of a file, when it was read.
    pub fetched_at: Option<Timestamp>,
    /// From when on it counts no more, without another good answer; never, of a file.
    pub ends_at: Option<Timestamp>,
    /// Why the last attempt failed, or its revision could not be stored; none where all succeeded.
    pub last_error: Option<String>,
}

/// One that is pulled.
pub(crate) struct Held {
    name: Box<str>,
    from: Mutex<OpaBundle>,
    /// Who puts it in force.
    consumer: Arc<dyn BundleConsumer>,
    status: std::sync::Mutex<OpaBundleStatus>,
    /// Whether withdrawing it panicked, and nothing was put in force since. Changed by whoever holds `from`.
    unsure: std::sync::Mutex<Option<Unsure>>,
    /// Somebody pulled it besides the task that does.
    tried: Notify,
    /// The task that pulls it has ended.
    lost: AtomicBool,
}

/// All of a guard, by their names.
#[derive(Default)]
pub(crate) struct OpaBundles {
    held: HashMap<Box<str>, Arc<Held>>,
    /// How those in files stand.
    files: HashMap<Box<str>, Arc<std::sync::Mutex<OpaBundleStatus>>>,
    /// Counts the changes after which an answer that a policy gave may be another.
    generation: AtomicU64,
}

impl OpaBundles {
    pub(crate) fn new(
        bundles: Vec<(Box<str>, OpaBundle)>,
        in_files: &[(Box<str>, OpaBundleFile)],
    ) -> Result<Self, BuildError> {
        let twice = |name: &str| BuildError::OpaBundle {
            name: name.into(),
            error: OpaBundleError::DuplicateName.into(),
        };
        let mut held = HashMap::new();
        for (name, from) in bundles {
            let one = Held {
                name: name.clone(),
                consumer: Arc::clone(&from.consumer),
                from: Mutex::new(from),
                status: std::sync::Mutex::default(),
                unsure: std::sync::Mutex::default(),
                tried: Notify::new(),
                lost: AtomicBool::new(false),
            };
            if held.insert(name.clone(), Arc::new(one)).is_some() {
                return Err(twice(&name));
            }
        }
        let mut files = HashMap::new();
        for (name, _) in in_files {
            if held.contains_key(name) || files.insert(name.clone(), Arc::default()).is_some() {
                return Err(twice(name));
            }
        }
        Ok(Self {
            held,
            files,
            generation: AtomicU64::new(0),
        })
    }

    /// Begins to count what becomes of each.
    pub(crate) fn begin_counts(&self, guard: &Guard) {
        for name in self.held.keys() {
            counts_fetches(guard, "opa_bundle", name, &OF_PULLS);
        }
        if !self.files.is_empty() {
            counts_reloads(guard, "opa_bundle", &OF_BUNDLE_FILES);
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn next_generation(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn file(&self, name: &str) -> Option<Arc<std::sync::Mutex<OpaBundleStatus>>> {
        self.files.get(name).cloned()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Held>> {
        self.held.values()
    }
}

impl Held {
    fn status(&self) -> OpaBundleStatus {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.clone()
    }

    fn say(&self, status: OpaBundleStatus) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    fn unsure(&self) -> MutexGuard<'_, Option<Unsure>> {
        self.unsure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long until it is withdrawn again, where that panicked.
    fn left(&self) -> Option<Duration> {
        self.unsure().as_ref().map(Unsure::left)
    }
}

impl GuardBuilder {
    /// Pulls a bundle of policies while the service runs. Call it once a bundle, each under a name of its own.
    ///
    /// [`build`](Self::build) waits until it is in force, and fails where no good one comes in time. Where whoever puts a later one in
    /// force panics, nobody knows what is: it is withdrawn, and pulled again. Where withdrawing it panics too, what is in force stays unknown
    /// until it is withdrawn, which is tried again, or another is put in force; [`OpaBundleStatus::last_error`] says so.
    pub fn opa_bundle(mut self, name: &str, bundle: OpaBundle) -> Self {
        self.opa_bundles.push((name.into(), bundle));
        self
    }
}

impl Guard {
    /// How a bundle stands; `None` where there is none of this name.
    #[must_use]
    pub fn opa_bundle_status(&self, name: &str) -> Option<OpaBundleStatus> {
        if let Some(status) = self.opa_bundles().file(name) {
            return Some(
                status
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone(),
            );
        }
        Some(self.opa_bundles().held.get(name)?.status())
    }
}
