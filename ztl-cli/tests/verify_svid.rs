//! `ztl verify-svid`: one JSON object, a code and a clause for programs, a remedy for people.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;
#[path = "common/pki.rs"]
mod pki;

use std::fs;

use common::{Run, scratch, ztl, ztl_with_input};
use pki::{AT, ID, Pki, bundle, uri};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SerialNumber,
};
use serde_json::Value;
use ztl_core::TrustDomain;
use ztl_mtls::{SpiffeBundle, TrustBundle};

/// What stands on standard output: one object of these four keys, and nothing else.
fn object(run: &Run) -> Value {
    let lines = run.lines();
    assert_eq!(lines.len(), 1, "{run:?}");
    let object: Value = serde_json::from_str(lines[0]).expect("JSON");
    let keys = object.as_object().expect("an object").len();
    assert_eq!(keys, 4, "{object}");
    assert!(object["ok"].is_boolean(), "{object}");
    object
}

/// The exit code, the reason and the clause of a refusal.
fn refused(run: &Run) -> (i32, String, String) {
    let object = object(run);
    assert_eq!(object["ok"], false, "{object}");
    assert_eq!(object["spiffe_id"], Value::Null, "nobody is proved");
    let text = |key: &str| object[key].as_str().expect("a text").to_owned();
    assert!(run.stderr.starts_with("refused: "), "{}", run.stderr);
    assert!(run.stderr.contains("\n  = help: "), "{}", run.stderr);
    let clause = format!("\n  = clause: {}\n", text("clause"));
    assert!(run.stderr.contains(&clause), "{}", run.stderr);
    (run.code.expect("a code"), text("reason"), text("clause"))
}

fn finding(reason: &str, clause: &str) -> (i32, String, String) {
    (1, reason.to_owned(), clause.to_owned())
}

#[test]
fn a_chain_that_holds_is_proved_for_either_end() {
    let pki = Pki::new("verify-svid-proved");
    let leaf = pki.leaf(|_| {});
    for more in [
        &[][..],
        &["--purpose", "client"],
        &["--purpose", "server"],
        &["--format", "json"],
    ] {
        let run = pki.verify(&leaf, more);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{more:?}");
        let wanted =
            format!("{{\"ok\":true,\"spiffe_id\":\"{ID}\",\"reason\":null,\"clause\":null}}\n");
        assert_eq!(run.stdout, wanted);
    }
    let bundle = bundle(&pki.folder);
    let args = ["verify-svid", "--bundle", &bundle, "--at", AT, "-"];
    assert_eq!(object(&ztl_with_input(&args, leaf.as_bytes()))["ok"], true);
}

#[test]
fn what_a_leaf_breaks_is_named_with_its_clause() {
    let pki = Pki::new("verify-svid-leaf");
    type Change = fn(&mut CertificateParams);
    let cases: [(Change, &str, &str); 9] = [
        (
            |leaf| leaf.subject_alt_names.clear(),
            "leaf_no_uri",
            "X509-SVID §2",
        ),
        (
            |leaf| leaf.subject_alt_names.push(uri("https://a.test/")),
            "leaf_many_uris",
            "X509-SVID §2",
        ),
        (
            |leaf| leaf.subject_alt_names = vec![uri("spiffe://a.test")],
            "leaf_id",
            "X509-SVID §5.2",
        ),
        (
            |leaf| leaf.subject_alt_names = vec![uri("spiffe://A.test/x")],
            "leaf_id",
            "SPIFFE-ID §2.1",
        ),
        (
            |leaf| leaf.key_usages.clear(),
            "leaf_no_key_usage",
            "X509-SVID §4.3",
        ),
        (
            |leaf| leaf.key_usages.push(KeyUsagePurpose::CrlSign),
            "leaf_crl_sign",
            "X509-SVID §5.2",
        ),
        (
            |leaf| leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            "leaf_is_authority",
            "X509-SVID §5.2",
        ),
        (
            |leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
            "leaf_no_client_auth",
            "X509-SVID §4.4",
        ),
        (
            |leaf| leaf.subject_alt_names = vec![uri("spiffe://b.test/x")],
            "unknown_trust_domain",
            "SPIFFE Federation §7.3",
        ),
    ];
    for (change, reason, clause) in cases {
        let run = pki.verify(pki.leaf(change), &[]);
        assert_eq!(refused(&run), finding(reason, clause), "{}", run.stderr);
    }
}

