//! All bundles together, and the holder in which they are replaced while handshakes read them.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ztl_core::TrustDomain;

use crate::bundle::{BundleError, TrustBundle};

/// One bundle a trust domain. Immutable, cheap to clone.
///
/// Bundles are never pooled: the SVID's own trust domain chooses the one it is judged by (rule 20).
#[derive(Clone, Default)]
pub struct BundleSet {
    by_domain: Arc<BTreeMap<Box<str>, Arc<TrustBundle>>>,
}

impl BundleSet {
    /// Puts bundles together.
    ///
    /// # Errors
    /// [`BundleError::Duplicate`] where two claim the same trust domain (rule 22).
    pub fn new(bundles: impl IntoIterator<Item = TrustBundle>) -> Result<Self, BundleError> {
        let mut by_domain = BTreeMap::new();
        for bundle in bundles {
            let domain = bundle.trust_domain().clone();
            if by_domain
                .insert(domain.as_str().into(), Arc::new(bundle))
                .is_some()
            {
                return Err(BundleError::Duplicate(domain));
            }
        }
        Ok(Self {
            by_domain: Arc::new(by_domain),
        })
    }

    /// The bundle of a trust domain, by its name.
    #[must_use]
    pub fn get(&self, trust_domain: &str) -> Option<&TrustBundle> {
        self.by_domain.get(trust_domain).map(Arc::as_ref)
    }

    /// All bundles, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &TrustBundle> {
        self.by_domain.values().map(Arc::as_ref)
    }

    fn with(&self, bundle: &Arc<TrustBundle>) -> Self {
        let mut by_domain = BTreeMap::clone(&self.by_domain);
        by_domain.insert(bundle.trust_domain().as_str().into(), Arc::clone(bundle));
        Self {
            by_domain: Arc::new(by_domain),
        }
    }

    fn without(&self, trust_domain: &TrustDomain) -> Self {
        let mut by_domain = BTreeMap::clone(&self.by_domain);
        by_domain.remove(trust_domain.as_str());
        Self {
            by_domain: Arc::new(by_domain),
        }
    }
}

impl fmt::Debug for BundleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The bundles in force, shared by all that prove. A clone is the same holder.
///
/// Each change counts one [`generation`](Self::generation) up, so that what was proved under an older one can be found and
/// judged again (rule 27).
#[derive(Clone)]
pub struct Bundles(Arc<ArcSwap<Snapshot>>);

pub(crate) struct Snapshot {
    pub(crate) set: BundleSet,
    pub(crate) generation: u64,
}

impl Bundles {
    /// Begins with these bundles, as generation 0.
    #[must_use]
    pub fn new(set: BundleSet) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Snapshot {
            set,
            generation: 0,
        })))
    }

    /// The bundles in force.
    #[must_use]
    pub fn load(&self) -> BundleSet {
        self.0.load().set.clone()
    }

    /// How often they were changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.load().generation
    }

    /// Replaces all bundles at once.
    pub fn swap(&self, set: BundleSet) {
        self.change(|_| set.clone());
    }

    /// Puts one bundle in, in place of that of the same trust domain if there is one. The others stay.
    pub fn replace(&self, bundle: TrustBundle) {
        let bundle = Arc::new(bundle);
        self.change(|old| old.with(&bundle));
    }

    /// Takes the bundle of a trust domain out: its SVIDs prove nothing from now on.
    pub fn remove(&self, trust_domain: &TrustDomain) {
        self.change(|old| old.without(trust_domain));
    }

    pub(crate) fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.0.load()
    }

    fn change(&self, to: impl Fn(&BundleSet) -> BundleSet) {
        self.0.rcu(|old| Snapshot {
            set: to(&old.set),
            generation: old.generation.wrapping_add(1),
        });
    }
}

impl fmt::Debug for Bundles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.snapshot();
        f.debug_struct("Bundles")
            .field("generation", &now.generation)
            .field("set", &now.set)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty(name: &str) -> TrustBundle {
        TrustBundle::empty(TrustDomain::parse(name).expect("domain"))
    }

    #[test]
    fn rule_22_two_bundles_for_a_domain_are_refused() {
        assert!(BundleSet::new([empty("a.test"), empty("b.test")]).is_ok());
        let error =
            BundleSet::new([empty("a.test"), empty("b.test"), empty("a.test")]).expect_err("two");
        assert_eq!(
            error.to_string(),
            "there are two bundles for the trust domain `a.test`: give one"
        );
    }

    #[test]
    fn each_change_is_a_generation_and_clones_see_it() {
        let bundles = Bundles::new(BundleSet::new([empty("a.test")]).expect("set"));
        let clone = bundles.clone();
        let before = bundles.load();
        bundles.replace(empty("b.test"));
        bundles.remove(empty("a.test").trust_domain());
        assert_eq!(clone.generation(), 2);
        assert!(clone.load().get("a.test").is_none() && clone.load().get("b.test").is_some());
        assert!(
            before.get("a.test").is_some(),
            "what was loaded does not change"
        );
        bundles.swap(BundleSet::default());
        assert_eq!((clone.generation(), clone.load().iter().count()), (3, 0));
    }
}
