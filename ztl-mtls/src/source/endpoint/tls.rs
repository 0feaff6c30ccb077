//! How an endpoint is made to prove itself: a TLS configuration for one fetch.

use core::fmt;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::version::TLS13;

use super::error::EndpointError;
use super::{BundleEndpoint, Profile};
use crate::bundles::{BundleSet, Bundles};
use crate::config::unresumed;
use crate::outside::HTTP1;
pub use crate::outside::{WebRoots, WebRootsError};
use crate::verify::{Prover, Refused, ServerVerifier};

/// For one handshake with an endpoint.
#[derive(Clone)]
pub struct EndpointTls {
    config: Arc<ClientConfig>,
    verifier: Option<Arc<ServerVerifier>>,
}

impl EndpointTls {
    /// The configuration: TLS 1.3, HTTP/1.1, no certificate of ours (§5.2.1.3), no resumption.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Whether the endpoint has proved itself, once the handshake is done. To be asked before anything it sends is believed.
    #[must_use]
    pub fn is_proved(&self) -> bool {
        // By the Web PKI a handshake that is done is the proof.
        self.verifier
            .as_ref()
            .is_none_or(|verifier| verifier.peer().is_some())
    }

    /// Why the endpoint is not proved, where its SVID was looked at.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        let verifier = self.verifier.as_ref()?;
        let other = verifier.refused();
        other
            .map(|peer| format!("it proved to be `{}`", peer.id()))
            .or_else(|| verifier.error().map(|error| error.to_string()))
    }
}

impl fmt::Debug for EndpointTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointTls").finish_non_exhaustive()
    }
}

impl BundleEndpoint {
    /// For the next handshake of a fetch, the one after a redirect included. Under `https_spiffe` the bundle held proves the
    /// endpoint where it is of the same trust domain, else `prover`'s own; in both cases it must be the configured SPIFFE ID.
    ///
    /// # Errors
    /// [`EndpointError::Tls`] where the provider cannot do TLS 1.3.
    pub fn tls(
        &self,
        provider: Arc<CryptoProvider>,
        prover: &Prover,
    ) -> Result<EndpointTls, EndpointError> {
        let id = match &self.profile {
            Profile::Web(roots) => {
                return Ok(EndpointTls {
                    config: roots.client_config(provider)?,
                    verifier: None,
                });
            }
            Profile::Spiffe(id) => id,
        };
        let meant = id.clone();
        let hook = move |peer: ztl_core::Peer| {
            if *peer.id() == meant {
                Ok(())
            } else {
                Err(Refused)
            }
        };
        let verifier = ServerVerifier::new(self.prover(prover), Arc::new(hook));
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_no_client_auth();
        Ok(EndpointTls {
            config: Arc::new(unresumed(config, HTTP1)),
            verifier: Some(verifier),
        })
    }

    /// §5.2.2.4: the newest bundle proves the endpoint.
    fn prover(&self, prover: &Prover) -> Prover {
        let own = self.proved_by().as_ref() == Some(&self.trust_domain);
        match &self.held {
            Some(held) if own => {
                let set = BundleSet::new([held.x509().clone()]).unwrap_or_default();
                prover.with_bundles(Bundles::new(set)).with_cache_size(0)
            }
            _ => prover.clone(),
        }
    }
}
