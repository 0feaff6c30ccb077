//! The policy document in a file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use ztl_core::authorizer::Authorizer;
use ztl_core::policy::{Format, Loader, MAX_DOCUMENT_BYTES, Policy};
use ztl_mtls::FileKeys;

use super::error::FileError;
use super::file::SteadyFile;
use super::kept::{Kept, caught};
use super::vouched::{HighWater, Signed};
use super::{Looked, off_thread, unlooked};
use crate::guard::{BuildError, Guard};
use crate::watch::reloaded;

/// Authorizers that the program gives, by the names that rules call them by.
pub(crate) type Authorizers = HashMap<Box<str>, Arc<dyn Authorizer>>;

/// What beside its owner has to vouch for a policy's file.
#[derive(Debug, Default)]
pub(crate) struct Vouching {
    /// Files of keys; where there is any, one of the keys has to have signed it.
    pub(crate) keys: Vec<PathBuf>,
    /// Where the highest serial is kept.
    pub(crate) state: Option<PathBuf>,
}

impl Vouching {
    pub(crate) const fn is_asked(&self) -> bool {
        !self.keys.is_empty() || self.state.is_some()
    }
}

/// A policy document in a file, and the files that it names.
pub(crate) struct PolicyFile {
    document: SteadyFile,
    signed: Option<Signed>,
    high_water: Option<HighWater>,
    /// The same for each version of the document.
    given: Authorizers,
    /// What was loaded when something had changed.
    candidate: Option<Result<Policy, BuildError>>,
    #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
    named: super::artefacts::Named,
}

impl PolicyFile {
    /// Reads the document for the first time.
    pub(crate) async fn open(
        path: PathBuf,
        given: Authorizers,
        vouching: Vouching,
        provider: Arc<CryptoProvider>,
    ) -> Result<(Policy, Self), BuildError> {
        let failed = |error| FileError::Read {
            path: path.clone(),
            error: std::io::Error::other(error),
        };
        let file = Self {
            document: SteadyFile::new(path.clone(), MAX_DOCUMENT_BYTES),
            signed: None,
            high_water: None,
            given,
            candidate: None,
            #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
            named: super::artefacts::Named::default(),
        };
        let (file, policy) = off_thread(file, move |file| {
            file.ask(vouching, &provider)?;
            file.load()
        })
        .await
        .map_err(failed)?;
        Ok((policy?, file))
    }

    /// Takes along what has to vouch for the file.
    fn ask(&mut self, vouching: Vouching, provider: &CryptoProvider) -> Result<(), FileError> {
        let mut pem = Vec::new();
        for path in &vouching.keys {
            let mut file = SteadyFile::new(path.clone(), FileKeys::MAX_PEM_BYTES);
            let keys = file.load()?;
            // Each file by itself, so that one that holds none is told of.
            let wrong = |error| FileError::Keys {
                path: path.clone(),
                error,
            };
            FileKeys::from_pem(&keys, provider).map_err(wrong)?;
            pem.extend_from_slice(&keys);
            pem.push(b'\n');
        }
        if let Some(first) = vouching.keys.first() {
            let wrong = |error| FileError::Keys {
                path: first.clone(),
                error,
            };
            let keys = FileKeys::from_pem(&pem, provider).map_err(wrong)?;
            self.signed = Some(Signed::by(Arc::new(keys), self.document.path()));
        }
        self.high_water = vouching.state.map(HighWater::open).transpose()?;
        Ok(())
    }

    fn load(&mut self) -> Result<Policy, BuildError> {
        let path = self.document.path().to_owned();
        let bytes = self.document.load()?;
        // Before anything of it is read: a parser is no place for what nobody vouches for.
        if let Some(signed) = &mut self.signed {
            signed.check(&path, &bytes)?;
        }
        #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
        let policy = {
            let keys = self.signed.as_ref().map(Signed::keys);
            let parse = |loader| parse(loader, &path, &bytes);
            self.named.read_by(&path, keys, known(&self.given), parse)?
        };
        #[cfg(not(any(feature = "opa", feature = "rego", feature = "schema")))]
        let policy = parse(known(&self.given), &path, &bytes)?;
        if let Some(high_water) = &self.high_water {
            high_water.admits(&path, &policy)?;
        }
        Ok(policy)
    }

