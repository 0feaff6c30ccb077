//! What an engine of Python's has in force, and how often that changed.

use std::sync::Arc;

use ztl_ffi_impl as c;
use ztl_ffi_impl::ztl_engine;

use crate::handle::{Outcome, Owned};
use crate::recipe::{self, Issuer, Recipe, forks};

/// The engine of this process, and what it is made of. A forked process makes its own, and what its parent had put in force counts
/// there as well.
pub(crate) struct State {
    live: Arc<Owned<ztl_engine>>,
    forks: u64,
    recipe: Recipe,
    /// How often something was put in force, and how often of those it was an issuer.
    changes: u64,
    told: u64,
}

impl State {
    pub(crate) fn new(recipe: Recipe, live: Arc<Owned<ztl_engine>>) -> Self {
        Self {
            live,
            forks: forks(),
            recipe,
            changes: 0,
            told: 0,
        }
    }

    /// Makes the engine of this process, where what there is belongs to its parent.
    pub(crate) fn refresh(&mut self) -> Result<(), Outcome> {
        if self.forks != forks() {
            let made = self.recipe.cook()?;
            // What is the parent's stays as it is: its locks may be held, its buffers are not ours.
            core::mem::forget(core::mem::replace(&mut self.live, made));
            self.forks = forks();
        }
        Ok(())
    }

    pub(crate) fn live(&self) -> Arc<Owned<ztl_engine>> {
        Arc::clone(&self.live)
    }

    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    pub(crate) const fn told(&self) -> u64 {
        self.told
    }

    pub(crate) fn swap(&mut self, policy: &[u8], format: u32) -> Outcome {
        let outcome = recipe::swap(&self.live, policy, format);
        if self.takes(&outcome) {
            (self.recipe.policy, self.recipe.format) = (policy.to_vec(), format);
        }
        outcome
    }

    pub(crate) fn trust(&mut self, trust_domain: &str, bundle: Option<&[u8]>) -> Outcome {
        let outcome = recipe::trust(&self.live, trust_domain, bundle);
        if self.takes(&outcome) {
            let bundles = &mut self.recipe.bundles;
            match bundle {
                Some(pem) => bundles.insert(trust_domain.to_owned(), pem.to_vec()),
                None => bundles.remove(trust_domain),
            };
        }
        outcome
    }

    pub(crate) fn revoke(&mut self, trust_domain: &str, lists: Option<&[u8]>) -> Outcome {
        let outcome = recipe::revoke(&self.live, trust_domain, lists);
        if self.takes(&outcome) {
            let crls = &mut self.recipe.crls;
            match lists {
                Some(lists) => crls.insert(trust_domain.to_owned(), lists.to_vec()),
                None => crls.remove(trust_domain),
            };
        }
        outcome
    }

    pub(crate) fn tell(&mut self, name: &str, issuer: Issuer) -> Outcome {
        let outcome = recipe::tell(&self.live, name, &issuer);
        if self.takes(&outcome) {
            self.recipe.issuers.insert(name.to_owned(), issuer);
            self.told += 1;
        }
        outcome
    }

    /// Counts what was put in force, and says whether it was.
    fn takes(&mut self, outcome: &Outcome) -> bool {
        let is_taken = outcome.status == c::ZTL_OK;
        self.changes += u64::from(is_taken);
        is_taken
    }
}
