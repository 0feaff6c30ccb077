//! rustls configurations: TLS 1.3, the provider by value, and no session resumption.
//!
//! **Resumption is off at both ends, always.** A resumed session skips the certificate verifier, so a rotation, a revocation, a
//! changed bundle and a changed policy would not reach it (rule 26). Early data and half-round-trip data are off for the same
//! reason: no byte is exchanged before both ends are judged.
//!
//! A configuration is cheap, so that each connection can have its own, with its own verifier.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::version::TLS13;
use rustls::{ClientConfig, Error, ServerConfig};

use crate::identity::IdentitySource;
use crate::verify::{ClientVerifier, ServerVerifier};

/// For the end that is called by workloads: presents our SVID, and has the verifier judge the caller's.
///
/// # Errors
/// [`rustls::Error`] where the provider cannot do TLS 1.3.
pub fn server_config(
    provider: Arc<CryptoProvider>,
    identity: Arc<IdentitySource>,
    verifier: Arc<ClientVerifier>,
    alpn: &[&[u8]],
) -> Result<ServerConfig, Error> {
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(identity);
    Ok(without_resumption(config, alpn))
}

/// For the end that calls workloads: presents our SVID, and has the verifier judge the server's.
///
/// # Errors
/// [`rustls::Error`] where the provider cannot do TLS 1.3.
pub fn client_config(
    provider: Arc<CryptoProvider>,
    identity: Arc<IdentitySource>,
    verifier: Arc<ServerVerifier>,
    alpn: &[&[u8]],
) -> Result<ClientConfig, Error> {
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(identity);
    Ok(unresumed(config, alpn))
}

/// What every client has: no resumption, no early data.
pub(crate) fn unresumed(mut config: ClientConfig, alpn: &[&[u8]]) -> ClientConfig {
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.alpn_protocols = owned(alpn);
    config
}

/// For a public port: presents an ordinary server certificate, such as a [`WebIdentity`](crate::WebIdentity).
///
/// Without a verifier no client certificate is asked for, and nobody is proved. With
/// [`ClientVerifier::allow_anonymous`] a workload may show its SVID, and a bad one is an alert, never an anonymous caller.
///
/// # Errors
/// [`rustls::Error`] where the provider cannot do TLS 1.3.
pub fn public_server_config(
    provider: Arc<CryptoProvider>,
    certificate: Arc<dyn ResolvesServerCert>,
    verifier: Option<Arc<ClientVerifier>>,
    alpn: &[&[u8]],
) -> Result<ServerConfig, Error> {
    let builder =
        ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    Ok(without_resumption(
        builder.with_cert_resolver(certificate),
        alpn,
    ))
}

fn without_resumption(mut config: ServerConfig, alpn: &[&[u8]]) -> ServerConfig {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.send_half_rtt_data = false;
    config.alpn_protocols = owned(alpn);
    config
}

fn owned(alpn: &[&[u8]]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.to_vec()).collect()
}
