//! The path from a leaf to its authority: validity, issuers, constraints, and how long the answer holds.
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

use core::time::Duration;

use common::{Ca, ID, NOW, domain, extension, prove, prover, tlv, valid};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, SanType,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::KeyUsage;
use ztl_core::Timestamp;
use ztl_mtls::{LeafError, Position, ProveError, Purpose, TrustBundle, provider};

fn at(offset: i64) -> Timestamp {
    let now = i64::try_from(NOW.as_unix_secs()).expect("time");
    Timestamp::from_unix_secs(u64::try_from(now + offset).expect("time"))
}

#[test]
fn expired_and_not_yet_valid_are_told_apart_with_their_times() {
    let root = Ca::new("root");
    let chain = [root.leaf(|params| valid(params, 100, 200)).der];
    let prover = prover([root.bundle("a.test")]);
    let prove = |offset| {
        prover
            .prove(&chain, at(offset), Purpose::Client)
            .map(|peer| peer.expires_at())
    };
    assert_eq!(
        prove(99),
        Err(ProveError::NotYetValid {
            certificate: Position::Leaf,
            not_before: at(100),
            now: at(99)
        })
    );
    assert_eq!(prove(100), Ok(at(200)));
    assert_eq!(prove(200), Ok(at(200)));
    assert_eq!(
        prove(201),
        Err(ProveError::Expired {
            certificate: Position::Leaf,
            not_after: at(200),
            now: at(201)
        })
    );
}

#[test]
fn every_certificate_of_the_path_is_judged_by_the_clock_the_authority_included() {
    let root = Ca::with("root", |params| valid(params, -100, 300));
    let middle = root.intermediate("middle", |params| valid(params, -50, 200));
    let chain = [
        middle.leaf(|params| valid(params, -1000, 1000)).der,
        middle.der.clone(),
    ];
    let direct = [root.leaf(|params| valid(params, -1000, 1000)).der];
    let prover = prover([root.bundle("a.test")]);
    let position = |chain: &[CertificateDer<'_>], offset| match prover.prove(
        chain,
        at(offset),
        Purpose::Client,
    ) {
        Err(ProveError::Expired {
            certificate,
            not_after,
            ..
        }) => (certificate, not_after),
        Err(ProveError::NotYetValid {
            certificate,
            not_before,
            ..
        }) => (certificate, not_before),
        other => panic!("{other:?}"),
    };
    assert_eq!(position(&chain, 201), (Position::Intermediate, at(200)));
    assert_eq!(position(&chain, -51), (Position::Intermediate, at(-50)));
    assert_eq!(position(&direct, 301), (Position::Authority, at(300)));
    assert_eq!(position(&direct, -101), (Position::Authority, at(-100)));
}

#[test]
fn a_peer_expires_with_the_first_certificate_of_its_path() {
    let ends = |root, middle, leaf| {
        let root = Ca::with("root", |params| valid(params, -100, root));
        let middle = root.intermediate("middle", |params| valid(params, -100, middle));
        let leaf = middle.leaf(|params| valid(params, -100, leaf));
        prove(&root, &[&leaf.der, &middle.der]).map(|peer| peer.expires_at())
    };
    assert_eq!(ends(3000, 2000, 1000), Ok(at(1000)));
    assert_eq!(ends(3000, 500, 1000), Ok(at(500)));
    assert_eq!(ends(300, 500, 1000), Ok(at(300)));
}

#[test]
fn of_two_roots_with_one_key_the_one_that_holds_is_used() {
    // A root that was issued anew: same name, same key, later end. Both stand in the bundle.
    let old = Ca::with("root", |params| valid(params, -1000, -500));
    let mut params = common::ca_params("root");
    valid(&mut params, -1000, 5000);
    let new = params.self_signed(old.issuer.key()).expect("root");
    let leaf = old.leaf(|_| {});
    let bundle = TrustBundle::from_der(domain("a.test"), [old.der.clone(), new.der().clone()]);
    let prover = prover([bundle.expect("bundle")]);
    let peer = prover.prove(std::slice::from_ref(&leaf.der), NOW, Purpose::Client);
    assert_eq!(peer.map(|peer| peer.expires_at()), Ok(at(3600)));
    assert!(matches!(
        prove(&old, &[&leaf.der]),
        Err(ProveError::Expired {
            certificate: Position::Authority,
            ..
        })
    ));
}

#[test]
fn rule_19_an_issuer_needs_ca_and_key_cert_sign() {
    let root = Ca::new("root");
    let code = |middle: &Ca| {
        prove(&root, &[&middle.leaf(|_| {}).der, &middle.der]).map_err(|error| error.code())
    };
    assert!(code(&root.intermediate("good", |_| {})).is_ok());
    assert_eq!(
        code(&root.intermediate("no ca", |params| params.is_ca = IsCa::ExplicitNoCa)),
        Err("issuer_not_authority")
    );
    assert_eq!(
        code(&root.intermediate("no usage", |params| params.key_usages.clear())),
        Err("issuer_no_cert_sign")
    );
    assert_eq!(
        code(&root.intermediate("crl", |params| params.key_usages =
            vec![KeyUsagePurpose::CrlSign])),
        Err("issuer_no_cert_sign")
    );
}

