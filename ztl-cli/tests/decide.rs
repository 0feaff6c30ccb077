//! `ztl decide` over files, pipes and options.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use common::{command, data, ztl, ztl_with_input};
use serde_json::Value;

const UNPROVED: &str =
    r#"{"verdict":"deny","stage":"identity","reason":"identity_unproven","rule":null,"shadow":[]}"#;

#[test]
fn every_line_has_its_answer_in_order() {
    let run = ztl(&[
        "decide",
        "--policy",
        "mesh.toml",
        "--requests",
        "requests.jsonl",
    ]);
    let wanted = std::fs::read_to_string(data("answers.jsonl")).expect("answers");
    for (at, (got, wanted)) in run.lines().iter().zip(wanted.lines()).enumerate() {
        assert_eq!(*got, wanted, "answer {}", at + 1);
    }
    assert_eq!(
        (run.stdout == wanted, run.stderr.as_str(), run.code),
        (true, "", Some(1))
    );
}

#[test]
fn the_policy_is_named_as_every_verb_has_it_or_by_its_option() {
    let ask = ["--requests", "requests.jsonl"];
    let bare = ztl(&["decide", "mesh.toml", ask[0], ask[1]]);
    let named = ztl(&["decide", "--policy", "mesh.toml", ask[0], ask[1]]);
    let (bare, named) = (
        (bare.stdout, bare.stderr, bare.code),
        (named.stdout, named.stderr, named.code),
    );
    assert_eq!(bare, named);
    let twice = ztl(&[
        "decide",
        "mesh.toml",
        "--policy",
        "mesh.toml",
        ask[0],
        ask[1],
    ]);
    assert_eq!(twice.code, Some(2), "{}", twice.stderr);
    let none = ztl(&["decide", ask[0], ask[1]]);
    assert_eq!(none.code, Some(2), "{}", none.stderr);
}

#[test]
fn the_answers_show_every_reason_that_a_question_can_have() {
    let answers = std::fs::read_to_string(data("answers.jsonl")).expect("answers");
    let answers: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let reasons: BTreeSet<_> = answers
        .iter()
        .filter_map(|answer| answer["reason"].as_str())
        .collect();
    let wanted = BTreeSet::from([
        "permitted",
        "identity_unproven",
        "zone_unknown",
        "zone_mismatch",
        "no_flow_permitted",
        "path_ambiguous",
        "no_action_permitted",
        "forbidden",
        "requirement_unmet",
        "evidence_missing",
        "evidence_stale",
    ]);
    assert_eq!(reasons, wanted);
    let shadow: BTreeSet<_> = answers
        .iter()
        .flat_map(|answer| answer["shadow"].as_array().into_iter().flatten())
        .filter_map(|shadow| shadow["would"].as_str())
        .collect();
    assert_eq!(shadow, BTreeSet::from(["permit", "deny"]));
}

#[test]
fn toml_and_json_and_standard_input_say_the_same() {
    let one = ztl(&[
        "decide",
        "--policy",
        "mesh.toml",
        "--requests",
        "requests.jsonl",
    ]);
    let two = ztl(&[
        "decide",
        "--policy",
        "mesh.json",
        "--requests",
        "requests.jsonl",
    ]);
    let requests = std::fs::read(data("requests.jsonl")).expect("requests");
    let three = ztl_with_input(
        &["decide", "--policy", "mesh.toml", "--requests", "-"],
        &requests,
    );
    let policy = std::fs::read(data("mesh.json")).expect("policy");
    let four = ztl_with_input(
        &["decide", "--policy", "-", "--requests", "requests.jsonl"],
        &policy,
    );
    for other in [two, three, four] {
        assert_eq!((&other.stdout, other.code), (&one.stdout, one.code));
    }
}

#[test]
fn the_exit_code_is_0_only_if_all_is_permitted() {
    let permitted = r#"{"from":"router","from_addr":"10.10.0.5","to":"retriever"}"#;
    let args = ["decide", "--policy", "mesh.toml", "--requests", "-"];
    let code = |input: &str| ztl_with_input(&args, input.as_bytes()).code;
    assert_eq!(code(permitted), Some(0));
    assert_eq!(
        code(&format!("{permitted}\n\n  \t\r\n{permitted}\n")),
        Some(0)
    );
    assert_eq!(
        code(&format!("{permitted}\n{{\"to\":\"retriever\"}}\n")),
        Some(1)
    );
    assert_eq!(code(&format!("{permitted}\nnonsense\n")), Some(1));
    let nothing = ztl_with_input(&args, b"");
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(0), ""));
}

