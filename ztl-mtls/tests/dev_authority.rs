//! The development authority: refused unless it is allowed, and short-lived (T28).
#![cfg(all(feature = "dev-ca", any(feature = "aws-lc-rs", feature = "ring")))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    reason = "a test may panic"
)]

mod common;

use std::time::Duration;

use common::{Ca, HOUR, NOW, bundles, domain};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use ztl_core::{SpiffeId, Timestamp};
use ztl_mtls::{
    Bundles, DevCa, DevCaError, DevWebCa, LeafError, MAX_DEV_LIFETIME, ProveError, Prover, Purpose,
    TrustBundle, WebIdentity, provider,
};

fn id(text: &str) -> SpiffeId {
    SpiffeId::parse(text).expect("id")
}

fn router() -> SpiffeId {
    id("spiffe://a.test/router")
}

fn authority() -> DevCa {
    DevCa::new(domain("a.test"), NOW).expect("authority")
}

fn strict(bundles: Bundles) -> Prover {
    Prover::new(bundles, &provider())
}

#[test]
fn t28_its_svids_prove_nobody_unless_that_is_allowed() {
    let authority = authority();
    let issued = authority
        .issue(&router(), NOW, HOUR, &provider())
        .expect("svid");
    assert!(authority.bundle().has_dev_authority());
    let prover = strict(bundles([authority.bundle()]));
    let prove = |prover: &Prover| prover.prove(issued.svid.chain(), NOW, Purpose::Client);
    assert_eq!(
        prove(&prover),
        Err(ProveError::DevAuthority(domain("a.test")))
    );
    let peer = prove(&prover.clone().allow_dev_authority()).expect("allowed");
    assert_eq!(*peer.id(), router());
    // Beside a real authority it is refused all the same, and the real one is not.
    let real = Ca::new("real");
    let pem = format!("{}{}", authority.bundle_pem(), real.pem);
    let both = TrustBundle::from_pem(domain("a.test"), pem.as_bytes()).expect("bundle");
    let prover = strict(bundles([both]));
    assert_eq!(
        prove(&prover),
        Err(ProveError::DevAuthority(domain("a.test")))
    );
    let chain = [real.leaf_of("spiffe://a.test/router").der];
    assert!(prover.prove(&chain, NOW, Purpose::Client).is_ok());
}

#[test]
fn t28_the_mark_is_critical_so_that_others_refuse_it_too() {
    let root = CertificateDer::from_pem_slice(authority().bundle_pem().as_bytes()).expect("root");
    // As an intermediate below a real authority it is an unknown critical extension to webpki.
    let real = Ca::new("real");
    let issued = authority();
    let svid = issued
        .issue(&router(), NOW, HOUR, &provider())
        .expect("svid")
        .svid;
    let prover = strict(bundles([real.bundle("a.test")])).allow_dev_authority();
    let chain = [
        svid.chain()[0].clone(),
        issued.bundle().certificates()[0].clone(),
    ];
    assert!(prover.prove(&chain, NOW, Purpose::Client).is_err());
    // The DER of 2.25.1662593429, followed by critical TRUE.
    let mark = [
        0x06, 0x06, 0x69, 0x86, 0x98, 0xe4, 0xd3, 0x15, 0x01, 0x01, 0xff,
    ];
    assert!(root.windows(mark.len()).any(|window| window == mark));
}

#[test]
fn t28_leaves_live_at_most_a_day() {
    let authority = authority();
    let issue = |now, life| authority.issue(&router(), now, life, &provider());
    let day = issue(NOW, MAX_DEV_LIFETIME).expect("a day").svid;
    assert_eq!(day.not_after().since(NOW), MAX_DEV_LIFETIME);
    assert_eq!(NOW.since(day.not_before()), Duration::from_secs(60));
    let long = MAX_DEV_LIFETIME + Duration::from_secs(1);
    assert!(matches!(issue(NOW, long), Err(DevCaError::Lifetime(life)) if life == long));
    assert!(matches!(
        issue(Timestamp::MAX, HOUR),
        Err(DevCaError::Time(_))
    ));
}

