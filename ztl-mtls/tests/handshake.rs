//! Whole TLS handshakes in memory, both ends ours.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    reason = "a test may panic"
)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::wire::{Frozen, connect};
use common::{Ca, NOW, domain, prover};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Error, HandshakeKind, ProtocolVersion,
    RootCertStore, ServerConfig, ServerConnection,
};
use ztl_mtls::{
    ClientVerifier, IdentitySource, PeerHook, ProveError, Prover, Refused, ServerVerifier,
    WebIdentity, client_config, provider, public_server_config, server_config,
};

const CLIENT: &str = "spiffe://a.test/client";
const SERVER: &str = "spiffe://a.test/server";

fn anyone() -> PeerHook {
    Arc::new(|_| Ok(()))
}

fn nobody() -> PeerHook {
    Arc::new(|_| Err(Refused))
}

/// Both ends of one service mesh: an authority, a client and a server, and verifiers for one connection.
struct Mesh {
    prover: Prover,
    client: Arc<IdentitySource>,
    server: Arc<IdentitySource>,
}

impl Mesh {
    fn new() -> Self {
        let root = Ca::new("root");
        Self::of(&root, &root)
    }

    /// Client and server of two authorities, of which the first is trusted.
    fn of(client: &Ca, server: &Ca) -> Self {
        let identity = |ca: &Ca, id| Arc::new(IdentitySource::new(ca.leaf_of(id).svid()));
        Self {
            prover: prover([client.bundle("a.test")]),
            client: identity(client, CLIENT),
            server: identity(server, SERVER),
        }
    }

    fn server_config(&self, verifier: &Arc<ClientVerifier>) -> Arc<ServerConfig> {
        let mut config = server_config(provider(), self.server.clone(), verifier.clone(), &[b"h2"])
            .expect("server");
        config.time_provider = Arc::new(Frozen);
        Arc::new(config)
    }

    fn client_config(&self, verifier: &Arc<ServerVerifier>) -> Arc<ClientConfig> {
        let mut config = client_config(
            provider(),
            self.client.clone(),
            verifier.clone(),
            &[b"h2", b"http/1.1"],
        )
        .expect("client");
        config.time_provider = Arc::new(Frozen);
        Arc::new(config)
    }

    /// One connection with verifiers of its own.
    fn connect(&self, on_server: PeerHook, on_client: PeerHook) -> Ended {
        let judges_client = ClientVerifier::new(self.prover.clone(), on_server);
        let judges_server = ServerVerifier::new(self.prover.clone(), on_client);
        let (client, server) = connect(
            self.client_config(&judges_server),
            self.server_config(&judges_client),
        );
        Ended {
            client,
            server,
            judges_client,
            judges_server,
        }
    }
}

struct Ended {
    client: Result<ClientConnection, Error>,
    server: Result<ServerConnection, Error>,
    judges_client: Arc<ClientVerifier>,
    judges_server: Arc<ServerVerifier>,
}

#[test]
fn both_ends_are_proved_and_the_hooks_see_them() {
    let mesh = Mesh::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let hook = |side: &'static str| -> PeerHook {
        let seen = seen.clone();
        Arc::new(move |peer| {
            seen.lock()
                .expect("lock")
                .push((side, peer.id().to_string()));
            Ok(())
        })
    };
    let ended = mesh.connect(hook("on server"), hook("on client"));
    let client = ended.client.expect("client");
    let server = ended.server.expect("server");
    assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(server.alpn_protocol(), Some(&b"h2"[..]));
    let peer = ended.judges_client.peer().expect("client proved");
    assert_eq!(peer.id().as_str(), CLIENT);
    assert_eq!(peer.expires_at().since(NOW).as_secs(), 3600);
    let peer = ended.judges_server.peer().expect("server proved");
    assert_eq!(peer.id().as_str(), SERVER);
    let proved = ended.judges_client.proved().expect("client proved");
    assert_eq!(proved.generations().bundles, 0);
    assert_eq!(
        (ended.judges_client.error(), ended.judges_client.refused()),
        (None, None)
    );
    assert_eq!(
        *seen.lock().expect("lock"),
        [
            ("on client", SERVER.to_owned()),
            ("on server", CLIENT.to_owned())
        ]
    );
}

#[cfg(feature = "aws-lc-rs")]
#[test]
fn the_post_quantum_hybrid_is_negotiated() {
    let ended = Mesh::new().connect(anyone(), anyone());
    let group = ended
        .server
        .expect("server")
        .negotiated_key_exchange_group()
        .map(|group| group.name());
    assert_eq!(group, Some(rustls::NamedGroup::X25519MLKEM768));
}

