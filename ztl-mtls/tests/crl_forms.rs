//! Revocation lists as files and as bytes: what is taken, what is not, and when.
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

use std::path::PathBuf;

use common::crl::{FRESH, List, at, params, point};
use common::{Ca, NOW, domain, prover, tlv};
use proptest::prelude::*;
use rustls_pki_types::CertificateDer;
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};
use ztl_mtls::source::{CrlFiles, DenyListFile};
use ztl_mtls::{CrlError, CrlListError, CrlSet, Purpose, UnknownStatus, provider};

fn pem(list: &List) -> String {
    let mut body = String::new();
    for chunk in list.chunks(48) {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for three in chunk.chunks(3) {
            let [a, b, c] = [0, 1, 2].map(|at| three.get(at).copied().unwrap_or(0));
            let word = u32::from_be_bytes([0, a, b, c]);
            for place in 0..4 {
                let digit = usize::try_from(word >> (18 - 6 * place) & 63).expect("digit");
                let known = place <= three.len();
                body.push(if known {
                    char::from(DIGITS[digit])
                } else {
                    '='
                });
            }
        }
        body.push('\n');
    }
    format!("-----BEGIN X509 CRL-----\n{body}-----END X509 CRL-----\n")
}

/// A list whose parts are replaced, its signature gone.
fn made(ca: &Ca, edit: impl FnOnce(&mut Parts)) -> List {
    let mut parts = Parts {
        version: tlv(0x02, &[1]),
        next: tlv(0x17, b"300101000000Z"),
        entries: Vec::new(),
        extensions: vec![number(&[])],
    };
    edit(&mut parts);
    let algorithm = tlv(0x30, &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]);
    let mut tbs = parts.version;
    tbs.extend(&algorithm);
    tbs.extend(subject_of(&ca.der));
    tbs.extend(tlv(0x17, b"260101000000Z"));
    tbs.extend(parts.next);
    if !parts.entries.is_empty() {
        tbs.extend(tlv(0x30, &parts.entries.concat()));
    }
    if !parts.extensions.is_empty() {
        tbs.extend(tlv(0xa0, &tlv(0x30, &parts.extensions.concat())));
    }
    let mut list = tlv(0x30, &tbs);
    list.extend(algorithm);
    list.extend(tlv(0x03, &[0, 1, 2, 3]));
    tlv(0x30, &list).into()
}

struct Parts {
    version: Vec<u8>,
    next: Vec<u8>,
    entries: Vec<Vec<u8>>,
    extensions: Vec<Vec<u8>>,
}

fn extension(oid: &[u8], critical: &[u8], value: &[u8]) -> Vec<u8> {
    let mut fields = tlv(0x06, oid);
    fields.extend(critical);
    fields.extend(tlv(0x04, value));
    tlv(0x30, &fields)
}

fn number(critical: &[u8]) -> Vec<u8> {
    extension(&[0x55, 0x1d, 0x14], critical, &[2, 1, 1])
}

const CRITICAL: &[u8] = &[1, 1, 0xff];

fn subject_of(der: &CertificateDer<'_>) -> Vec<u8> {
    let anchor = webpki::anchor_from_trusted_cert(der).expect("anchor");
    tlv(0x30, &anchor.subject)
}

