//! Chains proved before: what a remembered proof may not outlive (T17).
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

use std::sync::atomic::Ordering;

use common::counting::{CHECKED, alone, counting};
use common::crl::{at, crls, params};
use common::{Ca, ID, NOW, bundles, domain, valid};
use rustls_pki_types::CertificateDer;
use ztl_core::{SpiffeId, Timestamp};
use ztl_mtls::{BundleSet, Bundles, Denied, DenyList, Prover, Purpose};

struct Mesh {
    root: Ca,
    middle: Ca,
    chain: [CertificateDer<'static>; 2],
    bundles: Bundles,
    prover: Prover,
}

impl Mesh {
    fn new() -> Self {
        let root = Ca::new("root");
        let middle = root.intermediate("middle", |_| {});
        let chain = [
            middle.leaf(|params| valid(params, -60, 100)).der,
            middle.der.clone(),
        ];
        let bundles = bundles([root.bundle("a.test")]);
        let prover = Prover::new(bundles.clone(), &counting());
        Self {
            root,
            middle,
            chain,
            bundles,
            prover,
        }
    }

    /// The verdict, and how many signatures it took.
    fn prove_by(
        &self,
        prover: &Prover,
        now: Timestamp,
        purpose: Purpose,
    ) -> (Result<(), &'static str>, usize) {
        let before = CHECKED.load(Ordering::SeqCst);
        let proved = prover
            .prove_chain(&self.chain, now, purpose)
            .map_err(|error| error.code());
        if let Ok(proved) = &proved {
            assert_eq!(proved.generations(), prover.generations());
            assert_eq!(proved.peer().expires_at(), at(100));
        }
        let verdict = proved.map(|_| ());
        (verdict, CHECKED.load(Ordering::SeqCst) - before)
    }

