//! The two adapters: a rustls verifier for the end that is called, and one for the end that calls.
//!
//! Each judges **one connection** and keeps what it found, so make one a handshake. Both run TLS 1.3, and TLS 1.2 only if that was
//! allowed ([`Prover`]). Session resumption
//! must be off, as [`server_config`](crate::server_config) and [`client_config`](crate::client_config) see to: a resumed session
//! does not ask its verifier.

use core::fmt;
use std::sync::Arc;

use ::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use ::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use ::rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use ztl_core::Peer;

use super::error::ProveError;
use super::handshake::{Handshake, PeerHook, Version};
use super::proved::Proved;
use super::prover::{Prover, Purpose};

/// Proves the client of one connection.
pub struct ClientVerifier {
    handshake: Handshake,
    asks: Asks,
}

/// How a client without certificate is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Must,
    May,
}

impl ClientVerifier {
    /// For one connection: the client must present an SVID. `hook` is asked once it is proved.
    #[must_use]
    pub fn new(prover: Prover, hook: PeerHook) -> Arc<Self> {
        Arc::new(Self {
            handshake: Handshake::new(prover, hook),
            asks: Asks::Must,
        })
    }

    /// For one connection to a public port: the client may present an SVID. One that is presented must prove its holder; where
    /// none is, [`peer`](Self::peer) stays empty and the hook is not asked.
    #[must_use]
    pub fn allow_anonymous(prover: Prover, hook: PeerHook) -> Arc<Self> {
        Arc::new(Self {
            handshake: Handshake::new(prover, hook),
            asks: Asks::May,
        })
    }

    /// The client: proved, in possession of its key, and accepted by the hook.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        self.handshake.peer()
    }

    /// The client that was proved, but refused by the hook.
    #[must_use]
    pub fn refused(&self) -> Option<Peer> {
        self.handshake.refused()
    }

    /// Why the client is not proved, if it presented anything.
    #[must_use]
    pub fn error(&self) -> Option<ProveError> {
        self.handshake.error()
    }

    /// The same [`peer`](Self::peer), with what its proof rests on: for those who prove it again while the connection lasts.
    #[must_use]
    pub fn proved(&self) -> Option<&Proved> {
        self.handshake.accepted()
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.asks == Asks::Must
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
        self.handshake
            .certificate(end_entity, intermediates, now, Purpose::Client)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.handshake
            .certificate_verify(message, cert, signed, Version::Tls12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.handshake
            .certificate_verify(message, cert, signed, Version::Tls13)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.handshake.prover().algorithms().supported_schemes()
    }
}

impl fmt::Debug for ClientVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientVerifier")
            .field("asks", &self.asks)
            .field("peer", &self.peer())
            .finish_non_exhaustive()
    }
}

/// Proves the server of one connection.
///
/// The name that was dialled proves nothing and is not compared: an SVID names a workload, not a host. **Whether the proved
/// server is the workload that was meant is for the hook to say.**
pub struct ServerVerifier {
    handshake: Handshake,
}

impl ServerVerifier {
    /// For one connection. `hook` is asked once the server is proved.
    #[must_use]
    pub fn new(prover: Prover, hook: PeerHook) -> Arc<Self> {
        Arc::new(Self {
            handshake: Handshake::new(prover, hook),
        })
    }

    /// The server: proved, in possession of its key, and accepted by the hook.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        self.handshake.peer()
    }

    /// The server that was proved, but refused by the hook.
    #[must_use]
    pub fn refused(&self) -> Option<Peer> {
        self.handshake.refused()
    }

    /// Why the server is not proved, if it presented anything.
    #[must_use]
    pub fn error(&self) -> Option<ProveError> {
        self.handshake.error()
    }

    /// The same [`peer`](Self::peer), with what its proof rests on: for those who prove it again while the connection lasts.
    #[must_use]
    pub fn proved(&self) -> Option<&Proved> {
        self.handshake.accepted()
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.handshake
            .certificate(end_entity, intermediates, now, Purpose::Server)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.handshake
            .certificate_verify(message, cert, signed, Version::Tls12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.handshake
            .certificate_verify(message, cert, signed, Version::Tls13)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.handshake.prover().algorithms().supported_schemes()
    }
}

impl fmt::Debug for ServerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerVerifier")
            .field("peer", &self.peer())
            .finish_non_exhaustive()
    }
}
