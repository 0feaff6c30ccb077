//! Open connections' chains when something changes: proved again they get the answer that a new handshake gets, without a signature
//! where the path stands (rule 27).
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod common;

use std::sync::atomic::Ordering;

use common::counting::{CHECKED, alone, counting};
use common::crl::{List, at, crls, params};
use common::{Ca, ID, NOW, ca_params, domain, valid};
use rustls_pki_types::CertificateDer;
use ztl_core::{SpiffeId, Timestamp};
use ztl_mtls::{
    BundleSet, Bundles, Denied, ProveError, Proved, Prover, Purpose, Revocation, TrustBundle,
};

/// Who was proved, and until when that holds; or the clause that failed.
type Verdict = Result<(SpiffeId, Timestamp), &'static str>;

fn verdict(proved: Result<Proved, ProveError>) -> Verdict {
    let proved = proved.map_err(|error| error.code())?;
    Ok((proved.peer().id().clone(), proved.holds_until()))
}

/// A root, what it issued, and what else bears its name.
struct Mesh {
    root: Ca,
    upper: Ca,
    lower: Ca,
    chain: Vec<CertificateDer<'static>>,
}

impl Mesh {
    fn new() -> Self {
        let root = Ca::new("root");
        let upper = root.intermediate("upper", |params| valid(params, -60, 500));
        let lower = upper.intermediate("lower", |_| {});
        let leaf = lower.leaf(|params| valid(params, -60, 100)).der;
        // In another order than the path's, which the protocol allows (RFC 8446 §4.4.2).
        let chain = vec![leaf, upper.der.clone(), lower.der.clone()];
        Self {
            root,
            upper,
            lower,
            chain,
        }
    }

    fn lists(&self, revoked: &CertificateDer<'_>) -> [List; 3] {
        [&self.root, &self.upper, &self.lower].map(|ca| ca.crl(&[revoked]))
    }
}

