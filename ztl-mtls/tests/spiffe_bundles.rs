//! Trust bundles as go-spiffe tests them: rows of others, and our answers beside them (rules 21 and 22).

#![cfg(test)]

use serde_json::Value;
use ztl_core::TrustDomain;
use ztl_mtls::{JwtBundle, SpiffeBundle, TrustBundle};

#[path = "../../ztl-core/tests/suites/tally.rs"]
mod tally;

use tally::{Counts, Stands, Tally};

/// What a loader makes of a document: how many keys of the kind that its row counts, or nothing; `Err` of a kind that is not
/// known here.
fn loaded<'a>(kind: &'a str, document: &Value) -> Result<Option<usize>, &'a str> {
    let domain = TrustDomain::parse("domain.test").expect("domain");
    let json = document.to_string();
    Ok(match kind {
        "spiffe_bundle" => SpiffeBundle::from_json(domain, json.as_bytes())
            .ok()
            .map(|bundle| bundle.jwt_authorities().len()),
        "jwt_bundle" => JwtBundle::from_json(domain, json.as_bytes())
            .ok()
            .map(|bundle| bundle.authorities().len()),
        "x509_bundle_pem" => {
            let pem = document.as_str().expect("a text");
            TrustBundle::from_pem(domain, pem.as_bytes())
                .ok()
                .map(|bundle| bundle.certificates().len())
        }
        kind => return Err(kind),
    })
}

/// The document with the first value of each `x5c` alone, where one of them has several. X509-SVID §6.2 has the others ignored
/// and go-spiffe refuses the bundle, so that there the specification decides: the others change nothing.
fn first_alone(document: &Value) -> Option<Value> {
    let mut first = document.clone();
    let keys = first.get_mut("keys")?.as_array_mut()?.iter_mut();
    for chain in keys.filter_map(|key| key.get_mut("x5c")?.as_array_mut()) {
        chain.truncate(1);
    }
    (first != *document).then_some(first)
}

fn say(valid: bool) -> &'static str {
    if valid { "valid" } else { "refused" }
}

#[test]
fn rules_21_and_22_bundles_of_go_spiffe() {
    let rows: Vec<Value> =
        serde_json::from_str(include_str!("suites/spiffe/bundles.json")).expect("rows");
    let mut tally = Tally::new(include_str!("suites/spiffe/bundles.toml"));
    for row in &rows {
        let id = row["id"].as_str().expect("id");
        let (kind, document) = (row["kind"].as_str().expect("kind"), &row["document"]);
        let ours = match loaded(kind, document) {
            Ok(ours) => ours,
            Err(kind) => {
                tally.unread(id, "kind", kind);
                continue;
            }
        };
        let by_first = first_alone(document).map(|first| loaded(kind, &first).expect("the kind"));
        let valid = by_first.map_or(row["valid"] == true, |theirs| {
            assert_eq!(ours, theirs, "{row}");
            theirs.is_some()
        });
        let counted = ["keys", "authorities"]
            .iter()
            .find_map(|name| row["expect"][name].as_u64());
        if let (true, Some(ours), Some(theirs)) = (valid, ours, counted) {
            assert_eq!(ours, usize::try_from(theirs).expect("count"), "{row}");
        }
        let stands = if valid {
            Stands::Stricter
        } else {
            Stands::Looser
        };
        tally.row(id, say(valid), say(ours.is_some()), stands);
    }
    let expected = Counts {
        agree: rows.len(),
        ..Counts::default()
    };
    tally.finish("bundles", expected);
}

#[test]
fn rule_21_of_several_certificates_of_a_key_the_first_counts() {
    let rows: Vec<Value> =
        serde_json::from_str(include_str!("suites/spiffe/bundles.json")).expect("rows");
    let mut seen = 0;
    for row in rows.iter().filter(|row| row["kind"] == "spiffe_bundle") {
        let mut several = row["document"].clone();
        let keys = several.get_mut("keys").and_then(Value::as_array_mut);
        for chain in keys
            .into_iter()
            .flatten()
            .filter_map(|key| key.get_mut("x5c"))
        {
            chain
                .as_array_mut()
                .expect("x5c")
                .push("no certificate".into());
            seen += 1;
        }
        let one = &row["document"];
        let first = first_alone(&several);
        assert_eq!(first.is_some(), several != *one);
        assert!(first.is_none_or(|first| first == *one));
        let loaded = |document| loaded("spiffe_bundle", document).expect("the kind");
        assert_eq!(loaded(&several), loaded(one), "{row}");
    }
    assert!(seen > 0);
}

#[test]
fn a_bundle_of_the_suite_is_written_and_read_back() {
    let rows: Vec<Value> =
        serde_json::from_str(include_str!("suites/spiffe/bundles.json")).expect("rows");
    let domain = TrustDomain::parse("domain.test").expect("domain");
    let mut written = 0;
    for row in rows
        .iter()
        .filter(|row| row["kind"] == "spiffe_bundle" && row["valid"] == true)
    {
        let json = row["document"].to_string();
        let read = SpiffeBundle::from_json(domain.clone(), json.as_bytes()).expect("bundle");
        let again = read.to_json().expect("json");
        let other = SpiffeBundle::from_json(domain.clone(), again.as_bytes()).expect("again");
        assert!(read.has_keys_of(&other));
        assert_eq!(read.sequence(), other.sequence());
        assert_eq!(read.refresh_hint(), other.refresh_hint());
        written += 1;
    }
    assert!(written > 0);
}
