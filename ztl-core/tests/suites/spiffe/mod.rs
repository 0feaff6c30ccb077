//! SPIFFE IDs, trust domains, path segments and matchers, as go-spiffe and rust-spiffe test them (rules 17 and 18).

use serde_json::Value;
use ztl_core::{IdError, IdPattern, SpiffeId, TrustDomain};

use crate::tally::{Counts, Stands, Tally};
use crate::{rows, text};

#[test]
fn rules_17_and_18_spiffe_ids() {
    let mut tally = Tally::new(include_str!("exceptions.toml"));
    for row in rows(include_str!("spiffe_ids.json")) {
        let id = text(&row, "id");
        let ours = match text(&row, "kind") {
            "spiffe_id" => spiffe_id(&row),
            "trust_domain" => trust_domain(text(&row, "input")),
            "path_segments" => path_segments(&row),
            "matcher" => match matcher(&row) {
                Ok(ours) => ours,
                Err(kind) => {
                    tally.unread(id, "matcher", kind);
                    continue;
                }
            },
            kind => {
                tally.unread(id, "kind", kind);
                continue;
            }
        };
        let ours = match ours {
            Ok(()) => "valid".to_owned(),
            Err(why) => format!("refused: {why}"),
        };
        let (theirs, stands) = match (row["valid"] == true, ours.as_str()) {
            (true, _) => ("valid", Stands::Stricter),
            (false, "valid") => ("refused", Stands::Looser),
            // Whatever the reason.
            (false, refused) => (refused, Stands::Stricter),
        };
        tally.row(id, theirs, &ours, stands);
    }
    let expected = Counts {
        agree: 250,
        stricter: 3,
        ..Counts::default()
    };
    tally.finish("spiffe ids", expected);
}

/// SPIFFE-ID §2.1: whether a name would be an address, or a name of DNS, changes nothing, neither what is taken nor what is equal.
#[test]
fn rule_17_a_trust_domain_that_looks_like_an_address_is_as_any_other() {
    let names = [
        "192.0.2.7",
        "192.0.2.07",
        "192.0.2.7.",
        "3221225991",
        "0xc0000207",
        "256.1.1.1",
        "127.1",
        "127.0.0.1",
        "localhost",
        "1",
        "-",
        "_",
        ".",
        "..",
        "a..b",
        "a.",
        "-a-",
        "a_b",
        "xn--",
        "example.org",
        "example.org.",
    ];
    for name in names {
        let domain = TrustDomain::parse(name).expect(name);
        let id = SpiffeId::parse(&format!("spiffe://{name}/a")).expect(name);
        assert_eq!((domain.as_str(), id.trust_domain_name()), (name, name));
        for other in names {
            let pattern = IdPattern::parse(&format!("trust-domain:{other}")).expect(other);
            assert_eq!(pattern.matches(&id), name == other, "{name} and {other}");
        }
    }
    for name in ["[::1]", "::1", "192.0.2.7:443", "Localhost", "ex ample"] {
        assert!(TrustDomain::parse(name).is_err(), "{name}");
        assert!(
            SpiffeId::parse(&format!("spiffe://{name}/a")).is_err(),
            "{name}"
        );
    }
}

/// Taken, or why not.
type Answer = Result<(), &'static str>;

fn spiffe_id(row: &Value) -> Answer {
    let id = SpiffeId::parse(text(row, "input")).map_err(IdError::code)?;
    assert_eq!(id.as_str(), text(row, "input"), "nothing is repaired");
    if let Some(domain) = row["trust_domain"].as_str() {
        assert_eq!(id.trust_domain_name(), domain, "{row}");
    }
    if let Some(path) = row["path"].as_str() {
        assert_eq!(id.path(), path, "{row}");
    }
    Ok(())
}

/// go-spiffe reads a trust domain from its name and from an id of it; these are two functions here.
fn trust_domain(input: &str) -> Answer {
    let read = if input.contains(":/") {
        SpiffeId::parse(input).map(|_| ())
    } else {
        TrustDomain::parse(input).map(|_| ())
    };
    read.map_err(IdError::code)
}

/// There is no joining of segments here: what would be joined is read as an id, and has to be as many segments.
fn path_segments(row: &Value) -> Answer {
    let segments: Vec<_> = row["input"].as_array().expect("segments").iter().collect();
    let path: String = segments
        .iter()
        .map(|segment| format!("/{}", segment.as_str().expect("a segment")))
        .collect();
    let id = SpiffeId::parse(&format!("spiffe://example.org{path}")).map_err(IdError::code)?;
    if id.path().matches('/').count() != segments.len() {
        return Err("other segments");
    }
    assert_eq!(row["path"].as_str().unwrap_or(&path), id.path(), "{row}");
    Ok(())
}

/// A matcher is a list of patterns; one that a policy cannot write matches nobody. `Err` of one that is not known here.
fn matcher(row: &Value) -> Result<Answer, &str> {
    let id = SpiffeId::parse(text(row, "input")).expect("an id");
    let args = row["args"].as_array().into_iter().flatten();
    let args = args.map(|arg| arg.as_str().expect("an id").to_owned());
    let patterns: Vec<_> = match text(row, "matcher") {
        // A policy's `any`: every id, once it is proved.
        "any" => return Ok(Ok(())),
        "id" | "one_of" => args.collect(),
        "member_of" => vec![format!("trust-domain:{}", text(row, "args"))],
        kind => return Err(kind),
    };
    let patterns: Vec<_> = patterns.iter().map(|text| IdPattern::parse(text)).collect();
    let matches = patterns
        .iter()
        .flatten()
        .any(|pattern| pattern.matches(&id));
    Ok(match patterns.iter().any(Result::is_err) {
        _ if matches => Ok(()),
        true => Err("an id that is no pattern"),
        false => Err("no match"),
    })
}