#[test]
fn time_and_path_are_judged() {
    let pki = Pki::new("verify-svid-path");
    let leaf = pki.leaf(|_| {});
    let bundle = bundle(&pki.folder);
    let chain = pki.file("leaf.pem", &leaf);
    let at = |at: &str| ztl(&["verify-svid", "--bundle", &bundle, "--at", at, &chain]);
    let time = "RFC 5280 §4.1.2.5";
    assert_eq!(
        refused(&at("2026-06-01T01:00:01Z")),
        finding("expired", time)
    );
    // The same second, told elsewhere on earth.
    assert_eq!(object(&at("2026-06-01T03:00:00+02:00"))["ok"], true);
    assert_eq!(
        refused(&at("2026-05-31T23:58:00Z")),
        finding("not_yet_valid", time)
    );
    let other = Pki::new("verify-svid-other").leaf(|_| {});
    let run = pki.verify(&other, &[]);
    assert_eq!(refused(&run).1, "bad_signature", "a namesake's key");
}

/// Rule 20: the leaf's own domain chooses; a bundle of another vouches for nobody here.
#[test]
fn rule_20_bundles_are_not_pooled() {
    let (a, b) = (Pki::new("verify-svid-a"), Pki::new("verify-svid-b"));
    let forged = b.leaf(|_| {});
    let chain = a.file("chain.pem", forged);
    let bundles = [
        bundle(&a.folder),
        format!("b.test={}", b.folder.join("bundle.pem").display()),
    ];
    let [of_a, of_b] = &bundles;
    let args = [
        "verify-svid",
        "--bundle",
        of_a,
        "--bundle",
        of_b,
        "--at",
        AT,
        &chain,
    ];
    assert_eq!(refused(&ztl(&args)).0, 1);
    // Two bundles of one domain are refused, not joined.
    let args = [
        "verify-svid",
        "--bundle",
        of_a,
        "--bundle",
        of_a,
        "--at",
        AT,
        &chain,
    ];
    assert_eq!(refused(&ztl(&args)).1, "bundle_invalid");
}

#[test]
fn a_file_of_the_wrong_shape_says_what_it_is_instead() {
    let pki = Pki::new("verify-svid-shape");
    let (leaf, key) = pki.leaf_and_key(|_| {});
    let root = fs::read_to_string(pki.folder.join("bundle.pem")).expect("root");
    let says = |chain: &[u8], reason: &str, hint: &str| {
        let run = pki.verify(chain, &[]);
        let (code, found, _) = refused(&run);
        assert_eq!((code, found.as_str()), (1, reason), "{}", run.stderr);
        assert!(run.stderr.contains(hint), "{}", run.stderr);
        // A key is never shown.
        assert!(!run.stderr.contains(key.lines().nth(1).expect("key")));
    };
    let der = pem_to_der(&leaf);
    says(b"", "no_certificate", "the file is empty");
    says(&der, "no_certificate", "looks like DER: `openssl x509");
    says(key.as_bytes(), "no_certificate", "holds a private key");
    says(&leaf.as_bytes()[..200], "chain_not_pem", "cut off");
    let swapped = format!("{root}{leaf}");
    says(
        swapped.as_bytes(),
        "leaf_no_uri",
        "certificate 2 of the file is a leaf",
    );
    let many = leaf.repeat(17);
    says(many.as_bytes(), "chain_too_long", "of one path");
    let long = vec![b'\n'; 1 << 21];
    says(&long, "chain_not_pem", "of one path");
    // One file for both is used here and there; the key is read past, and that is said where something is wrong.
    let both = format!("{key}{leaf}");
    assert_eq!(object(&pki.verify(&both, &[]))["ok"], true);
    let run = pki.verify(format!("{both}{}", leaf.repeat(16)), &[]);
    assert!(
        run.stderr.contains("also holds a private key"),
        "{}",
        run.stderr
    );
}

