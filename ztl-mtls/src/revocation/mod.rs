//! What is no longer trusted, though its signatures and times hold: a deny list, and revocation lists by trust domain.

mod denied;
mod deny_list;

use core::fmt;
use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ztl_core::{SpiffeId, TrustDomain};

pub use self::denied::{Denied, DeniedError, IssuedSerial};
pub(crate) use self::denied::{Hex, Named};
pub use self::deny_list::{DenyList, DenyListError, MAX_DENIED, MAX_DENY_LIST_BYTES};
use crate::crl::CrlSet;

/// What is revoked just now, shared by all that prove. A clone is the same holder.
///
/// Each change counts one [`generation`](Self::generation) up, so that what was proved under an older one can be found and
/// judged again (rule 27). A change is seen by the next proof; proofs that are remembered do not outlive it.
///
/// Where nothing is put in, nobody is denied, and nobody's status is asked for.
#[derive(Clone)]
pub struct Revocation(Arc<ArcSwap<State>>);

#[derive(Clone, Default)]
pub(crate) struct State {
    deny_list: DenyList,
    /// What was denied one by one; a new deny list does not take it back.
    denied: DenyList,
    /// Trust domains that are one: an id that is denied in one of them is denied in all.
    one: Arc<[TrustDomain]>,
    crls: Arc<HashMap<Box<str>, Arc<CrlSet>>>,
    pub(crate) generation: u64,
    /// Counts changes of the revocation lists alone.
    pub(crate) crl_generation: u64,
}

impl State {
    pub(crate) fn crls(&self, trust_domain: &str) -> Option<&CrlSet> {
        self.crls.get(trust_domain).map(Arc::as_ref)
    }

    /// Whether an id is denied, under its own name or another of its trust domain (T13).
    pub(crate) fn denies(&self, id: &SpiffeId) -> Option<Denied> {
        let listed = |id: &SpiffeId| self.deny_lists().iter().any(|list| list.denies_id(id));
        if listed(id) {
            return Some(Denied::Id(id.clone()));
        }
        let is_own = |domain: &TrustDomain| domain.as_str() == id.trust_domain_name();
        if !self.one.iter().any(is_own) {
            return None;
        }
        let others = self.one.iter().filter(|domain| !is_own(domain));
        // An id that would be too long in the other domain is none, so nobody can have denied it.
        let mut ids = others.filter_map(|domain| id.with_trust_domain(domain).ok());
        ids.find(listed).map(Denied::Id)
    }

    pub(crate) fn deny_lists(&self) -> [&DenyList; 2] {
        [&self.deny_list, &self.denied]
    }
}

impl Revocation {
    /// Begins with nothing, as generation 0.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(ArcSwap::from_pointee(State::default())))
    }

    /// How often anything was changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.load().generation
    }

    /// The deny list that was put in last.
    #[must_use]
    pub fn deny_list(&self) -> DenyList {
        self.0.load().deny_list.clone()
    }

    /// Replaces the deny list. What was [denied](Self::deny) one by one stays denied.
    pub fn swap_deny_list(&self, deny_list: DenyList) {
        self.change(|state| state.deny_list = deny_list.clone());
    }

    /// What was denied one by one.
    #[must_use]
    pub fn denied(&self) -> DenyList {
        self.0.load().denied.clone()
    }

    /// Denies one more, beside the deny list, until [`undeny`](Self::undeny) or the end of the process.
    pub fn deny(&self, denied: Denied) {
        self.change(|state| state.denied = state.denied.with(denied.clone()));
    }

    /// Takes back one [`deny`](Self::deny). What the deny list names stays denied.
    pub fn undeny(&self, denied: &Denied) {
        self.change(|state| state.denied = state.denied.without(denied));
    }

    /// Whether an id is denied, by the deny list or by itself, under its own name or another of its trust domain.
    #[must_use]
    pub fn denies_id(&self, id: &SpiffeId) -> bool {
        self.0.load().denies(id).is_some()
    }

    /// Says which trust domains are names of one: the primary one of a policy and its aliases. An id that is denied in one of them
    /// is denied in all (T13). They choose no bundle and no revocation lists (rule 28).
    pub fn swap_aliases(&self, one: impl IntoIterator<Item = TrustDomain>) {
        let one: Arc<[TrustDomain]> = one.into_iter().collect();
        if self.0.load().one == one {
            return;
        }
        self.change(|state| state.one = Arc::clone(&one));
    }

    /// The revocation lists of a trust domain.
    #[must_use]
    pub fn crls(&self, trust_domain: &TrustDomain) -> Option<CrlSet> {
        self.0.load().crls(trust_domain.as_str()).cloned()
    }

    /// Puts the revocation lists of a trust domain in, in place of those that it had. From now on the status of its SVIDs is
    /// asked for. Others stay. Whether a list is older than the one that it replaces is not asked here;
    /// [`CrlFiles`](crate::source::CrlFiles) asks.
    pub fn replace_crls(&self, crls: CrlSet) {
        let crls = Arc::new(crls);
        self.change_crls(|all| {
            all.insert(crls.trust_domain().as_str().into(), Arc::clone(&crls));
        });
    }

    /// Takes the revocation lists of a trust domain out. **From now on the status of its SVIDs is not asked for.**
    pub fn remove_crls(&self, trust_domain: &TrustDomain) {
        self.change_crls(|all| {
            all.remove(trust_domain.as_str());
        });
    }

    pub(crate) fn snapshot(&self) -> arc_swap::Guard<Arc<State>> {
        self.0.load()
    }

    fn change_crls(&self, to: impl Fn(&mut HashMap<Box<str>, Arc<CrlSet>>)) {
        self.change(|state| {
            let mut all = HashMap::clone(&state.crls);
            to(&mut all);
            state.crls = Arc::new(all);
            state.crl_generation = state.crl_generation.wrapping_add(1);
        });
    }

    fn change(&self, to: impl Fn(&mut State)) {
        self.0.rcu(|old| {
            let mut state = State::clone(old);
            to(&mut state);
            state.generation = state.generation.wrapping_add(1);
            state
        });
    }
}

impl Default for Revocation {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.snapshot();
        f.debug_struct("Revocation")
            .field("generation", &now.generation)
            .field("deny_list", &now.deny_list)
            .field("denied", &now.denied)
            .field("crls", &now.crls.values())
            .finish()
    }
}
