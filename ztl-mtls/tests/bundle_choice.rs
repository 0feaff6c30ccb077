//! Which bundle judges (rules 20 and 21), and what a bundle may hold.
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

use common::{Ca, NOW, bundles, domain, extension, prover};
use rcgen::{IsCa, KeyUsagePurpose};
use ztl_mtls::{
    AuthorityError, BundleError, BundleSet, ProveError, Prover, Purpose, TrustBundle, provider,
};

#[test]
fn rule_20_the_leafs_own_trust_domain_chooses_the_bundle() {
    let (a, b) = (Ca::new("a"), Ca::new("b"));
    let prover = prover([a.bundle("a.test"), b.bundle("b.test")]);
    let by = |ca: &Ca, id| {
        prover
            .prove(&[ca.leaf_of(id).der], NOW, Purpose::Client)
            .map(|peer| peer.id().to_string())
    };
    assert_eq!(
        by(&a, "spiffe://a.test/x").as_deref(),
        Ok("spiffe://a.test/x")
    );
    assert_eq!(
        by(&b, "spiffe://b.test/x").as_deref(),
        Ok("spiffe://b.test/x")
    );
    // The authority of b issues an id of a: refused with both bundles loaded, and the other way round.
    assert_eq!(
        by(&b, "spiffe://a.test/x"),
        Err(ProveError::UnknownIssuer(domain("a.test")))
    );
    assert_eq!(
        by(&a, "spiffe://b.test/x"),
        Err(ProveError::UnknownIssuer(domain("b.test")))
    );
    assert_eq!(
        by(&a, "spiffe://c.test/x"),
        Err(ProveError::UnknownTrustDomain(domain("c.test")))
    );
}

#[test]
fn rule_20_an_authority_of_another_domain_that_is_sent_along_does_not_help() {
    let (a, b) = (Ca::new("same name"), Ca::new("same name"));
    let prover = prover([a.bundle("a.test"), b.bundle("b.test")]);
    let chain = [b.leaf_of("spiffe://a.test/x").der, b.der.clone()];
    assert_eq!(
        prover
            .prove(&chain, NOW, Purpose::Client)
            .map_err(|error| error.code()),
        Err("bad_signature")
    );
}

#[test]
fn rule_21_an_empty_bundle_proves_nobody() {
    let a = Ca::new("a");
    let prover = prover([TrustBundle::empty(domain("a.test"))]);
    assert_eq!(
        prover.prove(&[a.leaf(|_| {}).der], NOW, Purpose::Client),
        Err(ProveError::EmptyBundle(domain("a.test")))
    );
    let none = TrustBundle::from_der(domain("a.test"), []).expect("empty");
    assert!(none.is_empty());
    // An empty text is what a failed write leaves behind, and no bundle that proves nobody.
    for text in [&b"no certificate"[..], b"", b"\n"] {
        let error = TrustBundle::from_pem(domain("a.test"), text).expect_err("refused");
        assert!(matches!(error, BundleError::Pem { .. }), "{error}");
    }
}

#[test]
fn rule_27_a_changed_bundle_is_seen_by_every_prover_at_once() {
    let a = Ca::new("a");
    let held = bundles([a.bundle("a.test")]);
    let prover = Prover::new(held.clone(), &provider());
    let chain = [a.leaf(|_| {}).der];
    assert!(prover.prove(&chain, NOW, Purpose::Client).is_ok());
    held.remove(&domain("a.test"));
    assert_eq!(
        prover.prove(&chain, NOW, Purpose::Client),
        Err(ProveError::UnknownTrustDomain(domain("a.test")))
    );
    held.swap(BundleSet::new([a.bundle("a.test")]).expect("set"));
    assert!(prover.prove(&chain, NOW, Purpose::Server).is_ok());
    assert_eq!(prover.bundles().generation(), 2);
}

#[test]
fn a_bundle_holds_authorities_and_nothing_else() {
    let root = Ca::new("root");
    let refused =
        |ca: &Ca| match TrustBundle::from_der(domain("a.test"), [root.der.clone(), ca.der.clone()])
        {
            Err(BundleError::Authority {
                index: 1, error, ..
            }) => error,
            other => panic!("{other:?}"),
        };
    assert_eq!(
        refused(&Ca::with("leaf", |params| params.is_ca = IsCa::ExplicitNoCa)),
        AuthorityError::NotAuthority
    );
    assert_eq!(
        refused(&Ca::with("bare", |params| params.is_ca = IsCa::NoCa)),
        AuthorityError::NotAuthority
    );
    assert_eq!(
        refused(&Ca::with("crl", |params| params.key_usages =
            vec![KeyUsagePurpose::CrlSign])),
        AuthorityError::NoCertSign
    );
    let odd = extension(&[1, 2, 3, 4], true, &[5, 0]);
    assert_eq!(
        refused(&Ca::with("odd", |params| params.custom_extensions = vec![odd])),
        AuthorityError::UnknownCritical("1.2.3.4".into())
    );
}

#[test]
fn t28_the_mark_of_a_development_authority_is_known_in_every_build() {
    // With or without the feature `dev-ca`, critical or not.
    for critical in [true, false] {
        let mark = extension(&[2, 25, 1_662_593_429], critical, &[5, 0]);
        let root = Ca::with("dev", |params| params.custom_extensions = vec![mark]);
        let bundle = root.bundle("a.test");
        assert!(bundle.has_dev_authority());
        assert_eq!(
            prover([bundle]).prove(&[root.leaf(|_| {}).der], NOW, Purpose::Client),
            Err(ProveError::DevAuthority(domain("a.test")))
        );
    }
}

#[test]
fn the_same_authority_twice_counts_once() {
    let root = Ca::new("root");
    let text = format!("{}{}", root.pem, root.pem);
    let bundle = TrustBundle::from_pem(domain("a.test"), text.as_bytes()).expect("bundle");
    assert_eq!(bundle.certificates(), [root.der]);
}

#[test]
fn t17_a_prover_by_other_bundles_remembers_nothing_that_these_proved() {
    let (a, other) = (Ca::new("a"), Ca::new("a"));
    let first = prover([a.bundle("a.test")]);
    let leaf = a.leaf_of("spiffe://a.test/x");
    let prove = |prover: &Prover| {
        let chain = std::slice::from_ref(&leaf.der);
        prover.prove(chain, NOW, Purpose::Client).is_ok()
    };
    assert!(prove(&first) && prove(&first));
    // Both holders are at their first generation.
    let second = first.with_bundles(bundles([other.bundle("a.test")]));
    assert!(!prove(&second));
    assert!(prove(&first) && !prove(&second));
    assert!(prove(&second.with_bundles(first.bundles().clone())));
}