fn pem_to_der(pem: &str) -> Vec<u8> {
    use rustls_pki_types::pem::PemObject as _;
    let der = rustls_pki_types::CertificateDer::from_pem_slice(pem.as_bytes());
    der.expect("PEM").to_vec()
}

#[test]
fn files_that_cannot_be_read_and_bundles_that_are_none_are_2_and_prove_nobody() {
    let pki = Pki::new("verify-svid-unusable");
    let chain = pki.file("chain.pem", pki.leaf(|_| {}));
    let not_there = pki.folder.join("not-there.pem").display().to_string();
    let unusable = |args: &[&str], reason: &str| {
        let run = ztl(&[&["verify-svid", "--at", AT], args].concat());
        let (code, found, _) = refused(&run);
        assert_eq!((code, found.as_str()), (2, reason), "{}", run.stderr);
    };
    let good = bundle(&pki.folder);
    unusable(&["--bundle", &good, &not_there], "unreadable");
    unusable(&["--bundle", &good, "."], "unreadable");
    unusable(
        &["--bundle", &format!("a.test={not_there}"), &chain],
        "unreadable",
    );
    // A leaf in a bundle would let its holder issue.
    unusable(
        &["--bundle", &format!("a.test={chain}"), &chain],
        "bundle_invalid",
    );
    let empty = pki.file("empty.pem", "");
    unusable(
        &["--bundle", &format!("a.test={empty}"), &chain],
        "bundle_invalid",
    );
}

#[test]
fn wrong_use_is_2_and_prints_nothing() {
    let pki = Pki::new("verify-svid-usage");
    let chain = pki.file("chain.pem", pki.leaf(|_| {}));
    let good = bundle(&pki.folder);
    for args in [
        &["verify-svid", &chain][..],
        &["verify-svid", "--bundle", &good],
        &["verify-svid", "--bundle", "bundle.pem", &chain],
        &["verify-svid", "--bundle", "A.test=bundle.pem", &chain],
        &[
            "verify-svid",
            "--bundle",
            &good,
            "--at",
            "yesterday",
            &chain,
        ],
        &[
            "verify-svid",
            "--bundle",
            &good,
            "--at",
            "1780272000",
            &chain,
        ],
        &[
            "verify-svid",
            "--bundle",
            &good,
            "--purpose",
            "peer",
            &chain,
        ],
        &[
            "verify-svid",
            "--bundle",
            &good,
            "--crl-depth",
            "leaf",
            &chain,
        ],
        &[
            "verify-svid",
            "--bundle",
            &good,
            "--alias",
            "b.test",
            &chain,
        ],
    ] {
        let run = ztl(args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}");
    }
}

