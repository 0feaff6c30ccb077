//! What a leaf must say (rules 16 to 19), each clause broken by a certificate that is otherwise signed and in order.
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

use common::{Ca, ID, extension, prove, tlv, uri};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SanType,
};
use ztl_core::IdError;
use ztl_mtls::{CertError, Leaf, LeafError, ProveError};

fn refused(change: impl FnOnce(&mut CertificateParams)) -> LeafError {
    let root = Ca::new("root");
    let leaf = root.leaf(change);
    let read = Leaf::read(&leaf.der).expect_err("refused when read");
    match prove(&root, &[&leaf.der]) {
        Err(ProveError::Leaf(error)) => {
            assert_eq!(error, read);
            error
        }
        other => panic!("{other:?}"),
    }
}

fn accepted(change: impl FnOnce(&mut CertificateParams)) {
    let root = Ca::new("root");
    let leaf = root.leaf(change);
    let peer = prove(&root, &[&leaf.der]).expect("proved");
    assert_eq!(peer.id().as_str(), ID);
}

fn raw_san(names: &[u8]) -> impl FnOnce(&mut CertificateParams) {
    let value = tlv(0x30, names);
    move |params| {
        params.subject_alt_names.clear();
        params
            .custom_extensions
            .push(extension(&[2, 5, 29, 17], false, &value));
    }
}

#[test]
fn an_ordinary_leaf_is_proved_and_says_what_it_is() {
    let root = Ca::new("root");
    let leaf = root.leaf(|params| params.serial_number = Some(vec![1, 2, 3].into()));
    let peer = prove(&root, &[&leaf.der]).expect("proved");
    let read = Leaf::read(&leaf.der).expect("leaf");
    let ztl_core::Proof::X509 {
        id,
        leaf_sha256,
        serial,
        not_after,
    } = peer.proof()
    else {
        panic!("{:?}", peer.proof());
    };
    assert_eq!((id, leaf_sha256.as_bytes()), (read.id(), read.sha256()));
    assert_eq!((&**serial, *not_after), (&[1, 2, 3][..], read.not_after()));
}

#[test]
fn rule_16_exactly_one_uri_name() {
    assert_eq!(
        refused(|params| params.subject_alt_names.push(uri("spiffe://a.test/other"))),
        LeafError::ManyUris(2)
    );
    // The same one twice, and a second of another scheme.
    assert_eq!(
        refused(|params| params.subject_alt_names.push(uri(ID))),
        LeafError::ManyUris(2)
    );
    assert_eq!(
        refused(|params| params.subject_alt_names.insert(0, uri("https://a.test/"))),
        LeafError::ManyUris(2)
    );
}

#[test]
fn rule_16_two_alternative_name_extensions_are_refused() {
    let second = tlv(0x30, &tlv(0x86, b"spiffe://a.test/other"));
    let error = refused(|params| {
        params
            .custom_extensions
            .push(extension(&[2, 5, 29, 17], false, &second));
    });
    assert_eq!(
        error,
        LeafError::Certificate(CertError::DuplicateExtension("subjectAltName".into()))
    );
}

/// RFC 5280 §4.2, whether or not anybody here reads the extension.
#[test]
fn no_extension_stands_twice() {
    let private = |last: u64| extension(&[1, 3, 6, 1, 4, 1, 9, last], false, &[5, 0]);
    let twice = |oid: &[u64], text: &str| {
        let error = refused(|params| {
            params.custom_extensions = vec![
                extension(oid, false, &[5, 0]),
                private(1),
                extension(oid, false, &[4, 0]),
            ];
        });
        let duplicate = CertError::DuplicateExtension(text.into());
        assert_eq!(error, LeafError::Certificate(duplicate));
        assert_eq!(error.code(), "duplicate_extension");
    };
    twice(&[1, 3, 6, 1, 4, 1, 9], "1.3.6.1.4.1.9");
    twice(&[2, 5, 29, 35], "authorityKeyIdentifier");
    twice(&[2, 5, 29, 32], "2.5.29.32");
    accepted(|params| params.custom_extensions = vec![private(1), private(2), private(3)]);
}

#[test]
fn rule_31_a_certificate_has_at_most_32_extensions() {
    let with = |count: u64| {
        move |params: &mut CertificateParams| {
            // Five stand there already: basicConstraints, keyUsage, extKeyUsage, subjectAltName, subjectKeyIdentifier.
            params.custom_extensions = (5..count)
                .map(|last| extension(&[1, 3, 6, 1, 4, 1, 9, last], false, &[5, 0]))
                .collect();
        }
    };
    accepted(with(32));
    let error = refused(with(33));
    assert_eq!(error, LeafError::Certificate(CertError::TooManyExtensions));
}

#[test]
fn rule_16_other_names_are_allowed_and_are_no_identity() {
    accepted(|params| {
        params.subject_alt_names.extend([
            SanType::DnsName("a.test".try_into().expect("name")),
            SanType::Rfc822Name("a@a.test".try_into().expect("name")),
            SanType::IpAddress("192.0.2.1".parse().expect("address")),
        ]);
        params
            .distinguished_name
            .push(DnType::CommonName, "spiffe://a.test/admin");
    });
    // Common and DNS name alone name nobody.
    let error = refused(|params| {
        params.subject_alt_names = vec![SanType::DnsName("a.test".try_into().expect("name"))];
        params.distinguished_name.push(DnType::CommonName, ID);
    });
    assert_eq!(error, LeafError::NoUri);
    assert_eq!(
        refused(|params| params.subject_alt_names.clear()),
        LeafError::NoUri
    );
    // A DNS name that looks like an id is a DNS name.
    assert_eq!(
        refused(raw_san(&tlv(0x82, ID.as_bytes()))),
        LeafError::NoUri
    );
}