#[test]
fn what_cannot_be_judged_is_not_taken_and_the_clause_is_named() {
    let ca = Ca::new("root");
    let error = |edit: fn(&mut Parts)| match CrlSet::from_der(domain("a.test"), [made(&ca, edit)]) {
        Ok(_) => None,
        Err(CrlError::List {
            index: 0, error, ..
        }) => Some(error),
        Err(other) => panic!("{other}"),
    };
    use CrlListError as E;
    assert_eq!(error(|_| {}), None);
    assert_eq!(
        error(|parts| parts.version = tlv(2, &[0])),
        Some(E::Version)
    );
    assert_eq!(
        error(|parts| parts.extensions = vec![extension(&[0x55, 0x1d, 0x23], &[], &[0x30, 0])]),
        Some(E::NoNumber)
    );
    assert_eq!(
        error(|parts| parts.extensions = vec![number(CRITICAL)]),
        Some(E::CriticalNumber)
    );
    macro_rules! with {
        ($oid:expr, $value:expr) => {
            error(|parts| parts.extensions.push(extension(&$oid, CRITICAL, &$value)))
        };
    }
    assert_eq!(with!([0x55, 0x1d, 0x1b], [2, 1, 1]), Some(E::Delta));
    const POINT: [u8; 3] = [0x55, 0x1d, 0x1c];
    assert_eq!(with!(POINT, [0x30, 3, 0x84, 1, 0xff]), Some(E::Indirect));
    assert_eq!(
        with!(POINT, [0x30, 4, 0x83, 2, 0, 0x80]),
        Some(E::SomeReasons)
    );
    assert_eq!(
        with!(POINT, [0x30, 3, 0x81, 1, 0xff]),
        Some(E::DistributionPoint)
    );
    assert_eq!(
        with!(POINT, [0x30, 7, 0xa0, 5, 0xa0, 3, 0x86, 1, b'u']),
        None
    );
    assert_eq!(with!([0x2a, 3], [5, 0]), Some(E::UnknownCritical));
    let entry = |serial: &[u8]| {
        let mut fields = tlv(0x02, serial);
        fields.extend(tlv(0x17, b"260101000000Z"));
        tlv(0x30, &fields)
    };
    let listing = |serials: &[&[u8]]| {
        let entries: Vec<_> = serials.iter().map(|serial| entry(serial)).collect();
        let list = made(&ca, |parts| parts.entries = entries);
        match CrlSet::from_der(domain("a.test"), [list]) {
            Ok(_) => None,
            Err(CrlError::List { error, .. }) => Some(error),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(listing(&[&[7], &[8], &[1, 7]]), None);
    assert_eq!(listing(&[&[7], &[8], &[7]]), Some(E::SerialTwice));
    let malformed: [fn(&mut Parts); 4] = [
        |parts| parts.next.clear(),
        |parts| parts.extensions.clear(),
        |parts| parts.entries.push(vec![0x30, 0]),
        |parts| parts.extensions.push(number(&[])),
    ];
    for edit in malformed {
        assert!(matches!(error(edit), Some(E::Malformed(_))));
    }
}

#[test]
fn one_bad_list_refuses_all_and_there_is_an_end_to_them() {
    let ca = Ca::new("root");
    let good = ca.crl(&[]);
    let error = CrlSet::from_der(domain("a.test"), [good.clone(), vec![0x30, 0].into()])
        .expect_err("refused")
        .to_string();
    assert!(
        error.starts_with("revocation list 1 of `a.test` is not a revocation list in DER"),
        "{error}"
    );
    let twice = CrlSet::from_der(domain("a.test"), [good.clone(), good.clone()]);
    assert_eq!(twice.map(|set| set.len()).expect("set"), 1);
    let many = (0..=ztl_mtls::MAX_CRLS).map(|number| {
        let mut params = params(&[], FRESH);
        params.crl_number = u64::try_from(number).expect("number").into();
        ca.crl_of(&params)
    });
    assert!(matches!(
        CrlSet::from_der(domain("a.test"), many),
        Err(CrlError::TooMany(_))
    ));
    let long = vec![0x30; ztl_mtls::MAX_CRL_BYTES + 1];
    assert!(matches!(
        CrlSet::from_der(domain("a.test"), [long.into()]),
        Err(CrlError::TooLong(_))
    ));
    assert!(matches!(
        CrlSet::from_pem(domain("a.test"), b"0 is not DER here"),
        Err(CrlError::NoCrl)
    ));
    let text = pem(&good);
    assert!(matches!(
        CrlSet::from_pem(domain("a.test"), &text.as_bytes()[..40]),
        Err(CrlError::Damaged)
    ));
    assert_eq!(
        CrlSet::from_pem(domain("a.test"), text.as_bytes())
            .expect("set")
            .next_update(),
        Some(at(3600))
    );
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ztl-mtls-{}-{name}", std::process::id()))
}

#[test]
fn rule_30_files_of_lists_are_one_set_and_the_last_good_one_stays() {
    let ca = Ca::new("root");
    let (one, two) = (path("one.crl"), path("two.crl"));
    std::fs::write(&one, &*ca.crl(&[])).expect("write");
    std::fs::write(&two, pem(&Ca::new("other").crl(&[]))).expect("write");
    let mut files =
        CrlFiles::new(domain("a.test"), [&one, &two]).with_unknown_status(UnknownStatus::Allow);
    let set = files.load().expect("set");
    assert_eq!((set.len(), set.unknown_status()), (2, UnknownStatus::Allow));
    assert!(files.poll().expect("poll").is_none());
    let next = ca.crl_of(&params(&[&ca.der], FRESH));
    std::fs::write(&one, &*next).expect("write");
    assert!(files.poll().expect("poll").is_none(), "seen once");
    assert_eq!(files.poll().expect("poll").map(|set| set.len()), Some(2));
    // Half written: refused, with the name of the file, until it is whole.
    std::fs::write(&one, &next[..next.len() / 2]).expect("write");
    assert!(files.poll().expect("poll").is_none(), "seen once");
    let error = files.poll().expect_err("half").to_string();
    assert!(
        error.contains("one.crl") && error.contains("in DER"),
        "{error}"
    );
    std::fs::write(&one, &*next).expect("write");
    assert!(files.poll().expect("poll").is_none(), "what was taken last");
    std::fs::remove_file(&two).expect("remove");
    assert!(matches!(files.poll(), Err(CrlError::File(_))));
    std::fs::remove_file(&one).expect("remove");
    let mut none = CrlFiles::new(domain("a.test"), Vec::<PathBuf>::new());
    assert!(none.load().expect("empty").is_empty());
}

#[test]
fn t25_a_broken_deny_list_takes_nothing_back() {
    let file = path("deny");
    let mut source = DenyListFile::new(&file);
    assert!(source.load().is_err());
    std::fs::write(&file, "id spiffe://a.test/x\nend 1\n").expect("write");
    assert_eq!(source.load().expect("list").len(), 1);
    for broken in ["", "id spiffe://a.test/x\nid spiffe://a.te", "end 1\n"] {
        std::fs::write(&file, broken).expect("write");
        assert!(source.poll().expect("poll").is_none(), "seen once");
        let error = source.poll().expect_err("broken").to_string();
        assert!(error.contains("deny"), "{error}");
        assert!(source.poll().is_err(), "for as long as it is");
    }
    std::fs::write(&file, "end 0\n").expect("write");
    assert!(source.poll().expect("poll").is_none(), "seen once");
    assert_eq!(source.poll().expect("poll").map(|list| list.len()), Some(0));
    std::fs::remove_file(&file).expect("remove");
    assert!(source.poll().is_err());
}

/// What a list of a random world is like.
#[derive(Clone, Debug)]
struct World {
    revoked: Vec<usize>,
    overdue: bool,
    other_key: bool,
    other_name: bool,
    pointed: bool,
}

fn world() -> impl Strategy<Value = World> {
    let flag = || prop::bool::weighted(0.25);
    (
        proptest::collection::vec(0..3_usize, 0..2),
        flag(),
        flag(),
        flag(),
        flag(),
    )
        .prop_map(|(revoked, overdue, other_key, other_name, pointed)| World {
            revoked,
            overdue,
            other_key,
            other_name,
            pointed,
        })
}

thread_local! {
    static CAS: (Ca, Ca, Ca) = (Ca::new("root"), Ca::new("root"), Ca::new("other"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// webpki, given the same list alone, refuses nothing that is permitted here.
    #[test]
    fn whatever_webpki_refuses_stays_refused(world in world(), allow in any::<bool>()) {
        CAS.with(|(root, twin, other)| {
            let leaves = [0_u64, 1, 2].map(|number| {
                root.leaf(|params| params.serial_number = Some((900 + number).into())).der
            });
            let revoked: Vec<_> = world.revoked.iter().map(|place| &leaves[*place]).collect();
            let mut of = params(&revoked, if world.overdue { (-100, -10) } else { FRESH });
            of.issuing_distribution_point = world.pointed.then(|| point("http://one", None));
            let signer = if world.other_name { other } else if world.other_key { twin } else { root };
            let list = signer.crl_of(&of);
            let owned: CertRevocationList<'_> = OwnedCertRevocationList::from_der(&list).expect("list").into();
            let (status, unknown) = if allow {
                (UnknownStatusPolicy::Allow, UnknownStatus::Allow)
            } else {
                (UnknownStatusPolicy::Deny, UnknownStatus::Deny)
            };
            let lists = [&owned];
            let options = RevocationOptionsBuilder::new(&lists)
                .expect("one list")
                .with_status_policy(status)
                .with_expiration_policy(if allow { ExpirationPolicy::Ignore } else { ExpirationPolicy::Enforce })
                .build();
            let anchors = [webpki::anchor_from_trusted_cert(&root.der).expect("anchor")];
            let prover = prover([root.bundle("a.test")]);
            prover.revocation().replace_crls(
                CrlSet::from_der(domain("a.test"), [list]).expect("set").with_unknown_status(unknown),
            );
            for leaf in &leaves {
                let by_webpki = EndEntityCert::try_from(leaf).expect("leaf").verify_for_usage(
                    provider().signature_verification_algorithms.all,
                    &anchors,
                    &[],
                    rustls_pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW.as_unix_secs())),
                    KeyUsage::client_auth(),
                    Some(options),
                    None,
                ).map(|_| ());
                let by_us = prover.prove(std::slice::from_ref(leaf), NOW, Purpose::Client).map(|_| ());
                prop_assert!(by_us.is_err() || by_webpki.is_ok(), "{:?} {:?}", by_us, by_webpki);
                // And nothing else is, but what a list of one distribution point leaves open.
                prop_assert!(by_us.is_ok() || by_webpki.is_err() || world.pointed, "{:?} {:?}", by_us, by_webpki);
            }
            Ok(())
        })?;
    }

    #[test]
    fn rule_31_no_bytes_make_the_reader_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), cut in any::<prop::sample::Index>()
    ) {
        CAS.with(|(root, _, _)| {
            let mut of = params(&[&root.der], FRESH);
            of.issuing_distribution_point = Some(point("http://one", None));
            let mut der = root.crl_of(&of).to_vec();
            for (place, octet) in edits {
                let place = place.index(der.len());
                der[place] = octet;
            }
            let whole = CrlSet::from_der(domain("a.test"), [List::from(der.clone())]);
            prop_assert!(whole.map_or(true, |set| set.len() == 1));
            der.truncate(cut.index(der.len()));
            prop_assert!(CrlSet::from_der(domain("a.test"), [List::from(der)]).is_err());
            Ok(())
        })?;
    }
}
