//! Chains of several certificates, honest ones, edited ones and noise, in any order: no panic, no search without end, and a proof
//! only where the honest path is there. What is remembered never widens it (T17).

#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use ztl_core::{Timestamp, TrustDomain};
use ztl_mtls::{BundleSet, Bundles, Denied, MAX_CHAIN, Prover, Purpose, TrustBundle};

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

struct World {
    remembering: Prover,
    forgetting: Prover,
    /// Leaf, its issuer, the issuer's issuer, and an authority of the same name that nobody trusts with its intermediate.
    known: Vec<CertificateDer<'static>>,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let key = || KeyPair::generate().expect("a key");
    let root_key = key();
    let root_der = authority("root").self_signed(&root_key).expect("a root");
    let root = Issuer::new(authority("root"), root_key);
    let below = |issuer: &Issuer<'_, KeyPair>, name| {
        let key = key();
        let der = authority(name).signed_by(&key, issuer).expect("an issuer");
        (der.der().clone(), Issuer::new(authority(name), key))
    };
    let (high_der, high) = below(&root, "same");
    let (low_der, low) = below(&high, "same");
    let (evil_der, _) = below(&Issuer::new(authority("root"), key()), "same");
    let mut leaf = params("leaf");
    leaf.subject_alt_names = vec![SanType::URI(
        "spiffe://prod.example/router".try_into().expect("ASCII"),
    )];
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let leaf = leaf.signed_by(&key(), &low).expect("a leaf").der().clone();
    let domain = TrustDomain::parse("prod.example").expect("a trust domain");
    let bundle = TrustBundle::from_der(domain, [root_der.der().clone()]).expect("a bundle");
    let bundles = Bundles::new(BundleSet::new([bundle]).expect("a set"));
    let remembering = Prover::new(bundles, &ztl_mtls::provider()).with_cache_size(16);
    World {
        forgetting: remembering.clone().with_cache_size(0),
        remembering,
        known: vec![leaf, low_der, high_der, root_der.der().clone(), evil_der],
    }
});

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    chain: Vec<Certificate<'a>>,
    /// Seconds from the time of issue.
    at: i32,
    server: bool,
    denied: Option<u8>,
}

#[derive(Arbitrary, Debug)]
enum Certificate<'a> {
    Known(u8),
    Edited(u8, u16, u8),
    Raw(&'a [u8]),
}

impl Certificate<'_> {
    fn der(&self, world: &World) -> CertificateDer<'static> {
        let known = |which: &u8| &world.known[usize::from(*which) % world.known.len()];
        match self {
            Self::Known(which) => known(which).clone(),
            Self::Edited(which, place, byte) => {
                let mut der = known(which).to_vec();
                let len = der.len();
                der[usize::from(*place) % len] = *byte;
                der.into()
            }
            Self::Raw(der) => CertificateDer::from(der.to_vec()),
        }
    }
}

fuzz_target!(|case: Case<'_>| {
    let world = &*WORLD;
    let chain: Vec<_> = case
        .chain
        .iter()
        .take(MAX_CHAIN + 2)
        .map(|certificate| certificate.der(world))
        .collect();
    let now = Timestamp::from_unix_secs(NOW.as_unix_secs().saturating_add_signed(case.at.into()));
    let purpose = if case.server {
        Purpose::Server
    } else {
        Purpose::Client
    };
    let prove = |prover: &Prover| {
        prover
            .prove(&chain, now, purpose)
            .map_err(|error| (error.code(), error.to_string()))
    };
    let (first, second) = (prove(&world.remembering), prove(&world.remembering));
    assert_eq!(first, second);
    assert_eq!(first, prove(&world.forgetting), "remembered is as proved");
    if let Ok(peer) = &first {
        assert_eq!(chain[0], world.known[0]);
        assert!(chain.contains(&world.known[1]) && chain.contains(&world.known[2]));
        assert_eq!(peer.id().as_str(), "spiffe://prod.example/router");
        assert!(now.as_unix_secs() <= peer.expires_at().as_unix_secs());
    }
    let denied = case
        .denied
        .and_then(|which| world.known.get(usize::from(which)))
        .map(|der| Denied::serial_of(der).expect("a serial number"));
    if let Some(denied) = denied {
        world.remembering.revocation().deny(denied.clone());
        let denied_now = prove(&world.remembering);
        world.remembering.revocation().undeny(&denied);
        assert!(
            denied_now.is_err() || case.denied == Some(4),
            "nothing but the untrusted one is off the path"
        );
    }
    assert_eq!(first, prove(&world.remembering));
});
