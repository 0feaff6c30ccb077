//! Exit codes: 0 all is well, 1 a denial or a finding, 2 wrong use, 3 an invalid policy, 4 no exact answer.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use common::{ztl, ztl_with_input};

#[test]
fn help_and_version_are_no_error() {
    for args in [
        &["--help"][..],
        &["--version"],
        &["check", "--help"],
        &["decide", "-h"],
        &["help", "test"],
        &["lint", "-h"],
        &["preset", "--help"],
        &["verify-svid", "--help"],
        &["preset", "health", "-h"],
        &["preset", "metrics", "--help"],
    ] {
        let run = ztl(args);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert!(!run.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn help_tells_each_exit_code() {
    let verbs = [
        "check", "test", "decide", "explain", "preset", "reach", "diff",
    ];
    let asked = verbs.map(|verb| vec![verb, "--help"]);
    for args in asked.into_iter().chain([vec!["--help"]]) {
        let run = ztl(&args);
        let codes = run.stdout.split("Exit codes: ").nth(1).unwrap_or_default();
        for code in [
            "0 all",
            "1 a denial",
            "2 wrong",
            "3 an invalid",
            "4 no exact",
        ] {
            assert!(codes.contains(code), "{args:?}: {code}");
        }
    }
}

#[test]
fn wrong_use_is_2() {
    let cases: &[&[&str]] = &[
        &[],
        &["chek"],
        &["check"],
        &["check", "mesh.toml", "--fast"],
        &["check", "mesh.toml", "--format", "xml"],
        &["check", "mesh.toml", "--format", "sarif", "--json"],
        &["check", "mesh.toml", "--explain", "no-tests"],
        &["check", "mesh.toml", "--controls", "--format", "github"],
        &["test", "mesh.toml", "--format", "sarif"],
        &["check", "no-such-file.toml"],
        &["check", "."],
        &["test", "no-such-file.toml"],
        &["decide", "--policy", "mesh.toml"],
        &["decide", "--to", "retriever"],
        &[
            "decide",
            "--policy",
            "no-such-file.toml",
            "--to",
            "retriever",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--requests",
            "no-such-file.jsonl",
        ],
        &["decide", "--policy", "mesh.toml", "--requests", "."],
        &["decide", "--policy", "-", "--requests", "-"],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--requests",
            "requests.jsonl",
            "--to",
            "retriever",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--requests",
            "requests.jsonl",
            "--from",
            "router",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--requests",
            "requests.jsonl",
            "--connect",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--to",
            "retriever",
            "--port",
            "0",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--to",
            "retriever",
            "--trust-score",
            "101",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--to",
            "retriever",
            "--method",
            "GET",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--to",
            "retriever",
            "--connect",
            "--method",
            "GET",
            "--path",
            "/",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--to",
            "retriever",
            "--header",
            "x",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--to",
            "retriever",
            "--now",
            "-1",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--to",
            "retriever",
            "--now",
            "nan",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--to",
            "retriever",
            "--from",
            "SPIFFE://td/x",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--to",
            "retriever",
            "--from",
            "nobody",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--to",
            "retriever",
            "--from-addr",
            "10.0.0.0/8",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--to",
            "retriever",
            "--claims",
            "[]",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--to",
            "retriever",
            "--claims",
            "{\"a\":1,\"a\":2}",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--to",
            "retriever",
            "--claims",
            "{},\"from\":\"router\"",
        ],
        &[
            "decide",
            "--policy",
            "mesh.toml",
            "--to",
            "model-server",
            "--from",
            "retriever",
        ],
        &["dev-pki", "mesh.toml"],
        &["dev-pki", "mesh.toml", "--out", "x", "--hours", "25"],
        &["canonical-path", "/v1"],
    ];
    for args in cases {
        let run = ztl(args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(!run.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn an_invalid_policy_is_3_for_every_verb() {
    let bad = b"schema = 1\ntrust_domain = \"Prod\"\n";
    let cases: &[&[&str]] = &[
        &["check", "-"],
        &["check", "-", "--json"],
        &["test", "-"],
        &["decide", "--policy", "-", "--to", "x"],
        &["decide", "--policy", "-", "--requests", "requests.jsonl"],
        &["dev-pki", "-", "--out", "never-made"],
    ];
    for args in cases {
        let run = ztl_with_input(args, bad);
        assert_eq!(run.code, Some(3), "{args:?}");
        assert!(
            run.stderr.contains("error: <stdin>:2:16: "),
            "{args:?}: {}",
            run.stderr
        );
    }
    assert!(!common::data("never-made").exists());
}

#[test]
fn output_has_no_colour_where_nobody_sees_it() {
    for args in [&["check", "mesh.toml"][..], &["test", "mesh.toml"]] {
        assert!(!ztl(args).stdout.contains('\u{1b}'), "{args:?}");
    }
}
