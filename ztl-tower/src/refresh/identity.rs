//! Our SVID in files.

use ztl_mtls::source::PemIdentity;

use super::{Refresh, off_thread, unwatched};
use crate::guard::Guard;

impl Refresh {
    pub(super) async fn identity(&mut self, guard: &Guard) {
        let Some(files) = self.identity.take() else {
            return;
        };
        let (files, polled) = match off_thread(files, PemIdentity::poll).await {
            Ok(polled) => polled,
            Err(error) => return unwatched(guard, "SVID", &error),
        };
        self.identity = Some(files);
        let swapped = match polled {
            Ok(None) => return,
            Ok(Some(svid)) => guard.swap_identity(svid).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match swapped {
            Ok(()) => tracing::info!(target: "ztl", workload = guard.name(), "SVID reloaded"),
            Err(error) => {
                tracing::error!(target: "ztl", workload = guard.name(), error, "SVID not reloaded; the last good one stays in use")
            }
        }
    }
}