#[test]
fn expired_and_future_svids_can_be_made() {
    let authority = authority();
    let prover = strict(bundles([authority.bundle()])).allow_dev_authority();
    let code = |now| {
        let svid = authority
            .issue(&router(), now, HOUR, &provider())
            .expect("svid")
            .svid;
        prover
            .prove(svid.chain(), NOW, Purpose::Client)
            .map_err(|error| error.code())
    };
    assert!(code(NOW).is_ok());
    assert_eq!(code(NOW.saturating_sub(2 * HOUR)), Err("expired"));
    assert_eq!(code(NOW.saturating_add(2 * HOUR)), Err("not_yet_valid"));
}

#[test]
fn it_issues_workloads_of_its_own_domain_only_with_a_new_key_and_serial_each() {
    let authority = authority();
    for foreign in ["spiffe://b.test/x", "spiffe://a.test"] {
        let error = authority
            .issue(&id(foreign), NOW, HOUR, &provider())
            .expect_err("foreign");
        assert!(error.to_string().contains(foreign), "{error}");
    }
    let leaf = || {
        let issued = authority
            .issue(&router(), NOW, HOUR, &provider())
            .expect("svid");
        ztl_mtls::Leaf::read(&issued.svid.chain()[0]).expect("leaf")
    };
    let (one, two) = (leaf(), leaf());
    assert_ne!(one.serial(), two.serial());
    assert_ne!(one.key(), two.key());
    assert!(one.serial().len() >= 16);
}

#[test]
fn a_stored_authority_goes_on_issuing_for_the_same_bundle() {
    let first = authority();
    let later = DevCa::from_pem(first.bundle_pem(), &first.key_pem()).expect("stored");
    assert_eq!(later.trust_domain().as_str(), "a.test");
    assert_eq!(later.bundle_pem(), first.bundle_pem());
    let svid = later
        .issue(&router(), NOW, HOUR, &provider())
        .expect("svid")
        .svid;
    let prover = strict(bundles([first.bundle()])).allow_dev_authority();
    assert!(prover.prove(svid.chain(), NOW, Purpose::Server).is_ok());

    let other = authority();
    for (bundle, key) in [
        (first.bundle_pem(), other.key_pem()),
        (first.bundle_pem(), "no key".to_owned()),
        (&Ca::new("real").pem, first.key_pem()),
        (&first.bundle_pem().repeat(2), first.key_pem()),
    ] {
        assert!(matches!(
            DevCa::from_pem(bundle, &key),
            Err(DevCaError::NotDevAuthority)
        ));
    }
    let web = DevWebCa::new(NOW).expect("web");
    assert!(DevCa::from_pem(web.root_pem(), &first.key_pem()).is_err());
}

#[test]
fn web_certificates_come_from_another_root_and_prove_no_workload() {
    let web = DevWebCa::new(NOW).expect("web");
    let issued = web
        .issue(&["localhost", "127.0.0.1", "::1"], NOW, HOUR)
        .expect("certificate");
    let loaded = WebIdentity::from_pem(
        issued.cert_pem.as_bytes(),
        issued.key_pem.as_bytes(),
        &provider(),
    );
    assert!(loaded.is_ok());
    let leaf = CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).expect("leaf");
    assert_eq!(ztl_mtls::Leaf::read(&leaf), Err(LeafError::NoUri));
    // Its root in a bundle would be a development authority as well.
    let bundle =
        TrustBundle::from_pem(domain("a.test"), web.root_pem().as_bytes()).expect("bundle");
    assert!(bundle.has_dev_authority());
    assert!(matches!(
        web.issue(&["é"], NOW, HOUR),
        Err(DevCaError::HostName(_))
    ));
    assert!(matches!(
        web.issue(&["localhost"], NOW, 2 * MAX_DEV_LIFETIME),
        Err(DevCaError::Lifetime(_))
    ));
}

#[test]
fn nothing_shows_a_key() {
    let authority = authority();
    let issued = authority
        .issue(&router(), NOW, HOUR, &provider())
        .expect("svid");
    let web = DevWebCa::new(NOW).expect("web");
    let listener = web.issue(&["localhost"], NOW, HOUR).expect("certificate");
    let shown = format!("{authority:?} {issued:?} {web:?} {listener:?}");
    assert!(
        !shown.contains("BEGIN") && !shown.contains("key"),
        "{shown}"
    );
}
