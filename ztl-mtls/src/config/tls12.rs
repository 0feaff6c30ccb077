//! Configurations that also speak TLS 1.2, for peers that cannot do better.
//!
//! **What is lost**: certificates of both ends go over the wire in the clear, so whoever listens learns who calls whom, and there
//! is no post-quantum key exchange. **What stays**: ephemeral key exchange and authenticated encryption (rustls has no others), no
//! renegotiation, no session ids and no tickets, and every clause that is asked of an SVID. The extended master secret
//! (RFC 7627) is required, so that no two connections share their keys.
//!
//! Two things have to be said, and one alone opens nothing: a configuration of this module, and
//! [`Prover::allow_tls12`](crate::Prover::allow_tls12) for its verifier.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::ResolvesServerCert;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, Error, ServerConfig, SupportedProtocolVersion};

use crate::identity::IdentitySource;
use crate::verify::{ClientVerifier, ServerVerifier};

const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// [`server_config`](crate::server_config) that also takes callers of TLS 1.2. See what that loses in `ztl-mtls`' README.
///
/// # Errors
/// [`rustls::Error`] where the provider can do neither.
pub fn server_config_allowing_tls12(
    provider: Arc<CryptoProvider>,
    identity: Arc<IdentitySource>,
    verifier: Arc<ClientVerifier>,
    alpn: &[&[u8]],
) -> Result<ServerConfig, Error> {
    public_server_config_allowing_tls12(provider, identity, Some(verifier), alpn)
}

/// [`client_config`](crate::client_config) that also calls servers of TLS 1.2. See what that loses in `ztl-mtls`' README.
///
/// # Errors
/// [`rustls::Error`] where the provider can do neither.
pub fn client_config_allowing_tls12(
    provider: Arc<CryptoProvider>,
    identity: Arc<IdentitySource>,
    verifier: Arc<ServerVerifier>,
    alpn: &[&[u8]],
) -> Result<ClientConfig, Error> {
    let mut config = super::client(VERSIONS, provider, identity, verifier, alpn)?;
    config.require_ems = true;
    Ok(config)
}

/// [`public_server_config`](crate::public_server_config) that also takes callers of TLS 1.2. See what that loses in
/// `ztl-mtls`' README.
///
/// # Errors
/// [`rustls::Error`] where the provider can do neither.
pub fn public_server_config_allowing_tls12(
    provider: Arc<CryptoProvider>,
    certificate: Arc<dyn ResolvesServerCert>,
    verifier: Option<Arc<ClientVerifier>>,
    alpn: &[&[u8]],
) -> Result<ServerConfig, Error> {
    let mut config = super::server(VERSIONS, provider, certificate, verifier, alpn)?;
    config.require_ems = true;
    Ok(config)
}
