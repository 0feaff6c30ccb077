//! `ztl verify-svid` with what a service refuses by: a deny list, its aliases, and revocation lists for as much of a path.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;
#[path = "common/pki.rs"]
mod pki;

use common::Run;
use pki::{ID, Pki, ca_params};
use rcgen::{KeyPair, SerialNumber};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use ztl_mtls::Denied;

/// The exit code and the reason.
fn answer(run: &Run) -> (Option<i32>, String) {
    let lines = run.lines();
    assert_eq!(lines.len(), 1, "{run:?}");
    let object: serde_json::Value = serde_json::from_str(lines[0]).expect("JSON");
    assert_eq!(object["ok"], object["reason"].is_null(), "{object}");
    assert_eq!(object["ok"], object["spiffe_id"].is_string(), "{object}");
    let reason = object["reason"].as_str().unwrap_or("proved");
    (run.code, reason.to_owned())
}

fn proved() -> (Option<i32>, String) {
    (Some(0), "proved".to_owned())
}

#[test]
fn t25_whom_the_deny_list_names_is_refused() {
    let pki = Pki::new("verify-svid-denied");
    let leaf = pki.leaf(|_| {});
    let der = CertificateDer::from_pem_slice(leaf.as_bytes()).expect("PEM");
    let key = Denied::key_of(&der).expect("a key").to_string();
    let serial = Denied::serial_of(&der).expect("a number").to_string();
    let root = std::fs::read(pki.folder.join("bundle.pem")).expect("read");
    let root = CertificateDer::from_pem_slice(&root).expect("PEM");
    let authority = Denied::key_of(&root).expect("a key").to_string();
    for (line, code, reason) in [
        (format!("id {ID}"), 1, "denied_id"),
        (key, 1, "denied_key"),
        (serial, 1, "denied_serial"),
        (authority, 1, "denied_key"),
        ("id spiffe://a.test/another".to_owned(), 0, "proved"),
    ] {
        let list = pki.file("deny", format!("# why\n{line}\nend 1\n"));
        let run = pki.verify(&leaf, &["--deny-list", &list]);
        assert_eq!(answer(&run), (Some(code), reason.to_owned()), "{line}");
        assert_eq!(run.stderr.contains(&line), code == 1, "{}", run.stderr);
    }
    let nobody = pki.file("deny", "end 0\n");
    assert_eq!(
        answer(&pki.verify(&leaf, &["--deny-list", &nobody])),
        proved()
    );
}

#[test]
fn t13_an_id_that_is_denied_under_another_name_is_refused() {
    let pki = Pki::new("verify-svid-alias");
    let leaf = pki.leaf(|_| {});
    let other = ID.replace("a.test", "b.test");
    let list = pki.file("deny", format!("id {other}\n"));
    let with = |more: &[&str]| {
        let args = [&["--deny-list", &list][..], more].concat();
        answer(&pki.verify(&leaf, &args))
    };
    assert_eq!(with(&[]), proved());
    assert_eq!(with(&["--alias", "c.test"]), proved());
    let denied = (Some(1), "denied_id".to_owned());
    assert_eq!(with(&["--alias", "b.test"]), denied);
    assert_eq!(with(&["--alias", "c.test", "--alias", "b.test"]), denied);
}

#[test]
fn a_deny_list_that_is_none_is_2_and_proves_nobody() {
    let pki = Pki::new("verify-svid-bad-denied");
    let leaf = pki.leaf(|_| {});
    for text in [
        "",
        "id spiffe://a.test\n",
        "id spiffe://a.test/x\nend 2\n",
        "ID x\n",
    ] {
        let list = pki.file("deny", text);
        let run = pki.verify(&leaf, &["--deny-list", &list]);
        let invalid = (Some(2), "deny_list_invalid".to_owned());
        assert_eq!(answer(&run), invalid, "{text}");
        assert!(run.stderr.contains(&list), "{}", run.stderr);
    }
    let run = pki.verify(&leaf, &["--deny-list", "not-there"]);
    assert_eq!(answer(&run), (Some(2), "unreadable".to_owned()));
}

#[test]
fn t25_lists_are_asked_for_as_much_of_the_path_as_was_said() {
    let pki = Pki::new("verify-svid-depth");
    // Its own list is there, and that of the root which issued it is not.
    let mut params = ca_params();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "middle");
    let key = KeyPair::generate().expect("key");
    let issued = params.signed_by(&key, &pki.issuer).expect("middle");
    let middle = Pki {
        folder: pki.folder.clone(),
        issuer: rcgen::Issuer::new(params, key),
    };
    let leaf = middle.leaf(|leaf| leaf.serial_number = Some(SerialNumber::from(5_u64)));
    let chain = format!("{leaf}{}", issued.pem());
    let list = pki.file("middle.crl", middle.crl(&[77]));
    let with = |depth: &[&str]| {
        let args = [&["--crl", &list][..], depth].concat();
        answer(&pki.verify(&chain, &args))
    };
    let unknown = (Some(1), "revocation_unknown".to_owned());
    assert_eq!(with(&[]), unknown);
    assert_eq!(with(&["--crl-depth", "chain"]), unknown);
    assert_eq!(with(&["--crl-depth", "leaf"]), proved());
    pki.file("middle.crl", middle.crl(&[5]));
    let revoked = (Some(1), "revoked".to_owned());
    assert_eq!(with(&["--crl-depth", "leaf"]), revoked);
}
