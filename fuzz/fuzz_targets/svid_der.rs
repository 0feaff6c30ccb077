//! Certificates: no chain makes the prover panic, and only what the authority signed proves anybody (rules 16 to 20 and 31).

#![no_main]

use core::time::Duration;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::CertificateDer;
use ztl_core::{Proof, SpiffeId, Timestamp, TrustDomain};
use ztl_mtls::{
    BundleSet, Bundles, DevCa, FileKeys, Leaf, MAX_CHAIN, Prover, Purpose, TrustBundle, X509Svid,
};

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

struct World {
    prover: Prover,
    authority: Vec<u8>,
    leaf: Vec<u8>,
}

/// An authority that no other run has: what a corpus holds of another one proves nobody.
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let provider = ztl_mtls::provider();
    let domain = TrustDomain::parse("prod.example").expect("a trust domain");
    let authority = DevCa::new(domain, NOW).expect("an authority");
    let id = SpiffeId::parse("spiffe://prod.example/ns/agents/sa/router").expect("an id");
    let lifetime = Duration::from_secs(3600);
    let issued = authority
        .issue(&id, NOW, lifetime, &provider)
        .expect("an SVID");
    let bundle = authority.bundle();
    World {
        authority: bundle.certificates()[0].to_vec(),
        leaf: issued.svid.chain()[0].to_vec(),
        prover: Prover::new(
            Bundles::new(BundleSet::new([bundle]).expect("a set")),
            &provider,
        )
        .allow_dev_authority(),
    }
});

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    chain: Vec<Certificate<'a>>,
    server: bool,
    /// Seconds from the time of issue.
    at: i16,
    pem: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Certificate<'a> {
    Raw(&'a [u8]),
    Leaf(Vec<Edit>),
    Authority(Vec<Edit>),
}

#[derive(Arbitrary, Debug)]
enum Edit {
    Set(u16, u8),
    Remove(u16),
    Insert(u16, u8),
    Cut(u16),
}

impl Certificate<'_> {
    fn der(&self, world: &World) -> Vec<u8> {
        let (mut der, edits) = match self {
            Self::Raw(der) => return der.to_vec(),
            Self::Leaf(edits) => (world.leaf.clone(), edits),
            Self::Authority(edits) => (world.authority.clone(), edits),
        };
        for edit in edits.iter().take(8) {
            let len = der.len();
            let at = |place: &u16| usize::from(*place) % len.max(1);
            match edit {
                _ if len == 0 => {}
                Edit::Set(place, byte) => der[at(place)] = *byte,
                Edit::Remove(place) => drop(der.remove(at(place))),
                Edit::Insert(place, byte) => der.insert(at(place), *byte),
                Edit::Cut(place) => der.truncate(at(place)),
            }
        }
        der
    }
}

fuzz_target!(|case: Case<'_>| {
    let world = &*WORLD;
    let chain: Vec<_> = case
        .chain
        .iter()
        .take(MAX_CHAIN + 4)
        .map(|certificate| CertificateDer::from(certificate.der(world)))
        .collect();
    let now = Timestamp::from_unix_secs(NOW.as_unix_secs().saturating_add_signed(case.at.into()));
    let purpose = if case.server {
        Purpose::Server
    } else {
        Purpose::Client
    };
    match world.prover.prove(&chain, now, purpose) {
        Ok(peer) => {
            assert_eq!(
                chain[0].as_ref(),
                world.leaf,
                "only the one leaf that was signed proves"
            );
            assert!(chain.len() <= MAX_CHAIN);
            assert_eq!(peer.id().path(), "/ns/agents/sa/router");
            assert!(matches!(peer.proof(), Proof::X509 { .. }));
            assert!(now <= peer.expires_at(), "proved after its end");
        }
        Err(error) => assert!(!error.code().is_empty() && !error.to_string().is_empty()),
    }
    for der in &chain {
        if let Ok(leaf) = Leaf::read(der) {
            assert!(!leaf.id().path().is_empty());
            assert_eq!(SpiffeId::parse(leaf.id().as_str()).as_ref(), Ok(leaf.id()));
        }
    }
    let domain = TrustDomain::parse("prod.example").expect("a trust domain");
    let bundle = TrustBundle::from_pem(domain, case.pem);
    assert!(bundle.is_err() || bundle.is_ok_and(|bundle| !bundle.is_empty()));
    assert!(X509Svid::from_pem(case.pem, case.pem, &ztl_mtls::provider()).is_err());
    // Whatever keys stand there, nobody signed with them.
    if let Ok(keys) = FileKeys::from_pem(case.pem, &ztl_mtls::provider()) {
        assert!(keys.verify(b"schema = 1", case.pem).is_err());
    }
});
