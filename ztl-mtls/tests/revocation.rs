//! Revocation lists: what they revoke, and what follows where they say nothing.
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

use common::crl::{List, at, crls, params, point};
use common::{Ca, NOW, domain, prover};
use rcgen::{CrlDistributionPoint, CrlScope, KeyUsagePurpose};
use rustls_pki_types::CertificateDer;
use ztl_core::Timestamp;
use ztl_mtls::{
    CrlSet, Position, ProveError, Prover, Purpose, Revocation, RevocationDepth, Unknown,
    UnknownStatus,
};

/// A root, an intermediate and a leaf.
struct Mesh {
    root: Ca,
    middle: Ca,
    chain: [CertificateDer<'static>; 2],
    prover: Prover,
}

impl Mesh {
    fn new() -> Self {
        let root = Ca::new("root");
        let middle = root.intermediate("middle", |_| {});
        let chain = [middle.leaf(|_| {}).der, middle.der.clone()];
        let prover = prover([root.bundle("a.test")]);
        Self {
            root,
            middle,
            chain,
            prover,
        }
    }

    fn prove_at(&self, now: Timestamp) -> Result<(), ProveError> {
        self.prover
            .prove(&self.chain, now, Purpose::Client)
            .map(|_| ())
    }

    fn with(&self, set: CrlSet) -> Result<(), ProveError> {
        self.prover.revocation().replace_crls(set);
        self.prove_at(NOW)
    }