#[test]
fn a_hostile_line_is_an_error_and_the_next_is_read() {
    let mut input = vec![b'x'; 3 << 20];
    input.extend_from_slice(b"\n\xff\xfe\n{\"to\":\"retriever\"}\n{\"\x1b[31m\":1}\n");
    let deep = format!(
        "{{\"to\":\"retriever\",\"claims\":{{\"a\":{}1{}}}}}",
        "[".repeat(9999),
        "]".repeat(9999)
    );
    input.extend_from_slice(deep.as_bytes());
    let run = ztl_with_input(
        &["decide", "--policy", "mesh.toml", "--requests", "-"],
        &input,
    );
    let lines = run.lines();
    assert_eq!(lines.len(), 5, "{}", run.stdout);
    assert_eq!(
        lines[0],
        r#"{"line":1,"error":"the line has more than 1048576 bytes"}"#
    );
    assert_eq!(lines[1], r#"{"line":2,"error":"the line is not UTF-8"}"#);
    assert_eq!(lines[2], UNPROVED);
    assert!(
        lines[3].starts_with(r#"{"line":4,"error":"not JSON"#),
        "{}",
        lines[3]
    );
    assert!(
        lines[4].starts_with(r#"{"line":5,"error":""#),
        "{}",
        lines[4]
    );
    assert!(!run.stdout.contains('\u{1b}'));
    assert_eq!(run.code, Some(1));
}

#[test]
fn an_answer_is_written_before_more_is_waited_for() {
    let mut child = command(&["decide", "--policy", "mesh.toml", "--requests", "-"])
        .spawn()
        .expect("start");
    let mut stdin = child.stdin.take().expect("stdin");
    let mut stdout = BufReader::new(child.stdout.take().expect("stdout"));
    for _ in 0..3 {
        stdin.write_all(b"{\"to\":\"retriever\"}\n").expect("ask");
        let mut answer = String::new();
        stdout.read_line(&mut answer).expect("answer");
        assert_eq!(answer.trim_end(), UNPROVED);
    }
    // The rest of a line comes later than its beginning, which is no reason to keep an answer back either.
    stdin
        .write_all(b"{\"to\":\"retriever\"}\n{\"to\":")
        .expect("ask");
    let mut answer = String::new();
    stdout.read_line(&mut answer).expect("answer");
    assert_eq!(answer.trim_end(), UNPROVED);
    stdin.write_all(b"\"retriever\"}").expect("ask");
    drop(stdin);
    let mut answer = String::new();
    stdout.read_line(&mut answer).expect("answer");
    assert_eq!(answer.trim_end(), UNPROVED);
    assert_eq!(child.wait().expect("end").code(), Some(1));
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let permitted = "{\"from\":\"router\",\"from_addr\":\"10.10.0.5\",\"to\":\"retriever\"}\n";
    let mut child = command(&["decide", "--policy", "mesh.toml", "--requests", "-"])
        .spawn()
        .expect("start");
    let mut stdin = child.stdin.take().expect("stdin");
    drop(child.stdout.take());
    // Until the tool notices and closes its end.
    while stdin.write_all(permitted.as_bytes()).is_ok() {}
    let output = child.wait_with_output().expect("end");
    // What was not answered was not permitted.
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(1), &b""[..])
    );
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_said() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("open");
    let mut command = command(&[
        "decide",
        "--policy",
        "mesh.toml",
        "--requests",
        "requests.jsonl",
    ]);
    let output = command
        .stdin(Stdio::null())
        .stdout(full)
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: cannot write the output"));
}

#[test]
fn options_ask_one_question() {
    let base = ["decide", "--policy", "mesh.toml"];
    let ask = |more: &[&str]| ztl(&[&base, more].concat());
    let infers = [
        "--from",
        "retriever",
        "--from-addr",
        "10.10.0.6",
        "--to",
        "model-server",
        "--port",
        "8443",
        "--method",
        "POST",
        "--path",
        "/v1/models/llama/infer",
        "--header",
        "X-Purpose=answer",
        "--header",
        "x-purpose=embed",
        "--trust-score",
        "70",
        "--claims",
        r#"{"iss":"https://login.corp.example","scope":"infer","exp":1790000100}"#,
    ];
    let run = ask(&[&infers[..], &["--now", "1790000000.5"]].concat());
    let permitted = r#"{"verdict":"permit","stage":"action","reason":"permitted","rule":"retriever-infers","shadow":[]}"#;
    assert_eq!(
        (run.code, run.lines()),
        (Some(0), vec![permitted]),
        "{}",
        run.stderr
    );
    let run = ask(&[&infers[..], &["--now", "1790000100"]].concat());
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("\"evidence_stale\""), "{}", run.stdout);
    let run = ask(&[
        "--from",
        "retriever",
        "--from-addr",
        "10.10.0.6",
        "--to",
        "vector-store",
        "--connect",
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    let run = ask(&["--to", "retriever"]);
    assert_eq!((run.code, run.lines()), (Some(1), vec![UNPROVED]));
}

#[test]
fn a_question_without_now_is_asked_at_the_same_time_as_the_whole_run() {
    let request = r#"{"from":"retriever","from_addr":"10.10.0.6","to":"model-server","port":8443,"method":"POST","path":"/v1/models/llama/infer","headers":{"x-purpose":"answer"},"trust_score":70,"claims":{"iss":"https://login.corp.example","scope":"infer","exp":1790000000}}"#;
    let at = |now: &str| {
        let args = [
            "decide",
            "--policy",
            "mesh.toml",
            "--requests",
            "-",
            "--now",
            now,
        ];
        ztl_with_input(&args, request.as_bytes()).code
    };
    assert_eq!((at("1789999999"), at("1790000000")), (Some(0), Some(1)));
}

#[test]
fn a_long_run_is_answered_line_by_line() {
    let permitted = "{\"from\":\"router\",\"from_addr\":\"10.10.0.5\",\"to\":\"retriever\"}\n";
    let run = ztl_with_input(
        &["decide", "--policy", "mesh.toml", "--requests", "-"],
        permitted.repeat(20_000).as_bytes(),
    );
    assert_eq!((run.code, run.lines().len()), (Some(0), 20_000));
}
