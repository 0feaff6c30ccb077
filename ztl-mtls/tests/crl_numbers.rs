//! The numbers of revocation lists: an old one takes back nothing that was revoked since (T25).
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![allow(clippy::expect_used, clippy::unreachable, reason = "a test may panic")]

mod common;

use common::crl::{FRESH, List, params, point};
use common::folder::Folder;
use common::{Ca, NOW, domain, prover};
use rcgen::{KeyIdMethod, SerialNumber};
use rustls_pki_types::CertificateDer;
use ztl_mtls::source::CrlFiles;
use ztl_mtls::{CrlError, CrlSet, Prover, Purpose};

/// A list with this number.
fn list(ca: &Ca, number: &[u8], revoked: &[&CertificateDer<'_>]) -> List {
    let mut params = params(revoked, FRESH);
    params.crl_number = SerialNumber::from_slice(number);
    ca.crl_of(&params)
}

/// Two looks, as changed files take.
fn polled(files: &mut CrlFiles) -> Result<Option<CrlSet>, CrlError> {
    assert!(files.poll().is_ok_and(|set| set.is_none()), "seen once");
    files.poll()
}

fn refused(files: &mut CrlFiles) -> String {
    let error = polled(files).expect_err("refused");
    let CrlError::InFile { error: inner, .. } = &error else {
        unreachable!("{error}");
    };
    assert!(matches!(**inner, CrlError::WentBack { .. }), "{error}");
    // Each look says so, until another list is there.
    assert!(files.poll().is_err());
    error.to_string()
}

fn code(prover: &Prover, chain: &[CertificateDer<'_>]) -> Result<(), &'static str> {
    let proved = prover.prove(chain, NOW, Purpose::Client);
    proved.map(|_| ()).map_err(|error| error.code())
}

#[test]
fn t25_an_older_list_takes_nothing_back() {
    let folder = Folder::new("crl-older");
    let ca = Ca::new("root");
    let chain = [ca.leaf(|_| {}).der];
    let prover = prover([ca.bundle("a.test")]);
    let file = folder.write("a.crl", list(&ca, &[8], &[&chain[0]]));
    let mut files = CrlFiles::new(domain("a.test"), [&file]);
    prover.revocation().replace_crls(files.load().expect("set"));
    assert_eq!(code(&prover, &chain), Err("revoked"));

    // Signed by the same key, and its end is ahead.
    folder.write("a.crl", list(&ca, &[7], &[]));
    let error = refused(&mut files);
    for part in ["a.crl", "`a.test`", "number 07", "with 08"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert_eq!(code(&prover, &chain), Err("revoked"));
    assert!(files.load().is_err(), "nor when it is asked for at once");
    // The same number anew, and a higher one.
    folder.write("a.crl", list(&ca, &[0, 8], &[&chain[0]]));
    assert!(polled(&mut files).expect("the same").is_some());
    folder.write("a.crl", list(&ca, &[1, 0], &[]));
    let newest = polled(&mut files).expect("newer").expect("a set");
    prover.revocation().replace_crls(newest);
    assert_eq!(code(&prover, &chain), Ok(()));
    // Fewer octets are less, whatever is in them.
    folder.write("a.crl", list(&ca, &[0xff], &[]));
    assert!(refused(&mut files).contains("number ff"));
}

#[test]
fn t25_numbers_are_those_of_one_issuer_one_key_and_one_scope() {
    let folder = Folder::new("crl-whose");
    // One name, each a key, as SPIRE's authorities have.
    let (one, two) = (Ca::new("root"), Ca::new("root"));
    let names_its_key = |params: &mut rcgen::CertificateParams| {
        params.use_authority_key_identifier_extension = true;
    };
    let chain = [one.leaf(names_its_key).der];
    let prover = prover([one.bundle("a.test")]);
    let scoped = |number: u64| {
        let mut params = params(&[], FRESH);
        params.crl_number = SerialNumber::from(number);
        params.issuing_distribution_point = Some(point("http://crl.test/1", None));
        one.crl_of(&params)
    };
    let write = |first: &List, second: &List| {
        folder.write("1.crl", first);
        folder.write("2.crl", second);
    };
    write(&list(&one, &[9], &[]), &list(&two, &[3], &[]));
    let paths = ["1.crl", "2.crl"].map(|name| folder.0.join(name));
    let mut files = CrlFiles::new(domain("a.test"), paths);
    prover.revocation().replace_crls(files.load().expect("set"));
    assert_eq!(code(&prover, &chain), Ok(()));
    // That the one key did not sign the list of the other says nothing of that.
    write(&list(&one, &[9], &[]), &list(&two, &[2], &[]));
    let error = refused(&mut files);
    assert!(
        error.contains("2.crl") && error.contains("with 03"),
        "{error}"
    );
    // They change places, and one is replaced by a list of another scope.
    write(&list(&two, &[3], &[]), &scoped(1));
    assert!(polled(&mut files).expect("other lists").is_some());
    // What was left out meanwhile is remembered.
    write(&list(&two, &[4], &[]), &list(&one, &[8], &[]));
    let error = refused(&mut files);
    assert!(
        error.contains("2.crl") && error.contains("with 09"),
        "{error}"
    );
    write(&list(&one, &[9], &[]), &list(&two, &[4], &[]));
    assert!(polled(&mut files).expect("as new as ever").is_some());
    // Of two lists of one issuer the highest counts.
    write(&list(&one, &[2], &[]), &list(&one, &[10], &[]));
    assert!(polled(&mut files).expect("the newest is there").is_some());
}

#[test]
fn t25_a_list_that_its_issuer_did_not_sign_lets_no_older_one_in_and_keeps_no_later_one_out() {
    let folder = Folder::new("crl-forged");
    let (ca, forger) = (Ca::new("root"), Ca::new("root"));
    let chain = [ca.leaf(|_| {}).der];
    let prover = prover([ca.bundle("a.test")]);
    let made = |by: &Ca, number: &[u8]| {
        let mut params = params(&[], FRESH);
        params.crl_number = SerialNumber::from_slice(number);
        params.key_identifier_method = KeyIdMethod::PreSpecified(b"the authority's".to_vec());
        by.crl_of(&params)
    };
    let file = folder.write("a.crl", made(&ca, &[8]));
    let mut files = CrlFiles::new(domain("a.test"), [&file]);
    prover.revocation().replace_crls(files.load().expect("set"));
    assert_eq!(code(&prover, &chain), Ok(()));
    folder.write("a.crl", made(&forger, &[0x7f; 20]));
    let forged = polled(&mut files).expect("who signed it is not known yet");
    prover.revocation().replace_crls(forged.expect("a set"));
    // Until a proof says that nobody of ours did, it counts.
    folder.write("a.crl", made(&ca, &[9]));
    refused(&mut files);
    assert_eq!(code(&prover, &chain), Err("crl_bad_signature"));
    folder.write("a.crl", made(&ca, &[7]));
    assert!(refused(&mut files).contains("with 08"));
    folder.write("a.crl", made(&ca, &[9]));
    let good = polled(&mut files)
        .expect("it counts no more")
        .expect("a set");
    prover.revocation().replace_crls(good);
    assert_eq!(code(&prover, &chain), Ok(()));
}