#[test]
fn text_is_for_people() {
    let pki = Pki::new("verify-svid-text");
    let run = pki.verify(pki.leaf(|_| {}), &["--format", "text"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let until = format!("proved: `{ID}`, until 2026-06-01T01:00:00Z\n");
    assert!(run.stdout.starts_with(&until), "{}", run.stdout);
    for line in [
        "id spiffe://a.test/ns/x/sa/y",
        "key sha256:",
        "serial ",
        "judged at ",
        "valid ",
        "certificate ",
    ] {
        assert!(
            run.stdout.lines().any(|has| has.starts_with(line)),
            "{line}"
        );
    }
    let run = pki.verify(
        pki.leaf(|leaf| leaf.key_usages.clear()),
        &["--format", "text"],
    );
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    assert!(
        run.stdout.starts_with("refused: the leaf has no keyUsage"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("  = help: issue it with `keyUsage"),
        "{}",
        run.stdout
    );
}

/// T28: as in a service, a development authority proves nobody unless that is allowed.
#[test]
fn t28_development_authorities_are_refused_unless_allowed() {
    let folder = scratch("verify-svid-dev");
    let out = folder.display().to_string();
    assert_eq!(
        ztl(&["dev-pki", "mesh.toml", "--out", &out, "--force"]).code,
        Some(0)
    );
    let bundle = format!("prod.example={out}/prod.example.bundle.pem");
    let chain = format!("{out}/router/svid.pem");
    let run = ztl(&["verify-svid", "--bundle", &bundle, &chain]);
    assert_eq!(refused(&run), finding("dev_authority", "T28"));
    let run = ztl(&[
        "verify-svid",
        "--bundle",
        &bundle,
        "--allow-dev-authority",
        &chain,
    ]);
    assert_eq!(object(&run)["ok"], true, "{}", run.stderr);
}

#[test]
fn t25_a_revoked_certificate_proves_nobody_and_neither_does_one_of_unknown_status() {
    let pki = Pki::new("verify-svid-crl");
    let other = Pki::new("verify-svid-crl-other");
    let leaf = pki.leaf(|leaf| leaf.serial_number = Some(SerialNumber::from(77_u64)));
    let list = |name: &str, text: String| pki.file(name, text);
    let (fresh, revoking, of_other) = (
        list("fresh.crl", pki.crl(&[5])),
        list("revoking.crl", pki.crl(&[5, 77])),
        list("other.crl", other.crl(&[77])),
    );
    let status = "RFC 5280 §6.3.3";
    assert_eq!(object(&pki.verify(&leaf, &["--crl", &fresh]))["ok"], true);
    for crls in [
        &["--crl", &revoking][..],
        &["--crl", &fresh, "--crl", &revoking],
    ] {
        assert_eq!(
            refused(&pki.verify(&leaf, crls)),
            finding("revoked", status)
        );
    }
    // A list of its issuer's name that its key did not sign.
    let run = pki.verify(&leaf, &["--crl", &of_other]);
    assert_eq!(refused(&run).1, "crl_bad_signature");
    // The next list is overdue.
    let late = ["--crl", &fresh, "--at", "2026-06-01T00:30:00Z"];
    let chain = pki.file("leaf.pem", &leaf);
    let bundle = bundle(&pki.folder);
    let at =
        |more: &[&str]| ztl(&[&["verify-svid", "--bundle", &bundle], more, &[&chain]].concat());
    assert_eq!(refused(&at(&late)), finding("crl_expired", status));
    let allowed = [&late[..], &["--allow-unknown-status"]].concat();
    assert_eq!(object(&at(&allowed))["ok"], true);
}

#[test]
fn a_revocation_list_that_is_none_is_2_and_proves_nobody() {
    let pki = Pki::new("verify-svid-bad-crl");
    let leaf = pki.leaf(|_| {});
    for text in [
        "",
        "not a list",
        "-----BEGIN X509 CRL-----\nMAA=",
        &leaf,
        "0\u{3}\u{2}\u{1}\u{1}",
    ] {
        let file = pki.file("bad.crl", text);
        let (code, reason, _) = refused(&pki.verify(&leaf, &["--crl", &file]));
        assert_eq!((code, reason.as_str()), (2, "crl_invalid"), "{text}");
    }
    let (code, reason, _) = refused(&pki.verify(&leaf, &["--crl", "not-there.crl"]));
    assert_eq!((code, reason.as_str()), (2, "unreadable"));
}

#[test]
fn a_bundle_may_be_a_spiffe_bundle_document() {
    let pki = Pki::new("verify-svid-json");
    let domain = TrustDomain::parse("a.test").expect("domain");
    let bundle = TrustBundle::from_pem_file(domain, pki.folder.join("bundle.pem"));
    let bundle = SpiffeBundle::new(bundle.expect("bundle"));
    let document = bundle.to_json().expect("JSON");
    let chain = pki.file("chain.pem", pki.leaf(|_| {}));
    let verify = |document: &str| {
        let file = pki.file("bundle.json", document);
        let bundle = format!("a.test={file}");
        ztl(&["verify-svid", "--bundle", &bundle, "--at", AT, &chain])
    };
    let run = verify(&document);
    assert_eq!(object(&run)["ok"], true, "{}", run.stderr);
    // Rule 21: a document without authorities proves nobody.
    let run = verify(r#"{"keys":[]}"#);
    assert_eq!(
        refused(&run),
        finding("empty_bundle", "SPIFFE Bundle §4.1.3")
    );
    for bad in ["{", r#"{"keys":[],"keys":[]}"#, "{}"] {
        let (code, reason, _) = refused(&verify(bad));
        assert_eq!((code, reason.as_str()), (2, "bundle_invalid"), "{bad}");
    }
}
