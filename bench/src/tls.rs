//! The two ends of TLS: configurations, and a handshake in memory whose cost is split between the ends.

use core::time::Duration;
use std::sync::Arc;

use cpu_time::ThreadTime;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName, NamedGroup,
    RootCertStore, ServerConfig, ServerConnection, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use ztl_core::{Arrival, Engine, Flow};
use ztl_mtls::{
    BundleSet, Bundles, ClientVerifier, IdentitySource, LentConfig, Prover, Refused, ServerConfigs,
    ServerVerifier, X509Svid,
};

use crate::service::{Hello, now};
use crate::wire::PROTOCOLS;

/// What all speak within TLS.
#[must_use]
pub fn alpn() -> Vec<Vec<u8>> {
    PROTOCOLS.map(|name| name.as_bytes().to_vec()).to_vec()
}

/// rustls's own verifier of clients, and nothing else.
///
/// # Panics
/// Where rustls does not take the authority.
#[must_use]
pub fn webpki(hello: &Hello) -> Arc<dyn ClientCertVerifier> {
    let mut roots = RootCertStore::empty();
    for root in hello.roots() {
        roots.add(root).expect("an authority");
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), ztl_mtls::provider())
        .build()
        .expect("a verifier")
}

/// A server that asks for certificates, with rustls's own verifier.
#[must_use]
pub fn webpki_server(hello: &Hello) -> ServerConfig {
    server(hello, Some(webpki(hello)))
}

/// A server that asks for certificates and looks at none: what its end of a handshake takes less than another's is what that one's
/// verification takes.
#[must_use]
pub fn blind_server(hello: &Hello) -> ServerConfig {
    server(hello, Some(Arc::new(Blind(ztl_mtls::provider()))))
}

/// Takes every certificate, of whoever has its key.
#[derive(Debug)]
struct Blind(Arc<CryptoProvider>);

impl ClientCertVerifier for Blind {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 alone".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = self.0.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// A server that asks nobody for a certificate.
#[must_use]
pub fn open_server(hello: &Hello) -> ServerConfig {
    server(hello, None)
}

fn server(hello: &Hello, verifier: Option<Arc<dyn ClientCertVerifier>>) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(ztl_mtls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3");
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config =
        builder.with_cert_resolver(Arc::new(IdentitySource::new(hello.service_svid())));
    config.alpn_protocols = alpn();
    // As in ztl, so that both ends do the same work.
    config.send_tls13_tickets = 0;
    config
}

/// What proves the ends of the service.
#[must_use]
pub fn prover(hello: &Hello) -> Prover {
    let bundles = BundleSet::new([hello.bundle()]).expect("bundles");
    Prover::new(Bundles::new(bundles), &ztl_mtls::provider())
}

/// Where a server's end has its configuration from.
pub trait Configures {
    /// For the next connection.
    fn configured(&self) -> Configured<'_>;
}

/// The configuration of one connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Configured<'a> {
    /// It is any connection's.
    Shared(Arc<ServerConfig>),
    /// It is this one's, for as long as the handshake takes.
    Lent(LentConfig<'a>),
}

impl Configured<'_> {
    fn config(&self) -> Arc<ServerConfig> {
        match self {
            Self::Shared(config) => Arc::clone(config),
            Self::Lent(lent) => lent.config(),
        }
    }
}

impl Configures for Arc<ServerConfig> {
    fn configured(&self) -> Configured<'_> {
        Configured::Shared(Self::clone(self))
    }
}

/// Configures each connection as a listener of ztl does: the client is proved and its flow permitted within the handshake.
#[derive(Debug)]
pub struct Door {
    prover: Prover,
    engine: Arc<Engine>,
    configs: ServerConfigs,
    name: Arc<str>,
    port: u16,
}

impl Door {
    /// Of this service.
    #[must_use]
    pub fn new(hello: &Hello, prover: Prover, engine: Engine, port: u16) -> Self {
        Self {
            prover,
            engine: Arc::new(engine),
            configs: ServerConfigs::new(
                ztl_mtls::provider(),
                Arc::new(IdentitySource::new(hello.service_svid())),
                &[b"h2", b"http/1.1"],
            ),
            name: hello.service_name().into(),
            port,
        }
    }
}

