//! That a bundle which nobody keeps proves nobody: only its task would notice that it has become too old (laws 1 and 8).

use core::sync::atomic::{AtomicBool, Ordering};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use ztl_core::TrustDomain;
use ztl_mtls::TrustBundle;

use crate::guard::{Guard, Inner};

/// Whose bundle is kept, and whether anybody does.
#[derive(Clone)]
pub(crate) struct Kept {
    domain: TrustDomain,
    /// The trust domain's name as an issuer of JWT-SVIDs.
    #[cfg(feature = "jwt")]
    pub(super) issuer: Option<Box<str>>,
    lost: Arc<AtomicBool>,
}

impl Kept {
    pub(super) fn of(
        domain: TrustDomain,
        #[cfg(feature = "jwt")] issuer: Option<Box<str>>,
    ) -> Self {
        Self {
            domain,
            #[cfg(feature = "jwt")]
            issuer,
            lost: Arc::default(),
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// Its trust domain proves nobody from now on.
    pub(super) fn withdraw(&self, guard: &Guard) {
        guard.replace_bundle(TrustBundle::empty(self.domain.clone()));
        #[cfg(feature = "jwt")]
        if let Some(issuer) = &self.issuer {
            // The issuer is one that the guard was built with.
            let _ = guard.swap_token_keys(issuer, ztl_authz::jwt::Jwks::none());
        }
    }
}

/// Whoever keeps it. Where that ends before the guard does, with its runtime or by a panic, the bundle is withdrawn for good.
pub(super) struct Keeper {
    pub(super) kept: Kept,
    pub(super) guard: Weak<Inner>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let Some(guard) = self.guard.upgrade().map(Guard::from_inner) else {
            return;
        };
        // First: who puts a bundle in force meanwhile looks at it afterwards.
        self.kept.lost.store(true, Ordering::SeqCst);
        self.kept.withdraw(&guard);
        if std::thread::panicking() {
            let (workload, domain) = (guard.name(), self.kept.domain.as_str());
            // It may be the subscriber that panicked.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                tracing::error!(target: "ztl", workload, trust_domain = domain, "the federated bundle is refreshed no longer, by a panic; its trust domain proves nobody now");
            }));
        }
    }
}
