//! `ztl diff`: what is printed of a change, and what makes it a finding.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use std::sync::Arc;

use common::{data, policy, ztl, ztl_with_input};
use serde_json::{Value, json};
use ztl_core::audit::ChainSink;
use ztl_core::policy::Policy;
use ztl_core::{Arrival, Engine, Flow, Timestamp};

/// The test mesh with some text replaced.
fn edited(test: &str, from: &str, to: &str) -> String {
    let mesh = std::fs::read_to_string(data("mesh.toml")).expect("mesh");
    assert!(mesh.contains(from), "{from}");
    policy(test, &mesh.replace(from, to))
}

#[test]
fn a_change_is_printed_with_a_witness_that_decide_confirms() {
    let new = edited("diff-witness", "trust_score = 70", "trust_score = 60");
    let run = ztl(&["diff", "mesh.toml", &new]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let requires = |score: u8| {
        format!(
            "trust_score >= {score}; token from https://login.corp.example with scope infer; header x-purpose of `answer`, `embed`"
        )
    };
    let wanted = format!(
        "mesh.toml -> {new}: 1 newly permitted, 0 newly denied, 0 of the document\n\n\
         newly permitted\n  retriever -> model-server:8443  from production\n    \
         POST /v1/models/{{model}}/infer  (permit retriever-infers)\n      \
         with: {}\n      otherwise: requirement_unmet by retriever-infers, which asks for: {}\n      witness: ",
        requires(60),
        requires(70)
    );
    assert!(run.stdout.starts_with(&wanted), "{}\n{wanted}", run.stdout);
    let witness = run
        .stdout
        .trim_end()
        .rsplit_once("witness: ")
        .expect("witness")
        .1;
    for (policy, code) in [("mesh.toml", 1), (new.as_str(), 0)] {
        let decided = ztl_with_input(
            &["decide", "--policy", policy, "--requests", "-"],
            witness.as_bytes(),
        );
        assert_eq!(decided.code, Some(code), "{}", decided.stdout);
    }
}

#[test]
fn a_finding_is_what_was_asked_for() {
    let looser = edited("diff-looser", "trust_score = 70", "trust_score = 60");
    let removed = edited(
        "diff-removed",
        "from = \"zone:iot\"",
        "mode = \"off\"\nfrom = \"zone:iot\"",
    );
    let cases: [(&str, &str, [Option<i32>; 4]); 5] = [
        (
            "mesh.toml",
            "mesh.json",
            [Some(0), Some(0), Some(0), Some(0)],
        ),
        ("mesh.toml", &looser, [Some(0), Some(1), Some(0), Some(1)]),
        (&looser, "mesh.toml", [Some(0), Some(0), Some(1), Some(1)]),
        ("mesh.toml", &removed, [Some(0), Some(1), Some(0), Some(1)]),
        // T10: a mode that changes counts as newly permitted, whatever it does.
        (&removed, "mesh.toml", [Some(0), Some(1), Some(1), Some(1)]),
    ];
    for (old, new, codes) in cases {
        for (fail_on, code) in [
            None,
            Some("newly-permitted"),
            Some("newly-denied"),
            Some("any"),
        ]
        .into_iter()
        .zip(codes)
        {
            let mut args = vec!["diff", old, new];
            args.extend(fail_on.iter().flat_map(|what| ["--fail-on", what]));
            let run = ztl(&args);
            assert_eq!(run.code, code, "{args:?}\n{}{}", run.stdout, run.stderr);
        }
    }
    assert_eq!(
        ztl(&["diff", "mesh.toml", "mesh.json"]).stdout,
        "mesh.toml -> mesh.json: 0 newly permitted, 0 newly denied, 0 of the document\nno decision can change\n"
    );
}

#[test]
fn t10_a_removed_assertion_is_told_of() {
    let new = edited(
        "diff-never",
        "[[never]]\nname = \"router-never-reads-vectors\"\nfrom = \"router\"\nto = \"vector-store\"\n",
        "",
    );
    let run = ztl(&["diff", "mesh.toml", &new, "--fail-on", "newly-permitted"]);
    assert_eq!(run.code, Some(1));
    let wanted = "\nchanged in the document (counts as newly permitted)\n  never `router-never-reads-vectors`: was from [\"router\"] to [\"vector-store\"], is gone\n";
    assert!(run.stdout.ends_with(wanted), "{}", run.stdout);
}

#[test]
fn the_json_is_one_object_of_this_shape() {
    let new = edited(
        "diff-json",
        "\"GET /v1/docs/{id:int}\"",
        "\"GET /v1/docs/{id}\"",
    );
    let run = ztl(&["diff", "mesh.toml", &new, "--json"]);
    let told: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(told["old"]["policy"], "mesh.toml");
    assert_eq!(told["new"]["revision"].as_str().map(str::len), Some(64));
    assert_eq!(
        (&told["newly_denied"], &told["document"], &told["log"]),
        (&json!([]), &json!([]), &Value::Null)
    );
    let wanted = json!([{
        "from": ["router"],
        "places": ["production"],
        "to": "retriever",
        "ports": [8443],
        "action": "GET /v1/docs/{id}",
        "rule": "router-searches",
        "requires": [],
        "otherwise": { "reason": "no_action_permitted", "rule": null, "requires": [] },
        "witness": {
            "from": "spiffe://prod.example/ns/agents/sa/router",
            "from_addr": "10.10.0.1",
            "to": "retriever",
            "port": 8443,
            "method": "GET",
            "path": "/v1/docs/x",
        },
        "confirmed": true,
    }]);
    assert_eq!(told["newly_permitted"], wanted);
}

#[test]
fn a_log_is_asked_again() {
    let new = edited(
        "diff-log",
        "to = \"retriever\"\nactions = [\"GET /v1/search\"",
        "to = \"retriever\"\nactions = [\"GET /v1/find\"",
    );
    let log = concat!(
        r#"{"from":"router","from_addr":"10.10.0.5","to":"retriever","method":"GET","path":"/v1/search"}"#,
        "\n\n",
        r#"{"from":"router","from_addr":"10.10.0.5","to":"retriever","method":"GET","path":"/v1/docs/1"}"#,
        "\n",
        r#"{"id":"0","verdict":"permit","direction":"ingress","me":"retriever","peer":"spiffe://prod.example/ns/agents/sa/router","addr":"10.10.0.5","port":8443,"action":"GET /v1/search"}"#,
        "\n",
        "nonsense\n",
    );
    let run = ztl_with_input(&["diff", "mesh.toml", &new, "--log", "-"], log.as_bytes());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let wanted = "\nlog: 4 lines, 1 as before, 0 newly permitted, 2 newly denied, 1 that cannot be asked again\n  \
        line 1: newly denied: was permitted by router-searches, is no_action_permitted\n  \
        line 4: newly denied: was permitted by router-searches, is no_action_permitted\n  \
        line 5: the line is neither a decide request nor an audit record: ";
    assert!(run.stdout.contains(wanted), "{}", run.stdout);
    let json = ztl_with_input(
        &[
            "diff",
            "mesh.toml",
            "mesh.json",
            "--log",
            "-",
            "--json",
            "--fail-on",
            "newly-permitted",
        ],
        log.as_bytes(),
    );
    // A line that cannot be read may be anything.
    assert_eq!(json.code, Some(1));
    let told: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(
        (
            &told["log"]["lines"],
            &told["log"]["same"],
            &told["log"]["unread"]
        ),
        (&json!(4), &json!(3), &json!(1))
    );
    assert_eq!(told["log"]["shown"][0]["line"], 5);
}

#[test]
fn a_chain_is_asked_again_without_what_it_tells_of_itself() {
    let text = "schema = 1\ntrust_domain = 'prod.example'\n\
        [workloads.front]\nid = 'spiffe://prod.example/front'\npublic_ports = [443]\n\
        [[permit]]\nfrom = 'public'\nto = 'front'\nactions = 'GET /'\nanonymous = true\n";
    let path = common::scratch("diff-chain").join("audit.jsonl");
    let now = Timestamp::from_unix_secs(1_790_000_000);
    let sink = ChainSink::builder().rotate_at_bytes(0).open(&path, now);
    let sink = Arc::new(sink.expect("open"));
    let parsed = Policy::from_toml(text).expect("policy");
    let engine = Engine::new(parsed, Arc::clone(&sink)).expect("engine");
    let flow = Flow::ingress("front", 443, Arrival::unknown(), None);
    for _ in 0..20 {
        assert!(engine.permit_flow(&flow, now).is_ok());
        sink.flush().expect("flush");
    }
    sink.close().expect("close");
    let folder = std::fs::read_dir(path.parent().expect("folder")).expect("folder");
    let mut files: Vec<_> = folder
        .map(|entry| entry.expect("entry").path())
        .filter(|file| !file.to_string_lossy().ends_with(".lock"))
        .collect();
    files.sort();
    // The newest has no digits at its end.
    files.rotate_left(1);
    let read = |file: &std::path::PathBuf| std::fs::read_to_string(file).expect("file");
    let mut chain: String = files.iter().map(read).collect();
    for kind in ["segment", "file", "checkpoint", "close", "decision"] {
        assert!(
            chain.contains(&format!("\"kind\":\"{kind}\"")),
            "{kind}: {chain}"
        );
    }
    let policy = policy("diff-chain-policy", text);
    let diff = |chain: &str| {
        let args = ["diff", &policy, &policy, "--log", "-", "--fail-on", "any"];
        ztl_with_input(&args, chain.as_bytes())
    };
    let run = diff(&chain);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(
        run.stdout.contains("log: 20 lines, 20 as before"),
        "{}",
        run.stdout
    );
    // Decisions of which there is no record are told of.
    for kind in ["denials", "dropped", "recovered", "unsynced"] {
        chain.push_str(&format!("{{\"seq\":9,\"kind\":\"{kind}\"}}\n"));
        let run = diff(&chain);
        assert_eq!(run.code, Some(1), "{kind}: {}", run.stdout);
        let told = format!("is of the kind `{kind}`: it tells of decisions");
        assert!(run.stdout.contains(&told), "{}", run.stdout);
    }
}

#[test]
fn wrong_use_is_2_and_an_invalid_policy_is_3() {
    for args in [
        &["diff", "mesh.toml"][..],
        &["diff", "mesh.toml", "no-such-file.toml"],
        &["diff", "-", "-"],
        &["diff", "mesh.toml", "-", "--log", "-"],
        &["diff", "mesh.toml", "mesh.json", "--fail-on", "nothing"],
        &[
            "diff",
            "mesh.toml",
            "mesh.json",
            "--log",
            "no-such-file.jsonl",
        ],
    ] {
        assert_eq!(ztl(args).code, Some(2), "{args:?}");
    }
    assert_eq!(ztl(&["diff", "requests.jsonl", "mesh.toml"]).code, Some(3));
}

#[test]
fn what_has_no_exact_answer_is_4() {
    let head = "schema = 1\ntrust_domain = 'p.example'\n[workloads.a]\nid = 'spiffe://p.example/a'\nports = [1]\n";
    // Thirty texts in each of four places: 30^4 paths can be told apart.
    let paths = (0..120).map(|at| {
        let place = |depth| match depth == at % 4 {
            true => format!("/t{at}"),
            false => format!("/{{p{depth}}}"),
        };
        format!("'GET {}'", (0..4).map(place).collect::<String>())
    });
    let actions = paths.collect::<Vec<_>>().join(", ");
    let large = format!("{head}[[permit]]\nfrom = 'a'\nto = 'a'\nactions = [{actions}]\n");
    let (old, new) = (policy("diff-small", head), policy("diff-large", &large));
    let run = ztl(&["diff", &old, &new]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert!(
        run.stderr.contains("too large to compare exactly"),
        "{}",
        run.stderr
    );
    assert_eq!(run.stdout, "");
}
