//! Nothing that the builder takes is forgotten: each method has a key, or stands in the table of what stays code, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;

const PAGE: &str = include_str!("../../../docs/guard-file.md");

/// The public methods of every `impl GuardBuilder` below a folder.
fn methods(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            methods(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("source");
        for block in text.split("impl GuardBuilder {\n").skip(1) {
            let block = block.split("\n}\n").next().unwrap_or_default();
            for line in block.lines() {
                let Some(line) = line.strip_prefix("    pub ") else {
                    continue;
                };
                let line = line
                    .trim_start_matches("const ")
                    .trim_start_matches("async ");
                let name = line.strip_prefix("fn ").expect("a function");
                let name = name.split(['(', '<']).next().unwrap_or_default();
                assert!(found.insert(name.to_owned()), "{name} twice");
            }
        }
    }
}

/// What stands in backticks.
fn named(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The first two cells of the rows of the table below a header.
fn table(header: &str) -> Vec<(&'static str, &'static str)> {
    let below = PAGE.split(header).nth(1).expect(header);
    let rows = below.lines().skip_while(|line| !line.starts_with("|---"));
    let rows = rows.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split(" | ");
        (cells.next().expect("one"), cells.next().expect("two"))
    })
    .collect()
}

#[test]
fn what_the_builder_takes_is_a_key_or_stays_code_with_a_reason() {
    let mut found = BTreeSet::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    methods(&source, &mut found);
    assert!(
        found.contains("policy_file") && found.contains("opa_bundle"),
        "{found:?}"
    );
    let (keys, code) = (
        table("## What the builder takes, and its key\n"),
        table("## What has no key\n"),
    );
    let mut said = BTreeMap::new();
    for (methods, why) in keys.iter().chain(&code) {
        assert!(why.trim().len() > 5, "{methods}: {why}");
        for method in named(methods).into_iter().filter(|it| *it != "test-util") {
            assert!(
                said.insert(method.to_owned(), *why).is_none(),
                "{method} twice"
            );
        }
    }
    let said: BTreeSet<String> = said.into_keys().collect();
    assert_eq!(
        found, said,
        "the builder, and the two tables of docs/guard-file.md"
    );
    // Each key is one: what it says there is not read as another, and it is asked for.
    for (methods, key) in keys {
        let [key] = named(key)[..] else {
            panic!("{methods}: {key}")
        };
        let twice = format!("workload = 'w'\n{key} = 1.5\n");
        let error = GuardBuilder::from_toml(&twice, "guard.toml").expect_err(key);
        let error = error.to_string();
        assert!(
            error.contains(&format!("`{key}`")) || error.contains(&format!("[{key}]")),
            "{error}"
        );
        assert!(!error.contains("unknown key"), "{error}");
    }
}
