//! Where a guard's policy comes from, and how the next one is loaded from memory.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use ztl_core::policy::{Format, LoadError, Loader, Policy};

#[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
use ztl_authz::artefacts::Artefacts;

use super::authorizers::AuthorizersFrom;
use super::{BuildError, Guard, GuardBuilder};
use crate::refresh::{Authorizers, PolicyFile, Vouching, known};

/// Where the first policy comes from.
pub(super) enum PolicyFrom {
    File(PathBuf),
    Memory(Box<Policy>),
    Text {
        text: Box<str>,
        format: Format,
        #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
        files: Arc<dyn Artefacts>,
    },
}

impl PolicyFrom {
    /// The policy, its file where it has one, and the authorizers that the next one may ask.
    pub(super) async fn open(
        self,
        authorizers: AuthorizersFrom,
        vouching: Vouching,
        provider: &Arc<CryptoProvider>,
    ) -> Result<(Policy, Option<PolicyFile>, Authorizers), BuildError> {
        if vouching.is_asked() && !matches!(self, Self::File(_)) {
            return Err(BuildError::NotFromFile);
        }
        match self {
            Self::Memory(policy) => {
                authorizers.unasked()?;
                Ok((*policy, None, Authorizers::new()))
            }
            Self::Text {
                text,
                format,
                #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
                files,
            } => {
                let given = authorizers.by_name()?;
                let loader = known(&given);
                #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
                let loader = crate::loader::with_files(loader, &files);
                Ok((loader.load(&text, format)?, None, given))
            }
            Self::File(path) => {
                let given = authorizers.by_name()?;
                let provider = Arc::clone(provider);
                let (policy, file) =
                    PolicyFile::open(path, given.clone(), vouching, provider).await?;
                Ok((policy, Some(file), given))
            }
        }
    }
}

impl GuardBuilder {
    /// What we permit, from a file that is read again when it changes. A file that group or others may write is refused.
    pub fn policy_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.policy = Some(PolicyFrom::File(path.into()));
        self
    }

    /// What we permit, from memory; [`Guard::swap_policy`] changes it.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(PolicyFrom::Memory(Box::new(policy)));
        self
    }

    /// What we permit, as a document in memory, which may ask for all that [`loader`](crate::loader()) knows and for each
    /// [`authorizer`](Self::authorizer). The next one is [loaded](Guard::load_policy) and [put in its place](Guard::swap_policy).
    pub fn policy_text(mut self, text: &str, format: Format) -> Self {
        self.policy = Some(PolicyFrom::Text {
            text: text.into(),
            format,
            #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
            files: crate::loader::no_files(),
        });
        self
    }

    /// The same with the files that the document names: a `BTreeMap` of names to bytes, a
    /// [`Folder`](ztl_authz::artefacts::Folder), or your own.
    #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
    pub fn policy_text_with(
        mut self,
        text: &str,
        format: Format,
        files: Arc<dyn Artefacts>,
    ) -> Self {
        self.policy = Some(PolicyFrom::Text {
            text: text.into(),
            format,
            files,
        });
        self
    }
}

impl Guard {
    /// Loads a document from memory, for [`swap_policy`](Self::swap_policy): one that a control plane pushed, say. It may ask for all
    /// that [`loader`](crate::loader()) knows and for each [`authorizer`](GuardBuilder::authorizer) that this guard was built with.
    /// What is in force is not touched.
    ///
    /// It computes, and waits for nothing: load a large one by `tokio::task::spawn_blocking`.
    ///
    /// # Errors
    /// [`LoadError`] with line, column and a suggestion for everything that was found wrong; a file that the document names is.
    pub fn load_policy(&self, text: &str, format: Format) -> Result<Policy, LoadError> {
        #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
        return self.load_policy_with(text, format, crate::loader::no_files());
        #[cfg(not(any(feature = "opa", feature = "rego", feature = "schema")))]
        self.known().load(text, format)
    }

    /// The same with the files that the document names: a `BTreeMap` of names to bytes, a
    /// [`Folder`](ztl_authz::artefacts::Folder), or your own. They are read now, and never again.
    ///
    /// # Errors
    /// As [`load_policy`](Self::load_policy); each file that cannot be read or compiled is one.
    #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
    pub fn load_policy_with(
        &self,
        text: &str,
        format: Format,
        files: Arc<dyn Artefacts>,
    ) -> Result<Policy, LoadError> {
        crate::loader::with_files(self.known(), &files).load(text, format)
    }

    fn known(&self) -> Loader {
        known(&self.0.authorizers)
    }
}
