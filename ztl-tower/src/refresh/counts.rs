//! What is read again is counted from nothing on.

use super::Refresh;
use crate::guard::Guard;
use crate::watch::{OF_FILES, OF_SOURCES, counts_reloads};

impl Refresh {
    /// Begins to count what happens to this guard, and what it reads again.
    pub(crate) fn begin_counts(&self, guard: &Guard) {
        guard.begin_counts();
        let files = self.policy.as_ref().map(|_| "policy").into_iter();
        let files = files.chain(self.revocation.kinds());
        #[cfg(feature = "trust")]
        let files = files.chain(self.tables.names().copied());
        #[cfg(feature = "jwt")]
        let files = files.chain(self.keys.names().map(|_| "jwks"));
        for what in files {
            counts_reloads(guard, what, &OF_FILES);
        }
        if self.renewed.sources.are_asked() {
            for what in ["svid", "bundles"] {
                counts_reloads(guard, what, &OF_SOURCES);
            }
        }
    }
}
