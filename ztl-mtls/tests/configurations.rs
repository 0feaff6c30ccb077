//! What the configurations speak: versions, key exchange, ALPN, providers.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![allow(clippy::expect_used, reason = "a test may panic")]

mod common;

use std::sync::Arc;

use common::wire::{Frozen, connect};
use common::{Ca, prover};
use rustls::crypto::CryptoProvider;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Error, NamedGroup, ProtocolVersion,
    ServerConfig, ServerConnection,
};
use ztl_mtls::{
    ClientVerifier, IdentitySource, PeerHook, Prover, ServerVerifier, client_config, provider,
    server_config,
};

/// One authority, one identity, and what both ends think of it.
struct Ends {
    provider: Arc<CryptoProvider>,
    identity: Arc<IdentitySource>,
    prover: Prover,
}

impl Ends {
    fn of(provider: Arc<CryptoProvider>) -> Self {
        let root = Ca::new("root");
        Self {
            identity: Arc::new(IdentitySource::new(root.leaf(|_| {}).svid())),
            prover: prover([root.bundle("a.test")]),
            provider,
        }
    }

    fn server(&self, alpn: &[&[u8]]) -> ServerConfig {
        let verifier = ClientVerifier::new(self.prover.clone(), anyone());
        let (provider, identity) = (self.provider.clone(), self.identity.clone());
        server_config(provider, identity, verifier, alpn).expect("server")
    }

    fn client(&self, alpn: &[&[u8]]) -> ClientConfig {
        let verifier = ServerVerifier::new(self.prover.clone(), anyone());
        let (provider, identity) = (self.provider.clone(), self.identity.clone());
        client_config(provider, identity, verifier, alpn).expect("client")
    }
}

fn anyone() -> PeerHook {
    Arc::new(|_| Ok(()))
}

type Connected = (
    Result<ClientConnection, Error>,
    Result<ServerConnection, Error>,
);

/// A handshake at the time of the test's certificates.
fn meet(mut client: ClientConfig, mut server: ServerConfig) -> Connected {
    client.time_provider = Arc::new(Frozen);
    server.time_provider = Arc::new(Frozen);
    connect(Arc::new(client), Arc::new(server))
}

/// The key exchange that the two agreed on.
fn group(client: ClientConfig, server: ServerConfig) -> NamedGroup {
    let (client, server) = meet(client, server);
    let (client, server) = (client.expect("client"), server.expect("server"));
    assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = server
        .negotiated_key_exchange_group()
        .expect("group")
        .name();
    let of_client = client.negotiated_key_exchange_group().expect("group");
    assert_eq!(of_client.name(), group);
    group
}

#[test]
fn the_preferred_provider_takes_its_best_key_exchange() {
    let ends = Ends::of(provider());
    let wanted = match cfg!(feature = "aws-lc-rs") {
        true => NamedGroup::X25519MLKEM768,
        false => NamedGroup::X25519,
    };
    assert_eq!(group(ends.client(&[]), ends.server(&[])), wanted);
}

