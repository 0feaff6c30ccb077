//! What bad input a policy gets: exit code 3, file with line and column, a caret, and how to mend it.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use common::{policy, scratch, ztl, ztl_with_input};
use serde_json::Value;

const HEAD: &str = "schema = 1\ntrust_domain = \"prod.example\"\n";
const WORKLOADS: &str = r#"[workloads.router]
id = "spiffe://prod.example/router"
[workloads.retriever]
id = "spiffe://prod.example/retriever"
ports = [8443]
"#;

/// Where the document is wrong (line, column), and what the message and the help have to say.
fn refused(test: &str, text: &str, place: (usize, usize), wanted: &[&str]) {
    let path = policy(test, text);
    let run = ztl(&["check", &path]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(3), ""),
        "{}",
        run.stderr
    );
    let (line, column) = place;
    let head = format!("error: {path}:{line}:{column}: ");
    let found = run.stderr.lines().any(|line| line.starts_with(&head));
    assert!(found, "{head} in {}", run.stderr);
    assert!(run.stderr.contains('^'), "{}", run.stderr);
    for wanted in wanted {
        assert!(run.stderr.contains(wanted), "{wanted} in {}", run.stderr);
    }
}

#[test]
fn an_unknown_key() {
    let text = format!(
        "{HEAD}{WORKLOADS}[[permit]]\nform = \"router\"\nto = \"retriever\"\nactions = \"any\"\n"
    );
    refused(
        "unknown-key",
        &text,
        (9, 1),
        &["unknown key `form`", "= help: did you mean `from`?"],
    );
}

#[test]
fn a_duplicate_key() {
    let text = format!("{HEAD}trust_domain = \"other.example\"\n");
    refused("duplicate-key", &text, (3, 1), &["duplicate key"]);
}

#[test]
fn a_duplicate_rule_name() {
    let rule =
        "[[permit]]\nname = \"same\"\nfrom = \"router\"\nto = \"retriever\"\nactions = \"any\"\n";
    refused(
        "duplicate-name",
        &format!("{HEAD}{WORKLOADS}{rule}{rule}"),
        (14, 8),
        &["`same`"],
    );
}

#[test]
fn an_unknown_workload() {
    let rule = "[[permit]]\nfrom = \"roter\"\nto = \"retriever\"\nactions = \"any\"\n";
    let wanted = [
        "there is no workload `roter`",
        "= help: did you mean `router`?",
    ];
    refused(
        "unknown-workload",
        &format!("{HEAD}{WORKLOADS}{rule}"),
        (9, 8),
        &wanted,
    );
}

#[test]
fn a_bad_network() {
    let zone = "[zones.production]\nnetworks = [\"10.10.0.1/16\"]\n";
    refused(
        "bad-cidr",
        &format!("{HEAD}{zone}"),
        (4, 13),
        &["10.10.0.1/16", "10.10.0.0/16"],
    );
}

#[test]
fn a_bad_spiffe_id() {
    let text = format!("{HEAD}[workloads.router]\nid = \"spiffe://prod.example/a/../b\"\n");
    refused(
        "bad-id",
        &text,
        (4, 6),
        &["`spiffe://prod.example/a/../b`", "SPIFFE-ID §2.2"],
    );
}

#[test]
fn two_workloads_with_one_id() {
    let text =
        format!("{HEAD}{WORKLOADS}[workloads.other]\nid = \"spiffe://prod.example/router\"\n");
    refused(
        "one-id",
        &text,
        (9, 6),
        &["`router`", "`other`", "= help: an id is one workload's"],
    );
}

#[test]
fn port_zero() {
    let text =
        format!("{HEAD}[workloads.router]\nid = \"spiffe://prod.example/router\"\nports = [0]\n");
    refused("port-zero", &text, (5, 10), &["65535"]);
}

#[test]
fn an_assertion_that_does_not_hold() {
    let rules = "[[permit]]\nname = \"opens\"\nfrom = \"router\"\nto = \"retriever\"\nactions = \"any\"\n\
                     [[never]]\nname = \"shut\"\nfrom = \"router\"\nto = \"retriever\"\n";
    refused(
        "never",
        &format!("{HEAD}{WORKLOADS}{rules}"),
        (14, 8),
        &["`shut` does not hold", "`opens`"],
    );
}

#[test]
fn an_unknown_key_in_json() {
    let path = scratch("unknown-key-json").join("policy.json");
    std::fs::write(
        &path,
        "{\"schema\":1,\n\"trust_domain\":\"prod.example\",\n\"permitt\":[]}\n",
    )
    .expect("write");
    let path = path.display().to_string();
    let run = ztl(&["check", &path]);
    assert_eq!(run.code, Some(3));
    assert!(
        run.stderr
            .starts_with(&format!("error: {path}:3:1: unknown key `permitt`")),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("^^^"), "{}", run.stderr);
}

#[test]
fn a_document_that_is_too_long() {
    let mut text = HEAD.as_bytes().to_vec();
    text.resize(ztl_core::policy::MAX_DOCUMENT_BYTES + 1, b'\n');
    let run = ztl_with_input(&["check", "-"], &text);
    assert_eq!(run.code, Some(3));
    assert!(
        run.stderr
            .starts_with("error: <stdin>:1:1: the document has more than 67108864 bytes"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_document_that_is_not_utf8() {
    let run = ztl_with_input(&["check", "-"], b"schema = 1\n# \xc3\xa9 \xff\n");
    assert_eq!(run.code, Some(3));
    assert!(
        run.stderr
            .starts_with("error: <stdin>:2:5: the document is not UTF-8 here"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_program_is_told_the_same() {
    let text = format!(
        "{HEAD}{WORKLOADS}[[permit]]\nform = \"router\"\nto = \"retriever\"\nactions = \"any\"\n"
    );
    let run = ztl_with_input(&["check", "-", "--json"], text.as_bytes());
    assert_eq!(run.code, Some(3));
    let told: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(told["ok"], false);
    let errors = told["errors"].as_array().expect("errors");
    let error = errors
        .iter()
        .find(|error| error["line"] == 9)
        .expect("line 9");
    assert_eq!(error["column"], 1);
    let says = |key: &str, wanted: &str| {
        error[key]
            .as_str()
            .is_some_and(|text| text.contains(wanted))
    };
    assert!(
        says("message", "`form`") && says("help", "`from`"),
        "{error}"
    );
}