    /// Stores the serial of what is in force now.
    fn taken(&mut self, serial: Option<u64>) -> Result<(), FileError> {
        let high_water = self.high_water.as_mut();
        high_water.map_or(Ok(()), |high_water| high_water.note(serial))
    }

    /// Stores a serial that could not be stored before. Tells whether that was done.
    fn notes_again(&mut self) -> bool {
        let due = self.high_water.as_mut().filter(|it| it.is_due());
        due.is_some_and(|high_water| high_water.store().is_ok())
    }

    /// A changed document, or one that names a changed file: what was loaded of all of them, once none has changed again by the next
    /// look, for half of what somebody writes just now is not what they mean (T6). Taken or refused, it is not looked at again until
    /// something changes; a file that cannot be read is told of at each look.
    fn poll(&mut self) -> Result<Option<Policy>, BuildError> {
        let changed = self.document.differs()?;
        let changed = changed || self.signed.as_mut().map_or(Ok(false), Signed::differs)?;
        #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
        let changed = changed || self.named.differ()?;
        if changed {
            self.candidate = Some(self.load());
            return Ok(None);
        }
        self.candidate.take().transpose()
    }
}

/// Authorizers and languages of conditions take part in it, the program's own among them: where one panics, it is refused.
fn parse(loader: Loader, path: &Path, bytes: &[u8]) -> Result<Policy, BuildError> {
    let panicked = |panicked| FileError::Read {
        path: path.to_owned(),
        error: std::io::Error::other(panicked),
    };
    caught(|| parse_here(loader, path, bytes)).map_err(panicked)?
}

fn parse_here(loader: Loader, path: &Path, bytes: &[u8]) -> Result<Policy, BuildError> {
    let text = core::str::from_utf8(bytes).map_err(|_| FileError::NotUtf8 {
        path: path.to_owned(),
    })?;
    Ok(loader
        .source(&path.display().to_string())
        .load(text, Format::of_path(path))?)
}

/// Loads with what the program gives, and with the conditions that the features of this crate bring.
pub(crate) fn known(given: &Authorizers) -> Loader {
    let loader = given.iter().fold(Loader::new(), |loader, (name, given)| {
        loader.with_authorizer(name, Arc::clone(given))
    });
    crate::loader::conditions(loader)
}

impl Kept<PolicyFile> {
    /// A guard was built with it: stores its serial. What no guard was built with was not in force, and may be taken back.
    pub(super) async fn in_force(&self, serial: Option<u64>) -> Result<(), BuildError> {
        let noted = self.work(move |file| file.taken(serial)).await;
        let failed = |error| BuildError::Refresh(std::io::Error::other(error));
        Ok(noted.map_err(failed)??)
    }
}

impl Looked for Kept<PolicyFile> {
    const WHAT: &'static str = "policy";

    async fn look(&self, guard: &Guard) {
        let looked = self.work(|file| (file.notes_again(), file.poll()));
        let (noted, polled) = match looked.await {
            Ok(looked) => looked,
            Err(error) => return unlooked(guard, Self::WHAT, error),
        };
        // Before anything is told: whoever hears of it may panic.
        let swapped = polled.transpose().map(|polled| {
            let policy = polled?;
            let (revision, serial) = (policy.revision(), policy.serial());
            guard.swap_policy(policy)?;
            Ok::<_, BuildError>((revision, serial))
        });
        if noted {
            tracing::info!(target: "ztl", workload = guard.name(), "the policy's serial is stored now");
        }
        let Some(swapped) = swapped else {
            return;
        };
        match swapped {
            Ok((revision, serial)) => {
                // In force it is already: a full disk must not keep an old policy.
                let noted = self.work(move |file| file.taken(serial)).await;
                reloaded(guard, "policy", "taken");
                tracing::info!(target: "ztl", workload = guard.name(), %revision, "policy reloaded");
                match noted {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::error!(target: "ztl", workload = guard.name(), %error, "the policy's serial could not be stored, which is tried again; after a restart an older one would be taken");
                    }
                    Err(error) => unlooked(guard, Self::WHAT, error),
                }
            }
            Err(error) => {
                reloaded(guard, "policy", "refused");
                tracing::error!(target: "ztl", workload = guard.name(), %error, "policy not reloaded; the last good one stays in force")
            }
        }
    }
}

