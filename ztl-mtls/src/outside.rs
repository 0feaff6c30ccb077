//! Hosts outside the mesh, proved by the Web PKI.

use core::fmt;
use core::net::IpAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use thiserror::Error;
use webpki::{EndEntityCert, KeyUsage};
use ztl_core::{Timestamp, WebHost};

use crate::cert::Cert;
use crate::config::unresumed;
use crate::crl::Algorithms;
use crate::file::{self, FileError, PemError};
use crate::verify::ProveError;

/// What is spoken within TLS where documents are fetched.
pub(crate) const HTTP1: &[&[u8]] = &[b"http/1.1"];

/// Why certificates are no roots of the Web PKI.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WebRootsError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The text is not PEM.
    #[error("the web roots: the text {0}")]
    Pem(PemError),
    /// A certificate cannot be read. None is taken.
    #[error("certificate {index} of the web roots cannot be used: {error}")]
    Certificate {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        error: rustls::Error,
    },
}

impl From<PemError> for WebRootsError {
    fn from(error: PemError) -> Self {
        Self::Pem(error)
    }
}

/// Roots of the Web PKI, by value: none is built in, and those of the system are not looked for. Cheap to clone.
///
/// On most systems they stand in `/etc/ssl/certs/ca-certificates.crt`. They prove hosts, and never a workload.
#[derive(Clone)]
pub struct WebRoots(Arc<RootCertStore>);

impl WebRoots {
    /// From a PEM text with at least one certificate.
    ///
    /// # Errors
    /// [`WebRootsError`].
    pub fn from_pem(text: &[u8]) -> Result<Self, WebRootsError> {
        let mut store = RootCertStore::empty();
        for (index, certificate) in file::certificates(text)?.into_iter().enumerate() {
            store
                .add(certificate)
                .map_err(|error| WebRootsError::Certificate { index, error })?;
        }
        Ok(Self(Arc::new(store)))
    }

    /// From a PEM file.
    ///
    /// # Errors
    /// [`WebRootsError`].
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, WebRootsError> {
        Self::from_pem(&file::read(path.as_ref())?)
    }

    /// A client's configuration by these roots: TLS 1.3, HTTP/1.1, no certificate of ours, no resumption.
    ///
    /// # Errors
    /// Where the provider cannot do TLS 1.3.
    pub fn client_config(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<ClientConfig>, rustls::Error> {
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(Arc::clone(&self.0))
            .with_no_client_auth();
        Ok(Arc::new(unresumed(config, HTTP1)))
    }
}

impl fmt::Debug for WebRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebRoots")
            .field("count", &self.0.len())
            .finish()
    }
}

/// Proves one host for one connection, by roots of the Web PKI: its certificate has to be for exactly this name (RFC 6125), and
/// its holder has to have the key. Nothing of ours is shown, and no session is resumed. The proof ends with the certificate of
/// its path that ends first; a root has no end here but that it is taken out of the [`WebRoots`] (RFC 5280 §6.1.1).
///
/// A second handshake with it is refused, [`ProveError::VerifierUsedTwice`], whatever became of the first (rule 26).
pub struct HostVerifier {
    name: ServerName<'static>,
    text: Box<str>,
    addr: IpAddr,
    web: Arc<WebPkiServerVerifier>,
    roots: WebRoots,
    algorithms: Algorithms,
    /// Of the path that was proved, until the leaf's holder has signed.
    expires_at: OnceLock<Timestamp>,
    proved: OnceLock<WebHost>,
    /// Whether a host has shown a certificate.
    begun: AtomicBool,
    /// Whether another one has, after it.
    is_spent: AtomicBool,
}

impl HostVerifier {
    /// For one connection to `host`, which is dialled at `addr`.
    ///
    /// # Errors
    /// Where the name is none that a certificate can have, or the provider cannot verify.
    pub fn new(
        roots: &WebRoots,
        provider: Arc<CryptoProvider>,
        host: &str,
        addr: IpAddr,
    ) -> Result<Arc<Self>, Error> {
        let name = match ServerName::try_from(host.to_owned()) {
            Ok(name @ ServerName::DnsName(_)) => name,
            _ => return Err(CertificateError::NotValidForName.into()),
        };
        let algorithms = provider.signature_verification_algorithms.all;
        let web = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots.0), provider)
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        Ok(Arc::new(Self {
            name,
            text: host.into(),
            addr,
            web,
            roots: roots.clone(),
            algorithms,
            expires_at: OnceLock::new(),
            proved: OnceLock::new(),
            begun: AtomicBool::new(false),
            is_spent: AtomicBool::new(false),
        }))
    }

    /// A client's configuration for this one handshake: TLS 1.3, no certificate of ours, no resumption.
    ///
    /// # Errors
    /// Where the provider cannot do TLS 1.3.
    pub fn client_config(
        self: &Arc<Self>,
        provider: Arc<CryptoProvider>,
        alpn: &[&[u8]],
    ) -> Result<ClientConfig, Error> {
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(self.clone())
            .with_no_client_auth();
        Ok(unresumed(config, alpn))
    }

    /// The name to dial with.
    #[must_use]
    pub fn server_name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    /// The host, proved and in possession of its key. `None` as well once a second connection was made with this: of which of the
    /// two it would speak cannot be told.
    #[must_use]
    pub fn host(&self) -> Option<&WebHost> {
        let proved = self.proved.get();
        proved.filter(|_| !self.is_spent.load(Ordering::Acquire))
    }

    /// The last second of the certificate that ends first, of those that a path leads over. What else was sent does not count:
    /// a spare one may be over.
    fn path_ends(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Timestamp, CertificateError> {
        let leaf =
            EndEntityCert::try_from(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        let path = leaf
            .verify_for_usage(
                self.algorithms,
                &self.roots.0.roots,
                intermediates,
                now,
                KeyUsage::server_auth(),
                None,
                None,
            )
            .map_err(|_| CertificateError::UnknownIssuer)?;
        let ends = |der: &[u8]| Cert::read(der).map(|cert| cert.not_after);
        let mut end = ends(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        for issuer in path.intermediate_certificates() {
            let issuer = ends(&issuer.der()).map_err(|_| CertificateError::BadEncoding)?;
            end = end.min(issuer);
        }
        Ok(end)
    }
}

impl ServerCertVerifier for HostVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.begun.swap(true, Ordering::AcqRel) {
            self.is_spent.store(true, Ordering::Release);
            return Err(used_twice());
        }
        // For the name that was meant, whatever name the connection was made with.
        let verified = self.web.verify_server_cert(
            end_entity,
            intermediates,
            &self.name,
            ocsp_response,
            now,
        )?;
        // rustls does not say over which path; the same search once more does.
        let end = self.path_ends(end_entity, intermediates, now)?;
        self.expires_at.set(end).map_err(|_| used_twice())?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the verifier: the chain was proved for this name, and its holder has the key"
    )]
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = self.web.verify_tls13_signature(message, cert, signed)?;
        let proved = self
            .expires_at
            .get()
            .ok_or(CertificateError::NotValidForName)?;
        let host = WebHost::assertion(
            &self.text,
            self.addr,
            *proved,
            "a chain to a root of the Web PKI, for this name",
        );
        self.proved.set(host).map_err(|_| used_twice())?;
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.web.supported_verify_schemes()
    }
}

/// What was proved of the first connection says nothing of the second.
fn used_twice() -> Error {
    ProveError::VerifierUsedTwice.to_certificate_error().into()
}

impl fmt::Debug for HostVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostVerifier")
            .field("host", &self.text)
            .field("proved", &self.host().is_some())
            .finish_non_exhaustive()
    }
}
