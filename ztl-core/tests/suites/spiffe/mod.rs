//! SPIFFE IDs, trust domains, path segments and matchers, as go-spiffe and rust-spiffe test them (rules 17 and 18).

use serde_json::Value;
use ztl_core::{IdPattern, SpiffeId, TrustDomain};

use crate::tally::{Counts, Stands, Tally};
use crate::{rows, text};

#[test]
fn rules_17_and_18_spiffe_ids() {
    let mut tally = Tally::new(include_str!("exceptions.toml"));
    for row in rows(include_str!("spiffe_ids.json")) {
        let ours = match text(&row, "kind") {
            "spiffe_id" => spiffe_id(&row),
            "trust_domain" => trust_domain(text(&row, "input")),
            "path_segments" => path_segments(&row),
            "matcher" => matcher(&row),
            kind => panic!("the kind `{kind}` is new"),
        };
        let valid = row["valid"] == true;
        let theirs = if valid { "valid" } else { "refused" };
        let stands = if valid {
            Stands::Stricter
        } else {
            Stands::Looser
        };
        tally.row(text(&row, "id"), theirs, ours, stands);
    }
    let expected = Counts {
        agree: 250,
        stricter: 3,
        ..Counts::default()
    };
    tally.finish("spiffe ids", expected);
}

fn answer(valid: bool) -> &'static str {
    if valid { "valid" } else { "refused" }
}

fn spiffe_id(row: &Value) -> &'static str {
    let Ok(id) = SpiffeId::parse(text(row, "input")) else {
        return "refused";
    };
    assert_eq!(id.as_str(), text(row, "input"), "nothing is repaired");
    if let Some(domain) = row["trust_domain"].as_str() {
        assert_eq!(id.trust_domain_name(), domain, "{row}");
    }
    if let Some(path) = row["path"].as_str() {
        assert_eq!(id.path(), path, "{row}");
    }
    "valid"
}

/// go-spiffe reads a trust domain from its name and from an id of it; these are two functions here.
fn trust_domain(input: &str) -> &'static str {
    answer(if input.contains(":/") {
        SpiffeId::parse(input).is_ok()
    } else {
        TrustDomain::parse(input).is_ok()
    })
}

/// There is no joining of segments here: what would be joined is read as an id, and has to be as many segments.
fn path_segments(row: &Value) -> &'static str {
    let segments: Vec<_> = row["input"].as_array().expect("segments").iter().collect();
    let path: String = segments
        .iter()
        .map(|segment| format!("/{}", segment.as_str().expect("a segment")))
        .collect();
    let Ok(id) = SpiffeId::parse(&format!("spiffe://example.org{path}")) else {
        return "refused";
    };
    if id.path().matches('/').count() != segments.len() {
        return "refused";
    }
    assert_eq!(row["path"].as_str().unwrap_or(&path), id.path(), "{row}");
    "valid"
}

/// A matcher is a list of patterns; one that a policy cannot write matches nobody.
fn matcher(row: &Value) -> &'static str {
    let id = SpiffeId::parse(text(row, "input")).expect("an id");
    let matches =
        |pattern: &str| IdPattern::parse(pattern).is_ok_and(|pattern| pattern.matches(&id));
    let mut args = row["args"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|arg| arg.as_str().expect("an id"));
    answer(match text(row, "matcher") {
        // A policy's `any`: every id, once it is proved.
        "any" => true,
        "id" | "one_of" => args.any(matches),
        "member_of" => matches(&format!("trust-domain:{}", text(row, "args"))),
        kind => panic!("the matcher `{kind}` is new"),
    })
}
