//! X.509-SVIDs as go-spiffe and rust-spiffe test them: what is an SVID by its form, and scenarios whose chains are made here.

use rcgen::{KeyPair, KeyUsagePurpose};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use ztl_mtls::{Leaf, PemError, Purpose, SvidError, X509Svid, provider};

use crate::common::{Ca, Issued, NOW, prover, uri};
use crate::tally::{Counts, Stands, Tally};
use crate::{der, rows, text};

#[test]
fn rules_16_to_20_x509_svids() {
    let mut tally = Tally::new(include_str!("spiffe/exceptions.toml"));
    for row in rows(include_str!("spiffe/x509_svid.json")) {
        let ours = match text(&row, "kind") {
            "parse" => parse(&row),
            "parse_der_chain" => form(X509Svid::from_der(
                &der(text(&row, "der")),
                key().secret_pkcs8_der(),
                &provider(),
            )),
            "leaf_der" => taken(Leaf::read(&der(text(&row, "der"))).is_ok()),
            "verify_scenario" => taken(scenario(text(&row, "scenario"))),
            kind => panic!("the kind `{kind}` is new"),
        };
        let valid = row["valid"] == true || row["expect"] == "accept";
        let stands = match valid {
            true => Stands::Stricter,
            false => Stands::Looser,
        };
        tally.row(text(&row, "id"), taken(valid), ours, stands);
    }
    let expected = Counts {
        agree: 17,
        ..Counts::default()
    };
    tally.finish("X.509-SVIDs", expected);
}

fn taken(valid: bool) -> &'static str {
    if valid { "valid" } else { "refused" }
}

fn key() -> PrivatePkcs8KeyDer<'static> {
    PrivatePkcs8KeyDer::from(KeyPair::generate().expect("key").serialize_der())
}

/// The rows came without their keys. One of our own is compared last, so it is what is wrong where all else is right.
fn form(svid: Result<X509Svid, SvidError>) -> &'static str {
    taken(matches!(svid, Err(SvidError::KeyMismatch { .. })))
}

fn parse(row: &Value) -> &'static str {
    if row["why"]
        .as_str()
        .is_some_and(|why| why.contains("private key"))
    {
        // It has none, as all of them, and says so.
        let certificates = row["chain"].as_array().into_iter().flatten();
        let text: String = certificates
            .map(|der| der.as_str().expect("a text"))
            .map(|der| format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n"))
            .collect();
        let svid = X509Svid::from_pem(text.as_bytes(), text.as_bytes(), &provider());
        return taken(!matches!(svid, Err(SvidError::KeyPem(PemError::NoKey))));
    }
    let chain: Vec<CertificateDer<'static>> = row["chain"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|certificate| der(certificate.as_str().expect("a text")))
        .collect();
    if let (Some(id), Some(leaf)) = (row["spiffe_id"].as_str(), chain.first()) {
        assert_eq!(Leaf::read(leaf).expect("a leaf").id().as_str(), id);
    }
    form(X509Svid::from_parts(
        chain,
        PrivateKeyDer::from(key()),
        &provider(),
    ))
}

/// Makes the chain that the name of a scenario speaks of, and proves it.
fn scenario(name: &str) -> bool {
    let ca = Ca::new("root");
    let id = "spiffe://a.test/workload";
    let proves = |leaf: &Issued, of: &str| {
        let prover = prover([ca.bundle(of)]);
        prover
            .prove(std::slice::from_ref(&leaf.der), NOW, Purpose::Client)
            .is_ok()
    };
    let with = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| uri(name)).collect();
        ca.leaf(|params| params.subject_alt_names = names)
    };
    let usage = |usage| {
        let usages = vec![KeyUsagePurpose::DigitalSignature, usage];
        ca.leaf(|params| params.key_usages = usages)
    };
    let good = with(&[id]);
    assert!(proves(&good, "a.test"), "the same chain without the fault");
    match name {
        "no roots for leaf cert domain (bundle is for another trust domain)" => {
            proves(&good, "b.test")
        }
        "no URI SAN" => proves(&with(&[]), "a.test"),
        "more than one URI SAN (even the same one twice)" => {
            let others = with(&[id, "https://a.test/"]);
            proves(&with(&[id, id]), "a.test") || proves(&others, "a.test")
        }
        "leaf has cRLSign" => proves(&usage(KeyUsagePurpose::CrlSign), "a.test"),
        other => panic!("the scenario `{other}` is new"),
    }
}