fn holders(authorities: &[&CertificateDer<'static>]) -> (Bundles, Revocation) {
    let (bundles, revocation) = (Bundles::new(BundleSet::default()), Revocation::new());
    put(&bundles, authorities);
    (bundles, revocation)
}

fn put(bundles: &Bundles, authorities: &[&CertificateDer<'static>]) {
    let authorities = authorities.iter().map(|der| (*der).clone());
    let bundle = TrustBundle::from_der(domain("a.test"), authorities);
    bundles.replace(bundle.expect("bundle"));
}

type Change<'a> = Box<dyn Fn(&Bundles, &Revocation) + 'a>;

/// What is changed, what comes out, and how many signatures it may take to say so.
type Case<'a> = (
    &'static str,
    Change<'a>,
    Result<(), &'static str>,
    Option<usize>,
);

#[test]
fn rule_27_proved_again_a_chain_gets_the_answer_of_a_new_handshake() {
    let _alone = alone();
    let mesh = Mesh::new();
    let (other, twin) = (Ca::new("other"), Ca::new("root"));
    let mut reissued = ca_params("root");
    valid(&mut reissued, -60, 50);
    let reissued = reissued.self_signed(mesh.root.issuer.key()).expect("root");
    let [root, other, twin] = [&mesh.root.der, &other.der, &twin.der];
    let reissued = reissued.der();
    let stranger = mesh.root.leaf(|_| {}).der;
    let (leaf, upper, lower) = (&mesh.chain[0], &mesh.chain[1], &mesh.chain[2]);
    let bundle = |authorities: Vec<&CertificateDer<'static>>| -> Change<'_> {
        let authorities: Vec<_> = authorities.into_iter().cloned().collect();
        Box::new(move |bundles, _| put(bundles, &authorities.iter().collect::<Vec<_>>()))
    };
    let deny = |denied: Denied| -> Change<'_> {
        Box::new(move |_, revocation| revocation.deny(denied.clone()))
    };
    let lists = |lists: Vec<List>| -> Change<'_> {
        Box::new(move |_, revocation| revocation.replace_crls(crls("a.test", lists.clone())))
    };
    let revoke = |der: &CertificateDer<'_>| lists(mesh.lists(der).to_vec());
    let due = |ca: &Ca| ca.crl_of(&params(&[], (-60, 40)));
    let overdue = |ca: &Ca| ca.crl_of(&params(&[], (-60, -10)));
    let id = Denied::Id(SpiffeId::parse(ID).expect("id"));
    let key = |der: &CertificateDer<'_>| Denied::key_of(der).expect("key");
    let serial = |der: &CertificateDer<'_>| Denied::serial_of(der).expect("serial");
    let cases: Vec<Case<'_>> = vec![
        ("nothing", Box::new(|_, _| {}), Ok(()), Some(0)),
        (
            "another domain's bundle",
            Box::new(|bundles, _| bundles.replace(TrustBundle::empty(domain("b.test")))),
            Ok(()),
            Some(0),
        ),
        (
            "another authority behind",
            bundle(vec![root, other]),
            Ok(()),
            Some(0),
        ),
        (
            "one of the same name before",
            bundle(vec![twin, root]),
            Ok(()),
            Some(0),
        ),
        ("the same, read anew", bundle(vec![root]), Ok(()), Some(0)),
        // The same key in another certificate is another authority: it is searched, and found.
        (
            "the authority's next certificate",
            bundle(vec![reissued]),
            Ok(()),
            Some(3),
        ),
        (
            "another authority alone",
            bundle(vec![other]),
            Err("unknown_issuer"),
            None,
        ),
        (
            "one of the same name alone",
            bundle(vec![twin]),
            Err("bad_signature"),
            None,
        ),
        ("no authority", bundle(vec![]), Err("empty_bundle"), None),
        (
            "no bundle",
            Box::new(|bundles, _| bundles.remove(&domain("a.test"))),
            Err("unknown_trust_domain"),
            None,
        ),
        (
            "a stranger is denied",
            deny(key(&stranger)),
            Ok(()),
            Some(0),
        ),
        ("its id is denied", deny(id), Err("denied_id"), None),
        (
            "its key is denied",
            deny(key(leaf)),
            Err("denied_key"),
            None,
        ),
        (
            "its number is denied",
            deny(serial(leaf)),
            Err("denied_serial"),
            None,
        ),
        (
            "an intermediate's key is denied",
            deny(key(upper)),
            Err("denied_key"),
            None,
        ),
        (
            "an intermediate's number is denied",
            deny(serial(lower)),
            Err("denied_serial"),
            None,
        ),
        (
            "the authority's key is denied",
            deny(key(root)),
            Err("denied_key"),
            None,
        ),
        // Only the lists' own signatures are checked, once each.
        (
            "lists that name a stranger",
            revoke(&stranger),
            Ok(()),
            Some(3),
        ),
        ("its number is revoked", revoke(leaf), Err("revoked"), None),
        (
            "the lower intermediate is revoked",
            revoke(lower),
            Err("revoked"),
            None,
        ),
        (
            "the upper intermediate is revoked",
            revoke(upper),
            Err("revoked"),
            None,
        ),
        (
            "no list of an issuer",
            lists(vec![mesh.root.crl(&[]), mesh.lower.crl(&[])]),
            Err("revocation_unknown"),
            None,
        ),
        (
            "a list that is due soon",
            lists(vec![
                mesh.root.crl(&[]),
                due(&mesh.upper),
                mesh.lower.crl(&[]),
            ]),
            Ok(()),
            Some(3),
        ),
        (
            "a list that is overdue",
            lists(vec![
                mesh.root.crl(&[]),
                mesh.upper.crl(&[]),
                overdue(&mesh.lower),
            ]),
            Err("crl_expired"),
            None,
        ),
    ];
    for (what, change, expected, signatures) in cases {
        let (bundles, revocation) = holders(&[root]);
        let prover = Prover::new(bundles.clone(), &counting())
            .with_cache_size(0)
            .with_revocation(revocation.clone());
        let first = prover.prove_chain(&mesh.chain, NOW, Purpose::Client);
        let first = first.expect("proved");
        change(&bundles, &revocation);
        let before = CHECKED.load(Ordering::SeqCst);
        let again = prover.prove_again(first.chain(), NOW, Purpose::Client);
        let checked = CHECKED.load(Ordering::SeqCst) - before;
        if let Ok(again) = &again {
            assert_eq!(again.generations(), prover.generations(), "{what}");
        }
        let again = verdict(again);
        assert_eq!(
            again.as_ref().map(|_| ()).map_err(|code| *code),
            expected,
            "{what}"
        );
        assert!(
            signatures.is_none_or(|most| checked == most),
            "{what}: {checked}"
        );
        let new = prover.prove_chain(&mesh.chain, NOW, Purpose::Client);
        assert_eq!(again, verdict(new), "{what}");
        // And at any time, before and after each certificate and list begins and ends.
        for offset in [-86_401, -61, -60, 0, 39, 40, 50, 51, 100, 101, 500, 3600] {
            let again = prover.prove_again(first.chain(), at(offset), Purpose::Client);
            let new = prover.prove_chain(&mesh.chain, at(offset), Purpose::Client);
            assert_eq!(verdict(again), verdict(new), "{what}, at {offset}");
        }
    }
}

#[test]
fn rule_27_a_path_that_held_elsewhere_or_for_another_purpose_is_searched() {
    let _alone = alone();
    let mesh = Mesh::new();
    let clients = mesh.root.intermediate("clients", |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let chain = [clients.leaf(|_| {}).der, clients.der];
    let (bundles, _) = holders(&[&mesh.root.der]);
    let prover = Prover::new(bundles, &counting());
    let proved = prover
        .prove_chain(&chain, NOW, Purpose::Client)
        .expect("proved");
    let server = prover.prove_again(proved.chain(), NOW, Purpose::Server);
    assert_eq!(verdict(server).map(|_| ()), Err("purpose"));
    // A prover that trusts another root, or nobody there, takes nothing over.
    for bundle in [
        Ca::new("root").bundle("a.test"),
        Ca::new("b").bundle("b.test"),
    ] {
        let others = Bundles::new(BundleSet::new([bundle]).expect("set"));
        let other = Prover::new(others, &counting());
        assert!(
            other
                .prove_again(proved.chain(), NOW, Purpose::Client)
                .is_err()
        );
    }
    let none = rustls::crypto::WebPkiSupportedAlgorithms {
        all: &[],
        mapping: &[],
    };
    let mut mute = (*counting()).clone();
    mute.signature_verification_algorithms = none;
    let mute = Prover::new(prover.bundles().clone(), &mute);
    assert!(
        mute.prove_again(proved.chain(), NOW, Purpose::Client)
            .is_err()
    );
    assert!(
        prover
            .prove_again(proved.chain(), NOW, Purpose::Client)
            .is_ok()
    );
}
