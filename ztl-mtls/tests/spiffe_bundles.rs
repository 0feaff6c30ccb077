//! Trust bundles as go-spiffe tests them: rows of others, and our answers beside them (rules 21 and 22).

#![cfg(test)]

use serde_json::Value;
use ztl_core::TrustDomain;
use ztl_mtls::{JwtBundle, SpiffeBundle, TrustBundle};

#[path = "../../ztl-core/tests/suites/tally.rs"]
mod tally;

use tally::{Counts, Stands, Tally};

/// What a loader makes of a row: how many keys of the kind that the row counts, or nothing.
fn loaded(row: &Value) -> Option<usize> {
    let domain = TrustDomain::parse("domain.test").expect("domain");
    let document = &row["document"];
    let json = document.to_string();
    match row["kind"].as_str().expect("kind") {
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
        kind => panic!("the kind `{kind}` is new"),
    }
}

#[test]
fn rules_21_and_22_bundles_of_go_spiffe() {
    let rows: Vec<Value> =
        serde_json::from_str(include_str!("suites/spiffe/bundles.json")).expect("rows");
    let mut tally = Tally::new(include_str!("suites/spiffe/bundles.toml"));
    for row in &rows {
        let valid = row["valid"] == true;
        let ours = loaded(row);
        let counted = ["keys", "authorities"]
            .iter()
            .find_map(|name| row["expect"][name].as_u64());
        if let (true, Some(ours), Some(theirs)) = (valid, ours, counted) {
            assert_eq!(ours, usize::try_from(theirs).expect("count"), "{row}");
        }
        let say = |valid| if valid { "valid" } else { "refused" };
        let stands = if valid {
            Stands::Stricter
        } else {
            Stands::Looser
        };
        let id = row["id"].as_str().expect("id");
        tally.row(id, say(valid), say(ours.is_some()), stands);
    }
    let expected = Counts {
        agree: rows.len(),
        ..Counts::default()
    };
    tally.finish("bundles", expected);
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
