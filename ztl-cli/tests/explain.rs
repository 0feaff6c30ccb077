//! `ztl explain`: of a question, and of a decision in an audit log.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use common::{scratch, ztl, ztl_with_input};
use serde_json::Value;

const POLICY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/five-workloads/policy.toml"
);
const ID: &str = "0123456789abcdef0123456789abcdef";

fn explain(args: &[&str]) -> common::Run {
    let all: Vec<&str> = ["explain", POLICY].iter().chain(args).copied().collect();
    ztl(&all)
}

/// Asks to infer and to swap as the retriever.
fn retriever<'a>(method: &'a str, path: &'a str) -> Vec<&'a str> {
    vec![
        "--from",
        "retriever",
        "--from-addr",
        "127.0.30.2",
        "--to",
        "model-server",
        "--method",
        method,
        "--path",
        path,
        "--now",
        "1790000000",
    ]
}

/// A record as the audit writes it.
fn record(id: &str, more: &str) -> String {
    format!(
        r#"{{"id":"{id}","time":1790000000.250,"verdict":"deny","stage":"action","reason":"no_action_permitted","direction":"ingress","me":"model-server","peer":"spiffe://prod.example/ns/agents/sa/retriever","addr":"127.0.30.2","zone":"agents","port":18443,{more}"revision":"00"}}"#
    )
}

#[test]
fn the_text_says_verdict_stages_rules_and_what_would_be_permitted() {
    let run = explain(&retriever("PUT", "/v1/models/tiny"));
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    let lines = run.lines();
    assert_eq!(lines[0], "denied at the action stage: no_action_permitted");
    let wanted = [
        "identity  passed  direction ingress, me model-server, peer spiffe://prod.example/ns/agents/sa/retriever, workload retriever, proof x509".to_owned(),
        "rules, the nearest first:".to_owned(),
        format!("  {POLICY}:106  permit `retriever-infers`"),
        format!("      action.method: expected POST, got PUT  ({POLICY}:110)"),
        format!("      from: expected deployer, got retriever in zone:agents  ({POLICY}:115)"),
        "rules in shadow mode, which decide nothing:".to_owned(),
        "would be permitted by `retriever-infers` if the method were `POST` and the path were `/v1/models/tiny/infer`".to_owned(),
    ];
    for wanted in &wanted {
        assert!(lines.contains(&wanted.as_str()), "{wanted}\n{}", run.stdout);
    }
}

#[test]
fn a_permit_is_0_and_names_nothing_else() {
    let run = explain(&retriever("POST", "/v1/models/tiny/infer"));
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(
        run.stdout
            .starts_with("permitted at the action stage: permitted, rule `retriever-infers`\n")
    );
    assert!(run.stdout.contains("every clause holds"));
    assert!(!run.stdout.contains("would be permitted"));
}

#[test]
fn json_holds_the_answer_of_decide_and_what_led_to_it() {
    let question = r#"{"from":"router","from_addr":"127.0.10.2","to":"retriever","method":"POST","path":"/v1/search/a","now":1790000000}"#;
    let run = explain(&["--json", question, "--format", "json"]);
    assert_eq!((run.code, run.lines().len()), (Some(1), 1));
    let why: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let decided = ztl_with_input(
        &["decide", "--policy", POLICY, "--requests", "-"],
        question.as_bytes(),
    );
    let decided: Value = serde_json::from_str(&decided.stdout).expect("JSON");
    assert_eq!(why["decision"], decided);
    assert_eq!(why["policy"], POLICY);
    assert_eq!(why["stages"][1]["failed"]["clause"], "zone");
    assert_eq!(why["stages"][1]["facts"]["zone"], "outside");
    assert_eq!(why["rules"][0]["rule"], "router-searches");
    assert_eq!(why["rules"][0]["line"], 92);
    let near = &why["nearest"]["permitted_if"][0];
    assert_eq!(near["changes"][0]["clause"], "zone");
    assert_eq!(near["changes"][0]["to"], "agents");
    assert!(
        why["nearest"]["decisions"]
            .as_u64()
            .is_some_and(|count| count <= 64)
    );
}

