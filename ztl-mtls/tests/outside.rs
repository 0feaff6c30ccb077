//! Hosts outside the mesh: until when one is proved.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![allow(clippy::expect_used, reason = "a test may panic")]

mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use common::wire::{Frozen, connect};
use common::{Ca, HOUR, Issued, NOW, valid};
use rcgen::{CertificateParams, SanType};
use rustls::{Error, ServerConfig};
use rustls_pki_types::CertificateDer;
use ztl_core::WebHost;
use ztl_mtls::{HostVerifier, WebRoots, provider};

const HOST: &str = "hub.example.org";

/// A leaf for the host that ends after two hours.
fn leaf(issuer: &Ca) -> Issued {
    issuer.leaf(|params| {
        params.subject_alt_names = vec![SanType::DnsName(HOST.try_into().expect("a name"))];
        valid(params, -60, 2 * 3600);
    })
}

fn verifier(root: &Ca) -> Arc<HostVerifier> {
    let roots = WebRoots::from_pem(root.pem.as_bytes()).expect("roots");
    let addr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    HostVerifier::new(&roots, provider(), HOST, addr).expect("a verifier")
}

/// A whole handshake with a host that sends these certificates after its leaf.
fn dial(
    verifier: &Arc<HostVerifier>,
    leaf: &Issued,
    more: &[&CertificateDer<'static>],
) -> Result<(), Error> {
    let mut client = verifier
        .client_config(provider(), &[b"h2"])
        .expect("client");
    client.time_provider = Arc::new(Frozen);
    let mut chain = vec![leaf.der.clone()];
    chain.extend(more.iter().map(|der| (*der).clone()));
    let mut server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, leaf.key_der())
        .expect("server");
    server.alpn_protocols = vec![b"h2".to_vec()];
    let (client, _) = connect(Arc::new(client), Arc::new(server));
    client.map(|_| ())
}

fn prove(root: &Ca, leaf: &Issued, more: &[&CertificateDer<'static>]) -> Option<WebHost> {
    let verifier = verifier(root);
    let dialled = dial(&verifier, leaf, more);
    assert_eq!(dialled.is_ok(), verifier.host().is_some());
    verifier.host().cloned()
}

#[test]
fn law_8_a_host_is_proved_until_the_first_certificate_of_its_path_ends() {
    let root = Ca::new("root");
    let hour = |params: &mut CertificateParams| valid(params, -60, 3600);
    let outer = root.intermediate("outer", |_| {});
    let (short, long) = (
        outer.intermediate("short", hour),
        outer.intermediate("long", |_| {}),
    );
    let end = |issuer: &Ca, more: &[&CertificateDer<'static>]| {
        let host = prove(&root, &leaf(issuer), more).expect("a proof");
        assert_eq!(host.name(), HOST);
        host.expires_at()
    };
    assert_eq!(end(&root, &[]), NOW.saturating_add(2 * HOUR));
    assert_eq!(
        end(&long, &[&long.der, &outer.der]),
        NOW.saturating_add(2 * HOUR)
    );
    assert_eq!(
        end(&short, &[&short.der, &outer.der]),
        NOW.saturating_add(HOUR)
    );
    // An intermediate in the middle counts as the nearest one does.
    let inner = short.intermediate("inner", |_| {});
    let more = [&inner.der, &short.der, &outer.der];
    assert_eq!(end(&inner, &more), NOW.saturating_add(HOUR));
}

#[test]
fn what_was_sent_beside_the_path_does_not_count() {
    let root = Ca::new("root");
    let issuer = root.intermediate("issuer", |_| {});
    // The same authority, signed by another one, and over; and one that has nothing to do with it, which ends soon.
    let mut params = common::ca_params("issuer");
    valid(&mut params, -7200, -3600);
    let other = Ca::new("other root");
    let spare = params.signed_by(issuer.issuer.key(), &other.issuer);
    let spare = spare.expect("a spare one").der().clone();
    let stranger = other.intermediate("stranger", |params| valid(params, -60, 60));
    let leaf = leaf(&issuer);
    for more in [
        [&spare, &issuer.der, &stranger.der],
        [&stranger.der, &issuer.der, &spare],
    ] {
        let host = prove(&root, &leaf, &more).expect("a proof");
        assert_eq!(host.expires_at(), NOW.saturating_add(2 * HOUR));
    }
}

#[test]
fn a_path_with_a_certificate_that_is_over_proves_nobody() {
    let root = Ca::new("root");
    let over = root.intermediate("over", |params| valid(params, -7200, -1));
    assert!(prove(&root, &leaf(&over), &[&over.der]).is_none());
    let other = Ca::new("other root");
    assert!(prove(&root, &leaf(&other), &[]).is_none());
}

#[test]
fn rule_26_a_verifier_judges_one_connection() {
    let (root, other) = (Ca::new("root"), Ca::new("other root"));
    let (good, bad) = (leaf(&root), leaf(&other));
    let short = root.leaf(|params| {
        params.subject_alt_names = vec![SanType::DnsName(HOST.try_into().expect("a name"))];
        valid(params, -60, 60);
    });
    // Whatever the first was and the second is: the first one's certificate is not the second one's.
    for (first, second) in [
        (&good, &short),
        (&good, &good),
        (&good, &bad),
        (&bad, &good),
    ] {
        let verifier = verifier(&root);
        let begun = dial(&verifier, first, &[]);
        assert_eq!(begun.is_ok(), verifier.host().is_some());
        let error = dial(&verifier, second, &[])
            .expect_err("refused")
            .to_string();
        assert!(error.contains("VerifierUsedTwice"), "{error}");
        assert!(verifier.host().is_none());
    }
}
