//! Authorities of a bundle: what their own certificates constrain, and how many there may be.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod common;

use common::{Ca, NOW, domain, extension, prove, prover, tlv};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls_pki_types::CertificateDer;
use ztl_mtls::{MAX_AUTHORITIES, ProveError, Purpose, TrustBundle};

fn length(most: u8) -> impl Fn(&mut CertificateParams) {
    move |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(most))
}

fn code(root: &Ca, chain: &[&CertificateDer<'static>]) -> Result<(), &'static str> {
    prove(root, chain).map(|_| ()).map_err(|error| error.code())
}

/// RFC 5280 §4.2.1.9. The holder of a certificate that such an authority should not have signed issues nothing.
#[test]
fn an_authority_has_no_more_issuers_below_it_than_it_allows() {
    for (most, refused) in [
        (0, [false, true, true]),
        (1, [false, false, true]),
        (2, [false; 3]),
    ] {
        let root = Ca::with("root", length(most));
        let one = root.intermediate("one", |_| {});
        let two = one.intermediate("two", |_| {});
        let (leaf, first, second) = (root.leaf(|_| {}), one.leaf(|_| {}), two.leaf(|_| {}));
        let chains = [
            vec![&leaf.der],
            vec![&first.der, &one.der],
            vec![&second.der, &two.der, &one.der],
        ];
        for (chain, refused) in chains.iter().zip(refused) {
            let expected = if refused { Err("path_length") } else { Ok(()) };
            assert_eq!(code(&root, chain), expected, "{most}, {}", chain.len());
        }
        // What is sent and is on no path does not count.
        assert_eq!(
            code(&root, &[&leaf.der, &one.der, &two.der]),
            Ok(()),
            "{most}"
        );
    }
}

/// An authority that hands over to another key of its own is one issuer (RFC 5280 §4.2.1.9).
#[test]
fn an_issuer_of_itself_does_not_count() {
    let root = Ca::with("root", length(0));
    let anew = root.intermediate("root", |_| {});
    assert_eq!(code(&root, &[&anew.leaf(|_| {}).der, &anew.der]), Ok(()));
    let below = anew.intermediate("below", |_| {});
    assert_eq!(
        code(&root, &[&below.leaf(|_| {}).der, &below.der, &anew.der]),
        Err("path_length")
    );
}

#[test]
fn of_two_certificates_of_one_key_the_one_that_allows_the_path_is_used() {
    let short = Ca::with("root", length(0));
    let long = common::ca_params("root")
        .self_signed(short.issuer.key())
        .expect("root");
    let middle = short.intermediate("middle", |_| {});
    let chain = [middle.leaf(|_| {}).der, middle.der];
    for both in [
        [short.der.clone(), long.der().clone()],
        [long.der().clone(), short.der.clone()],
    ] {
        let bundle = TrustBundle::from_der(domain("a.test"), both).expect("bundle");
        let proved = prover([bundle]).prove(&chain, NOW, Purpose::Client);
        assert!(proved.is_ok(), "{proved:?}");
    }
}

/// RFC 5280 §4.2.1.12, critical or not, `anyExtendedKeyUsage` naming no end.
#[test]
fn an_authority_vouches_for_the_ends_that_it_names() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, ServerAuth};

    for (purposes, client, server) in [
        (vec![ServerAuth], false, true),
        (vec![CodeSigning, ClientAuth], true, false),
        (vec![ServerAuth, ClientAuth], true, true),
        (vec![CodeSigning], false, false),
        (vec![Any], false, false),
        (vec![], true, true),
    ] {
        let root = Ca::with("root", |params| {
            params.extended_key_usages.clone_from(&purposes)
        });
        let middle = root.intermediate("middle", |_| {});
        let told = root.bundle("a.test").proving_nobody().count();
        assert_eq!(told, usize::from(!client && !server), "{purposes:?}");
        let prover = prover([root.bundle("a.test")]);
        for chain in [
            vec![root.leaf(|_| {}).der],
            vec![middle.leaf(|_| {}).der, middle.der.clone()],
        ] {
            for (end, name, holds) in [
                (Purpose::Client, "client", client),
                (Purpose::Server, "server", server),
            ] {
                let proved = prover.prove(&chain, NOW, end).map(|_| ());
                let expected = if holds {
                    Ok(())
                } else {
                    Err(ProveError::Purpose(name))
                };
                assert_eq!(proved, expected, "{purposes:?}");
            }
        }
    }
    // Of two certificates of one key, one that names an end is enough.
    let any = Ca::with("root", |params| params.extended_key_usages = vec![Any]);
    let both = common::ca_params("root")
        .self_signed(any.issuer.key())
        .expect("root");
    let bundle = [any.der, both.der().clone()];
    let bundle = TrustBundle::from_der(domain("a.test"), bundle).expect("bundle");
    assert_eq!(bundle.proving_nobody().count(), 0);
    let server_only = tlv(0x30, &tlv(6, b"\x2b\x06\x01\x05\x05\x07\x03\x01"));
    let root = Ca::with("root", |params| {
        params.custom_extensions = vec![extension(&[2, 5, 29, 37], true, &server_only)];
    });
    assert_eq!(code(&root, &[&root.leaf(|_| {}).der]), Err("purpose"));
}

