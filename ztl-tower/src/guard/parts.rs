//! The parts of a guard for a host with TLS of its own. What is lent changes nothing of the guard: what it takes goes by its own calls, which
//! judge again what is open.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::ResolvesServerCert;
use ztl_core::Peer;
use ztl_mtls::{
    ClientVerifier, IdentitySource, PeerHook, ProveError, Prover, Purpose, ServerConfigs,
};

use super::Guard;

impl Guard {
    /// The TLS configurations of one listener, for a host with TLS of its own: with the guard's provider, and with the SVID that it holds
    /// when a handshake begins.
    #[must_use]
    pub fn server_configs(&self, alpn: &'static [&'static [u8]]) -> ServerConfigs {
        ServerConfigs::new(self.provider(), self.identity(), alpn)
    }

    /// Proves the caller of one connection, for a host with TLS of its own, by the bundles and revocations that are in force then. The hook
    /// is asked once the caller has proved its chain and its key, before the handshake ends.
    #[must_use]
    pub fn client_verifier(&self, hook: PeerHook) -> Arc<ClientVerifier> {
        ClientVerifier::new(self.0.prover.clone(), hook)
    }

    /// Proves the holder of a chain, for a host with another TLS than rustls, **which has seen that it holds the key**; by the bundles and
    /// revocations that are in force, at the guard's time.
    ///
    /// # Errors
    /// [`ProveError`] says what is wrong with the chain.
    pub fn prove(
        &self,
        chain: &[CertificateDer<'_>],
        purpose: Purpose,
    ) -> Result<Peer, ProveError> {
        self.0.prover.prove(chain, self.now(), purpose)
    }

    /// The SVID that the guard holds when a handshake begins, as the resolver of a `rustls::ServerConfig` of the host's own.
    #[must_use]
    pub fn certificate_resolver(&self) -> Arc<dyn ResolvesServerCert> {
        self.identity()
    }

    pub(crate) fn prover(&self) -> &Prover {
        &self.0.prover
    }

    pub(crate) fn identity(&self) -> Arc<IdentitySource> {
        Arc::clone(&self.0.identity)
    }
}