#[test]
fn rule_19_a_leaf_is_no_issuer() {
    // Whoever holds an SVID signs another with it.
    let root = Ca::new("root");
    let holder = root.leaf(|_| {});
    let issuer = rcgen::Issuer::new(common::leaf_params(ID), holder.key);
    let key = rcgen::KeyPair::generate().expect("key");
    let forged = common::leaf_params("spiffe://a.test/admin")
        .signed_by(&key, &issuer)
        .expect("forged");
    assert_eq!(
        prove(&root, &[forged.der(), &holder.der]),
        Err(ProveError::IssuerNotAuthority)
    );
}

#[test]
fn a_refused_path_does_not_hide_one_that_holds() {
    // The same issuer twice: once without keyCertSign, once with it.
    let root = Ca::new("root");
    let good = root.intermediate("middle", |_| {});
    let mut params = common::ca_params("middle");
    params.key_usages.clear();
    let bad = params
        .signed_by(good.issuer.key(), &root.issuer)
        .expect("bad");
    let leaf = good.leaf(|_| {});
    assert_eq!(
        prove(&root, &[&leaf.der, bad.der()]),
        Err(ProveError::IssuerNoCertSign)
    );
    assert!(prove(&root, &[&leaf.der, bad.der(), &good.der]).is_ok());
    assert!(prove(&root, &[&leaf.der, &good.der, bad.der()]).is_ok());
}

#[test]
fn rule_25_a_bad_signature_stays_one_whatever_the_names_say() {
    let (root, evil) = (Ca::new("root"), Ca::new("root"));
    let leaf = evil.leaf(|params| {
        params
            .subject_alt_names
            .push(SanType::DnsName("*.bad..name".try_into().expect("name")));
    });
    assert_eq!(prove(&root, &[&leaf.der]), Err(ProveError::BadSignature));
    // A damaged signature over an honest leaf.
    let mut der = root.leaf(|_| {}).der.to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    assert_eq!(
        prove(&root, &[&CertificateDer::from(der)]),
        Err(ProveError::BadSignature)
    );
}

#[test]
fn path_length_names_and_purposes_of_issuers_count() {
    let short = Ca::new("root");
    let middle = short.intermediate("one", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let low = middle.intermediate("two", |_| {});
    let code =
        |root: &Ca, chain: &[&CertificateDer<'static>]| prove(root, chain).map_err(|e| e.code());
    assert_eq!(
        code(&short, &[&low.leaf(|_| {}).der, &low.der, &middle.der]),
        Err("path_length")
    );

    let named = Ca::with("root", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("good.test".to_owned())],
            excluded_subtrees: vec![],
        });
    });
    let with_name = |name: &str| {
        let name = SanType::DnsName(name.try_into().expect("name"));
        named.leaf(|params| params.subject_alt_names.push(name)).der
    };
    assert_eq!(
        code(&named, &[&with_name("bad.test")]),
        Err("name_constraint")
    );
    assert!(code(&named, &[&with_name("x.good.test")]).is_ok());

    let root = Ca::new("root");
    let server_only = root.intermediate("server", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let chain = [server_only.leaf(|_| {}).der, server_only.der.clone()];
    let prover = prover([root.bundle("a.test")]);
    assert_eq!(
        prover.prove(&chain, NOW, Purpose::Client),
        Err(ProveError::Purpose("client"))
    );
    assert!(prover.prove(&chain, NOW, Purpose::Server).is_ok());
}

