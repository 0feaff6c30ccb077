//! Saying that an authority of a bundle proves nobody.

use std::collections::BTreeSet;

use ztl_core::TrustDomain;
use ztl_mtls::{BundleSet, Denied, Fingerprint};

use crate::guard::Guard;

/// The authorities in use that were told of.
#[derive(Default)]
pub(super) struct Unfit(BTreeSet<(TrustDomain, Fingerprint)>);

impl Unfit {
    /// Tells of each once, for as long as it is in use.
    pub(super) fn look(&mut self, guard: &Guard, bundles: &BundleSet) {
        let unfit = bundles.iter().flat_map(|bundle| {
            let domain = bundle.trust_domain();
            let keys = bundle.proving_nobody();
            keys.map(move |key| (domain.clone(), key))
        });
        let unfit = unfit.collect();
        // Whoever hears of it may panic.
        let told = core::mem::replace(&mut self.0, unfit);
        for (domain, key) in self.0.difference(&told) {
            let key = Denied::Key(*key);
            tracing::warn!(target: "ztl", workload = guard.name(), trust_domain = %domain, authority = %key, "an authority of the trust bundle proves nobody: its extKeyUsage names neither clientAuth nor serverAuth, and anyExtendedKeyUsage names none; reissue it without extKeyUsage, or with both");
        }
    }
}