#[test]
fn rule_26_a_second_connection_is_judged_in_full() {
    let mesh = Mesh::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let counting: PeerHook = {
        let asked = asked.clone();
        Arc::new(move |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
    };
    // The same client configuration twice, as a client that wants to resume would use it.
    for round in 1..=2 {
        let judges_server = ServerVerifier::new(mesh.prover.clone(), anyone());
        let judges_client = ClientVerifier::new(mesh.prover.clone(), counting.clone());
        let (client, server) = connect(
            mesh.client_config(&judges_server),
            mesh.server_config(&judges_client),
        );
        let (client, server) = (client.expect("client"), server.expect("server"));
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(client.tls13_tickets_received(), 0);
        assert_eq!(asked.load(Ordering::Relaxed), round);
    }
}

#[test]
fn rule_26_a_client_that_would_resume_is_handed_nothing_to_resume_with() {
    let public = Public::new();
    // rustls clients keep sessions by default; this configuration serves both connections.
    let client = public.client(None);
    let server = public.server(None);
    assert!(!server.session_storage.can_cache() && !server.ticketer.enabled());
    assert_eq!(
        (server.send_tls13_tickets, server.max_early_data_size),
        (0, 0)
    );
    assert!(!server.send_half_rtt_data);
    for _ in 0..2 {
        let (client, server) = connect(client.clone(), server.clone());
        let client = client.expect("client");
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(client.tls13_tickets_received(), 0);
        assert!(server.is_ok());
    }
}

#[test]
fn a_refused_client_gets_access_denied_and_is_no_peer() {
    let ended = Mesh::new().connect(nobody(), anyone());
    let refused =
        Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure);
    assert_eq!(ended.server.err(), Some(refused));
    assert_eq!(
        ended.client.err(),
        Some(Error::AlertReceived(AlertDescription::AccessDenied))
    );
    assert_eq!(ended.judges_client.peer(), None);
    assert_eq!(
        ended.judges_client.refused().expect("proved").id().as_str(),
        CLIENT
    );
    assert_eq!(ended.judges_client.error(), None);
}

#[test]
fn a_refused_server_gets_access_denied_before_it_learns_who_called() {
    let ended = Mesh::new().connect(anyone(), nobody());
    assert_eq!(
        ended.server.err(),
        Some(Error::AlertReceived(AlertDescription::AccessDenied))
    );
    assert_eq!(
        ended.judges_server.refused().expect("proved").id().as_str(),
        SERVER
    );
    assert_eq!(
        (ended.judges_server.peer(), ended.judges_client.peer()),
        (None, None)
    );
}

#[test]
fn a_server_of_another_authority_is_not_proved_and_no_hook_is_asked() {
    let ended = Mesh::of(&Ca::new("a"), &Ca::new("b")).connect(nobody(), nobody());
    assert_eq!(
        ended.judges_server.error(),
        Some(ProveError::UnknownIssuer(domain("a.test")))
    );
    assert_eq!(
        (ended.judges_server.peer(), ended.judges_server.refused()),
        (None, None)
    );
    assert_eq!(
        ended.server.err(),
        Some(Error::AlertReceived(AlertDescription::UnknownCA))
    );
}

#[test]
fn an_expired_client_gets_certificate_expired() {
    let root = Ca::new("root");
    let mut mesh = Mesh::of(&root, &root);
    let expired = root
        .leaf(|params| common::valid(params, -7200, -3600))
        .svid();
    mesh.client = Arc::new(IdentitySource::new(expired));
    let ended = mesh.connect(anyone(), anyone());
    assert_eq!(
        ended.client.err(),
        Some(Error::AlertReceived(AlertDescription::CertificateExpired))
    );
    assert_eq!(
        ended.judges_client.error().map(|error| error.code()),
        Some("expired")
    );
}

/// Presents one certificate and signs with the key of another: what a thief of public certificates can do.
#[derive(Debug)]
struct Thief(Arc<rustls::sign::CertifiedKey>);

