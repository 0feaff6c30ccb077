//! The policy document in a file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ztl_core::authorizer::Authorizer;
use ztl_core::policy::{Format, Loader, MAX_DOCUMENT_BYTES, Policy};

use super::error::FileError;
use super::file::SteadyFile;
use super::{Refresh, off_thread, unwatched};
use crate::guard::{BuildError, Guard};
use crate::watch::reloaded;

/// Authorizers that the program gives, by the names that rules call them by.
pub(crate) type Authorizers = HashMap<Box<str>, Arc<dyn Authorizer>>;

/// A policy document in a file, and the files that it names.
pub(crate) struct PolicyFile {
    document: SteadyFile,
    /// The same for each version of the document.
    given: Authorizers,
    #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
    named: super::artefacts::Named,
}

impl PolicyFile {
    /// Reads the document for the first time.
    pub(crate) async fn open(
        path: PathBuf,
        given: Authorizers,
    ) -> Result<(Policy, Self), BuildError> {
        let failed = |error| FileError::Read {
            path: path.clone(),
            error: std::io::Error::other(error),
        };
        let (file, policy) = off_thread(
            Self {
                document: SteadyFile::new(path.clone(), MAX_DOCUMENT_BYTES),
                given,
                #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
                named: super::artefacts::Named::default(),
            },
            Self::load,
        )
        .await
        .map_err(failed)?;
        Ok((policy?, file))
    }

    fn load(&mut self) -> Result<Policy, BuildError> {
        let path = self.document.path().to_owned();
        let bytes = self.document.load()?;
        #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
        return self.named.read_by(&path, loader(&self.given), |loader| {
            parse(loader, &path, bytes)
        });
        #[cfg(not(any(feature = "opa", feature = "rego", feature = "schema")))]
        parse(loader(&self.given), &path, bytes)
    }

    /// A changed document, or one that names a changed file. Taken or refused, it is not looked at again until it changes.
    fn poll(&mut self) -> Result<Option<Policy>, BuildError> {
        let changed = self.document.poll()?.is_some();
        #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
        let changed = changed || self.named.changed()?;
        changed.then(|| self.load()).transpose()
    }
}

fn parse(loader: Loader, path: &Path, bytes: &[u8]) -> Result<Policy, BuildError> {
    let text = core::str::from_utf8(bytes).map_err(|_| FileError::NotUtf8 {
        path: path.to_owned(),
    })?;
    Ok(loader
        .source(&path.display().to_string())
        .load(text, Format::of_path(path))?)
}

/// Loads with what the program gives, and with all that the features of this crate bring for what a policy may ask.
fn loader(given: &Authorizers) -> Loader {
    let loader = given.iter().fold(Loader::new(), |loader, (name, given)| {
        loader.with_authorizer(name, Arc::clone(given))
    });
    #[cfg(feature = "cel")]
    let loader = loader.with_conditions(Arc::new(ztl_authz::cel::Cel::new()));
    loader
}

impl Refresh {
    pub(super) async fn policy(&mut self, guard: &Guard) {
        let Some(file) = self.policy.take() else {
            return;
        };
        let (file, polled) = match off_thread(file, PolicyFile::poll).await {
            Ok(polled) => polled,
            Err(error) => return unwatched(guard, "policy", &error),
        };
        self.policy = Some(file);
        let swapped = match polled {
            Ok(None) => return,
            Ok(Some(policy)) => {
                let revision = policy.revision();
                guard
                    .swap_policy(policy)
                    .map(|()| revision)
                    .map_err(BuildError::from)
            }
            Err(error) => Err(error),
        };
        match swapped {
            Ok(revision) => {
                reloaded(guard, "policy", "taken");
                tracing::info!(target: "ztl", workload = guard.name(), %revision, "policy reloaded")
            }
            Err(error) => {
                reloaded(guard, "policy", "refused");
                tracing::error!(target: "ztl", workload = guard.name(), %error, "policy not reloaded; the last good one stays in force")
            }
        }
    }
}
