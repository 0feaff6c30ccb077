//! The documents in `docs/`: an example that begins with `schema` loads as it is, and a fragment loads beside the first
//! document of its page. What the reference interpreter cites of docs/semantics.md is there, and what pages link to.

#![cfg(test)]

#[path = "docs/anchors.rs"]
mod anchors;
#[path = "docs/features.rs"]
mod features;
#[path = "docs/standards.rs"]
mod standards;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use ztl_core::authorizer::{
    Authorizer, AuthorizerError, AuthorizerFactory, Condition, ConditionCompiler, ConditionError,
    Facts, Reads, Setting,
};
use ztl_core::policy::{Format, Loader};

/// What is registered where the examples name something to be registered.
#[derive(Debug)]
struct Anything;

impl ConditionCompiler for Anything {
    fn compile(&self, _: &str, _: &Setting<'_>) -> Result<Arc<dyn Condition>, ConditionError> {
        Ok(Arc::new(Self))
    }
}

impl Condition for Anything {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn holds(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        Ok(true)
    }
}

impl AuthorizerFactory for Anything {
    fn build(&self, _: &str, _: &Map<String, Value>) -> Result<Arc<dyn Authorizer>, String> {
        Ok(Arc::new(Self))
    }
}

impl Authorizer for Anything {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn objects(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        Ok(false)
    }
}

/// What loads a document.
fn load(text: &str) -> Result<(), String> {
    let loader = Loader::new()
        .with_conditions(Arc::new(Anything))
        .authorizer_kind("ledger", Arc::new(Anything))
        .authorizer_kind("rego", Arc::new(Anything));
    let loaded = loader.load(text, Format::Toml);
    loaded.map(|_| ()).map_err(|error| error.to_string())
}

/// A fenced example: where it begins, what its fence says, what it holds.
struct Example {
    at: String,
    fence: String,
    text: String,
}

fn examples(page: &str) -> Vec<Example> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(page);
    let text = std::fs::read_to_string(path).expect("a page");
    let mut examples: Vec<Example> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(fence) => {
                open = true;
                examples.push(Example {
                    at: format!("{page}:{}", number + 1),
                    fence: fence.to_owned(),
                    text: String::new(),
                });
            }
            None if open => {
                let example = examples.last_mut().expect("an open example");
                example.text.push_str(line);
                example.text.push('\n');
            }
            None => {}
        }
    }
    assert!(!open, "{page}: a fence is not closed");
    examples
}

/// The document without the tables that a fragment writes itself.
fn beside(document: &str, fragment: &str) -> String {
    let headers: Vec<_> = fragment
        .lines()
        .filter(|line| line.starts_with('[') && !line.starts_with("[["))
        .collect();
    let tables = document.split("\n\n").filter(|table| {
        let header = table.lines().next().unwrap_or_default();
        !headers.contains(&header)
    });
    let kept: Vec<_> = tables.collect();
    format!("{}\n\n{fragment}", kept.join("\n\n"))
}

#[test]
fn the_documents_of_the_reference_load() {
    let examples = examples("policy.md");
    let first = examples
        .iter()
        .find(|example| example.fence == "toml")
        .expect("a whole document");
    let (mut whole, mut fragments) = (0, 0);
    for example in &examples {
        let at = &example.at;
        match &*example.fence {
            "toml" => {
                assert!(example.text.starts_with("schema = 1\n"), "{at}");
                load(&example.text).unwrap_or_else(|error| panic!("{at}\n{error}"));
                whole += 1;
            }
            "toml fragment" => {
                let text = beside(&first.text, &example.text);
                load(&text).unwrap_or_else(|error| panic!("{at}\n{error}\n{text}"));
                fragments += 1;
            }
            other => assert!(
                ["text", "json", "ebnf", "sh"].contains(&other),
                "{at}: {other}"
            ),
        }
    }
    assert!(whole >= 2 && fragments >= 15, "{whole} and {fragments}");
}

#[test]
fn whole_documents_of_other_pages_load() {
    let mut loaded = 0;
    for page in ["getting-started.md", "hyper.md", "migration.md"] {
        for example in examples(page) {
            if example.text.starts_with("schema = ") {
                load(&example.text).unwrap_or_else(|error| panic!("{}\n{error}", example.at));
                loaded += 1;
            }
        }
    }
    assert!(loaded >= 4);
}

/// Every key that the strict reader takes has a line in the reference.
#[test]
fn every_key_is_in_the_reference() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policy.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let rows: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    for key in keys() {
        let forms = [format!("`{key}`"), format!("`{key} "), format!("[{key}")];
        let told = rows
            .iter()
            .any(|row| forms.iter().any(|form| row.contains(form)));
        assert!(told, "`{key}` has no row");
    }
}

