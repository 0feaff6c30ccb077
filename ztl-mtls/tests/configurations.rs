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

/// Configurations that one connection has after the other.
mod lent {
    use ztl_mtls::ServerConfigs;

    use super::*;

    const IDS: [&str; 3] = [
        "spiffe://a.test/first",
        "spiffe://a.test/second",
        "spiffe://a.test/third",
    ];

    /// Ends whose certificates are in force by the clock on the wall, which a configuration that is lent goes by.
    struct Today {
        ends: Ends,
        callers: [Arc<IdentitySource>; 3],
        configs: ServerConfigs,
    }

    impl Today {
        fn begin() -> Self {
            let long = |params: &mut rcgen::CertificateParams| {
                params.not_before = rcgen::date_time_ymd(2020, 1, 1);
                params.not_after = rcgen::date_time_ymd(2200, 1, 1);
            };
            let root = Ca::with("root", long);
            let identity = |id: &str| {
                let leaf = root.leaf(|params| {
                    params.subject_alt_names = vec![common::uri(id)];
                    long(params);
                });
                Arc::new(IdentitySource::new(leaf.svid()))
            };
            let ends = Ends {
                provider: provider(),
                identity: identity(common::ID),
                prover: prover([root.bundle("a.test")]),
            };
            Self {
                configs: ServerConfigs::new(provider(), ends.identity.clone(), &[b"h2"]),
                callers: IDS.map(identity),
                ends,
            }
        }

        fn verifier(&self) -> Arc<ClientVerifier> {
            ClientVerifier::new(self.ends.prover.clone(), anyone())
        }

        fn call(&self, caller: usize, server: Arc<ServerConfig>) -> Connected {
            let verifier = ServerVerifier::new(self.ends.prover.clone(), anyone());
            let identity = self.callers.get(caller).expect("a caller").clone();
            let client = client_config(provider(), identity, verifier, &[b"h2"]);
            connect(Arc::new(client.expect("client")), server)
        }
    }

    fn id(verifier: &ClientVerifier) -> Option<String> {
        verifier.peer().map(|peer| peer.id().to_string())
    }

    #[test]
    fn each_connection_is_judged_by_its_own_verifier_and_the_next_has_the_same_configuration() {
        let today = Today::begin();
        let mut had = Vec::new();
        for (caller, expected) in IDS.iter().enumerate() {
            let verifier = today.verifier();
            let lent = today.configs.lend(verifier.clone()).expect("lent");
            let config = lent.config();
            had.push(Arc::as_ptr(&config));
            let (client, server) = today.call(caller, config);
            let server = server.expect("server");
            assert!(client.is_ok());
            assert_eq!(server.alpn_protocol(), Some(&b"h2"[..]));
            assert_eq!(id(&verifier).as_deref(), Some(*expected));
            drop(lent);
            // It lives on without its configuration.
            drop((client, server));
        }
        assert_eq!(had.first(), had.last());
        // Rule 26: as one that is made for each.
        let lent = today.configs.lend(today.verifier()).expect("lent");
        let config = lent.config();
        assert!(!config.session_storage.can_cache() && !config.ticketer.enabled());
        assert_eq!(
            (config.send_tls13_tickets, config.max_early_data_size),
            (0, 0)
        );
    }

    #[test]
    fn two_connections_at_a_time_have_two() {
        let today = Today::begin();
        let verifiers = [today.verifier(), today.verifier()];
        let [first, second] = &verifiers;
        let first = today.configs.lend(first.clone()).expect("lent");
        let second = today.configs.lend(second.clone()).expect("lent");
        assert!(!Arc::ptr_eq(&first.config(), &second.config()));
        // The other way round.
        assert!(today.call(1, second.config()).1.is_ok());
        assert!(today.call(0, first.config()).1.is_ok());
        let [first, second] = verifiers.each_ref().map(|verifier| id(verifier));
        assert_eq!(first.as_deref(), Some(IDS[0]));
        assert_eq!(second.as_deref(), Some(IDS[1]));
    }

    #[test]
    fn law_1_one_that_is_kept_proves_nobody_and_is_not_lent_again() {
        let today = Today::begin();
        let first = today.verifier();
        let lent = today.configs.lend(first.clone()).expect("lent");
        let kept = lent.config();
        drop(lent);
        let second = today.verifier();
        let lent = today.configs.lend(second.clone()).expect("lent");
        assert!(!Arc::ptr_eq(&kept, &lent.config()));
        let (_, server) = today.call(0, kept);
        assert!(server.is_err());
        assert_eq!((id(&first), id(&second)), (None, None));
        // A copy of it has the same verifier.
        let copied = Arc::new(ServerConfig::clone(&lent.config()));
        drop(lent);
        let third = today.verifier();
        let _lent = today.configs.lend(third.clone()).expect("lent");
        assert!(today.call(0, copied).1.is_err());
        assert_eq!(id(&third), None);
    }

    #[test]
    fn one_whose_handshake_is_not_over_is_not_lent_again() {
        let today = Today::begin();
        let lent = today.configs.lend(today.verifier()).expect("lent");
        let half = ServerConnection::new(lent.config()).expect("server");
        let before = Arc::as_ptr(&lent.config());
        drop(lent);
        let lent = today.configs.lend(today.verifier()).expect("lent");
        assert_ne!(before, Arc::as_ptr(&lent.config()));
        drop((half, lent));
        // One that failed is.
        let lent = today.configs.lend(today.verifier()).expect("lent");
        let before = Arc::as_ptr(&lent.config());
        let verifier = ServerVerifier::new(today.ends.prover.clone(), anyone());
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        assert!(connect(Arc::new(client), lent.config()).1.is_err());
        drop(lent);
        let lent = today.configs.lend(today.verifier()).expect("lent");
        assert_eq!(before, Arc::as_ptr(&lent.config()));
    }
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
