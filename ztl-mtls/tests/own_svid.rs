//! Our own SVID: what is loaded, what is refused, and what the errors say (T22).
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

use common::{Ca, ID, NOW, extension, uri, valid};
use rcgen::IsCa;
use rustls_pki_types::PrivatePkcs8KeyDer;
use ztl_mtls::{
    Fingerprint, IdentitySource, Leaf, LeafError, PemError, SvidError, WebIdentity, X509Svid,
    provider,
};

#[test]
fn a_chain_and_its_key_in_one_text_or_two() {
    let root = Ca::new("root");
    let middle = root.intermediate("middle", |params| valid(params, -10, 1000));
    let leaf = middle.leaf(|_| {});
    let key = leaf.key.serialize_pem();
    let chain = format!("{}{}", leaf.pem, middle.pem);
    let two = X509Svid::from_pem(chain.as_bytes(), key.as_bytes(), &provider()).expect("svid");
    let both = format!("{key}{chain}");
    let one = X509Svid::from_pem(both.as_bytes(), both.as_bytes(), &provider()).expect("svid");
    for svid in [&two, &one] {
        assert_eq!(svid.id().as_str(), ID);
        assert_eq!(svid.chain(), [leaf.der.clone(), middle.der.clone()]);
        // The chain ends before the leaf does.
        assert_eq!(svid.not_after().since(NOW).as_secs(), 1000);
    }
    let row = [&leaf.der[..], &middle.der[..]].concat();
    let der = X509Svid::from_der(&row, &leaf.key.serialize_der(), &provider()).expect("svid");
    assert_eq!(der.chain(), two.chain());
}