/// What is not the DER of these two makes no authority.
#[test]
fn rule_31_constraints_that_cannot_be_read_refuse_the_bundle() {
    let bundle = |oid: &[u64], value: &[u8]| {
        let mut params = common::ca_params("root");
        if oid.ends_with(&[19]) {
            params.is_ca = IsCa::NoCa;
        }
        params.custom_extensions = vec![extension(oid, true, value)];
        let root = params
            .self_signed(&KeyPair::generate().expect("key"))
            .expect("root");
        TrustBundle::from_der(domain("a.test"), [root.der().clone()])
    };
    let basic = |length: &[u8]| tlv(0x30, &[&[1, 1, 0xff][..], &tlv(2, length)].concat());
    assert!(bundle(&[2, 5, 29, 19], &basic(&[0])).is_ok());
    assert!(bundle(&[2, 5, 29, 19], &basic(&[0x80])).is_err());
    assert!(bundle(&[2, 5, 29, 19], &basic(&[0, 0])).is_err());
    assert!(bundle(&[2, 5, 29, 37], &tlv(0x30, &tlv(2, &[1]))).is_err());
}

/// webpki gives a search up after a hundred signatures, and every authority of the issuer's name takes one. SPIRE gives all of its
/// authorities one name.
#[test]
fn as_many_authorities_of_one_name_prove_as_a_bundle_may_hold() {
    let roots: Vec<_> = (0..MAX_AUTHORITIES).map(|_| Ca::new("root")).collect();
    let ders = roots.iter().map(|root| root.der.clone());
    let bundle = TrustBundle::from_der(domain("a.test"), ders).expect("bundle");
    let prover = prover([bundle]);
    let code = |chain: &[CertificateDer<'static>]| {
        let proved = prover.prove(chain, NOW, Purpose::Client);
        proved.map(|_| ()).map_err(|error| error.code())
    };
    for place in [0, 31, 32, 119, MAX_AUTHORITIES - 1] {
        let root = &roots[place];
        assert_eq!(code(&[root.leaf(|_| {}).der]), Ok(()), "{place}");
        // Nor does it matter where an intermediate is called the same, or two stand below.
        let below = root.intermediate("root", |_| {});
        assert_eq!(
            code(&[below.leaf(|_| {}).der, below.der]),
            Ok(()),
            "{place}"
        );
        let outer = root.intermediate("outer", |_| {});
        let inner = outer.intermediate("inner", |_| {});
        let chain = [inner.leaf(|_| {}).der, inner.der, outer.der];
        assert_eq!(code(&chain), Ok(()), "{place}");
    }
    let forged = Ca::new("root").leaf(|_| {}).der;
    assert_eq!(code(&[forged]), Err("bad_signature"));
    let stranger = Ca::new("stranger").leaf(|_| {}).der;
    assert_eq!(code(&[stranger]), Err("unknown_issuer"));
    let short = Ca::with("root", length(0));
    let middle = short.intermediate("middle", |_| {});
    let chain = [middle.leaf(|_| {}).der, middle.der];
    let mut ders: Vec<_> = roots.iter().map(|root| root.der.clone()).collect();
    ders[200] = short.der;
    let bundle = TrustBundle::from_der(domain("a.test"), ders).expect("bundle");
    let proved = common::prover([bundle]).prove(&chain, NOW, Purpose::Client);
    assert_eq!(proved, Err(ProveError::PathLength));
}
