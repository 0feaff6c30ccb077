//! Trust bundles in files.

use ztl_mtls::BundleSet;
use ztl_mtls::source::PemBundle;

use super::{Refresh, off_thread, unwatched};
use crate::guard::Guard;

impl Refresh {
    pub(super) async fn bundles(&mut self, guard: &Guard) {
        let files = core::mem::take(&mut self.bundle_files);
        let poll_all = |files: &mut Vec<PemBundle>| -> Vec<_> {
            files.iter_mut().map(PemBundle::poll).collect()
        };
        let (files, polled) = match off_thread(files, poll_all).await {
            Ok(polled) => polled,
            Err(error) => return unwatched(guard, "trust bundles", &error),
        };
        self.bundle_files = files;
        let mut changed = false;
        for bundle in polled {
            match bundle {
                Ok(None) => {}
                Ok(Some(bundle)) => {
                    self.bundles
                        .retain(|other| other.trust_domain() != bundle.trust_domain());
                    self.bundles.push(bundle);
                    changed = true;
                }
                Err(error) => {
                    tracing::error!(target: "ztl", workload = guard.name(), %error, "trust bundle not reloaded; the last good one stays in use");
                }
            }
        }
        if !changed {
            return;
        }
        match BundleSet::new(self.bundles.clone()) {
            Ok(set) => {
                guard.replace_bundles(&set);
                tracing::info!(target: "ztl", workload = guard.name(), "trust bundles reloaded");
            }
            Err(error) => {
                tracing::error!(target: "ztl", workload = guard.name(), %error, "trust bundles not reloaded; the last good ones stay in use")
            }
        }
    }
}