impl rustls::client::ResolvesClientCert for Thief {
    fn resolve(
        &self,
        _: &[&[u8]],
        _: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn a_certificate_without_its_key_proves_nobody_and_no_hook_is_asked() {
    let root = Ca::new("root");
    let mesh = Mesh::of(&root, &root);
    // Its chain was proved before, and is remembered; possession is proved anew all the same (T17).
    assert!(
        mesh.connect(anyone(), anyone())
            .judges_client
            .peer()
            .is_some()
    );
    let own_key = root.leaf(|_| {}).svid().certified_key();
    let stolen =
        rustls::sign::CertifiedKey::new(mesh.client.load().chain().to_vec(), own_key.key.clone());
    let judges_client = ClientVerifier::new(
        mesh.prover.clone(),
        Arc::new(|peer| panic!("asked about {peer:?}")),
    );
    let judges_server = ServerVerifier::new(mesh.prover.clone(), anyone());
    let mut config = ClientConfig::clone(&mesh.client_config(&judges_server));
    config.client_auth_cert_resolver = Arc::new(Thief(Arc::new(stolen)));
    let (client, server) = connect(Arc::new(config), mesh.server_config(&judges_client));
    assert!(server.is_err());
    assert_eq!(
        client.err(),
        Some(Error::AlertReceived(AlertDescription::DecryptError))
    );
    assert_eq!(judges_client.error(), Some(ProveError::NoPossession));
    assert_eq!(
        (judges_client.peer(), judges_client.refused()),
        (None, None)
    );
    assert!(judges_client.proved().is_none());
}

#[test]
fn a_verifier_judges_one_connection() {
    let mesh = Mesh::new();
    let judges_client = ClientVerifier::new(mesh.prover.clone(), anyone());
    let server = mesh.server_config(&judges_client);
    let once = |server| {
        let judges_server = ServerVerifier::new(mesh.prover.clone(), anyone());
        connect(mesh.client_config(&judges_server), server).1
    };
    assert!(once(server.clone()).is_ok());
    assert!(once(server).is_err());
    assert_eq!(judges_client.error(), Some(ProveError::VerifierUsedTwice));
    assert_eq!(judges_client.peer(), None);
}

#[test]
fn a_rotation_shows_in_the_next_handshake() {
    let root = Ca::new("root");
    let mesh = Mesh::of(&root, &root);
    let next = root
        .leaf(|params| {
            params.subject_alt_names = vec![common::uri(SERVER)];
            common::valid(params, -60, 1800);
        })
        .svid();
    mesh.server.swap(next).expect("same id");
    let ended = mesh.connect(anyone(), anyone());
    let peer = ended.judges_server.peer().expect("proved");
    assert_eq!(peer.expires_at().since(NOW).as_secs(), 1800);
}

/// A public listener with a certificate of the Web PKI, and its callers.
struct Public {
    root: Ca,
    certificate: Arc<WebIdentity>,
}

impl Public {
    fn new() -> Self {
        let root = Ca::new("web");
        let host = rcgen::SanType::DnsName("no.such.name".try_into().expect("name"));
        let leaf = root.leaf(|params| params.subject_alt_names = vec![host]);
        let (chain, key) = (leaf.pem, leaf.key.serialize_pem());
        let certificate = WebIdentity::from_pem(chain.as_bytes(), key.as_bytes(), &provider());
        Self {
            root,
            certificate: Arc::new(certificate.expect("certificate")),
        }
    }

    fn server(&self, verifier: Option<Arc<ClientVerifier>>) -> Arc<ServerConfig> {
        let mut config = public_server_config(provider(), self.certificate.clone(), verifier, &[])
            .expect("server");
        config.time_provider = Arc::new(Frozen);
        Arc::new(config)
    }

    fn client(&self, shows: Option<Arc<IdentitySource>>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der.clone()).expect("root");
        let builder = ClientConfig::builder_with_details(provider(), Arc::new(Frozen))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("client")
            .with_root_certificates(roots);
        Arc::new(match shows {
            Some(identity) => builder.with_client_cert_resolver(identity),
            None => builder.with_no_client_auth(),
        })
    }
}

#[test]
fn t3_a_public_listener_takes_callers_without_an_svid_and_proves_those_with_one() {
    let (public, root) = (Public::new(), Ca::new("root"));
    let mesh = Mesh::of(&root, &root);
    let call = |verifier, shows| connect(public.client(shows), public.server(verifier));
    assert!(call(None, None).1.is_ok());

    let verifier = || ClientVerifier::allow_anonymous(mesh.prover.clone(), anyone());
    let asked = verifier();
    assert!(call(Some(asked.clone()), None).1.is_ok());
    assert_eq!((asked.peer(), asked.error()), (None, None));

    let asked = verifier();
    assert!(
        call(Some(asked.clone()), Some(mesh.client.clone()))
            .1
            .is_ok()
    );
    assert_eq!(asked.peer().expect("proved").id().as_str(), CLIENT);

    // A bad certificate is an alert, never an anonymous caller.
    let other = Ca::new("other");
    let stranger = Mesh::of(&other, &other).client;
    let asked = verifier();
    let (client, server) = call(Some(asked.clone()), Some(stranger));
    assert!(server.is_err());
    assert_eq!(
        client.err(),
        Some(Error::AlertReceived(AlertDescription::UnknownCA))
    );
    assert_eq!(asked.peer(), None);
}

#[test]
fn a_caller_without_an_svid_does_not_enter_the_mesh() {
    let mesh = Mesh::new();
    let judges_client = ClientVerifier::new(mesh.prover.clone(), anyone());
    let judges_server = ServerVerifier::new(mesh.prover.clone(), anyone());
    let client = ClientConfig::builder_with_details(provider(), Arc::new(Frozen))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("client")
        .dangerous()
        .with_custom_certificate_verifier(judges_server)
        .with_no_client_auth();
    let (client, server) = connect(Arc::new(client), mesh.server_config(&judges_client));
    assert_eq!(server.err(), Some(Error::NoCertificatesPresented));
    assert_eq!(
        client.err(),
        Some(Error::AlertReceived(AlertDescription::CertificateRequired))
    );
    assert_eq!(judges_client.peer(), None);
}
