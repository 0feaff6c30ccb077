//! `ztl test`: the tests that a document holds, and the rules they exercise.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use common::{policy, ztl, ztl_with_input};
use serde_json::{Value, json};

const POLICY: &str = "schema = 1\ntrust_domain = \"prod.example\"\n\
        [workloads.router]\nid = \"spiffe://prod.example/router\"\n\
        [workloads.retriever]\nid = \"spiffe://prod.example/retriever\"\nports = [8443]\n\
        [[permit]]\nname = \"searches\"\nfrom = \"router\"\nto = \"retriever\"\nactions = \"GET /search\"\n\
        [[permit]]\nname = \"posts-soon\"\nmode = \"shadow\"\nfrom = \"router\"\nto = \"retriever\"\nactions = \"POST /search\"\n\
        [[forbid]]\nname = \"no-deletes\"\nfrom = \"router\"\nto = \"retriever\"\nactions = \"DELETE /{*rest}\"\n\
        [[forbid]]\nname = \"old\"\nmode = \"off\"\nfrom = \"router\"\nto = \"retriever\"\n";

fn test(name: &str, method: &str, expect: &str) -> String {
    format!(
        "[[test]]\nname = \"{name}\"\nfrom = \"router\"\nto = \"retriever\"\nmethod = \"{method}\"\npath = \"/search\"\n{expect}\n"
    )
}

#[test]
fn all_hold() {
    let run = ztl(&["test", "mesh.toml"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(
        run.stdout
            .starts_with("ok    the-router-may-search\nok    a-sensor-may-not\n"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("\n3 tests: 3 ok, 0 failed\n"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .contains("\ncoverage: 4 of 9 rules decided a test\n"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .contains("  never exercised: permit `anyone-greets` (mesh.toml:75:1)\n"),
        "{}",
        run.stdout
    );
    assert_eq!(ztl(&["test", "mesh.json"]).code, Some(0));
}

#[test]
fn one_that_fails_says_what_came_out() {
    let text = format!(
        "{POLICY}{}{}{}{}{}",
        test("holds", "GET", "expect = \"permit\"\nrule = \"searches\""),
        test("wrong-verdict", "GET", "expect = \"deny\""),
        test(
            "wrong-reason",
            "PUT",
            "expect = \"deny\"\nreason = \"forbidden\""
        ),
        test(
            "wrong-rule",
            "GET",
            "expect = \"permit\"\nreason = \"permitted\"\nrule = \"no-deletes\""
        ),
        "[[test]]\nname = \"no-answer\"\nfrom = \"nobody\"\nto = \"retriever\"\nexpect = \"deny\"\n",
    );
    let run = ztl(&["test", &policy("failing", &text)]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    for wanted in [
        "ok    holds\n",
        "FAIL  wrong-verdict\n        expected  deny\n        got       permit (permitted) by rule `searches`, at the action stage\n",
        "FAIL  wrong-reason\n        expected  deny (forbidden)\n        got       deny (no_action_permitted), at the action stage\n",
        "FAIL  wrong-rule\n        expected  permit (permitted) by rule `no-deletes`\n        got       permit (permitted) by rule `searches`, at the action stage\n",
        "FAIL  no-answer\n        expected  deny\n        got       no answer: `from` names the workload `nobody`",
        "\n5 tests: 1 ok, 4 failed\n",
    ] {
        assert!(run.stdout.contains(wanted), "{wanted} in {}", run.stdout);
    }
}

#[test]
fn a_document_without_tests_is_a_finding() {
    let run = ztl_with_input(&["test", "-"], POLICY.as_bytes());
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    assert!(
        run.stdout.starts_with("<stdin> has no tests"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("coverage: 0 of 3 rules decided a test"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_program_is_told_the_same() {
    let text = format!(
        "{POLICY}{}{}",
        test("searching", "GET", "expect = \"permit\""),
        test("posting", "POST", "expect = \"permit\""),
    );
    let run = ztl_with_input(&["test", "-", "--json"], text.as_bytes());
    assert_eq!(run.code, Some(1));
    let told: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!((&told["passed"], &told["failed"]), (&json!(1), &json!(1)));
    assert_eq!(told["tests"][0]["ok"], true);
    let posting = &told["tests"][1];
    assert_eq!(
        posting["expect"],
        json!({ "verdict": "permit", "reason": null, "rule": null })
    );
    assert_eq!(posting["got"]["reason"], "no_action_permitted");
    // A rule in shadow is exercised where it would have said something; one that is off cannot be.
    assert_eq!(
        posting["got"]["shadow"],
        json!([{ "rule": "posts-soon", "would": "permit" }])
    );
    let coverage = &told["coverage"];
    assert_eq!(
        (
            &coverage["rules"],
            &coverage["exercised"],
            &coverage["never"]
        ),
        (&json!(3), &json!(2), &json!(["no-deletes"]))
    );
}
