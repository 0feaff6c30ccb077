//! rustls configurations: TLS 1.3, the provider by value, and no session resumption.
//!
//! 1. **TLS 1.3 alone.** A caller that offers less is answered with the alert `protocol_version`. With the feature `tls12` three more
//!    constructors also speak TLS 1.2; they say so in their names, and change nothing for those who do not call them.
//! 2. **Key exchange** is what the provider offers, in its order: with aws-lc-rs the post-quantum hybrid `X25519MLKEM768` first.
//! 3. **Resumption is off at both ends, always**: no tickets, no stored sessions. A resumed session skips the certificate verifier, so
//!    a rotation, a revocation, a changed bundle and a changed policy would not reach it (rule 26). Early data and half-round-trip
//!    data are off for the same reason: no byte is exchanged before both ends are judged.
//! 4. **No provider is installed** for the process: each configuration holds the one that it is given, and several may live
//!    side by side.
//! 5. **ALPN** is what the caller lists; where the two ends have none in common the handshake fails (RFC 7301 §3.2).
//!
//! Each connection has a verifier of its own, and so a configuration: one that is made for it, or of a listener's [`ServerConfigs`].

mod lent;
#[cfg(feature = "tls12")]
mod tls12;

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::version::TLS13;
use rustls::{ClientConfig, Error, ServerConfig, SupportedProtocolVersion};

pub use self::lent::{LentConfig, ServerConfigs};
#[cfg(feature = "tls12")]
pub use self::tls12::{
    client_config_allowing_tls12, public_server_config_allowing_tls12, server_config_allowing_tls12,
};
use crate::identity::IdentitySource;
use crate::verify::{ClientVerifier, ServerVerifier};

/// What is spoken unless more is asked for.
const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13];

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
    server(VERSIONS, provider, identity, Some(verifier), alpn)
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
    client(VERSIONS, provider, identity, verifier, alpn)
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
    server(VERSIONS, provider, certificate, verifier, alpn)
}

fn server(
    versions: &[&'static SupportedProtocolVersion],
    provider: Arc<CryptoProvider>,
    certificate: Arc<dyn ResolvesServerCert>,
    verifier: Option<Arc<impl ClientCertVerifier + 'static>>,
    alpn: &[&[u8]],
) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(certificate);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.send_half_rtt_data = false;
    config.alpn_protocols = owned(alpn);
    Ok(config)
}

fn client(
    versions: &[&'static SupportedProtocolVersion],
    provider: Arc<CryptoProvider>,
    identity: Arc<IdentitySource>,
    verifier: Arc<ServerVerifier>,
    alpn: &[&[u8]],
) -> Result<ClientConfig, Error> {
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
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

fn owned(alpn: &[&[u8]]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.to_vec()).collect()
}
