//! The deny list: as text, and whom it keeps out.
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

use common::{Ca, ID, NOW, prover};
use proptest::prelude::*;
use ztl_core::SpiffeId;
use ztl_mtls::{
    Denied, DenyList, DenyListError, Fingerprint, IssuedSerial, Position, ProveError, Purpose,
};

fn parse(text: &str) -> Result<DenyList, String> {
    DenyList::parse(text.as_bytes()).map_err(|error| error.to_string())
}

fn entry(text: &str) -> Denied {
    text.parse().expect("entry")
}

const DIGEST: &str = "sha256:77af778b51abd4a3c51c5ddd97204a9c3ae614ebccb75a606c3b6865aed6744e";

#[test]
fn a_text_is_read_line_by_line() {
    let text = format!(
        "# who\r\n\n  id   {ID} # stolen\nkey {DIGEST}\nid {ID}\n\
         serial 01:8F:3a issuer {DIGEST}\nserial 00 issuer {DIGEST}\nend 5\n\n# no more\n"
    );
    let list = parse(&text).expect("list");
    assert_eq!(list.len(), 4, "one stands there twice");
    for denied in [
        format!("id {ID}"),
        format!("key {DIGEST}"),
        format!("serial 00018f3a issuer {}", DIGEST),
        format!("serial 0:1:8f:3A issuer {DIGEST}"),
        format!("serial 0 issuer {DIGEST}"),
    ] {
        assert!(list.contains(&entry(&denied)), "{denied}");
    }
    assert!(!list.contains(&entry(&format!("serial 8f3a issuer {DIGEST}"))));
}

#[test]
fn a_line_that_is_not_understood_refuses_the_whole_text() {
    for (line, why) in [
        ("spiffe://a.test/x", "is none of"),
        ("ID spiffe://a.test/x", "is none of"),
        ("id spiffe://a.test/x y", "is none of"),
        ("id", "is none of"),
        ("id spiffe://a.test", "has no path"),
        ("id spiffe://A.test/x", "names a SPIFFE ID that"),
        ("id spiffe://a.test/x/**", "names a SPIFFE ID that"),
        ("key 77af", "has a digest"),
        ("key sha256:77af", "has a digest"),
        ("key sha1:77af", "has a digest"),
        ("serial 01", "is none of"),
        ("serial 01 issuer CN=x", "has a digest"),
        (
            &format!("serial 0x1 issuer {DIGEST}"),
            "has a serial number",
        ),
        (&format!("serial -1 issuer {DIGEST}"), "has a serial number"),
        (&format!("serial : issuer {DIGEST}"), "has a serial number"),
        (
            &format!("serial {} issuer {DIGEST}", "01".repeat(65)),
            "has a serial number",
        ),
        ("end", "is none of"),
        ("end three", "is none of"),
    ] {
        let error = parse(&format!("id {ID}\n{line}\n")).expect_err(line);
        assert!(
            error.starts_with("line 2 of the deny list ") && error.contains(why),
            "{line}: {error}"
        );
    }
    assert!(matches!(
        DenyList::parse(b"id spiffe://a.test/x\n\xff"),
        Err(DenyListError::NotUtf8 { line: 2 })
    ));
}

#[test]
fn t6_a_text_that_was_cut_off_is_not_a_shorter_list() {
    let text = format!("id {ID}\nkey {DIGEST}\nend 2\n");
    assert!(parse(&text).is_ok());
    assert!(
        parse(&text.replace("end 2", "end 3"))
            .expect_err("count")
            .contains("after 3 entries, but there are 2")
    );
    assert!(
        parse(&format!("{text}id {ID}\n"))
            .expect_err("after")
            .contains("line 4 of the deny list comes after its end")
    );
    for empty in ["", "\n\n", "# nobody\n"] {
        assert!(
            parse(empty)
                .expect_err("empty")
                .contains("write the line `end 0`")
        );
    }
    assert!(parse("end 0").expect("nobody").is_empty());
}