impl Configures for Door {
    fn configured(&self) -> Configured<'_> {
        let (engine, name, port) = (Arc::clone(&self.engine), Arc::clone(&self.name), self.port);
        let hook = move |peer: ztl_core::Peer| {
            let flow = Flow::ingress(&name, port, Arrival::unknown(), Some(&peer));
            match engine.permit_flow(&flow, now()) {
                Ok(_) => Ok(()),
                Err(_) => Err(Refused),
            }
        };
        let verifier = ClientVerifier::new(self.prover.clone(), Arc::new(hook));
        Configured::Lent(self.configs.lend(verifier).expect("TLS 1.3"))
    }
}

/// The caller, with one certificate for all its connections.
#[derive(Clone, Debug)]
pub struct Caller {
    identity: Arc<IdentitySource>,
    prover: Prover,
    provider: Arc<CryptoProvider>,
    protocol: &'static str,
}

impl Caller {
    /// Of this service.
    #[must_use]
    pub fn new(hello: &Hello, protocol: &'static str) -> Self {
        Self::of(hello, hello.caller_svid(), protocol)
    }

    /// Another of the same authority, who may ask for nothing.
    #[must_use]
    pub fn stranger(hello: &Hello, protocol: &'static str) -> Self {
        Self::of(hello, hello.stranger_svid(), protocol)
    }

    fn of(hello: &Hello, svid: X509Svid, protocol: &'static str) -> Self {
        Self {
            identity: Arc::new(IdentitySource::new(svid)),
            prover: prover(hello),
            provider: ztl_mtls::provider(),
            protocol,
        }
    }

    /// Offers X25519 alone, which any server knows.
    #[must_use]
    pub fn only_x25519(mut self) -> Self {
        let mut provider = CryptoProvider::clone(&self.provider);
        provider
            .kx_groups
            .retain(|group| group.name() == NamedGroup::X25519);
        self.provider = Arc::new(provider);
        self
    }

    /// What it speaks within TLS.
    #[must_use]
    pub const fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// For the next connection.
    ///
    /// # Panics
    /// Where the provider knows no TLS 1.3.
    #[must_use]
    pub fn config(&self) -> ClientConfig {
        let verifier = ServerVerifier::new(self.prover.clone(), Arc::new(|_| Ok(())));
        ztl_mtls::client_config(
            Arc::clone(&self.provider),
            Arc::clone(&self.identity),
            verifier,
            &[self.protocol.as_bytes()],
        )
        .expect("TLS 1.3")
    }
}

/// What the server's end of a handshake does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Work {
    /// It begins, its configuration included, and answers the client's hello.
    Hello,
    /// It takes the client's certificate, the proof that it has its key, and the end of the handshake.
    Finish,
}

/// One handshake in memory. Answers what the server's end took of this thread's processor time, its configuration included, and how
/// much of it was for the end of the handshake.
///
/// # Panics
/// Where it fails.
#[must_use]
pub fn handshake(client: ClientConfig, server: &dyn Configures) -> (Duration, Duration) {
    let (mut all, mut finish) = (Duration::ZERO, Duration::ZERO);
    handshake_by(client, server, |work, run| {
        let start = ThreadTime::now();
        run();
        let spent = start.elapsed();
        all += spent;
        if work == Work::Finish {
            finish += spent;
        }
    });
    (all, finish)
}

/// One handshake in memory, in which `by` runs each piece of work of the server's end.
///
/// # Panics
/// Where it fails.
pub fn handshake_by(
    client: ClientConfig,
    server: &dyn Configures,
    mut by: impl FnMut(Work, &mut dyn FnMut()),
) {
    let name = "hello.example".try_into().expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut begun = None;
    by(Work::Hello, &mut || {
        let configured = server.configured();
        let server = ServerConnection::new(configured.config()).expect("a server");
        begun = Some((server, configured));
    });
    let (mut server, configured) = begun.expect("a server");
    let mut configured = Some(configured);
    let (mut hers, mut ours) = (Vec::with_capacity(8192), Vec::with_capacity(8192));
    let mut work = Work::Hello;
    while client.is_handshaking() || server.is_handshaking() || client.wants_write() {
        hers.clear();
        while client.wants_write() {
            client.write_tls(&mut hers).expect("bytes");
        }
        ours.clear();
        by(work, &mut || {
            let mut unread = &hers[..];
            while !unread.is_empty() {
                server.read_tls(&mut unread).expect("bytes");
                server.process_new_packets().expect("a client's messages");
            }
            while server.wants_write() {
                server.write_tls(&mut ours).expect("bytes");
            }
        });
        work = Work::Finish;
        let mut unread = &ours[..];
        while !unread.is_empty() {
            client.read_tls(&mut unread).expect("bytes");
            client.process_new_packets().expect("a server's messages");
        }
    }
    by(work, &mut || drop(configured.take()));
}
