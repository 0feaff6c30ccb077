//! Saying that an SVID or a bundle will end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ztl_mtls::{BundleSet, Expiring, Expiry, ExpiryStage, X509Svid};

use super::Refresh;
use crate::guard::Guard;

/// What the host is told by.
pub(crate) struct OnExpiry(pub(crate) Box<dyn Fn(&Expiry) + Send + Sync>);

impl Refresh {
    /// Looks at what is in use.
    pub(super) fn expiry(&mut self, guard: &Guard) {
        let (svid, bundles) = (guard.identity().load(), guard.prover().bundles().load());
        gauges(guard, &svid, &bundles);
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

#[cfg(feature = "metrics")]
fn gauges(guard: &Guard, svid: &X509Svid, bundles: &BundleSet) {
    // 32 bits hold seconds until 2106, and a float holds them exactly.
    let seconds =
        |at: ztl_core::Timestamp| f64::from(u32::try_from(at.as_unix_secs()).unwrap_or(u32::MAX));
    let workload = guard.name().to_owned();
    metrics::gauge!("ztl_svid_expiry_timestamp_seconds", "workload" => workload.clone())
        .set(seconds(svid.not_after()));
    let presentable = guard.svid().is_ok();
    metrics::gauge!("ztl_svid_presentable", "workload" => workload.clone())
        .set(f64::from(u8::from(presentable)));
    for bundle in bundles.iter() {
        if let Some((_, not_after)) = bundle.validity() {
            let domain = bundle.trust_domain().to_string();
            metrics::gauge!("ztl_bundle_expiry_timestamp_seconds", "workload" => workload.clone(), "trust_domain" => domain)
                .set(seconds(not_after));
        }
    }
}

#[cfg(not(feature = "metrics"))]
const fn gauges(_: &Guard, _: &X509Svid, _: &BundleSet) {}