#[cfg(all(test, feature = "schema"))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const DOCUMENT: &str = r#"
schema = 1
trust_domain = "prod.example"
[workloads]
caller = { id = "spiffe://prod.example/caller" }
gateway = { id = "spiffe://prod.example/gateway", ports = [8443] }
[[permit]]
name = "posts"
from = "caller"
to = "gateway"
actions = ["POST /v1/x"]
[permit.oblige]
schema = "tune.json"
[[forbid]]
name = "not-now"
from = "caller"
to = "gateway"
"#;

    /// Falls when it is told to.
    #[derive(Debug, Default)]
    struct Falls(std::sync::atomic::AtomicBool);

    impl Authorizer for Falls {
        fn reads(&self) -> ztl_core::authorizer::Reads {
            let falls = self.0.load(std::sync::atomic::Ordering::SeqCst);
            assert!(!falls, "a bug of the program's");
            ztl_core::authorizer::Reads::nothing()
        }

        fn objects(
            &self,
            _: &ztl_core::authorizer::Facts<'_>,
        ) -> Result<bool, ztl_core::authorizer::AuthorizerError> {
            Ok(false)
        }
    }

    #[tokio::test]
    async fn law_8_a_document_that_panics_is_refused_and_what_it_names_is_watched() {
        let folder = std::env::temp_dir().join(format!("ztl-falls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("mode");
            path
        };
        let asks = "[permit.oblige]";
        let asked = format!("require = {{ authorizer = \"falls\" }}\n{asks}");
        let (without, _) = DOCUMENT.split_once(asks).expect("an obligation");
        let path = write(
            "policy.toml",
            &format!("{without}require = {{ authorizer = \"falls\" }}\n"),
        );
        let falls = Arc::new(Falls::default());
        let given: Arc<dyn Authorizer> = falls.clone();
        let given = Authorizers::from([("falls".into(), given)]);
        let provider = ztl_mtls::provider();
        let open = PolicyFile::open(path, given, Vouching::default(), provider);
        let (_, mut file) = open.await.expect("read");
        assert!(file.poll().expect("read").is_none(), "nothing has changed");
        write("tune.json", "{}");
        write("policy.toml", &DOCUMENT.replace(asks, &asked));
        falls.0.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(file.poll().expect("not yet").is_none());
        let error = file.poll().expect_err("refused").to_string();
        assert!(error.contains("a panic"), "{error}");
        falls.0.store(false, std::sync::atomic::Ordering::SeqCst);
        write("tune.json", r#"{ "type": "object" }"#);
        assert!(file.poll().expect("not yet").is_none());
        assert!(file.poll().expect("read").is_some(), "it is taken");
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[tokio::test]
    async fn t6_half_a_document_is_not_taken_along_with_a_file_that_it_names() {
        let folder = std::env::temp_dir().join(format!("ztl-half-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("mode");
        };
        write("tune.json", "{}");
        write("policy.toml", DOCUMENT);
        let path = folder.join("policy.toml");
        let provider = Arc::new(ztl_mtls::provider());
        let open = || {
            let vouching = Vouching::default();
            PolicyFile::open(
                path.clone(),
                Authorizers::new(),
                vouching,
                Arc::clone(&provider),
            )
        };
        let (first, mut file) = open().await.expect("read");
        let mut look = || file.poll().expect("read");
        assert!(look().is_none(), "nothing has changed");
        write("tune.json", r#"{ "type": "object" }"#);
        assert!(look().is_none());
        // Steady by now, but not alone.
        let half = DOCUMENT.find("[[forbid]]").expect("a forbid");
        write("policy.toml", DOCUMENT.get(..half).expect("half"));
        assert!(look().is_none());
        write("policy.toml", DOCUMENT);
        assert!(look().is_none());
        let taken = look().expect("taken");
        let (whole, _) = open().await.expect("read");
        assert_eq!(taken.revision(), whole.revision());
        assert_ne!(taken.revision(), first.revision());
        assert!(look().is_none());
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
