//! Hostile bytes: nothing panics, nothing is proved, and another parser sees the same name (rule 31).
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

use std::sync::LazyLock;

use common::{Ca, ID, NOW, domain, prover};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rustls_pki_types::CertificateDer;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use ztl_mtls::{Leaf, Prover, Purpose, TrustBundle, X509Svid, provider};

struct Honest {
    prover: Prover,
    leaf: CertificateDer<'static>,
    middle: CertificateDer<'static>,
    root: CertificateDer<'static>,
    key: Vec<u8>,
}

static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let root = Ca::new("root");
    let middle = root.intermediate("middle", |_| {});
    let leaf = middle.leaf(|_| {});
    Honest {
        prover: prover([root.bundle("a.test")]),
        leaf: leaf.der,
        middle: middle.der,
        root: root.der,
        key: leaf.key.serialize_der(),
    }
});

#[derive(Clone, Debug)]
enum Edit {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Copy(Index, Index, usize),
    Cut(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (at(), 0..8u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        (at(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (at(), 1..16usize).prop_map(|(at, count)| Edit::Remove(at, count)),
        (at(), at(), 1..32usize).prop_map(|(from, to, count)| Edit::Copy(from, to, count)),
        at().prop_map(Edit::Cut),
    ]
}

fn apply(edits: &[Edit], honest: &[u8]) -> Vec<u8> {
    let mut der = honest.to_vec();
    for edit in edits {
        if der.is_empty() {
            break;
        }
        let place = |at: &Index| at.index(der.len());
        match edit {
            Edit::Set(at, byte) => {
                let at = place(at);
                der[at] = *byte;
            }
            Edit::Flip(at, bit) => {
                let at = place(at);
                der[at] ^= 1 << bit;
            }
            Edit::Insert(at, bytes) => {
                let at = place(at);
                der.splice(at..at, bytes.iter().copied());
            }
            Edit::Remove(at, count) => {
                let at = place(at);
                let end = der.len().min(at + count);
                der.drain(at..end);
            }
            Edit::Copy(from, to, count) => {
                let (from, to) = (place(from), place(to));
                let end = der.len().min(from + count);
                let piece = der[from..end].to_vec();
                der.splice(to..to, piece);
            }
            Edit::Cut(at) => {
                let at = place(at);
                der.truncate(at);
            }
        }
    }
    der
}

/// What x509-cert thinks that the URI names are.
fn uris(der: &[u8]) -> Option<Vec<String>> {
    let cert = x509_cert::Certificate::from_der(der).ok()?;
    let (_, names) = cert
        .tbs_certificate()
        .get_extension::<SubjectAltName>()
        .ok()??;
    let uri = |name: &GeneralName| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
        _ => None,
    };
    Some(names.0.iter().filter_map(uri).collect())
}

/// Everything that reads certificates, given this one.
fn read_everywhere(der: &[u8]) {
    let certificate = CertificateDer::from(der.to_vec());
    if let Ok(leaf) = Leaf::read(der)
        && let Some(uris) = uris(der)
    {
        assert_eq!(uris, [leaf.id().as_str()], "two parsers, two identities");
    }
    let _ = TrustBundle::from_der(domain("a.test"), [certificate.clone()]);
    let _ = TrustBundle::from_pem(domain("a.test"), der);
    let _ = X509Svid::from_der(der, &HONEST.key, &provider());
    let _ = X509Svid::from_pem(der, der, &provider());
    for purpose in [Purpose::Client, Purpose::Server] {
        let as_leaf = [certificate.clone(), HONEST.middle.clone()];
        if let Ok(peer) = HONEST.prover.prove(&as_leaf, NOW, purpose) {
            assert_eq!(der, &*HONEST.leaf, "a forged leaf proves {peer:?}");
        }
        let as_issuer = [HONEST.leaf.clone(), certificate.clone()];
        if let Ok(peer) = HONEST.prover.prove(&as_issuer, NOW, purpose) {
            assert_eq!(peer.id().as_str(), ID);
            assert_eq!(der, &*HONEST.middle, "a forged issuer vouches for {peer:?}");
        }
    }
}

#[test]
fn the_honest_chain_is_proved() {
    read_everywhere(&HONEST.leaf);
    let chain = [HONEST.leaf.clone(), HONEST.middle.clone()];
    assert!(HONEST.prover.prove(&chain, NOW, Purpose::Client).is_ok());
    assert_eq!(uris(&HONEST.leaf), Some(vec![ID.to_owned()]));
}

#[test]
fn rule_31_every_single_byte_of_a_leaf_is_signed() {
    let honest = HONEST.leaf.to_vec();
    for at in 0..honest.len() {
        let mut der = honest.clone();
        der[at] ^= 0x01;
        let chain = [CertificateDer::from(der), HONEST.middle.clone()];
        assert!(
            HONEST.prover.prove(&chain, NOW, Purpose::Client).is_err(),
            "{at}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn rule_31_a_mutated_leaf_never_panics_and_never_proves(edits in vec(edit(), 1..6)) {
        read_everywhere(&apply(&edits, &HONEST.leaf));
    }

    #[test]
    fn rule_31_a_mutated_issuer_never_panics_and_never_vouches(edits in vec(edit(), 1..6)) {
        read_everywhere(&apply(&edits, &HONEST.middle));
        read_everywhere(&apply(&edits, &HONEST.root));
    }

    #[test]
    fn rule_31_noise_never_panics(der in vec(any::<u8>(), 0..512)) {
        read_everywhere(&der);
    }
}
