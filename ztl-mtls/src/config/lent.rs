//! Configurations that are lent to one connection after the other.
//!
//! rustls asks the verifier of a configuration and does not say for which connection, so a verifier that judges one connection needs a
//! configuration to itself, and making one takes as long as a hundredth of a handshake. Here it is made once for as many handshakes as
//! run at a time: what stands in it for the verifier asks that of whoever has it.

use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{VERSIONS, server};
use crate::identity::IdentitySource;
use crate::verify::ClientVerifier;

/// Most that wait to be lent. Of more handshakes at a time each has one made.
const MAX_IDLE: usize = 256;

/// The configurations of a listener: each is what [`server_config`](crate::server_config) makes, and is lent to **one connection at a
/// time**, with that one's verifier.
///
/// ```
/// # #[cfg(all(feature = "dev-ca", any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::{sync::Arc, time::Duration};
/// # use ztl_core::{SpiffeId, Timestamp, TrustDomain};
/// # use ztl_mtls::{BundleSet, Bundles, ClientVerifier, DevCa, IdentitySource, Prover, ServerConfigs};
/// # let now = Timestamp::from_unix_secs(1_790_000_000);
/// # let authority = DevCa::new(TrustDomain::parse("prod.example")?, now)?;
/// # let me = SpiffeId::parse("spiffe://prod.example/db")?;
/// # let svid = authority.issue(&me, now, Duration::from_secs(3600), &ztl_mtls::provider())?.svid;
/// # let prover = Prover::new(Bundles::new(BundleSet::new([authority.bundle()])?), &ztl_mtls::provider());
/// let identity = Arc::new(IdentitySource::new(svid));
/// let configs = ServerConfigs::new(ztl_mtls::provider(), identity, &[b"h2"]);
///
/// // For each connection, in its own task:
/// let verifier = ClientVerifier::new(prover, Arc::new(|_| Ok(())));
/// let lent = configs.lend(verifier.clone())?;
/// let tls = rustls::ServerConnection::new(lent.config())?;
/// // … and once its handshake has ended:
/// # drop(tls);
/// drop(lent);
/// assert!(verifier.peer().is_none()); // nobody has called
/// # Ok(())
/// # }
/// # #[cfg(not(all(feature = "dev-ca", any(feature = "aws-lc-rs", feature = "ring"))))]
/// # fn main() {}
/// ```
pub struct ServerConfigs {
    provider: Arc<CryptoProvider>,
    identity: Arc<IdentitySource>,
    alpn: &'static [&'static [u8]],
    idle: Mutex<Vec<Made>>,
}

/// A configuration, and what stands in it for the verifier.
#[derive(Clone)]
struct Made {
    config: Arc<ServerConfig>,
    stand_in: Arc<StandIn>,
}

impl ServerConfigs {
    /// For the end that is called by workloads: they present our SVID. None is made yet.
    #[must_use]
    pub const fn new(
        provider: Arc<CryptoProvider>,
        identity: Arc<IdentitySource>,
        alpn: &'static [&'static [u8]],
    ) -> Self {
        Self {
            provider,
            identity,
            alpn,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// A configuration for one connection, which this verifier judges. Keep what is answered until the handshake has ended: without it
    /// the configuration proves nobody.
    ///
    /// # Errors
    /// [`rustls::Error`] where the provider cannot do TLS 1.3.
    pub fn lend(&self, verifier: Arc<ClientVerifier>) -> Result<LentConfig<'_>, Error> {
        let idle = lock(&self.idle).pop();
        let made = match idle {
            Some(made) => made,
            None => self.make()?,
        };
        *lock(&made.stand_in.0) = Some(verifier);
        Ok(LentConfig { of: self, made })
    }

    fn make(&self) -> Result<Made, Error> {
        let stand_in = Arc::new(StandIn(Mutex::new(None)));
        let (provider, identity) = (Arc::clone(&self.provider), Arc::clone(&self.identity));
        let verifier = Some(Arc::clone(&stand_in));
        let config = server(VERSIONS, provider, identity, verifier, self.alpn)?;
        let config = Arc::new(config);
        Ok(Made { config, stand_in })
    }
}

impl fmt::Debug for ServerConfigs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfigs")
            .field("idle", &lock(&self.idle).len())
            .finish_non_exhaustive()
    }
}

/// A configuration that one connection has, from [`ServerConfigs::lend`]. It is given back when this is dropped.
#[must_use = "dropped, the configuration proves nobody any more"]
pub struct LentConfig<'a> {
    of: &'a ServerConfigs,
    made: Made,
}

impl LentConfig<'_> {
    /// The configuration, for this connection alone.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.made.config)
    }
}

impl Drop for LentConfig<'_> {
    fn drop(&mut self) {
        let judged = lock(&self.made.stand_in.0).take();
        // Outside of the lock: what its hook holds is not known here.
        drop(judged);
        // Whoever has it still, or a copy of it, would ask somebody else's verifier. The stand-in is had here and by the configuration.
        let is_ours = Arc::get_mut(&mut self.made.config).is_some();
        if !is_ours || Arc::strong_count(&self.made.stand_in) > 2 {
            return;
        }
        let mut idle = lock(&self.of.idle);
        if idle.len() < MAX_IDLE {
            idle.push(self.made.clone());
        }
    }
}

impl fmt::Debug for LentConfig<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LentConfig").finish_non_exhaustive()
    }
}

/// Asks the verifier of the connection that has its configuration. Where none has, nobody is proved.
struct StandIn(Mutex<Option<Arc<ClientVerifier>>>);

impl StandIn {
    fn verifier(&self) -> Result<Arc<ClientVerifier>, Error> {
        let verifier = lock(&self.0).clone();
        verifier
            .ok_or_else(|| Error::General("the configuration is lent to no connection".to_owned()))
    }
}

impl ClientCertVerifier for StandIn {
    fn client_auth_mandatory(&self) -> bool {
        self.verifier()
            .map_or(true, |verifier| verifier.client_auth_mandatory())
    }

    /// No authority is named to the caller (T30).
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verifier()?
            .verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier()?
            .verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier()?
            .verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier()
            .map(|verifier| verifier.supported_verify_schemes())
            .unwrap_or_default()
    }
}

impl fmt::Debug for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandIn").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