#[test]
fn what_is_too_much_is_not_read() {
    let many = format!("id {ID}\n").repeat(ztl_mtls::MAX_DENIED + 1);
    assert!(matches!(
        DenyList::parse(many.as_bytes()),
        Err(DenyListError::TooMany)
    ));
    let long = vec![b'\n'; ztl_mtls::MAX_DENY_LIST_BYTES + 1];
    assert!(matches!(
        DenyList::parse(&long),
        Err(DenyListError::TooLong)
    ));
}

#[test]
fn t25_the_list_is_judged_on_every_certificate_of_the_path_and_works_at_once() {
    let root = Ca::new("root");
    let middle = root.intermediate("middle", |_| {});
    let chain = [middle.leaf(|_| {}).der, middle.der.clone()];
    let prover = prover([root.bundle("a.test")]);
    let prove = || prover.prove(&chain, NOW, Purpose::Server).map(|_| ());
    assert_eq!(prove(), Ok(()));
    let positions = [Position::Leaf, Position::Intermediate, Position::Authority];
    for (der, certificate) in chain.iter().chain([&root.der]).zip(positions) {
        for (denied, code) in [
            (Denied::key_of(der).expect("key"), "denied_key"),
            (Denied::serial_of(der).expect("serial"), "denied_serial"),
        ] {
            let list: DenyList = [denied.clone()].into_iter().collect();
            let error = ProveError::Denied {
                certificate,
                denied: denied.clone(),
            };
            assert_eq!((error.code(), error.is_revocation()), (code, true));
            prover.revocation().swap_deny_list(list);
            assert_eq!(prove(), Err(error.clone()));
            prover.revocation().swap_deny_list(DenyList::default());
            assert_eq!(prove(), Ok(()));
            prover.revocation().deny(denied.clone());
            assert_eq!(prove(), Err(error));
            prover.revocation().swap_deny_list(DenyList::default());
            assert!(prove().is_err(), "what was denied by itself stays denied");
            prover.revocation().undeny(&denied);
            assert_eq!(prove(), Ok(()));
        }
    }
    let id = SpiffeId::parse(ID).expect("id");
    prover.revocation().deny(Denied::Id(id));
    assert_eq!(prove().map_err(|error| error.code()), Err("denied_id"));
}

#[test]
fn t13_an_id_is_denied_under_every_name_of_its_trust_domain() {
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let prover = prover([old.bundle("old.test"), new.bundle("new.test")]);
    let leaf = |ca: &Ca, id: &str| ca.leaf_of(id).der;
    let code = |leaf: &_| {
        prover
            .prove(std::slice::from_ref(leaf), NOW, Purpose::Client)
            .map(|_| ())
            .map_err(|error| error.code())
    };
    let (by_old, by_new) = (
        leaf(&old, "spiffe://old.test/x"),
        leaf(&new, "spiffe://new.test/x"),
    );
    let other = leaf(&new, "spiffe://new.test/y");
    let revocation = prover.revocation();
    revocation.deny("id spiffe://old.test/x".parse().expect("entry"));
    assert_eq!((code(&by_old), code(&by_new)), (Err("denied_id"), Ok(())));
    revocation.swap_aliases(["new.test", "old.test"].map(common::domain));
    let denied = Err("denied_id");
    assert_eq!((code(&by_old), code(&by_new)), (denied, denied));
    assert_eq!(code(&other), Ok(()));
    assert!(revocation.denies_id(&SpiffeId::parse("spiffe://new.test/x").expect("id")));
    revocation.swap_aliases(["new.test", "third.test"].map(common::domain));
    assert_eq!((code(&by_old), code(&by_new)), (denied, Ok(())));
}

#[test]
fn t25_a_serial_number_is_denied_together_with_its_issuer() {
    let (one, two) = (Ca::new("one"), Ca::new("two"));
    let same = |ca: &Ca| {
        ca.leaf(|params| params.serial_number = Some(77_u64.into()))
            .der
    };
    let (of_one, of_two) = (same(&one), same(&two));
    let bundle = ztl_mtls::TrustBundle::from_der(
        common::domain("a.test"),
        [one.der.clone(), two.der.clone()],
    );
    let prover = prover([bundle.expect("bundle")]);
    prover
        .revocation()
        .deny(Denied::serial_of(&of_one).expect("serial"));
    let code = |leaf| {
        prover
            .prove(std::slice::from_ref(leaf), NOW, Purpose::Client)
            .map(|_| ())
            .map_err(|error| error.code())
    };
    assert_eq!(
        (code(&of_one), code(&of_two)),
        (Err("denied_serial"), Ok(()))
    );
    // Issued again, the same workload has another number: the id is what keeps it out.
    assert_eq!(code(&one.leaf(|_| {}).der), Ok(()));
}