    fn prove(&self) -> (Result<(), &'static str>, usize) {
        self.prove_by(&self.prover, NOW, Purpose::Client)
    }
}

const ANEW: (Result<(), &str>, usize) = (Ok(()), 2);
const REMEMBERED: (Result<(), &str>, usize) = (Ok(()), 0);

#[test]
fn a_returning_chain_costs_no_signature() {
    let _alone = alone();
    let mesh = Mesh::new();
    assert_eq!(mesh.prove(), ANEW);
    assert_eq!(mesh.prove(), REMEMBERED);
    let clone = mesh.prover.clone();
    assert_eq!(
        mesh.prove_by(&clone, NOW, Purpose::Client),
        REMEMBERED,
        "a clone shares it"
    );
    let first = mesh.prover.prove(&mesh.chain, NOW, Purpose::Client);
    let anew = mesh
        .prover
        .clone()
        .with_cache_size(0)
        .prove(&mesh.chain, NOW, Purpose::Client);
    assert_eq!(first, anew, "the very same proof");
    // Opted out.
    let without = mesh.prover.clone().with_cache_size(0);
    for _ in 0..2 {
        assert_eq!(mesh.prove_by(&without, NOW, Purpose::Client), ANEW);
    }
}

#[test]
fn t17_another_purpose_configuration_or_chain_is_another_proof() {
    let _alone = alone();
    let mesh = Mesh::new();
    assert_eq!(mesh.prove(), ANEW);
    assert_eq!(mesh.prove_by(&mesh.prover, NOW, Purpose::Server), ANEW);
    assert_eq!(
        mesh.prove_by(&mesh.prover, NOW, Purpose::Server),
        REMEMBERED
    );
    let other = mesh.prover.clone().with_revocation(Default::default());
    assert_eq!(mesh.prove_by(&other, NOW, Purpose::Client), ANEW);
    // The same bytes, cut elsewhere; one certificate more; one octet different; only the leaf.
    let [leaf, middle] = mesh.chain.clone();
    let mut joined = leaf.to_vec();
    joined.extend(middle.iter());
    let mut flipped = leaf.to_vec();
    *flipped.last_mut().expect("octet") ^= 1;
    for chain in [
        vec![CertificateDer::from(joined)],
        vec![flipped.into(), middle.clone()],
        vec![leaf.clone()],
    ] {
        assert!(mesh.prover.prove(&chain, NOW, Purpose::Client).is_err());
    }
    let before = CHECKED.load(Ordering::SeqCst);
    let longer = [leaf, middle.clone(), middle];
    assert!(mesh.prover.prove(&longer, NOW, Purpose::Client).is_ok());
    assert_eq!(CHECKED.load(Ordering::SeqCst) - before, 2);
}

#[test]
fn t17_expiry_is_judged_of_what_is_remembered() {
    let _alone = alone();
    let mesh = Mesh::new();
    assert_eq!(mesh.prove(), ANEW);
    let by_clock = |offset| mesh.prove_by(&mesh.prover, at(offset), Purpose::Client);
    assert_eq!(by_clock(100), REMEMBERED);
    assert_eq!(by_clock(101).0, Err("expired"));
    assert_eq!(by_clock(-61).0, Err("not_yet_valid"));
    assert_eq!(by_clock(-60), REMEMBERED);
}

#[test]
fn t17_the_deny_list_is_judged_each_time() {
    let _alone = alone();
    let mesh = Mesh::new();
    let revocation = mesh.prover.revocation();
    assert_eq!(mesh.prove(), ANEW);
    let all = [&mesh.chain[0], &mesh.chain[1], &mesh.root.der];
    let certificates = all.into_iter().flat_map(|der| {
        [
            (Denied::key_of(der).expect("key"), "denied_key"),
            (Denied::serial_of(der).expect("serial"), "denied_serial"),
        ]
    });
    let id = Denied::Id(SpiffeId::parse(ID).expect("id"));
    for (denied, code) in certificates.chain([(id, "denied_id")]) {
        revocation.deny(denied.clone());
        assert_eq!(mesh.prove().0, Err(code));
        revocation.undeny(&denied);
        assert_eq!(mesh.prove(), REMEMBERED, "{denied}");
        revocation.swap_deny_list([denied.clone()].into_iter().collect());
        assert_eq!(mesh.prove().0, Err(code));
        revocation.swap_deny_list(DenyList::default());
    }
    // Lists that name others cost no signature either.
    let other = mesh.root.leaf(|_| {}).der;
    revocation.deny(Denied::key_of(&other).expect("key"));
    revocation.deny(Denied::serial_of(&other).expect("serial"));
    assert_eq!(mesh.prove(), REMEMBERED);
}

#[test]
fn t17_a_change_of_revocation_lists_forgets() {
    let _alone = alone();
    let mesh = Mesh::new();
    let revocation = mesh.prover.revocation();
    assert_eq!(mesh.prove(), ANEW);
    let root = || mesh.root.crl(&[]);
    revocation.replace_crls(crls("a.test", [root(), mesh.middle.crl(&[&mesh.chain[0]])]));
    assert_eq!(mesh.prove().0, Err("revoked"));
    let due = mesh.middle.crl_of(&params(&[], (-60, 50)));
    revocation.replace_crls(crls("a.test", [root(), due]));
    assert_eq!(mesh.prove(), (Ok(()), 4), "two of them of the lists");
    assert_eq!(mesh.prove(), REMEMBERED);
    let by_clock = |offset| mesh.prove_by(&mesh.prover, at(offset), Purpose::Client);
    assert_eq!(by_clock(49), REMEMBERED);
    assert_eq!(by_clock(50).0, Err("crl_expired"));
    revocation.remove_crls(&domain("a.test"));
    assert_eq!(mesh.prove(), ANEW);
}

/// A clock that is set back finds what one that was right would have found then.
#[test]
fn t17_a_list_that_has_not_begun_is_no_reason_of_a_remembered_proof() {
    let _alone = alone();
    let root = Ca::new("root");
    let chain = [root.leaf(|params| valid(params, -1000, 1000)).der];
    let prover = Prover::new(bundles([root.bundle("a.test")]), &counting());
    let list = root.crl_of(&params(&[], (-60, 500)));
    prover.revocation().replace_crls(crls("a.test", [list]));
    let without = prover.clone().with_cache_size(0);
    let code = |prover: &Prover, offset| {
        let proved = prover.prove(&chain, at(offset), Purpose::Client);
        proved.map(|_| ()).map_err(|error| error.code())
    };
    let proved = prover.prove_chain(&chain, NOW, Purpose::Client);
    let proved = proved.expect("proved");
    for (offset, expected) in [
        (0, Ok(())),
        (-120, Ok(())),
        (-121, Err("crl_not_yet_valid")),
        (-1000, Err("crl_not_yet_valid")),
        (-1001, Err("not_yet_valid")),
        (499, Ok(())),
        (500, Err("crl_expired")),
    ] {
        assert_eq!(code(&without, offset), expected, "{offset}");
        assert_eq!(code(&prover, offset), expected, "{offset} remembered");
        let again = prover.prove_again(proved.chain(), at(offset), Purpose::Client);
        let again = again.map(|_| ()).map_err(|error| error.code());
        assert_eq!(again, expected, "{offset} again");
    }
    // Back at its time it is the very same proof, and takes no signature.
    let before = CHECKED.load(Ordering::SeqCst);
    assert_eq!(code(&prover, -120), Ok(()));
    assert_eq!(CHECKED.load(Ordering::SeqCst), before);
    // Nothing of a list that is there no more is left in a path that is judged again.
    let older = root.crl_of(&params(&[], (-900, 500)));
    prover.revocation().replace_crls(crls("a.test", [older]));
    let before = CHECKED.load(Ordering::SeqCst);
    let again = prover.prove_again(proved.chain(), at(-500), Purpose::Client);
    assert!(again.is_ok(), "{again:?}");
    assert_eq!(
        CHECKED.load(Ordering::SeqCst) - before,
        1,
        "that of the list"
    );
}

#[test]
fn rule_27_a_chain_that_was_proved_is_proved_again_by_what_is_in_force() {
    let _alone = alone();
    let mesh = Mesh::new();
    for prover in [mesh.prover.clone(), mesh.prover.clone().with_cache_size(0)] {
        let prove = || prover.prove_chain(&mesh.chain, NOW, Purpose::Client);
        let proved = prove().expect("proved");
        assert!(proved.chain().certificates().eq(mesh.chain.iter().cloned()));
        assert_eq!(
            prove().map(|again| again.chain().clone()),
            Ok(proved.chain().clone())
        );
        let again = |now| prover.prove_again(proved.chain(), now, Purpose::Client);
        assert_eq!(
            again(NOW).map(|again| again.into_peer()).as_ref(),
            Ok(proved.peer()),
            "nothing has changed"
        );
        let late = again(at(101)).map(|_| ()).map_err(|error| error.code());
        assert_eq!(late, Err("expired"));
        mesh.bundles.remove(&domain("a.test"));
        let gone = again(NOW).map(|_| ()).map_err(|error| error.code());
        assert_eq!(gone, Err("unknown_trust_domain"));
        mesh.bundles
            .swap(BundleSet::new([mesh.root.bundle("a.test")]).expect("set"));
        assert_eq!(
            again(NOW).map(|again| again.chain().clone()),
            Ok(proved.chain().clone())
        );
    }
}

#[test]
fn t17_a_change_of_bundles_forgets() {
    let _alone = alone();
    let mesh = Mesh::new();
    assert_eq!(mesh.prove(), ANEW);
    mesh.bundles.remove(&domain("a.test"));
    assert_eq!(mesh.prove().0, Err("unknown_trust_domain"));
    mesh.bundles.replace(Ca::new("root").bundle("a.test"));
    assert_eq!(mesh.prove().0, Err("bad_signature"));
    let set = BundleSet::new([mesh.root.bundle("a.test")]).expect("set");
    mesh.bundles.swap(set);
    assert_eq!(mesh.prove(), ANEW);
    assert_eq!(mesh.prove(), REMEMBERED);
}

#[test]
fn only_successes_enter_and_there_is_an_end_to_them() {
    let _alone = alone();
    let root = Ca::new("root");
    let prover = Prover::new(bundles([root.bundle("a.test")]), &counting()).with_cache_size(8);
    let leaves: Vec<_> = (0..64).map(|_| root.leaf(|_| {}).der).collect();
    let prove = |leaf: &CertificateDer<'static>| {
        let before = CHECKED.load(Ordering::SeqCst);
        let proved = prover.prove(std::slice::from_ref(leaf), NOW, Purpose::Client);
        assert!(proved.is_ok());
        CHECKED.load(Ordering::SeqCst) - before
    };
    for leaf in &leaves {
        assert_eq!((prove(leaf), prove(leaf)), (1, 0));
    }
    let remembered = leaves.iter().rev().filter(|leaf| prove(leaf) == 0).count();
    assert!((1..=8).contains(&remembered), "{remembered}");
    let forged = Ca::new("root").leaf(|_| {}).der;
    let honest = &leaves[0];
    prove(honest);
    for _ in 0..64 {
        assert!(
            prover
                .prove(std::slice::from_ref(&forged), NOW, Purpose::Client)
                .is_err()
        );
    }
    assert_eq!(prove(honest), 0, "what is refused takes no place");
}

#[test]
fn a_chain_that_is_too_long_is_proved_and_not_remembered() {
    let _alone = alone();
    let root = Ca::new("root");
    let long = root
        .leaf(|params| {
            let filler = common::extension(&[1, 3, 6, 1, 4, 1, 9], false, &vec![0; 17_000]);
            params.custom_extensions = vec![filler];
        })
        .der;
    let prover = Prover::new(bundles([root.bundle("a.test")]), &counting());
    for _ in 0..2 {
        let before = CHECKED.load(Ordering::SeqCst);
        let proved = prover.prove(std::slice::from_ref(&long), NOW, Purpose::Client);
        assert!(proved.is_ok());
        assert_eq!(CHECKED.load(Ordering::SeqCst) - before, 1);
    }
}
