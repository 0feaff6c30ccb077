//! The parts of a guard for a host with TLS of its own.

use std::sync::Arc;

use ztl_mtls::{IdentitySource, Prover};

use super::Guard;

impl Guard {
    /// What proves callers and servers here, for a host with TLS of its own. Its bundles and lists are those in force: what the guard
    /// takes later holds for every clone, and whoever was proved by what is gone has to be proved again.
    #[must_use]
    pub fn prover(&self) -> &Prover {
        &self.0.prover
    }

    /// The SVID that handshakes present, for a host with TLS of its own: what the guard takes later is presented by it, and what is
    /// withdrawn is not. Give it another by [`swap_identity`](Self::swap_identity), which checks that.
    #[must_use]
    pub fn identity(&self) -> Arc<IdentitySource> {
        Arc::clone(&self.0.identity)
    }
}