/// RFC 5280 §4.2.1.12, answered as webpki's own `KeyUsage` answers it.
#[test]
fn purposes_of_an_issuer_are_judged_as_webpki_judges_them() {
    const ENDS: [Purpose; 2] = [Purpose::Client, Purpose::Server];
    let ours = |root: &Ca, chain: &[CertificateDer<'static>]| {
        let prover = prover([root.bundle("a.test")]);
        ENDS.map(|end| prover.prove(chain, NOW, end).map(|_| ()))
    };
    let webpkis = |root: &Ca, chain: &[CertificateDer<'static>]| {
        let leaf = webpki::EndEntityCert::try_from(&chain[0]).expect("a leaf");
        let anchor = webpki::anchor_from_trusted_cert(&root.der).expect("an anchor");
        [KeyUsage::client_auth(), KeyUsage::server_auth()].map(|usage| {
            let (now, algorithms) = (NOW.as_unix_secs(), provider());
            let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
            let algorithms = algorithms.signature_verification_algorithms.all;
            let (anchors, issuers) = (core::slice::from_ref(&anchor), &chain[1..]);
            leaf.verify_for_usage(algorithms, anchors, issuers, now, usage, None, None)
                .is_ok()
        })
    };
    let purposes = |oids: &[&[u8]]| {
        let oids = oids.iter().flat_map(|oid| tlv(6, oid));
        Some(tlv(0x30, &oids.collect::<Vec<_>>()))
    };
    let (server, client): (&[u8], &[u8]) = (
        b"\x2b\x06\x01\x05\x05\x07\x03\x01",
        b"\x2b\x06\x01\x05\x05\x07\x03\x02",
    );
    let (signing, any): (&[u8], &[u8]) = (b"\x2b\x06\x01\x05\x05\x07\x03\x03", b"\x55\x1d\x25\x00");
    let unreadable = |first: &[u8]| Some(tlv(0x30, &[tlv(6, first), tlv(2, &[1])].concat()));
    for (value, client, server) in [
        (None, true, true),
        (purposes(&[server, client]), true, true),
        (purposes(&[client, server]), true, true),
        (purposes(&[signing, any, client]), true, false),
        (purposes(&[server]), false, true),
        (purposes(&[signing]), false, false),
        (purposes(&[any]), false, false),
        (
            purposes(&[&client[..7], &[client, &[0]].concat()]),
            false,
            false,
        ),
        (purposes(&[]), false, false),
        (unreadable(client), true, false),
        (unreadable(signing), false, false),
    ] {
        let root = Ca::new("root");
        let issuer = root.intermediate("issuer", |params| {
            let value = value
                .iter()
                .map(|value| extension(&[2, 5, 29, 37], false, value));
            params.custom_extensions = value.collect();
        });
        let chain = [issuer.leaf(|_| {}).der, issuer.der.clone()];
        let found = ours(&root, &chain);
        assert_eq!(
            found.clone().map(|end| end.is_ok()),
            [client, server],
            "{value:02x?}"
        );
        assert_eq!(webpkis(&root, &chain), [client, server], "{value:02x?}");
        let named = |of: &[&[u8]]| value == purposes(of);
        if named(&[signing]) || named(&[any]) {
            let refused = ["client", "server"].map(|end| Err(ProveError::Purpose(end)));
            assert_eq!(found, refused, "{value:02x?}");
        }
    }
}

#[test]
fn a_uri_name_constraint_is_refused_by_its_own_name() {
    // permitted: the URIs of host a.test, which is what a SPIFFE authority would write.
    let subtree = tlv(0xa0, &tlv(0x30, &tlv(0x86, b"a.test")));
    let constraint = extension(&[2, 5, 29, 30], true, &tlv(0x30, &subtree));
    let root = Ca::with("root", |params| {
        params.custom_extensions = vec![constraint.clone()]
    });
    assert_eq!(
        prove(&root, &[&root.leaf(|_| {}).der]),
        Err(ProveError::UriNameConstraint)
    );
    let plain = Ca::new("root");
    let middle = plain.intermediate("middle", |params| {
        params.custom_extensions = vec![constraint]
    });
    let error = prove(&plain, &[&middle.leaf(|_| {}).der, &middle.der]).expect_err("refused");
    assert_eq!(error, ProveError::UriNameConstraint);
    assert!(error.to_string().contains("not supported"), "{error}");
}

#[test]
fn a_uri_name_constraint_off_the_path_is_not_blamed_for_another_name() {
    let subtree = tlv(0xa0, &tlv(0x30, &tlv(0x86, b"a.test")));
    let constraint = extension(&[2, 5, 29, 30], true, &tlv(0x30, &subtree));
    // Below a plain authority an intermediate permits the names of good.test, and the leaf has another one.
    let plain = Ca::new("plain");
    let middle = plain.intermediate("middle", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("good.test".to_owned())],
            excluded_subtrees: vec![],
        });
    });
    let bad = SanType::DnsName("bad.test".try_into().expect("name"));
    let leaf = middle.leaf(|params| params.subject_alt_names.push(bad)).der;
    // Beside them, on no path of the leaf's: an authority that constrains URIs, and an intermediate of its that does.
    let other = Ca::with("other", |params| {
        params.custom_extensions = vec![constraint.clone()];
    });
    let aside = other.intermediate("aside", |params| {
        params.custom_extensions = vec![constraint];
    });
    let both = [plain.der.clone(), other.der.clone()];
    let both = TrustBundle::from_der(domain("a.test"), both).expect("bundle");
    let prove = |bundle, chain: &[&CertificateDer<'static>]| {
        let chain: Vec<_> = chain.iter().map(|der| (*der).clone()).collect();
        let proved = prover([bundle]).prove(&chain, NOW, Purpose::Client);
        proved.expect_err("refused")
    };
    for (bundle, chain) in [
        (plain.bundle("a.test"), vec![&leaf, &middle.der]),
        (plain.bundle("a.test"), vec![&leaf, &middle.der, &aside.der]),
        (both.clone(), vec![&leaf, &middle.der]),
        (both.clone(), vec![&leaf, &aside.der, &middle.der]),
    ] {
        assert_eq!(prove(bundle, &chain), ProveError::NameConstraint);
    }
    // On the path it is, over an intermediate that constrains nothing too.
    let under = other.intermediate("under", |_| {});
    let below = under.leaf(|_| {}).der;
    let chain = [&below, &middle.der, &under.der];
    assert_eq!(prove(both, &chain), ProveError::UriNameConstraint);
}

