//! The pages of the lints: each shows a document that has exactly that finding, and one that has not.

#![cfg(test)]

use std::collections::BTreeSet;
use std::path::Path;

use ztl_core::analysis::lint::{Finding, Lint, Severity, lint};
use ztl_core::policy::Policy;

/// Found outside of documents, or in none that fits a page.
const WITHOUT_EXAMPLE: [Lint; 2] = [Lint::FileOpenToOthers, Lint::Incomplete];

fn page(lint: Lint) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("pages/lints/{lint}.md"));
    std::fs::read_to_string(path).expect("page")
}

/// The document under a heading of a page.
fn example(page: &str, heading: &str) -> String {
    let (_, rest) = page
        .split_once(&format!("\n## {heading}\n\n```toml\n"))
        .expect("heading");
    let (document, _) = rest.split_once("```\n").expect("end");
    document.to_owned()
}

fn found(lint_of: Lint, heading: &str) -> Vec<Finding> {
    let text = example(&page(lint_of), heading);
    let policy =
        Policy::from_toml(&text).unwrap_or_else(|error| panic!("{lint_of} {heading}: {error}"));
    lint(&policy)
}

#[test]
fn the_bad_example_yields_exactly_this_finding() {
    for one in Lint::ALL
        .iter()
        .filter(|one| !WITHOUT_EXAMPLE.contains(one))
    {
        let found = found(*one, "Bad");
        let this = found.iter().filter(|found| found.lint == *one).count();
        assert_eq!(this, 1, "{one}: {found:?}");
        // A note says what is worth knowing of most small documents: that it has no tests, that a workload only answers.
        let other: Vec<_> = found
            .iter()
            .filter(|found| found.lint != *one && found.lint.severity() == Severity::Warning)
            .collect();
        assert!(other.is_empty(), "{one}: {other:?}");
    }
}

#[test]
fn the_good_example_has_neither_this_finding_nor_a_warning() {
    for one in Lint::ALL
        .iter()
        .filter(|one| !WITHOUT_EXAMPLE.contains(one))
    {
        let found = found(*one, "Good");
        let warned = found
            .iter()
            .find(|found| found.lint == *one || found.lint.severity() == Severity::Warning);
        assert_eq!(warned, None, "{one}");
    }
}

#[test]
fn every_page_says_why_and_how_to_mend_it() {
    for one in Lint::ALL {
        let page = page(*one);
        let headings: Vec<_> = page
            .lines()
            .filter(|line| line.starts_with("## "))
            .collect();
        let wanted = ["## Bad", "## Good", "## Why", "## Mend"];
        assert_eq!(headings, wanted, "{one}");
        let level = format!("\n\n*{}*: ", one.severity());
        assert!(page.contains(&level), "{one}");
    }
}

#[test]
fn no_page_is_written_twice() {
    let all: BTreeSet<_> = Lint::ALL.iter().map(|one| page(*one)).collect();
    assert_eq!(all.len(), Lint::ALL.len());
}