#[cfg(all(feature = "aws-lc-rs", feature = "ring"))]
#[test]
fn both_providers_work_in_one_process_and_none_is_installed() {
    let strong = Ends::of(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let light = Ends {
        provider: Arc::new(rustls::crypto::ring::default_provider()),
        identity: strong.identity.clone(),
        prover: strong.prover.clone(),
    };
    let hybrid = NamedGroup::X25519MLKEM768;
    assert_eq!(group(strong.client(&[]), strong.server(&[])), hybrid);
    // Where one end has no hybrid the two still meet.
    for (client, server) in [(&strong, &light), (&light, &strong), (&light, &light)] {
        let agreed = group(client.client(&[]), server.server(&[]));
        assert_eq!(agreed, NamedGroup::X25519);
    }
    assert!(CryptoProvider::get_default().is_none());
}

#[test]
fn no_provider_is_installed_for_the_process() {
    let ends = Ends::of(provider());
    assert!(meet(ends.client(&[]), ends.server(&[])).1.is_ok());
    assert!(CryptoProvider::get_default().is_none());
}

#[test]
fn alpn_is_agreed_on_or_there_is_no_connection() {
    let ends = Ends::of(provider());
    let (client, server) = meet(
        ends.client(&[b"http/1.1", b"h2"]),
        ends.server(&[b"h2", b"http/1.1"]),
    );
    assert_eq!(client.expect("client").alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(server.expect("server").alpn_protocol(), Some(&b"h2"[..]));
    let (client, server) = meet(ends.client(&[b"mqtt"]), ends.server(&[b"h2"]));
    assert!(server.is_err());
    let alert = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    assert_eq!(client.err(), Some(alert));
}

#[cfg(feature = "tls12")]
mod tls12 {
    use rustls::HandshakeKind;
    use rustls::version::TLS12;
    use ztl_mtls::{client_config_allowing_tls12, server_config_allowing_tls12};

    use super::*;

    /// A server that also speaks TLS 1.2, with the verifier of this prover.
    fn server(ends: &Ends, prover: Prover) -> (ServerConfig, Arc<ClientVerifier>) {
        let verifier = ClientVerifier::new(prover, anyone());
        let (provider, identity) = (ends.provider.clone(), ends.identity.clone());
        let config = server_config_allowing_tls12(provider, identity, verifier.clone(), &[]);
        (config.expect("server"), verifier)
    }

    /// A client that speaks nothing newer than TLS 1.2.
    fn old_client(ends: &Ends, verifier: Arc<ServerVerifier>) -> ClientConfig {
        ClientConfig::builder_with_provider(ends.provider.clone())
            .with_protocol_versions(&[&TLS12])
            .expect("TLS 1.2")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(ends.identity.clone())
    }

    /// A server that speaks nothing newer than TLS 1.2.
    fn old_server(ends: &Ends, verifier: Arc<ClientVerifier>) -> ServerConfig {
        ServerConfig::builder_with_provider(ends.provider.clone())
            .with_protocol_versions(&[&TLS12])
            .expect("TLS 1.2")
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(ends.identity.clone())
    }

    fn allowing(ends: &Ends) -> Prover {
        ends.prover.clone().allow_tls12()
    }

    #[test]
    fn unless_it_is_asked_for_a_caller_of_tls_1_2_gets_protocol_version() {
        let ends = Ends::of(provider());
        let verifier = ServerVerifier::new(allowing(&ends), anyone());
        let (client, server) = meet(old_client(&ends, verifier), ends.server(&[]));
        let alert = Error::AlertReceived(AlertDescription::ProtocolVersion);
        assert_eq!(client.err(), Some(alert));
        assert!(server.is_err());
    }

    #[test]
    fn asked_for_both_ends_are_proved_and_the_hooks_asked() {
        let ends = Ends::of(provider());
        let judges_server = ServerVerifier::new(allowing(&ends), anyone());
        let (config, judges_client) = server(&ends, allowing(&ends));
        assert!(config.require_ems && !config.ticketer.enabled());
        assert!(!config.session_storage.can_cache());
        let (client, server) = meet(old_client(&ends, judges_server.clone()), config);
        let (client, server) = (client.expect("client"), server.expect("server"));
        assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_2));
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
        for peer in [judges_client.peer(), judges_server.peer()] {
            assert_eq!(peer.expect("proved").id().as_str(), common::ID);
        }
    }

    #[test]
    fn two_ends_that_can_do_better_speak_tls_1_3() {
        let ends = Ends::of(provider());
        let (config, _) = server(&ends, allowing(&ends));
        let (_, server) = meet(ends.client(&[]), config);
        let version = server.expect("server").protocol_version();
        assert_eq!(version, Some(ProtocolVersion::TLSv1_3));
    }

    #[test]
    fn a_configuration_alone_opens_nothing() {
        let ends = Ends::of(provider());
        // The configuration would speak it; the verifier was not told to.
        let judges_server = ServerVerifier::new(allowing(&ends), anyone());
        let (config, judges_client) = server(&ends, ends.prover.clone());
        let (_, server) = meet(old_client(&ends, judges_server), config);
        assert!(server.is_err() && judges_client.peer().is_none());

        let judges_server = ServerVerifier::new(ends.prover.clone(), anyone());
        let config = client_config_allowing_tls12(
            ends.provider.clone(),
            ends.identity.clone(),
            judges_server.clone(),
            &[],
        );
        let judges_client = ClientVerifier::new(allowing(&ends), anyone());
        let (client, _) = meet(config.expect("client"), old_server(&ends, judges_client));
        assert!(client.is_err() && judges_server.peer().is_none());
    }

    #[test]
    fn a_key_that_is_not_the_certificates_proves_nobody() {
        let ends = Ends::of(provider());
        let (thief, victim) = (Ca::new("root"), ends.identity.load());
        // The victim's certificate with a key of the thief's own.
        let key = thief.leaf(|_| {}).svid().certified_key().key.clone();
        let stolen = rustls::sign::CertifiedKey::new(victim.chain().to_vec(), key);
        let stolen = Arc::new(rustls::sign::SingleCertAndKey::from(stolen));
        let (config, judges_client) = server(&ends, allowing(&ends));
        let verifier = ServerVerifier::new(allowing(&ends), anyone());
        let client = ClientConfig::builder_with_provider(ends.provider.clone())
            .with_protocol_versions(&[&TLS12])
            .expect("TLS 1.2")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(stolen);
        let (_, server) = meet(client, config);
        assert!(server.is_err() && judges_client.peer().is_none());
        let error = judges_client.error().expect("an error");
        assert_eq!(error.code(), "no_possession");
    }

    #[test]
    fn rule_26_a_server_that_would_resume_is_judged_in_full_again() {
        let ends = Ends::of(provider());
        let verifier = ServerVerifier::new(allowing(&ends), anyone());
        let (provider, identity) = (ends.provider.clone(), ends.identity.clone());
        let mut client = client_config_allowing_tls12(provider, identity, verifier.clone(), &[])
            .expect("client");
        client.time_provider = Arc::new(Frozen);
        // As rustls makes it, so it keeps sessions.
        let server = ServerConfig::builder_with_provider(ends.provider.clone())
            .with_protocol_versions(&[&TLS12])
            .expect("TLS 1.2")
            .with_no_client_auth()
            .with_cert_resolver(ends.identity.clone());
        assert!(server.session_storage.can_cache());
        let (client, server) = (Arc::new(client), Arc::new(server));
        let (first, _) = connect(client.clone(), server.clone());
        assert_eq!(
            first.expect("client").handshake_kind(),
            Some(HandshakeKind::Full)
        );
        // Had the session been resumed, nobody would have asked the verifier.
        assert!(connect(client, server).0.is_err());
        let error = verifier.error().expect("an error");
        assert_eq!(error.code(), "verifier_used_twice");
    }
}
