//! Authorizers that the program gives to the document in its file.

use std::sync::Arc;

use ztl_core::authorizer::Authorizer;

use super::{BuildError, GuardBuilder};
use crate::refresh::Authorizers;

/// Authorizers with their names, as they were given.
#[derive(Default)]
pub(super) struct AuthorizersFrom(Vec<(Box<str>, Arc<dyn Authorizer>)>);

impl AuthorizersFrom {
    /// A policy in memory was loaded without them, so that they would never object.
    pub(super) fn unasked(&self) -> Result<(), BuildError> {
        let why = "is not asked by a policy in memory, which is loaded already: register it with that policy's `Loader`, or give the builder `policy_text`";
        match self.0.first() {
            Some((name, _)) => Err(refused(name, why)),
            None => Ok(()),
        }
    }

    /// By their names. Where two have one, the objections of one would be lost.
    pub(super) fn by_name(self) -> Result<Authorizers, BuildError> {
        let mut all = Authorizers::new();
        for (name, authorizer) in self.0 {
            let why = "is given twice; give each a name of its own";
            if all.contains_key(&name) {
                return Err(refused(&name, why));
            }
            all.insert(name, authorizer);
        }
        Ok(all)
    }
}

fn refused(name: &str, why: &'static str) -> BuildError {
    BuildError::Authorizer {
        name: name.to_owned(),
        why,
    }
}

impl GuardBuilder {
    /// An authorizer of the program's own for the document of [`policy_file`](Self::policy_file) or
    /// [`policy_text`](Self::policy_text), under the name that its rules
    /// call it by (`require.authorizer = "NAME"`). It stays the same while the document changes. Call it once a name.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use ztl_tower::core::authorizer::{Authorizer, AuthorizerError, Facts, Reads};
    ///
    /// #[derive(Debug)]
    /// struct OpenHours;
    ///
    /// impl Authorizer for OpenHours {
    ///     fn reads(&self) -> Reads {
    ///         Reads::nothing().with_clock()
    ///     }
    ///     fn objects(&self, facts: &Facts<'_>) -> Result<bool, AuthorizerError> {
    ///         Ok(facts.now.as_unix_secs() / 3600 % 24 < 6)
    ///     }
    /// }
    ///
    /// let builder = ztl_tower::Guard::builder("model-server")
    ///     .policy_file("policy.toml")
    ///     .authorizer("open-hours", Arc::new(OpenHours));
    /// ```
    pub fn authorizer(mut self, name: &str, authorizer: Arc<dyn Authorizer>) -> Self {
        self.authorizers.0.push((name.into(), authorizer));
        self
    }
}
