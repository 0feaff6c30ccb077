//! Every key of the reference occurs in the documents that are made up, or decides nothing.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::forms::{Choices, World};
use super::tally::bytes;

/// The sections of `docs/policy.md` whose tables list keys of what decides.
const SECTIONS: [&str; 10] = [
    "Top level",
    "Zones",
    "Workloads",
    "Issuers",
    "External",
    "Limits",
    "Authorizers",
    "Rules",
    "Requirements",
    "Obligations",
];

/// Keys that bear on no decision: on whether a document is taken, on how evidence comes about, or on people alone.
const SILENT: [&str; 7] = [
    "serial",
    "never",
    "test",
    "end",
    "jwks_file",
    "name",
    "controls",
];

/// The keys of the tables: of each row what its first cell has in backticks, without brackets and what stands behind a dot.
fn listed() -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policy.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let mut keys = BTreeSet::new();
    for section in SECTIONS {
        let heading = format!("\n## {section}\n");
        let (_, text) = page.split_once(&heading).expect(section);
        let text = text.split("\n## ").next().unwrap_or_default();
        let rows = text.lines().filter(|line| line.starts_with("| `"));
        let cells = rows.filter_map(|row| row.split(" | ").next());
        let before = keys.len();
        for name in cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
            let name = name.trim_matches(['[', ']']);
            keys.insert(name.split('.').next().unwrap_or(name).to_owned());
        }
        assert!(keys.len() > before || section == "External", "{section}");
    }
    keys
}

fn occurring(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            keys.extend(members.keys().cloned());
            members.values().for_each(|value| occurring(value, keys));
        }
        Value::Array(list) => list.iter().for_each(|value| occurring(value, keys)),
        _ => {}
    }
}

#[test]
fn every_key_is_made_up_or_decides_nothing() {
    let mut made_up = BTreeSet::new();
    for seed in 0..200 {
        let bytes = bytes(seed);
        let world = World::of(&mut Choices::new(&bytes));
        let document = serde_json::from_str(&world.text()).expect("JSON");
        occurring(&document, &mut made_up);
    }
    let listed = listed();
    assert!(listed.len() > 50, "{listed:?}");
    let missing: Vec<_> = listed
        .iter()
        .filter(|key| !made_up.contains(*key) && !SILENT.contains(&key.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let idle = SILENT.iter().filter(|key| !listed.contains(**key));
    assert_eq!(idle.count(), 0);
}