#[test]
fn unknown_critical_extensions_are_refused() {
    let root = Ca::new("root");
    let odd = extension(&[1, 2, 3], true, &[5, 0]);
    let middle = root.intermediate("middle", |params| {
        params.custom_extensions = vec![odd.clone()]
    });
    let below = middle.leaf(|_| {}).der;
    assert_eq!(
        prove(&root, &[&below, &middle.der]),
        Err(ProveError::UnknownCritical)
    );
    let leaf = root.leaf(|params| params.custom_extensions = vec![odd]);
    let error = prove(&root, &[&leaf.der]).expect_err("refused");
    let named = LeafError::UnknownCritical("1.2.3".into());
    assert_eq!(error, ProveError::Leaf(named));
    assert_eq!(error.code(), ProveError::UnknownCritical.code());
    let quiet = extension(&[1, 2, 3], false, &[5, 0]);
    let leaf = root.leaf(|params| params.custom_extensions = vec![quiet]);
    assert!(prove(&root, &[&leaf.der]).is_ok());
}

#[test]
fn rule_31_what_is_too_much_is_not_read() {
    let root = Ca::new("root");
    let leaf = root.leaf(|_| {}).der;
    let prover = prover([root.bundle("a.test")]);
    assert_eq!(
        prover.prove(&[], NOW, Purpose::Client),
        Err(ProveError::NoCertificate)
    );
    let others = |count| (0..count).map(|n| Ca::new(&n.to_string()).der);
    let chain: Vec<_> = [leaf.clone()].into_iter().chain(others(15)).collect();
    assert!(prover.prove(&chain, NOW, Purpose::Client).is_ok());
    let chain: Vec<_> = [leaf.clone()].into_iter().chain(others(16)).collect();
    assert_eq!(
        prover.prove(&chain, NOW, Purpose::Client),
        Err(ProveError::ChainTooLong(17))
    );
    let long = CertificateDer::from(vec![0x30; 65_537]);
    assert_eq!(
        prover.prove(&[leaf, long], NOW, Purpose::Client),
        Err(ProveError::CertificateTooLong {
            index: 1,
            len: 65_537
        })
    );
}

#[test]
fn rule_31_a_maze_of_issuers_of_one_name_is_not_entered() {
    // Fifteen keys, all called the same and issued by that name: a search would try their permutations.
    let root = Ca::new("root");
    let maze = Ca::new("maze");
    let ring: Vec<_> = (0..15)
        .map(|_| maze.intermediate("maze", |_| {}).der)
        .collect();
    let leaf = maze.leaf(|_| {}).der;
    let prover = prover([root.bundle("a.test")]);
    let chain: Vec<_> = [leaf].into_iter().chain(ring).collect();
    assert_eq!(
        prover.prove(&chain, NOW, Purpose::Client),
        Err(ProveError::TooIntricate)
    );
    // Nor is one whose certificates webpki reads and nobody here does: a private extension stands twice in each.
    let twice = [
        extension(&[1, 2, 3], false, &[5, 0]),
        extension(&[1, 2, 3], false, &[5, 0]),
    ];
    let odd = (0..5).map(|_| {
        let changed = |params: &mut CertificateParams| params.custom_extensions = twice.to_vec();
        root.intermediate("way", changed).der
    });
    let way = root.intermediate("way", |_| {});
    let chain: Vec<_> = [way.leaf(|_| {}).der, way.der]
        .into_iter()
        .chain(odd)
        .collect();
    assert_eq!(
        prover.prove(&chain, NOW, Purpose::Client),
        Err(ProveError::TooIntricate)
    );
    assert!(prover.prove(&chain[..2], NOW, Purpose::Client).is_ok());
    // Nested authorities that share a name are no maze.
    let first = root.intermediate("same", |_| {});
    let second = first.intermediate("same", |_| {});
    let third = second.intermediate("same", |_| {});
    let chain = [third.leaf(|_| {}).der, third.der, second.der, first.der];
    assert!(prover.prove(&chain, NOW, Purpose::Client).is_ok());
}
