//! Bundles in files, looked at as the policy document is.

use core::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use ztl_authz::bundle::{
    BundleConsumer, BundleReader, BundleTaker, RevisionMark, RevisionOrder, TakeError,
};

use super::OpaBundleStatus;
use super::error::OpaBundleError;
use super::run::{gauges, stored_in};
use crate::guard::{BuildError, Guard, GuardBuilder};
use crate::refresh::{SteadyFile, off_thread};
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
    /// it there, and an error event says so.
    pub fn opa_bundle_file(mut self, name: &str, bundle: OpaBundleFile) -> Self {
        self.opa_bundle_files.push((name.into(), bundle));
        self
    }
}

/// All of a guard.
#[derive(Default)]
pub(crate) struct BundleFiles(Vec<BundleFile>);

struct BundleFile {
    name: Box<str>,
    file: SteadyFile,
    from: OpaBundleFile,
}

/// What a look at a file came to.
#[derive(Default)]
struct Looked {
    /// Whether another bundle is in force now.
    changed: bool,
    error: Option<OpaBundleError>,
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
            };
            let loaded = off_thread(file, BundleFile::load).await;
            let (file, loaded) =
                loaded.map_err(|error| refused(OpaBundleError::Panicked(error)))?;
            match loaded {
                Ok(looked) => file.tell(guard, looked),
                Err(error) => return Err(refused(error)),
            }
            opened.push(file);
        }
        Ok(Self(opened))
    }

    /// Looks at each once more.
    pub(crate) async fn look(&mut self, guard: &Guard) {
        for file in core::mem::take(&mut self.0) {
            let (name, status) = (file.name.clone(), guard.opa_bundles().file(&file.name));
            match off_thread(file, BundleFile::poll).await {
                Ok((file, looked)) => {
                    match (looked.changed, &looked.error) {
                        (true, _) => reloaded(guard, "opa_bundle", "taken"),
                        (false, Some(_)) => reloaded(guard, "opa_bundle", "refused"),
                        (false, None) => {}
                    }
                    file.tell(guard, looked);
                    self.0.push(file);
                }
                Err(error) => {
                    // Nobody knows what is in force.
                    guard.opa_bundle_changed();
                    let error = OpaBundleError::Panicked(error);
                    if let Some(status) = status {
                        status
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .last_error = Some(error.to_string());
                    }
                    tracing::error!(target: "ztl", workload = guard.name(), bundle = &*name, %error, "the bundle is not read again");
                }
            }
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
        take(&mut self.from, &bytes)?;
        Ok(self.from.taken())
    }

    fn poll(&mut self) -> Looked {
        let taken = match self.file.poll() {
            Ok(None) => return Looked::default(),
            Ok(Some(bytes)) => take(&mut self.from, &bytes),
            Err(error) => Err(OpaBundleError::File(error)),
        };
        match taken {
            Ok(()) => self.from.taken(),
            Err(error) => Looked {
                changed: false,
                error: Some(error),
            },
        }
    }

    /// Says what became of a look.
    fn tell(&self, guard: &Guard, looked: Looked) {
        let Looked { changed, error } = looked;
        let (workload, bundle) = (guard.name(), &*self.name);
        let revision = self.from.taker.mark().map(RevisionMark::revision);
        if changed {
            guard.opa_bundle_changed();
            tracing::info!(target: "ztl", workload, bundle, revision, "bundle in force");
        }
        if let Some(error) = &error {
            tracing::error!(target: "ztl", workload, bundle, %error, "bundle not taken as it should be; the last good one stays in force");
        }
        let Some(status) = guard.opa_bundles().file(&self.name) else {
            return;
        };
        let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
        if changed {
            gauges(guard, bundle, Some(guard.now()));
            *status = OpaBundleStatus {
                in_force: true,
                revision: revision.map(Into::into),
                fetched_at: Some(guard.now()),
                ends_at: None,
                last_error: None,
            };
        }
        if let Some(error) = error {
            status.last_error = Some(error.to_string());
        }
    }
}

impl OpaBundleFile {
    /// A bundle was taken: stores its revision. In force it is already: a full disk must not keep an old policy.
    fn taken(&self) -> Looked {
        let noted = match (&self.state, self.taker.mark()) {
            (Some(path), Some(mark)) => note(path, mark),
            _ => Ok(()),
        };
        Looked {
            changed: true,
            error: noted.err(),
        }
    }
}

fn take(from: &mut OpaBundleFile, bytes: &[u8]) -> Result<(), OpaBundleError> {
    from.taker
        .take(bytes, &*from.consumer)
        .map_err(|error| match error {
            TakeError::NotInForce(fault) => OpaBundleError::NotInForce(fault),
            TakeError::Bundle(error) => OpaBundleError::Pull(error),
            other => OpaBundleError::NotInForce(other.into()),
        })
}

fn note(path: &Path, mark: &RevisionMark) -> Result<(), OpaBundleError> {
    let stored = ztl_mtls::replace_file(path, mark.to_json().as_bytes());
    stored.map_err(|error| OpaBundleError::Store {
        path: path.to_owned(),
        error,
    })
}