#[test]
fn law_7_the_redacted_form_names_nobody() {
    let mut args = retriever("PUT", "/v1/models/tiny");
    args.push("--redacted");
    let run = explain(&args);
    assert_eq!(run.code, Some(1));
    assert_eq!(run.stdout, "denied at the action stage\n");
    args.extend(["--format", "json"]);
    assert_eq!(
        explain(&args).stdout.trim_end(),
        r#"{"needs":null,"stage":"action","verdict":"deny"}"#
    );
    let asks = [
        "--to",
        "gateway",
        "--from-addr",
        "127.0.10.1",
        "--method",
        "POST",
        "--path",
        "/ask",
        "--redacted",
    ];
    assert_eq!(
        explain(&asks).stdout,
        "denied at the action stage; a good token is needed\n"
    );
}

#[test]
fn a_recorded_decision_is_found_by_its_id_and_explained() {
    let log = scratch("explain-log").join("audit.jsonl");
    let lines = [
        "not a record".to_owned(),
        record("ffffffffffffffffffffffffffffffff", ""),
        record(ID, r#""action":"PUT /v1/models/tiny","#),
        format!(r#"{{"id":"other","note":"{ID}"}}"#),
    ];
    std::fs::write(&log, lines.join("\n")).expect("write");
    let log = log.display().to_string();
    let run = explain(&["--id", ID, "--log", &log]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    let lines = run.lines();
    assert_eq!(lines[0], "denied at the action stage: no_action_permitted");
    assert_eq!(
        lines[1],
        format!("recorded as deny: no_action_permitted (decision {ID})")
    );
    assert!(run.stdout.contains("another revision"));
    assert!(
        run.stdout
            .contains("the record does not hold the caller's token, if it had one")
    );
    assert!(run.stdout.contains("if the method were `POST`"));

    let run = explain(&["--id", ID, "--log", &log, "--format", "json"]);
    let why: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(why["record"]["id"], ID);
    assert_eq!(why["record"]["same_answer"], true);
    assert_eq!(why["record"]["same_revision"], false);
    assert_eq!(why["now"], 1_790_000_000);

    // What was recorded differs from what is said here where the record does not hold all.
    let id = "ffffffffffffffffffffffffffffffff";
    let run = explain(&["--id", id, "--audit", &log]);
    assert_eq!(run.code, Some(0));
    assert!(run.stdout.contains("which is not what is said here"));
    assert!(run.stdout.contains("refused before it was an action"));

    let run = explain(&["--id", "abc", "--log", &log]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.contains("no record in"), "{}", run.stderr);
}

/// What a caller is told of a 403 is the id, and the operator asks with it.
#[test]
fn law_7_the_id_that_a_denied_caller_was_told_finds_its_record() {
    let folder = scratch("explain-told");
    let log = folder.join("audit.jsonl");
    let text = "schema = 1\ntrust_domain = 'prod.example'\n[workloads.web]\nid = 'spiffe://prod.example/web'\n\
                public_ports = [443]\n[[permit]]\nname = 'anyone-reads'\nfrom = 'public'\nto = 'web'\n\
                actions = 'GET /news'\nanonymous = true\n";
    let file = folder.join("policy.toml");
    std::fs::write(&file, text).expect("write");
    let policy = ztl_core::policy::Policy::from_toml(text).expect("policy");
    let sink = ztl_core::audit::JsonLinesSink::append(&log).expect("sink");
    let engine = ztl_core::Engine::new(policy, sink).expect("engine");
    let now = ztl_core::Timestamp::from_unix_secs(1_790_000_000);
    let flow = ztl_core::Flow::ingress("web", 443, ztl_core::Arrival::unknown(), None);
    let permit = engine.permit_flow(&flow, now).expect("flow");
    let action = ztl_core::Action::request("POST", "/news").expect("action");
    let told = engine.authorize(&permit, &action, &ztl_core::Evidence::none(), now);
    let id = told.expect_err("denied").id().to_string();
    drop(engine);
    let (file, log) = (file.display().to_string(), log.display().to_string());
    let run = ztl(&["explain", &file, "--id", &id, "--log", &log]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    let lines = run.lines();
    assert_eq!(lines[0], "denied at the action stage: no_action_permitted");
    assert_eq!(
        lines[1],
        format!("recorded as deny: no_action_permitted (decision {id})")
    );
    assert!(!run.stdout.contains("another revision"), "{}", run.stdout);
    assert!(
        run.stdout.contains("if the method were `GET`"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_record_of_the_calling_end_is_explained_as_such() {
    let record = format!(
        r#"{{"id":"{ID}","time":1790000000,"verdict":"deny","stage":"flow","reason":"no_flow_permitted","direction":"egress","me":"router","peer":"spiffe://prod.example/ns/data/sa/vector-store","port":18443,"action":"POST /v1/collections/a/query","revision":"00"}}"#
    );
    let run = ztl_with_input(
        &["explain", POLICY, "--id", ID, "--log", "-"],
        record.as_bytes(),
    );
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    assert!(run.stdout.contains("direction egress, me router"));
    assert!(
        run.stdout
            .contains("from: expected retriever, got router in zone:agents")
    );
    assert!(!run.stdout.contains("trust score"), "{}", run.stdout);
}

#[test]
fn what_was_masked_is_said_to_be_missing() {
    let record = format!(
        r#"{{"id":"{ID}","time":1790000000,"verdict":"deny","stage":"action","reason":"no_action_permitted","direction":"ingress","me":"model-server","peer":{{"hash":"ab"}},"addr":"127.0.30.2","port":18443,"action":"PUT","path":{{"hash":"cd"}},"revision":"00"}}"#
    );
    let run = ztl_with_input(
        &["explain", POLICY, "--id", ID, "--log", "-"],
        record.as_bytes(),
    );
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    for what in ["the peer", "the path"] {
        let wanted = format!("the record does not hold {what}, which was masked");
        assert!(run.stdout.contains(&wanted), "{}", run.stdout);
    }
}

#[test]
fn t30_a_hostile_record_cannot_steer_the_terminal() {
    let action = r#""action":"upgrade:\u001b[31m\u202e /v1/models/tiny","#;
    let run = ztl_with_input(
        &["explain", POLICY, "--id", ID, "--log", "-"],
        record(ID, action).as_bytes(),
    );
    assert_eq!(run.code, Some(1));
    assert!(
        !run.stdout.contains(['\u{1b}', '\u{202e}']),
        "{}",
        run.stdout
    );
}

#[test]
fn wrong_use_is_2_and_an_invalid_policy_3() {
    let cases: &[&[&str]] = &[
        &[],
        &["--id", ID],
        &["--log", "x"],
        &["--json", "{}", "--to", "router"],
        &["--json", "{}"],
        &["--id", ID, "--log", "no-such-file", "--from", "router"],
        &["--id", ID, "--log", "no-such-file"],
        &["--to", "router", "--format", "yaml"],
        &["--to", "router", "--method", "GET"],
    ];
    for args in cases {
        let run = explain(args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(!run.stderr.is_empty(), "{args:?}");
    }
    let run = ztl_with_input(&["explain", "-", "--to", "x"], b"schema = 1\n");
    assert_eq!(run.code, Some(3));
    let run = ztl_with_input(&["explain", "-", "--id", ID, "--log", "-"], b"");
    assert_eq!(run.code, Some(2));
}

#[test]
fn t4_a_score_is_explained_signal_by_signal() {
    let policy = scratch("explain-trust").join("policy.toml");
    let text = "schema = 1\ntrust_domain = \"prod.example\"\n[trust]\nbase = 20\n\
                [trust.signals.device]\nweight = 80\nmax_age = 60\n[trust.signals.threats]\nveto = 50\nmax_age = 60\n\
                [workloads.client]\nid = \"spiffe://prod.example/client\"\n\
                [workloads.one]\nid = \"spiffe://prod.example/one\"\nports = [8443]\n\
                [[permit]]\nfrom = \"client\"\nto = \"one\"\nactions = \"GET /\"\n[permit.require]\ntrust_score = 70\n";
    std::fs::write(&policy, text).expect("policy");
    let policy = policy.to_str().expect("path");
    let ask = |signals: &[&str]| {
        let fixed = [
            "explain", policy, "--from", "client", "--to", "one", "--method", "GET", "--path", "/",
        ];
        let args: Vec<_> = fixed.iter().chain(signals).copied().collect();
        ztl(&args)
    };
    let run = ask(&["--signal", "device=70", "--signal", "threats=0"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let wanted = "trust score 76, on a base of 20:\n  `device` of the peer is 70 by `the question`, 0 s old: adds 56 of 80\n  \
                  `threats` of the peer is 0 by `the question`, 0 s old: within its bounds\n";
    assert!(run.stdout.contains(wanted), "{}", run.stdout);
    let run = ask(&["--signal", "device=70"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains(
        "`threats` of the peer is not known: it could lower the score, so the score is 0"
    ));
    for wrong in ["device", "device=101", "device=x", "devise=1"] {
        let run = ask(&["--signal", wrong]);
        assert_eq!(run.code, Some(2), "{wrong}: {}", run.stdout);
    }
}
