//! What a leaf must say (rules 16 to 19), through the C door: each clause broken by a certificate that is otherwise signed and in order.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType,
};
use ztl_ffi_impl::*;

use crate::authority::Authority;
use crate::harness::NOW;
use crate::suites::{Answer, Row, proved};

const ID: &str = "spiffe://prod.example/router";

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("ASCII"))
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().expect("a name"))
}

fn named(names: Vec<SanType>) -> impl FnOnce(&mut CertificateParams) {
    |params| params.subject_alt_names = names
}

fn used(usages: Vec<KeyUsagePurpose>) -> impl FnOnce(&mut CertificateParams) {
    |params| params.key_usages = usages
}

fn meant(purposes: Vec<ExtendedKeyUsagePurpose>) -> impl FnOnce(&mut CertificateParams) {
    |params| params.extended_key_usages = purposes
}

/// What both doors say of a leaf that was changed.
#[track_caller]
fn said(change: impl FnOnce(&mut CertificateParams)) -> Answer {
    let root = Authority::new();
    of(&root, root.issue_changed(ID, change))
}

#[track_caller]
fn of(root: &Authority, leaf: Vec<u8>) -> Answer {
    proved(&Row {
        name: "a leaf".to_owned(),
        domain: "prod.example",
        roots: vec![root.der.clone()],
        chain: vec![leaf],
        crls: None,
        now: NOW,
    })
}

#[track_caller]
fn is_proved(change: impl FnOnce(&mut CertificateParams)) {
    assert_eq!(said(change), Some(Ok(ID.to_owned())));
}

#[track_caller]
fn is_refused(change: impl FnOnce(&mut CertificateParams)) {
    assert_eq!(said(change), Some(Err(ZTL_REASON_IDENTITY_UNPROVEN)));
}

#[test]
fn rule_16_exactly_one_uri_name() {
    is_proved(|_| {});
    is_proved(named(vec![
        dns("a.test"),
        uri(ID),
        SanType::IpAddress("192.0.2.1".parse().expect("an address")),
    ]));
    is_refused(named(vec![uri(ID), uri("spiffe://prod.example/other")]));
    is_refused(named(vec![uri(ID), uri(ID)]));
    is_refused(named(vec![uri("https://prod.example/"), uri(ID)]));
    is_refused(named(vec![]));
    is_refused(|params| {
        params.subject_alt_names = vec![dns("a.test")];
        params.distinguished_name.push(DnType::CommonName, ID);
    });
    // A second extension of names: a URI of six octets in it.
    is_refused(|params| {
        let names = b"\x30\x08\x86\x06spiffe";
        let second = CustomExtension::from_oid_content(&[2, 5, 29, 17], names.to_vec());
        params.custom_extensions.push(second);
    });
}

#[test]
fn rules_17_and_18_the_uri_is_a_spiffe_id_with_a_path() {
    for id in [
        "spiffe://prod.example",
        "spiffe://prod.example/",
        "spiffe://prod.example//router",
        "spiffe://prod.example/router/",
        "spiffe://prod.example/./router",
        "spiffe://prod.example/../router",
        "spiffe://prod.example/%72outer",
        "spiffe://prod.example/router?a=b",
        "spiffe://prod.example/router#a",
        "spiffe://Prod.example/router",
        "spiffe://prod.example:443/router",
        "spiffe://user@prod.example/router",
        "SPIFFE:/prod.example/router",
        "https://prod.example/router",
        "prod.example/router",
        "spiffe://elsewhere.example/router",
    ] {
        is_refused(named(vec![uri(id)]));
    }
    is_refused(named(vec![uri(&format!("{ID}{}", "a".repeat(2048)))]));
}

#[test]
fn rule_19_no_authority_and_nothing_but_its_own_usages() {
    use ExtendedKeyUsagePurpose::{ClientAuth, CodeSigning, ServerAuth};
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyCertSign, KeyEncipherment};
    is_refused(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    is_proved(|params| params.is_ca = IsCa::NoCa);
    is_refused(used(vec![DigitalSignature, KeyCertSign]));
    is_refused(used(vec![DigitalSignature, CrlSign]));
    is_refused(used(vec![KeyEncipherment]));
    is_proved(used(vec![DigitalSignature, KeyEncipherment]));
    is_refused(meant(vec![ServerAuth]));
    is_refused(meant(vec![CodeSigning]));
    is_proved(meant(vec![]));
    is_proved(meant(vec![CodeSigning, ClientAuth, ServerAuth]));
    // A critical extension that nobody knows.
    is_refused(|params| {
        let mut unknown =
            CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions.push(unknown);
    });
}

#[test]
fn rule_20_its_time_is_now_and_its_authority_is_trusted() {
    let (root, other) = (Authority::new(), Authority::new());
    let ended = of(&root, root.issue_until(ID, NOW - 1));
    assert_eq!(ended, Some(Err(ZTL_REASON_IDENTITY_EXPIRED)));
    let strangers = of(&root, other.issue(ID));
    assert_eq!(strangers, Some(Err(ZTL_REASON_IDENTITY_UNPROVEN)));
    let mut changed = root.issue(ID);
    let last = changed.len() - 1;
    changed[last] ^= 1;
    assert_eq!(of(&root, changed), Some(Err(ZTL_REASON_IDENTITY_UNPROVEN)));
    for cut in [0, 1, 100] {
        let leaf = root.issue(ID);
        assert_eq!(
            of(&root, leaf[..cut].to_vec()),
            Some(Err(ZTL_REASON_IDENTITY_UNPROVEN))
        );
    }
}