/// The keys of a decide request, by the reader's own list, are the rows of both tables of them.
#[test]
fn every_key_of_a_decide_request_is_in_both_tables() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a file");
    let source = read("ztl-core/src/policy/query/read.rs");
    let (_, keys) = source.split_once("const KEYS: ").expect("the keys");
    let (keys, _) = keys.split_once("];\n").expect("their end");
    let mut keys: Vec<_> = keys.split('"').skip(1).step_by(2).collect();
    keys.sort_unstable();
    assert!(keys.len() >= 16, "{keys:?}");
    for (page, heading) in [
        ("docs/policy.md", "\n## A decide request\n"),
        ("ztl-cli/README.md", "\n## ztl decide "),
    ] {
        let text = read(page);
        let (_, section) = text.split_once(heading).expect(heading);
        let rows = section
            .lines()
            .skip_while(|line| !line.starts_with("|---"))
            .skip(1)
            .take_while(|line| line.starts_with("| `"));
        let cells = rows.filter_map(|row| row.split(" | ").next());
        let mut told: Vec<_> = cells
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .collect();
        told.sort_unstable();
        assert_eq!(told, keys, "{page}");
    }
}

/// The keys that the reader's sources take, by the calls that take them.
fn keys() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy/read");
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the reader") {
        let path = entry.expect("a file").path();
        // Settings are of other documents.
        if path.extension().is_none_or(|extension| extension != "rs")
            || path.ends_with("settings.rs")
        {
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("a source");
        for call in [
            ".one(\"",
            ".each(\"",
            ".text(\"",
            ".integer(\"",
            ".need(\"",
            ".required(\"",
            ".tables(\"",
            ".take(\"",
        ] {
            for (_, rest) in source
                .match_indices(call)
                .map(|(at, call)| source.split_at(at + call.len()))
            {
                let (key, _) = rest.split_once('"').expect("a key");
                keys.push(key.to_owned());
            }
        }
    }
    assert!(keys.len() > 40, "{keys:?}");
    keys
}

/// The sections and sentences of docs/semantics.md: `4`, `4.1`, `4.2`, ..
fn sentences() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/semantics.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let (mut section, mut next, mut all) = (0, 1, BTreeSet::new());
    for line in page.lines() {
        if line.starts_with("## ") {
            section += 1;
            assert!(line.starts_with(&format!("## {section} ")), "{line}");
            next = 1;
            all.insert(section.to_string());
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            assert!(line.starts_with(&format!("{next}. ")), "§{section}: {line}");
            all.insert(format!("{section}.{next}"));
            next += 1;
        }
    }
    all
}

/// The reference interpreter names sections that are there, and is in all of them.
#[test]
fn the_reference_follows_the_prose() {
    let sentences = sentences();
    let mut followed = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy/reference");
    for entry in std::fs::read_dir(folder).expect("the reference") {
        let path = entry.expect("a file").path();
        let source = std::fs::read_to_string(&path).expect("a source");
        for cited in source.split('§').skip(1) {
            let end = cited.find(|byte: char| !byte.is_ascii_digit() && byte != '.');
            let (cited, _) = cited.split_at(end.unwrap_or(cited.len()));
            let cited = cited.trim_end_matches('.');
            assert!(sentences.contains(cited), "{path:?}: §{cited}");
            let (section, _) = cited.split_once('.').unwrap_or((cited, ""));
            followed.insert(section.to_owned());
        }
    }
    let sections = sentences.iter().filter(|sentence| !sentence.contains('.'));
    assert_eq!(followed, sections.cloned().collect());
}

/// Numbers that stand in brackets on the page are of sentences that are there.
#[test]
fn the_prose_refers_to_itself() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/semantics.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let sentences = sentences();
    let mut found = 0;
    for bracket in page.split('(').skip(1) {
        let (inside, _) = bracket.split_once(')').expect("a bracket");
        let numbers = inside.split(", ");
        for number in numbers.filter(|text| {
            text.contains(|byte: char| byte.is_ascii_digit())
                && text
                    .chars()
                    .all(|byte| byte.is_ascii_digit() || byte == '.')
        }) {
            assert!(sentences.contains(number), "{number}");
            found += 1;
        }
    }
    assert!(found > 10, "{found}");
}

/// What two pages name as shown by a test is a test, in one of the files that they name.
#[test]
fn tests_that_pages_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    for page in ["docs/threat-model.md", "docs/expectations.md"] {
        let text = read(page);
        let words: BTreeSet<_> = text.split('`').skip(1).step_by(2).collect();
        let files = words
            .iter()
            .filter(|word| word.starts_with("ztl-") || word.contains("/tests/"));
        let sources: String = files
            .filter(|word| word.contains('.'))
            .map(|file| read(file))
            .collect();
        let tests: Vec<_> = words
            .iter()
            .filter(|word| word.contains('_') && !word.contains('/') && word.len() > 30)
            .collect();
        assert!(tests.len() > 20, "{page}: {}", tests.len());
        for test in tests {
            let written = sources.contains(&format!("fn {test}("))
                || sources.contains(&format!("def {test}("));
            assert!(written, "{page}: `{test}` is in no file that it names");
        }
    }
    let threats = read("docs/threat-model.md");
    for number in 1..=36 {
        assert!(
            threats.contains(&format!("| T{number} | `")),
            "T{number} names no test"
        );
    }
}