#[test]
fn a_key_of_another_certificate_is_named_with_both_fingerprints_and_both_files() {
    let root = Ca::new("root");
    let (ours, other) = (root.leaf(|_| {}), root.leaf(|_| {}));
    let folder = std::env::temp_dir().join(format!("ztl-mtls-mismatch-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    let (certificates, key) = (folder.join("svid.pem"), folder.join("svid.key"));
    std::fs::write(&certificates, &ours.pem).expect("write");
    std::fs::write(&key, other.key.serialize_pem()).expect("write");
    let error = X509Svid::from_pem_files(&certificates, &key, &provider()).expect_err("mismatch");
    std::fs::remove_dir_all(&folder).expect("remove");

    let fingerprint = |der: &[u8]| Leaf::read(der).expect("leaf").key();
    let text = error.to_string();
    for part in [
        ID,
        "svid.pem",
        "svid.key",
        &fingerprint(&ours.der).to_string(),
        &fingerprint(&other.der).to_string(),
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(fingerprint(&ours.der).to_string().len(), 32);
    assert!(matches!(
        error,
        SvidError::InFiles { error, .. } if matches!(*error, SvidError::KeyMismatch { .. })
    ));
}

#[test]
fn what_we_would_refuse_we_do_not_present() {
    let root = Ca::new("root");
    let load = |leaf: &common::Issued, chain: &str| {
        let key = leaf.key.serialize_pem();
        X509Svid::from_pem(chain.as_bytes(), key.as_bytes(), &provider()).expect_err("refused")
    };
    let two = root.leaf(|params| params.subject_alt_names.push(uri(ID)));
    assert!(matches!(
        load(&two, &two.pem),
        SvidError::Leaf(LeafError::ManyUris(2))
    ));
    let leaf = root.leaf(|_| {});
    let not_ca = root.intermediate("not ca", |params| params.is_ca = IsCa::ExplicitNoCa);
    assert!(matches!(
        load(&leaf, &format!("{}{}", leaf.pem, not_ca.pem)),
        SvidError::IssuerNotAuthority(1)
    ));
    let odd = || vec![extension(&[1, 2, 3, 4], true, &[5, 0])];
    let critical = root.leaf(|params| params.custom_extensions = odd());
    let error = load(&critical, &critical.pem);
    assert!(matches!(
        &error,
        SvidError::Leaf(LeafError::UnknownCritical(oid)) if **oid == *"1.2.3.4"
    ));
    assert!(error.to_string().contains("1.2.3.4"), "{error}");
    let critical = root.intermediate("critical", |params| params.custom_extensions = odd());
    let error = load(&leaf, &format!("{}{}", leaf.pem, critical.pem));
    assert!(matches!(
        &error,
        SvidError::IssuerUnknownCritical { index: 1, oid } if **oid == *"1.2.3.4"
    ));
    assert!(error.to_string().contains("1.2.3.4"), "{error}");
    assert!(matches!(
        load(&leaf, ""),
        SvidError::CertificatePem(PemError::NoCertificate)
    ));
    assert!(matches!(
        load(&leaf, &leaf.pem.repeat(17)),
        SvidError::IssuerNotAuthority(1)
    ));
    let long = format!("{}{}", leaf.pem, root.pem.repeat(16));
    assert!(matches!(load(&leaf, &long), SvidError::ChainTooLong(17)));
}

#[test]
fn texts_without_a_usable_key_are_refused_without_being_quoted() {
    let leaf = Ca::new("root").leaf(|_| {});
    let load = |key: &str| {
        X509Svid::from_pem(leaf.pem.as_bytes(), key.as_bytes(), &provider()).expect_err("refused")
    };
    assert!(matches!(
        load(&leaf.pem),
        SvidError::KeyPem(PemError::NoKey)
    ));
    let key = leaf.key.serialize_pem();
    assert!(matches!(
        load(&key.repeat(2)),
        SvidError::KeyPem(PemError::ManyKeys)
    ));
    let secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0IQ==\n-----END PRIVATE KEY-----\n";
    let error = load(secret);
    assert!(matches!(error, SvidError::UnusableKey), "{error}");
    let cut = load(&key[..60]);
    assert!(matches!(cut, SvidError::KeyPem(PemError::Damaged)), "{cut}");
    assert!(!format!("{cut:?} {cut}").contains(&key[30..50]));
}

#[test]
fn der_that_is_no_row_of_certificates_is_refused() {
    let leaf = Ca::new("root").leaf(|_| {});
    let key = leaf.key.serialize_der();
    let load = |row: &[u8]| X509Svid::from_der(row, &key, &provider()).expect_err("refused");
    assert!(matches!(load(b"corrupted"), SvidError::ChainDer(_)));
    assert!(matches!(load(&[]), SvidError::NoCertificate));
    assert!(matches!(load(&leaf.der[..99]), SvidError::ChainDer(_)));
    assert!(matches!(
        load(&[&leaf.der[..], &[0x30, 0]].concat()),
        SvidError::Issuer { index: 1, .. }
    ));
}

#[test]
fn t22_a_rotation_never_changes_who_we_are() {
    let root = Ca::new("root");
    let identity = IdentitySource::new(root.leaf(|_| {}).svid());
    let next = root.leaf(|params| valid(params, -60, 7200)).svid();
    identity.swap(next.clone()).expect("same id");
    assert_eq!(identity.generation(), 1);
    assert_eq!(identity.load().not_after(), next.not_after());
    let other = root.leaf_of("spiffe://a.test/ns/x/sa/other").svid();
    let error = identity.swap(other).expect_err("another id");
    assert_eq!(error.found().as_str(), "spiffe://a.test/ns/x/sa/other");
    assert_eq!(identity.id(), error.expected());
    assert_eq!(
        (identity.generation(), identity.load().chain()),
        (1, next.chain())
    );
}

#[test]
fn nothing_shows_a_key() {
    let leaf = Ca::new("root").leaf(|_| {});
    let svid = leaf.svid();
    let shown = format!("{svid:?} {:?}", IdentitySource::new(svid.clone()));
    assert!(shown.contains(ID));
    assert!(!shown.contains("key"), "{shown}");
}

#[test]
fn a_web_certificate_needs_its_key_but_no_spiffe_id() {
    let root = Ca::new("root");
    let web = root.leaf(|params| params.subject_alt_names.clear());
    let key = web.key.serialize_pem();
    assert!(WebIdentity::from_pem(web.pem.as_bytes(), key.as_bytes(), &provider()).is_ok());
    let other = root.leaf(|_| {}).key.serialize_pem();
    assert!(matches!(
        WebIdentity::from_pem(web.pem.as_bytes(), other.as_bytes(), &provider()),
        Err(SvidError::KeyMismatch { .. })
    ));
}

#[test]
fn a_fingerprint_is_of_the_whole_public_key() {
    let leaf = Ca::new("root").leaf(|_| {});
    let key = PrivatePkcs8KeyDer::from(leaf.key.serialize_der());
    let loaded = provider()
        .key_provider
        .load_private_key(key.into())
        .expect("key");
    let spki = loaded.public_key().expect("public key");
    assert_eq!(
        Fingerprint::of_spki(&spki),
        Leaf::read(&leaf.der).expect("leaf").key()
    );
}