#[test]
fn rule_31_a_leaf_has_at_most_256_names() {
    let names = |count: usize| {
        move |params: &mut CertificateParams| {
            let hosts = (1..count).map(|n| format!("h{n}.a.test"));
            params
                .subject_alt_names
                .extend(hosts.map(|host| SanType::DnsName(host.try_into().expect("name"))));
        }
    };
    accepted(names(256));
    assert_eq!(refused(names(257)), LeafError::TooManyNames(257));
}

#[test]
fn rules_17_and_18_the_uri_is_a_spiffe_id_with_a_path() {
    let id = |text: &'static str| refused(|params| params.subject_alt_names = vec![uri(text)]);
    assert_eq!(id("spiffe://a.test"), LeafError::Id(IdError::NoPath));
    assert_eq!(
        id("spiffe://a.test/"),
        LeafError::Id(IdError::TrailingSlash)
    );
    assert_eq!(
        id("spiffe://A.test/x"),
        LeafError::Id(IdError::TrustDomainChar)
    );
    assert_eq!(id("SPIFFE://a.test/x"), LeafError::Id(IdError::Scheme));
    assert_eq!(
        id("spiffe://a.test:1/x"),
        LeafError::Id(IdError::TrustDomainChar)
    );
    assert_eq!(id("spiffe://a.test/x?y"), LeafError::Id(IdError::PathChar));
    assert_eq!(id("spiffe://a.test/%61"), LeafError::Id(IdError::PathChar));
    assert_eq!(
        id("spiffe://a.test/x/../y"),
        LeafError::Id(IdError::DotSegment)
    );
}

#[test]
fn rules_17_and_18_no_octet_is_dropped() {
    let octets = |uri: &[u8]| refused(raw_san(&tlv(0x86, uri)));
    assert_eq!(
        octets(b"spiffe://a.test/x\0spiffe://a.test/y"),
        LeafError::Id(IdError::PathChar)
    );
    assert_eq!(octets(b"spiffe://a.test/\xe9"), LeafError::UriNotAscii);
    assert_eq!(
        octets("spiffe://a.test/é".as_bytes()),
        LeafError::UriNotAscii
    );
    let long = format!("spiffe://a.test/{}", "x".repeat(2048));
    assert_eq!(octets(long.as_bytes()), LeafError::Id(IdError::TooLong));
}

#[test]
fn rule_19_the_certificate_of_an_authority_never_authenticates() {
    let error = refused(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(error, LeafError::IsAuthority);
    // Without the extension cA is false.
    accepted(|params| params.is_ca = IsCa::NoCa);
}

#[test]
fn rule_19_key_usage() {
    let usage = |usages: &[KeyUsagePurpose]| {
        let usages = usages.to_vec();
        refused(move |params| params.key_usages = usages)
    };
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyCertSign, KeyEncipherment};
    assert_eq!(usage(&[]), LeafError::NoKeyUsage);
    assert_eq!(usage(&[KeyEncipherment]), LeafError::NoDigitalSignature);
    assert_eq!(usage(&[DigitalSignature, KeyCertSign]), LeafError::CertSign);
    assert_eq!(usage(&[DigitalSignature, CrlSign]), LeafError::CrlSign);
    accepted(|params| params.key_usages = vec![DigitalSignature, KeyEncipherment]);
    // Not marked critical: asked of issuers, not of verifiers.
    accepted(|params| {
        params.key_usages.clear();
        let bits = extension(&[2, 5, 29, 15], false, &[3, 2, 7, 0x80]);
        params.custom_extensions.push(bits);
    });
}

#[test]
fn rule_19_extended_key_usage_names_both_ends_where_it_is_there() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, ServerAuth};
    let usage = |purposes: &[ExtendedKeyUsagePurpose]| {
        let purposes = purposes.to_vec();
        refused(move |params| params.extended_key_usages = purposes)
    };
    assert_eq!(usage(&[ServerAuth]), LeafError::NoClientAuth);
    assert_eq!(usage(&[ClientAuth]), LeafError::NoServerAuth);
    assert_eq!(usage(&[Any]), LeafError::NoServerAuth);
    accepted(|params| params.extended_key_usages.clear());
    accepted(|params| params.extended_key_usages = vec![CodeSigning, ClientAuth, ServerAuth]);
}

#[test]
fn every_clause_has_a_code_of_its_own() {
    let errors = [
        LeafError::Version,
        LeafError::TooManyNames(257),
        LeafError::NoUri,
        LeafError::ManyUris(2),
        LeafError::UriNotAscii,
        LeafError::Id(IdError::NoPath),
        LeafError::IsAuthority,
        LeafError::NoKeyUsage,
        LeafError::NoDigitalSignature,
        LeafError::CertSign,
        LeafError::CrlSign,
        LeafError::NoServerAuth,
        LeafError::NoClientAuth,
        LeafError::Certificate(CertError::TooLong),
    ];
    let codes: std::collections::BTreeSet<_> = errors.iter().map(LeafError::code).collect();
    assert_eq!(codes.len(), errors.len());
    assert_eq!(
        ProveError::Leaf(LeafError::NoUri).code(),
        LeafError::NoUri.code()
    );
}