#[test]
fn rule_25_a_forged_chain_learns_nothing_of_the_list() {
    let (root, forger) = (Ca::new("root"), Ca::new("root"));
    let forged = forger.leaf(|_| {}).der;
    let prover = prover([root.bundle("a.test")]);
    let id = SpiffeId::parse(ID).expect("id");
    prover.revocation().deny(Denied::Id(id));
    prover
        .revocation()
        .deny(Denied::key_of(&forged).expect("key"));
    assert_eq!(
        prover.prove(&[forged], NOW, Purpose::Client).map(|_| ()),
        Err(ProveError::BadSignature)
    );
}

#[test]
fn a_denied_intermediate_does_not_hide_a_path_without_it() {
    // One key certified twice: by the intermediate that is denied, and by another.
    let root = Ca::new("root");
    let middle = root.intermediate("middle", |_| {});
    let mut params = common::ca_params("middle");
    params.serial_number = Some(4711_u64.into());
    let again = params
        .signed_by(middle.issuer.key(), &root.issuer)
        .expect("again");
    let leaf = middle.leaf(|_| {}).der;
    let prover = prover([root.bundle("a.test")]);
    prover
        .revocation()
        .deny(Denied::serial_of(&middle.der).expect("serial"));
    let both = [leaf.clone(), middle.der.clone(), again.der().clone()];
    assert!(prover.prove(&both, NOW, Purpose::Client).is_ok());
    assert_eq!(
        prover
            .prove(&[leaf, middle.der.clone()], NOW, Purpose::Client)
            .map_err(|error| error.code()),
        Err("denied_serial")
    );
}

fn denied() -> impl Strategy<Value = Denied> {
    let octets = proptest::collection::vec(any::<u8>(), 1..20);
    prop_oneof![
        "/[a-zA-Z0-9_-]{1,8}(/[a-z0-9]{1,4}){0,3}".prop_map(|path| Denied::Id(
            SpiffeId::parse(&format!("spiffe://td{path}")).expect("id")
        )),
        any::<[u8; 32]>().prop_map(|bytes| Denied::Key(Fingerprint::from_bytes(bytes))),
        (octets, any::<[u8; 32]>())
            .prop_map(|(serial, issuer)| Denied::Serial(IssuedSerial::new(&serial, issuer))),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(entries in proptest::collection::vec(denied(), 1..20), cut in any::<prop::sample::Index>()) {
        let list: DenyList = entries.iter().cloned().collect();
        let text = list.to_string();
        let read = DenyList::parse(text.as_bytes()).expect("read");
        prop_assert_eq!(read.to_string(), text.as_str());
        for denied in &entries {
            prop_assert!(read.contains(denied));
        }
        // Cut off anywhere, it never names what the whole does not.
        if let Ok(cut) = DenyList::parse(&text.as_bytes()[..cut.index(text.len())]) {
            let others: Vec<Denied> = cut.iter().filter(|denied| !list.contains(denied)).collect();
            prop_assert!(others.iter().all(|denied| matches!(denied, Denied::Id(_))), "{:?}", others);
        }
    }

    #[test]
    fn t6_nothing_after_the_end_adds_or_takes_away(
        entries in proptest::collection::vec(denied(), 1..8), garbage in any::<Vec<u8>>()
    ) {
        let list: DenyList = entries.into_iter().collect();
        let mut text = list.to_string().into_bytes();
        text.extend(&garbage);
        if let Ok(read) = DenyList::parse(&text) {
            prop_assert_eq!(read.to_string(), list.to_string());
        }
    }
}
