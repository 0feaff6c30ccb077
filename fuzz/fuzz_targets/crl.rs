//! Revocation lists: no bytes and no PEM make the reader panic, no list that the issuer did not sign revokes or clears, and a
//! revoked leaf is never proved.

#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use ztl_core::{Timestamp, TrustDomain};
use ztl_mtls::{
    BundleSet, Bundles, CrlSet, Prover, Purpose, RevocationDepth, TrustBundle, UnknownStatus,
};

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

struct World {
    prover: Prover,
    domain: TrustDomain,
    leaf: CertificateDer<'static>,
    /// A list that clears the leaf, one that revokes it, and one that somebody else of the issuer's name signed.
    lists: [Vec<u8>; 3],
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let key = || KeyPair::generate().expect("a key");
    let params = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        params
    };
    let authority = || {
        let mut params = params("root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    };
    let root_key = key();
    let root_der = authority().self_signed(&root_key).expect("a root");
    let root = Issuer::new(authority(), root_key);
    let serial = SerialNumber::from(4711_u64);
    let mut leaf = params("leaf");
    leaf.serial_number = Some(serial.clone());
    leaf.subject_alt_names = vec![SanType::URI(
        "spiffe://prod.example/router".try_into().expect("ASCII"),
    )];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let leaf = leaf.signed_by(&key(), &root).expect("a leaf").der().clone();
    let list = |revoked: Vec<SerialNumber>, by: &Issuer<'_, KeyPair>| {
        let list = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2026, 1, 1),
            next_update: rcgen::date_time_ymd(2027, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .into_iter()
                .map(|serial_number| RevokedCertParams {
                    serial_number,
                    revocation_time: rcgen::date_time_ymd(2026, 1, 1),
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(by).expect("a list").der().to_vec()
    };
    let domain = TrustDomain::parse("prod.example").expect("a trust domain");
    let bundle = TrustBundle::from_der(domain.clone(), [root_der.der().clone()]).expect("a bundle");
    let bundles = Bundles::new(BundleSet::new([bundle]).expect("a set"));
    World {
        prover: Prover::new(bundles, &ztl_mtls::provider()),
        domain,
        leaf,
        lists: [
            list(vec![], &root),
            list(vec![serial.clone()], &root),
            list(vec![serial], &Issuer::new(authority(), key())),
        ],
    }
});

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    lists: Vec<List<'a>>,
    pem: &'a [u8],
    allow: bool,
    leaf_only: bool,
}

#[derive(Arbitrary, Debug)]
enum List<'a> {
    Known(u8),
    Edited(u8, Vec<(u16, u8)>),
    Cut(u8, u16),
    Raw(&'a [u8]),
}

impl List<'_> {
    fn der(&self, world: &World) -> Vec<u8> {
        let known = |which: &u8| world.lists[usize::from(*which) % world.lists.len()].clone();
        match self {
            Self::Known(which) => known(which),
            Self::Edited(which, edits) => {
                let mut der = known(which);
                let len = der.len();
                for (place, byte) in edits.iter().take(8) {
                    der[usize::from(*place) % len] = *byte;
                }
                der
            }
            Self::Cut(which, at) => {
                let mut der = known(which);
                der.truncate(usize::from(*at));
                der
            }
            Self::Raw(der) => der.to_vec(),
        }
    }
}

fuzz_target!(|case: Case<'_>| {
    let world = &*WORLD;
    let pem = CrlSet::from_pem(world.domain.clone(), case.pem);
    assert!(pem.map_or_else(|error| !error.to_string().is_empty(), |set| !set.is_empty()));
    let lists: Vec<_> = case.lists.iter().map(|list| list.der(world)).collect();
    let der = lists
        .iter()
        .map(|der| CertificateRevocationListDer::from(der.as_slice()));
    let set = match CrlSet::from_der(world.domain.clone(), der) {
        Ok(set) => set,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(set.len() <= lists.len());
    let unknown = if case.allow {
        UnknownStatus::Allow
    } else {
        UnknownStatus::Deny
    };
    let depth = if case.leaf_only {
        RevocationDepth::Leaf
    } else {
        RevocationDepth::Chain
    };
    let set = set.with_unknown_status(unknown).with_depth(depth);
    world.prover.revocation().replace_crls(set);
    let prove = || {
        world
            .prover
            .prove(std::slice::from_ref(&world.leaf), NOW, Purpose::Client)
    };
    let (first, second) = (prove(), prove());
    assert_eq!(first, second, "remembered is as proved");
    let [clearing, revoking, _] = world.lists.each_ref().map(|list| lists.contains(list));
    match first {
        Ok(_) => assert!(!revoking && (clearing || case.allow)),
        Err(error) if error.code() == "revoked" => assert!(revoking),
        Err(error) => assert!(!revoking && !clearing && error.is_revocation(), "{error}"),
    }
    world.prover.revocation().remove_crls(&world.domain);
    assert!(prove().is_ok());
});
