//! Plain rustls, for clients that have no guard: the user, the attacker, and an agent that goes round its own.

use std::error::Error;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub(crate) struct Pem {
    pub(crate) cert: String,
    pub(crate) key: String,
}

/// Whom a client believes.
#[derive(Clone, Copy)]
pub(crate) enum Trust<'a> {
    /// Servers whose certificate leads to this root, and names the host that was dialled.
    Root(&'a str),
    /// Whoever answers.
    Anyone,
}

/// A client that shows this certificate, or none.
pub(crate) fn client(
    provider: &Arc<CryptoProvider>,
    trust: Trust<'_>,
    shows: Option<&Pem>,
) -> Result<Arc<ClientConfig>, Box<dyn Error>> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13])?;
    let builder = match trust {
        Trust::Root(pem) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(pem.as_bytes())?)?;
            builder.with_root_certificates(roots)
        }
        Trust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone(Arc::clone(provider)))),
    };
    let mut config = match shows {
        None => builder.with_no_client_auth(),
        Some(pem) => builder.with_client_auth_cert(
            CertificateDer::pem_slice_iter(pem.cert.as_bytes()).collect::<Result<_, _>>()?,
            PrivateKeyDer::from_pem_slice(pem.key.as_bytes())?,
        )?,
    };
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Believes every server. Who attacks does not care whom he talks to.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
