//! Request targets: what other servers make of them, and what is refused here (rules 46, 48 and 49).

pub(crate) mod templates;

use serde_json::Value;
use ztl_core::policy::{ActionPattern, PatternError};
use ztl_core::{Action, CanonicalPath};

use crate::tally::{Counts, Stands, Tally};
use crate::{rows, text};

/// What targets are refused for that another server takes.
const REFUSALS: &str = include_str!("refusals.toml");

/// What the target is here: the canonical path, or why there is none.
fn read(target: &str) -> Result<&str, String> {
    match CanonicalPath::parse(target) {
        Ok(path) => Ok(path.as_str()),
        Err(error) => Err(format!("refused: {}", error.code())),
    }
}

/// What comes of a request under a permit of these patterns.
fn judge(patterns: &[ActionPattern], target: &str) -> String {
    match Action::request("GET", target) {
        Ok(action) if patterns.iter().any(|pattern| pattern.permits(&action)) => "allow".to_owned(),
        Ok(_) => "deny".to_owned(),
        Err(error) => format!("refused: {}", error.code()),
    }
}

/// The patterns that mean this path and everything below it.
fn below(path: &str) -> Result<Vec<ActionPattern>, PatternError> {
    let path = path.trim_end_matches('/');
    let all = [
        format!("GET {path}"),
        format!("GET {path}/"),
        format!("GET {path}/{{*rest}}"),
    ];
    let written = all.iter().filter(|pattern| *pattern != "GET ");
    written
        .map(|pattern| ActionPattern::parse(pattern))
        .collect()
}

/// A canonical path is what the other server makes of the target, byte by byte; or the target is refused. Nothing is ever
/// read as a path that another server reads as another.
#[test]
fn rule_48_normalisation() {
    let mut tally = Tally::new(REFUSALS);
    for row in rows(include_str!("normalization.json")) {
        let raw = text(&row, "raw");
        let target = match (text(&row, "profile"), row["query"].as_str()) {
            // What is asked is what such a client puts on the wire.
            ("whatwg-url", query) => {
                let query = query.filter(|query| !query.is_empty());
                let query = query.map_or_else(String::new, |query| format!("?{query}"));
                format!("{}{query}", text(&row, "normalized"))
            }
            _ => raw.to_owned(),
        };
        let ours = read(&target);
        let (theirs, stands) = match (text(&row, "expect"), &ours) {
            ("normalize", Ok(_)) => (text(&row, "normalized"), Stands::Looser),
            ("normalize", Err(_)) => (text(&row, "normalized"), Stands::Stricter),
            (_, Ok(_)) => ("refused", Stands::Looser),
            // Whatever the reason.
            (_, Err(code)) => (code.as_str(), Stands::Stricter),
        };
        let ours = ours.as_deref().unwrap_or_else(|code| code);
        tally.row(text(&row, "id"), theirs, ours, stands);
    }
    let expected = Counts {
        agree: 122,
        stricter: 175,
        ..Counts::default()
    };
    tally.finish("path normalisation", expected);
}

#[test]
fn rule_48_match_decisions() {
    let mut tally = Tally::new("").with_rules_of(REFUSALS);
    for row in rows(include_str!("match_decisions.json")) {
        let allow = row["allow"].as_array().expect("rules").iter();
        let patterns: Result<Vec<_>, _> = allow.map(patterns).collect();
        let patterns = match patterns {
            Ok(patterns) => patterns.concat(),
            Err(kind) => {
                tally.unread(text(&row, "id"), "kind of rule", kind);
                continue;
            }
        };
        let ours = judge(&patterns, text(&row, "raw"));
        let denied = text(&row, "expect") == "deny";
        let (ours, stands) = match (denied, ours.as_str()) {
            (true, "allow") => ("allow", Stands::Looser),
            (true, _) => ("deny", Stands::Stricter),
            (false, ours) => (ours, Stands::Stricter),
        };
        tally.row(text(&row, "id"), text(&row, "expect"), ours, stands);
    }
    let expected = Counts {
        agree: 11,
        stricter: 3,
        ..Counts::default()
    };
    tally.finish("path match decisions", expected);
}

/// `Err` of a kind that is not known here.
fn patterns(rule: &Value) -> Result<Vec<ActionPattern>, &str> {
    let path = text(rule, "path");
    match text(rule, "kind") {
        "exact" => Ok(vec![
            ActionPattern::parse(&format!("GET {path}")).expect("a path"),
        ]),
        "prefix" => Ok(below(path).expect("a path")),
        kind => Err(kind),
    }
}

/// Under a permit for everything below A nothing is permitted of which some server has a reading outside of A.
#[test]
fn rule_48_confusion() {
    let mut tally = Tally::new("");
    let mut permitted = 0;
    for row in rows(include_str!("confusion.json")) {
        let texts = |key: &str| row[key].as_array().expect("a list").clone();
        for prefix in texts("first_segments") {
            let prefix = prefix.as_str().expect("a path");
            let under = |reading: &Value| {
                let rest = reading.as_str().and_then(|path| path.strip_prefix(prefix));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            // A prefix that no policy can write permits nothing.
            let ours = below(prefix).map_or_else(
                |_| "deny".to_owned(),
                |patterns| judge(&patterns, text(&row, "raw")),
            );
            let allowed = ours == "allow";
            permitted += usize::from(allowed);
            let escapes = !texts("readings").iter().all(under);
            let ours = if allowed && escapes { "allow" } else { "safe" };
            let id = format!("{} under {prefix}", text(&row, "id"));
            tally.row(&id, "safe", ours, Stands::Looser);
        }
    }
    assert_eq!(permitted, 0);
    let expected = Counts {
        agree: 62,
        ..Counts::default()
    };
    tally.finish("path confusion", expected);
}