    fn lists(&self, lists: impl IntoIterator<Item = List>) -> Result<(), ProveError> {
        self.with(crls("a.test", lists))
    }
}

#[test]
fn t25_a_leaf_and_an_intermediate_that_their_issuers_revoked_prove_nothing() {
    let mesh = Mesh::new();
    let [leaf, middle] = &mesh.chain;
    let clean = || [mesh.root.crl(&[]), mesh.middle.crl(&[])];
    assert_eq!(mesh.lists(clean()), Ok(()));
    let error = mesh
        .lists([mesh.root.crl(&[]), mesh.middle.crl(&[leaf])])
        .expect_err("revoked");
    assert!(
        matches!(
            &error,
            ProveError::Revoked {
                certificate: Position::Leaf,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!((error.code(), error.is_revocation()), ("revoked", true));
    let error = mesh
        .lists([mesh.root.crl(&[middle]), mesh.middle.crl(&[])])
        .expect_err("revoked");
    assert!(
        matches!(
            &error,
            ProveError::Revoked {
                certificate: Position::Intermediate,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(mesh.lists(clean()), Ok(()));
    // The serial number of another issuer's certificate is another certificate (T25).
    let crossed = [mesh.root.crl(&[leaf]), mesh.middle.crl(&[middle])];
    assert_eq!(mesh.lists(crossed), Ok(()));
}

#[test]
fn t25_an_unknown_status_is_refused_unless_the_opposite_is_written() {
    let mesh = Mesh::new();
    let unknown = |certificate, why| Err(ProveError::RevocationUnknown { certificate, why });
    assert_eq!(mesh.prove_at(NOW), Ok(()), "no lists are asked for");
    assert_eq!(mesh.lists([]), unknown(Position::Leaf, Unknown::NoCrl));
    assert_eq!(
        mesh.lists([mesh.middle.crl(&[])]),
        unknown(Position::Intermediate, Unknown::NoCrl)
    );
    let leaf_only = crls("a.test", [mesh.middle.crl(&[])]).with_depth(RevocationDepth::Leaf);
    assert_eq!(mesh.with(leaf_only), Ok(()));
    let leaf_only = crls("a.test", [mesh.root.crl(&[])]).with_depth(RevocationDepth::Leaf);
    assert_eq!(
        mesh.with(leaf_only),
        unknown(Position::Leaf, Unknown::NoCrl)
    );
    let allow = |lists: Vec<List>| crls("a.test", lists).with_unknown_status(UnknownStatus::Allow);
    assert_eq!(mesh.with(allow(vec![])), Ok(()));
    assert_eq!(
        mesh.with(allow(vec![mesh.root.crl(&[&mesh.chain[1]])]))
            .map_err(|error| error.code()),
        Err("revoked"),
        "what is known counts all the same"
    );
    mesh.prover.revocation().remove_crls(&domain("a.test"));
    assert_eq!(mesh.prove_at(NOW), Ok(()));
}

#[test]
fn t25_a_list_from_the_future_is_unknown_status_and_still_revokes() {
    let mesh = Mesh::new();
    let made = |at| mesh.middle.crl_of(&params(&[], (at, 3600)));
    let root = || mesh.root.crl(&[]);
    // Clocks differ by some seconds.
    assert_eq!(mesh.lists([root(), made(60)]), Ok(()));
    assert_eq!(
        mesh.lists([root(), made(61)]),
        Err(ProveError::RevocationUnknown {
            certificate: Position::Leaf,
            why: Unknown::NotYetValid {
                this_update: at(61),
                now: NOW,
            },
        })
    );
    assert_eq!(
        mesh.prove_at(NOW).map_err(|error| error.code()),
        Err("crl_not_yet_valid")
    );
    // Once it has begun, and beside one that has.
    assert_eq!(mesh.prove_at(at(1)), Ok(()));
    assert_eq!(mesh.lists([made(61), root(), made(-60)]), Ok(()));
    assert_eq!(mesh.lists([made(-60), root(), made(61)]), Ok(()));
    let allow = crls("a.test", [made(61)]).with_unknown_status(UnknownStatus::Allow);
    assert_eq!(mesh.with(allow), Ok(()));
    // What it names is revoked all the same.
    let naming = mesh.middle.crl_of(&params(&[&mesh.chain[0]], (61, 3600)));
    assert_eq!(
        mesh.lists([made(-60), root(), naming])
            .map_err(|error| error.code()),
        Err("revoked")
    );
}

#[test]
fn t25_an_overdue_list_is_unknown_status_and_still_revokes() {
    let mesh = Mesh::new();
    let due = |next| mesh.middle.crl_of(&params(&[], (-100, next)));
    let root = || mesh.root.crl(&[]);
    assert_eq!(mesh.lists([root(), due(50)]), Ok(()));
    assert_eq!(mesh.prove_at(at(49)), Ok(()));
    let expired = |now| {
        Err(ProveError::RevocationUnknown {
            certificate: Position::Leaf,
            why: Unknown::Expired {
                next_update: at(50),
                now,
            },
        })
    };
    assert_eq!(mesh.prove_at(at(50)), expired(at(50)));
    assert_eq!(
        mesh.prove_at(at(50)).map_err(|error| error.code()),
        Err("crl_expired")
    );
    // A newer list beside it takes its place, in any order.
    assert_eq!(mesh.lists([due(-50), root(), due(50)]), Ok(()));
    assert_eq!(mesh.lists([due(50), root(), due(-50)]), Ok(()));
    let allow = crls("a.test", [due(-50)]).with_unknown_status(UnknownStatus::Allow);
    assert_eq!(mesh.with(allow), Ok(()));
    let old = mesh.middle.crl_of(&params(&[&mesh.chain[0]], (-100, -50)));
    for other in [due(50), due(-50)] {
        assert_eq!(
            mesh.lists([other, root(), old.clone()])
                .map_err(|error| error.code()),
            Err("revoked")
        );
    }
}

#[test]
fn a_list_counts_only_if_the_issuers_own_key_signed_it() {
    let mesh = Mesh::new();
    let root = || mesh.root.crl(&[]);
    let leaf = &mesh.chain[0];
    // Somebody else, who bears the issuer's name.
    let forger = Ca::new("middle");
    for unknown in [UnknownStatus::Deny, UnknownStatus::Allow] {
        for list in [forger.crl(&[]), forger.crl(&[leaf])] {
            let set = crls("a.test", [root(), list]).with_unknown_status(unknown);
            assert_eq!(
                mesh.with(set),
                Err(ProveError::CrlSignature {
                    certificate: Position::Leaf
                })
            );
        }
    }
    // It neither revokes nor clears beside the issuer's own.
    let own = || mesh.middle.crl(&[]);
    assert_eq!(mesh.lists([root(), forger.crl(&[leaf]), own()]), Ok(()));
    let revoking = mesh.middle.crl(&[leaf]);
    assert_eq!(
        mesh.lists([root(), forger.crl(&[]), revoking])
            .map_err(|error| error.code()),
        Err("revoked")
    );
    // A damaged signature.
    let mut damaged = own().to_vec();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    assert_eq!(
        mesh.lists([root(), damaged.into()])
            .map_err(|error| error.code()),
        Err("crl_bad_signature")
    );
}

#[test]
fn authorities_of_one_name_have_each_a_list() {
    // As SPIRE rotates: a new key under the old name, both in the bundle.
    let (old, new) = (Ca::new("same"), Ca::new("same"));
    let bundle =
        ztl_mtls::TrustBundle::from_der(domain("a.test"), [old.der.clone(), new.der.clone()]);
    let prover = prover([bundle.expect("bundle")]);
    let (by_old, by_new) = (old.leaf(|_| {}).der, new.leaf(|_| {}).der);
    let code = |leaf: &CertificateDer<'static>| {
        prover
            .prove(std::slice::from_ref(leaf), NOW, Purpose::Client)
            .map_err(|error| error.code())
            .map(|_| ())
    };
    let lists = crls("a.test", [old.crl(&[]), new.crl(&[&by_new])]);
    prover.revocation().replace_crls(lists);
    assert_eq!((code(&by_old), code(&by_new)), (Ok(()), Err("revoked")));
}

#[test]
fn rule_20_lists_of_another_trust_domain_say_nothing() {
    let (a, b) = (Ca::new("same name"), Ca::new("same name"));
    let prover = prover([a.bundle("a.test"), b.bundle("b.test")]);
    let leaf = a.leaf(|_| {}).der;
    let prove = || {
        prover
            .prove(std::slice::from_ref(&leaf), NOW, Purpose::Client)
            .map_err(|error| error.code())
            .map(|_| ())
    };
    // Even signed by the right key: whoever may put lists in for b.test says nothing of a.test.
    let revoking = crls("b.test", [b.crl(&[&leaf]), a.crl(&[&leaf])]);
    prover.revocation().replace_crls(revoking);
    assert_eq!(prove(), Ok(()));
    prover
        .revocation()
        .replace_crls(crls("a.test", [b.crl(&[])]));
    assert_eq!(prove(), Err("crl_bad_signature"));
}

#[test]
fn an_issuer_that_may_not_sign_lists_signs_none() {
    let mesh = Mesh::new();
    // The same keys, certified without cRLSign; rcgen signs with whatever it is told.
    let bare = mesh.root.intermediate("bare", |params| {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    let leaf = bare.leaf(|_| {}).der;
    let mut may = common::ca_params("bare");
    may.key_usages = vec![KeyUsagePurpose::CrlSign];
    let key = rcgen::KeyPair::try_from(bare.issuer.key().serialize_der().as_slice()).expect("key");
    let signer = rcgen::Issuer::new(may, key);
    let list: List = params(&[], common::crl::FRESH)
        .signed_by(&signer)
        .expect("list")
        .into();
    mesh.prover
        .revocation()
        .replace_crls(crls("a.test", [mesh.root.crl(&[]), list]));
    assert_eq!(
        mesh.prover
            .prove(&[leaf, bare.der.clone()], NOW, Purpose::Client)
            .map(|_| ()),
        Err(ProveError::CrlSigner {
            certificate: Position::Leaf
        })
    );
}

#[test]
fn an_authority_that_may_not_sign_lists_signs_none() {
    let root = Ca::with("root", |params| {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    let leaf = root.leaf(|_| {}).der;
    let key = rcgen::KeyPair::try_from(root.issuer.key().serialize_der().as_slice()).expect("key");
    let signer = rcgen::Issuer::new(common::ca_params("root"), key);
    let list: List = params(&[], common::crl::FRESH)
        .signed_by(&signer)
        .expect("list")
        .into();
    let prover = prover([root.bundle("a.test")]);
    prover.revocation().replace_crls(crls("a.test", [list]));
    assert_eq!(
        prover.prove(&[leaf], NOW, Purpose::Client).map(|_| ()),
        Err(ProveError::CrlSigner {
            certificate: Position::Leaf
        })
    );
}

#[test]
fn a_list_of_one_distribution_point_covers_who_names_it() {
    let root = Ca::new("root");
    let named = |uri: &str| {
        root.leaf(|params| {
            params.crl_distribution_points = vec![CrlDistributionPoint {
                uris: vec!["http://other".to_owned(), uri.to_owned()],
            }];
        })
        .der
    };
    let (one, two, none) = (
        named("http://one"),
        named("http://two"),
        root.leaf(|_| {}).der,
    );
    let prover = prover([root.bundle("a.test")]);
    let code = |leaf: &CertificateDer<'static>| {
        prover
            .prove(std::slice::from_ref(leaf), NOW, Purpose::Client)
            .map_err(|error| error.code())
            .map(|_| ())
    };
    let put = |scope, revoked: &[&CertificateDer<'_>]| {
        let mut params = params(revoked, common::crl::FRESH);
        params.issuing_distribution_point = Some(point("http://one", scope));
        prover
            .revocation()
            .replace_crls(crls("a.test", [root.crl_of(&params)]));
    };
    for scope in [None, Some(CrlScope::UserCertsOnly)] {
        put(scope, &[]);
        assert_eq!(code(&one), Ok(()));
        assert_eq!(code(&two), Err("revocation_unknown"));
        assert_eq!(code(&none), Err("revocation_unknown"));
    }
    put(Some(CrlScope::CaCertsOnly), &[]);
    assert_eq!(code(&one), Err("revocation_unknown"));
    // What a list names is revoked, whatever it says it is about.
    put(Some(CrlScope::CaCertsOnly), &[&one, &two]);
    assert_eq!((code(&one), code(&two)), (Err("revoked"), Err("revoked")));
}

#[test]
fn rule_27_a_change_is_a_generation_and_clones_see_it() {
    let mesh = Mesh::new();
    let held = Revocation::new();
    let prover = mesh.prover.clone().with_revocation(held.clone());
    let proved = prover
        .prove_chain(&mesh.chain, NOW, Purpose::Client)
        .expect("proved");
    assert_eq!(proved.generations(), prover.generations());
    assert_eq!(proved.holds_until(), at(3600));
    held.replace_crls(crls("a.test", [mesh.root.crl(&[]), mesh.middle.crl(&[])]));
    assert_ne!(proved.generations(), prover.generations());
    assert_eq!((held.generation(), prover.generations().revocation), (1, 1));
    let proved = prover
        .prove_chain(&mesh.chain, NOW, Purpose::Client)
        .expect("proved");
    assert_eq!(
        proved.holds_until(),
        at(3599),
        "the lists are overdue at 3600"
    );
    assert_eq!(proved.peer().expires_at(), at(3600));
    prover.bundles().remove(&domain("a.test"));
    assert_eq!(prover.generations().bundles, 1);
    assert_eq!(mesh.prover.revocation().generation(), 0, "another holder");
}
