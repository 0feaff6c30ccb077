//! Keys and signatures that are too weak, or of a kind that nobody here verifies.
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

use common::{Ca, NOW, ca_params, domain, leaf_params, prover, tlv};
use rcgen::{Issuer, KeyPair, PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls_pki_types::CertificateDer;
use ztl_mtls::{KeyError, Position, ProveError, Purpose, TrustBundle};

/// An RSA key of any form, whose holder signs with whatever comes to mind.
struct Rsa(Vec<u8>);

impl PublicKeyData for Rsa {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

impl SigningKey for Rsa {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(vec![7; 256])
    }
}

/// An RSA key whose modulus has so many bits.
fn rsa(bits: usize) -> Rsa {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] = u8::try_from((1_u16 << ((bits - 1) % 8 + 1)) - 1).expect("octet");
    if modulus[0] & 0x80 != 0 {
        modulus.insert(0, 0);
    }
    let mut numbers = tlv(0x02, &modulus);
    numbers.extend(tlv(0x02, &[1, 0, 1]));
    Rsa(tlv(0x30, &numbers))
}

fn of_leaf(root: &Ca, key: &Rsa) -> Result<(), ProveError> {
    let leaf = leaf_params(common::ID)
        .signed_by(key, &root.issuer)
        .expect("leaf");
    common::prove(root, &[leaf.der()]).map(|_| ())
}

#[test]
fn a_leaf_has_an_rsa_key_of_2048_to_8192_bits() {
    let root = Ca::new("root");
    let refused = |error| {
        Err(ProveError::Key {
            certificate: Position::Leaf,
            error,
        })
    };
    for bits in [512, 1024, 2040, 2047] {
        assert_eq!(
            of_leaf(&root, &rsa(bits)),
            refused(KeyError::RsaShort(bits))
        );
    }
    for bits in [2048, 3072, 4096, 8192] {
        assert_eq!(of_leaf(&root, &rsa(bits)), Ok(()), "{bits}");
    }
    for bits in [8193, 16_384] {
        assert_eq!(of_leaf(&root, &rsa(bits)), refused(KeyError::RsaLong(bits)));
    }
    let error = of_leaf(&root, &rsa(1024)).expect_err("weak");
    assert_eq!(
        (error.code(), error.to_string()),
        (
            "weak_key",
            "the leaf has an RSA key of 1024 bits; at least 2048 are needed".to_owned()
        )
    );
}

#[test]
fn a_key_is_of_a_kind_that_the_provider_verifies_with() {
    const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    const P_256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let root = Ca::new("root");
    let leaf = root.leaf(|_| {}).der;
    // The signature is wrong then, too: a key that nobody verifies with is refused before any signature is checked.
    let with = |from: &[u8], to: &[u8]| {
        let mut der = leaf.to_vec();
        let place = (0..der.len())
            .find(|at| der[*at..].starts_with(from))
            .expect("there");
        der[place..place + to.len()].copy_from_slice(to);
        common::prove(&root, &[&der.into()])
            .map(|_| ())
            .map_err(|error| (error.code(), error.to_string()))
    };
    let refused = |name: &str| {
        let text = format!("the leaf has a key of a kind that is not accepted: {name}");
        Err(("unsupported_key", text))
    };
    let p_192 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1];
    assert_eq!(
        with(P_256, &p_192),
        refused("1.2.840.10045.2.1 with 1.2.840.10045.3.1.1")
    );
    let dsa = [0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1];
    assert_eq!(
        with(EC, &dsa),
        refused("1.2.840.10040.4.1 with 1.2.840.10045.3.1.7")
    );
    for malformed in [vec![], vec![0x30, 0], vec![0x30, 2, 5, 0]] {
        assert_eq!(
            of_leaf(&root, &Rsa(malformed)).map_err(|error| error.code()),
            Err("malformed")
        );
    }
}

#[test]
fn an_intermediate_and_an_authority_have_strong_keys_and_the_error_says_who_has_not() {
    let root = Ca::new("root");
    let weak = |params: rcgen::CertificateParams, bits| Issuer::new(params, rsa(bits));
    let key = KeyPair::generate().expect("key");
    for (bits, error) in [
        (1024, KeyError::RsaShort(1024)),
        (16_384, KeyError::RsaLong(16_384)),
    ] {
        let middle = ca_params("middle")
            .signed_by(&rsa(bits), &root.issuer)
            .expect("middle");
        let leaf = leaf_params(common::ID)
            .signed_by(&key, &weak(ca_params("middle"), bits))
            .expect("leaf");
        assert_eq!(
            common::prove(&root, &[leaf.der(), middle.der()]).map(|_| ()),
            Err(ProveError::Key {
                certificate: Position::Intermediate,
                error: error.clone(),
            })
        );
        // The same key as an authority's, vouched for by the bundle alone.
        let bundle = TrustBundle::from_der(domain("a.test"), [middle.der().clone()]);
        let prover = prover([bundle.expect("bundle")]);
        assert_eq!(
            prover
                .prove(&[leaf.der().clone()], NOW, Purpose::Client)
                .map(|_| ()),
            Err(ProveError::Key {
                certificate: Position::Authority,
                error,
            })
        );
    }
    // A weak authority that nobody of the chain names is no excuse for a wrong signature (rule 25).
    let other = ca_params("other")
        .signed_by(&rsa(1024), &root.issuer)
        .expect("other");
    let forged = Ca::new("root").leaf(|_| {}).der;
    let certificates = [root.der.clone(), other.der().clone()];
    let bundle = TrustBundle::from_der(domain("a.test"), certificates).expect("bundle");
    assert_eq!(
        prover([bundle])
            .prove(&[forged], NOW, Purpose::Client)
            .map(|_| ()),
        Err(ProveError::BadSignature)
    );
}

#[test]
fn sha_1_and_md5_are_no_signatures() {
    const SHA256_WITH_RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
    let root = Ca::new("root");
    let middle = ca_params("middle")
        .signed_by(&rsa(2048), &root.issuer)
        .expect("middle");
    let leaf = leaf_params(common::ID)
        .signed_by(
            &KeyPair::generate().expect("key"),
            &Issuer::new(ca_params("middle"), rsa(2048)),
        )
        .expect("leaf");
    let signed_by = |last: u8| {
        let mut der = leaf.der().to_vec();
        let places: Vec<usize> = (0..der.len())
            .filter(|at| der[*at..].starts_with(SHA256_WITH_RSA))
            .collect();
        assert_eq!(places.len(), 2, "inside and outside");
        for place in places {
            der[place + SHA256_WITH_RSA.len() - 1] = last;
        }
        common::prove(&root, &[&CertificateDer::from(der), middle.der()]).map(|_| ())
    };
    assert_eq!(signed_by(11), Err(ProveError::BadSignature));
    for weak in [5, 4, 2] {
        assert_eq!(signed_by(weak), Err(ProveError::UnsupportedAlgorithm));
    }
}
