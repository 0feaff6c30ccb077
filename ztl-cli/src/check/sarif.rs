//! Findings as SARIF 2.1.0 (OASIS Standard, 2020), for code scanning.

use serde_json::{Value, json};
use ztl_core::analysis::lint::{Lint, Severity};

use super::item::{INVALID, Item};
use crate::pages;
use crate::places::Place;

/// Where the schema is published; named in each log, never fetched.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// A log of one run (§3.13). Columns count characters (§3.14.17).
pub(super) fn log(name: &str, items: &[Item], loads: bool) -> Value {
    let uri = artifact(name);
    let results: Vec<_> = items.iter().map(|item| result(item, &uri)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "ztl",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules(),
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{ "executionSuccessful": loads }],
            "results": results,
        }]
    })
}

/// Every rule there is: those of the lints in their order, and the one of a policy that does not load (§3.49).
fn rules() -> Vec<Value> {
    let lints = Lint::ALL.iter().map(|lint| {
        let level = match lint.severity() {
            Severity::Note => "note",
            _ => "warning",
        };
        rule(
            lint.slug(),
            lint.title(),
            level,
            &format!("docs/lints/{}.md", lint.slug()),
        )
    });
    lints
        .chain([rule(
            INVALID,
            "the policy does not load",
            "error",
            "docs/policy.md",
        )])
        .collect()
}

fn rule(id: &str, title: &str, level: &str, page: &str) -> Value {
    let mut rule = json!({
        "id": id,
        "shortDescription": { "text": title },
        "defaultConfiguration": { "level": level },
        // §3.49.12 asks for an absolute URI.
        "helpUri": format!("{}/blob/main/{page}", env!("CARGO_PKG_REPOSITORY")),
    });
    if let (Some(page), Some(rule)) = (pages::page(id), rule.as_object_mut()) {
        rule.insert("help".to_owned(), json!({ "text": page, "markdown": page }));
    }
    rule
}

/// §3.27
fn result(item: &Item, uri: &str) -> Value {
    let text = match &item.help {
        Some(help) => format!("{}\nhelp: {help}", item.message),
        None => item.message.clone(),
    };
    let index = Lint::ALL
        .iter()
        .position(|lint| lint.slug() == item.slug)
        .unwrap_or(Lint::ALL.len());
    json!({
        "ruleId": item.slug,
        "ruleIndex": index,
        "level": item.level.as_str(),
        "message": { "text": text },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri },
            "region": region(item.start, item.end),
        }}],
    })
}

/// §3.30: the end column is the one after the last.
fn region(start: Place, end: Option<Place>) -> Value {
    match end {
        None => json!({ "startLine": start.line, "startColumn": start.column }),
        Some(end) => json!({
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        }),
    }
}

/// A relative reference (RFC 3986 §4.2) to the file, as it was named.
fn artifact(name: &str) -> String {
    use core::fmt::Write as _;
    let mut uri = String::new();
    let absolute = name.starts_with('/');
    uri.push_str(if absolute { "file://" } else { "" });
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            // Writing to a `String` cannot fail.
            _ => drop(write!(uri, "%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_uri_reference() {
        assert_eq!(artifact("a b/ü:x.toml"), "a%20b/%C3%BC%3Ax.toml");
        assert_eq!(artifact("/etc/p.toml"), "file:///etc/p.toml");
    }
}
