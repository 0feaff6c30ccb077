//! What one handshake has shown so far: a chain, then possession of its key, then what the embedding crate says to it.

use std::sync::{Arc, OnceLock};

use ::rustls::client::danger::HandshakeSignatureValid;
#[cfg(feature = "tls12")]
use ::rustls::crypto::verify_tls12_signature;
use ::rustls::crypto::verify_tls13_signature;
use ::rustls::{CertificateError, DigitallySignedStruct, Error};
use rustls_pki_types::{CertificateDer, UnixTime};
use ztl_core::Peer;

use super::chain::Chain;
use super::error::{ProveError, timestamp};
use super::proved::Proved;
use super::prover::{Prover, Purpose, Tls12};

/// The embedding crate does not want the proved peer. It keeps the reason itself; the peer sees the alert `access_denied`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused;

/// Asked once a handshake, after the peer is proved and before the handshake ends: the place to permit the flow.
pub type PeerHook = Arc<dyn Fn(Peer) -> Result<(), Refused> + Send + Sync>;

/// Which protocol the signature is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Tls12,
    Tls13,
}

enum Outcome {
    Accepted(Proved),
    Refused(Peer),
}

pub(crate) struct Handshake {
    prover: Prover,
    hook: PeerHook,
    chain: OnceLock<Result<Proved, ProveError>>,
    failure: OnceLock<ProveError>,
    outcome: OnceLock<Outcome>,
}

impl Handshake {
    pub(crate) const fn new(prover: Prover, hook: PeerHook) -> Self {
        Self {
            prover,
            hook,
            chain: OnceLock::new(),
            failure: OnceLock::new(),
            outcome: OnceLock::new(),
        }
    }

    /// The peer's Certificate message (RFC 8446 §4.4.2). Proves the chain, but not yet the peer.
    pub(crate) fn certificate(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        purpose: Purpose,
    ) -> Result<(), Error> {
        let presented = Chain {
            leaf,
            intermediates,
        };
        let proved = self
            .prover
            .prove_presented(presented, None, timestamp(now), purpose);
        let told = match &proved {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::InvalidCertificate(error.to_certificate_error())),
        };
        match self.chain.set(proved) {
            Ok(()) => told,
            Err(_) => Err(self.fail(ProveError::VerifierUsedTwice)),
        }
    }

    /// The peer's CertificateVerify message (RFC 8446 §4.4.3); in TLS 1.2 the same (RFC 5246 §7.4.8), or the signature over the
    /// server's share of the key exchange (RFC 8422 §5.4). Whoever signed it holds the key of the leaf, so the peer is
    /// proved, and the hook is asked. Not before: a certificate alone is public, anyone can send it.
    pub(crate) fn certificate_verify(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        version: Version,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(Ok(proved)) = self.chain.get() else {
            return Err(self.fail(ProveError::NoCertificate));
        };
        let verify = match (version, self.prover.tls12()) {
            (Version::Tls13, _) => verify_tls13_signature,
            #[cfg(feature = "tls12")]
            (Version::Tls12, Tls12::Accept) => verify_tls12_signature,
            (Version::Tls12, Tls12::Refuse) => {
                return Err(Error::General("only TLS 1.3 is spoken".to_owned()));
            }
        };
        let valid = verify(message, leaf, signed, self.prover.algorithms()).inspect_err(|_| {
            // The first failure stays.
            let _ = self.failure.set(ProveError::NoPossession);
        })?;
        let answer = (self.hook)(proved.peer.clone());
        let outcome = match answer {
            Ok(()) => Outcome::Accepted(proved.clone()),
            Err(Refused) => Outcome::Refused(proved.peer.clone()),
        };
        if self.outcome.set(outcome).is_err() {
            return Err(self.fail(ProveError::VerifierUsedTwice));
        }
        match answer {
            Ok(()) => Ok(valid),
            Err(Refused) => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn fail(&self, error: ProveError) -> Error {
        let told = Error::InvalidCertificate(error.to_certificate_error());
        // The first failure stays.
        let _ = self.failure.set(error);
        told
    }

    pub(crate) fn peer(&self) -> Option<Peer> {
        self.accepted().map(|proved| proved.peer.clone())
    }

    /// The proof of a peer that holds its key and that the hook took.
    pub(crate) fn accepted(&self) -> Option<&Proved> {
        match self.outcome.get() {
            Some(Outcome::Accepted(proved)) if self.failure.get().is_none() => Some(proved),
            _ => None,
        }
    }

    pub(crate) fn refused(&self) -> Option<Peer> {
        match self.outcome.get() {
            Some(Outcome::Refused(peer)) => Some(peer.clone()),
            _ => None,
        }
    }

    pub(crate) fn error(&self) -> Option<ProveError> {
        match self.chain.get() {
            Some(Err(error)) => Some(error.clone()),
            _ => self.failure.get().cloned(),
        }
    }

    pub(crate) const fn prover(&self) -> &Prover {
        &self.prover
    }
}
