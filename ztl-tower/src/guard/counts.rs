//! What happens to a guard is counted from nothing on.

use super::Guard;
use crate::watch;

impl Guard {
    /// Begins to count what its connections and what it fetches may come to.
    pub(crate) fn begin_counts(&self) {
        watch::counts_ends(self);
        #[cfg(feature = "federation")]
        for domain in self.federation().keys() {
            watch::counts_fetches(self, "bundle", domain, &watch::OF_FETCHES);
        }
        #[cfg(feature = "oidc")]
        for issuer in self.keys().issuers() {
            watch::counts_fetches(self, "jwks", issuer, &watch::OF_FETCHES);
        }
        #[cfg(feature = "bundle")]
        self.opa_bundles().begin_counts(self);
    }
}
