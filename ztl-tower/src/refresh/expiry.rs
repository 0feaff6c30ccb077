//! Saying that an SVID or a bundle will end.

#[cfg(feature = "metrics")]
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ztl_mtls::{BundleSet, Expiring, Expiry, ExpiryStage, X509Svid};

use super::Renewed;
use crate::guard::Guard;

/// What the host is told by.
pub(crate) struct OnExpiry(pub(crate) Box<dyn Fn(&Expiry) + Send + Sync>);

impl Renewed {
    /// Looks at what is in use.
    pub(super) fn expiry(&mut self, guard: &Guard) {
        let (svid, bundles) = (guard.identity().load(), guard.prover().bundles().load());
        self.gauged.set(guard, &svid, &bundles);
        self.unfit.look(guard, &bundles);
        for expiry in self.expiry.look(&svid, &bundles, guard.now()) {
            tell(guard, &expiry);
            if let Some(OnExpiry(on_expiry)) = &self.on_expiry
                && catch_unwind(AssertUnwindSafe(|| on_expiry(&expiry))).is_err()
            {
                tracing::error!(target: "ztl", workload = guard.name(), "the function given to `on_expiry` panicked");
            }
        }
    }
}

fn tell(guard: &Guard, expiry: &Expiry) {
    let workload = guard.name();
    let (what, of) = match &expiry.what {
        Expiring::Svid(id) => ("our SVID", id.to_string()),
        Expiring::Bundle(domain) => ("the trust bundle", domain.to_string()),
        _ => ("a certificate", String::new()),
    };
    let not_after = expiry.not_after.to_string();
    let left = expiry.not_after.since(expiry.now).as_secs();
    match expiry.stage {
        ExpiryStage::Half => {
            tracing::info!(target: "ztl", workload, what, of, not_after, seconds_left = left, "half of its life is left");
        }
        ExpiryStage::Sixth => {
            tracing::warn!(target: "ztl", workload, what, of, not_after, seconds_left = left, "a sixth of its life is left, and it was not renewed");
        }
        _ => {
            tracing::error!(target: "ztl", workload, what, of, not_after, "it has expired: handshakes that need it are refused");
        }
    }
}

/// The trust domains whose bundles have a gauge that says when they end.
#[derive(Default)]
pub(crate) struct Gauged(#[cfg(feature = "metrics")] BTreeSet<Box<str>>);

impl Gauged {
    #[cfg(feature = "metrics")]
    fn set(&mut self, guard: &Guard, svid: &X509Svid, bundles: &BundleSet) {
        // 32 bits hold seconds until 2106, and a float holds them exactly.
        let seconds = |at: ztl_core::Timestamp| {
            f64::from(u32::try_from(at.as_unix_secs()).unwrap_or(u32::MAX))
        };
        let workload = guard.name().to_owned();
        metrics::gauge!("ztl_svid_expiry_timestamp_seconds", "workload" => workload.clone())
            .set(seconds(svid.not_after()));
        let presentable = guard.svid().is_ok();
        metrics::gauge!("ztl_svid_presentable", "workload" => workload.clone())
            .set(f64::from(u8::from(presentable)));
        let bundle_ends = |domain: &str, at| {
            metrics::gauge!("ztl_bundle_expiry_timestamp_seconds", "workload" => workload.clone(), "trust_domain" => domain.to_owned())
            .set(seconds(at));
        };
        let mut gone = core::mem::take(&mut self.0);
        for bundle in bundles.iter() {
            if let Some((_, not_after)) = bundle.validity() {
                let domain = bundle.trust_domain().as_str();
                bundle_ends(domain, not_after);
                gone.remove(domain);
                self.0.insert(domain.into());
            }
        }
        // A gauge cannot be taken back: nobody there is proved, as if it had ended long ago.
        for domain in gone {
            bundle_ends(&domain, ztl_core::Timestamp::EPOCH);
        }
    }

    #[cfg(not(feature = "metrics"))]
    const fn set(&mut self, _: &Guard, _: &X509Svid, _: &BundleSet) {}
}
