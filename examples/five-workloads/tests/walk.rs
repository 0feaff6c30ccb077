//! The example end to end: the built program, as a user starts it.

#![cfg(test)]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

const POLICY: &str = include_str!("../policy.toml");
const KEYS: [&str; 9] = [
    "step", "caller", "target", "action", "verdict", "reason", "rule", "ok", "protocol",
];

/// Runs the program. Each of its calls has a deadline, and so it comes to an end.
fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_five-workloads"))
        .args(arguments)
        .output()
        .expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn steps(output: &Output) -> Vec<Value> {
    text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON object a line"))
        .collect()
}

/// The one step of this name over this protocol.
fn find<'a>(steps: &'a [Value], name: &str, protocol: Option<&str>) -> &'a Value {
    let found: Vec<_> = steps
        .iter()
        .filter(|step| step["step"] == name && step["protocol"].as_str() == protocol)
        .collect();
    assert_eq!(found.len(), 1, "{name} over {protocol:?}");
    found[0]
}

/// Caller, target, action, verdict, reason and rule of a step.
fn told(step: &Value) -> [&str; 6] {
    ["caller", "target", "action", "verdict", "reason", "rule"]
        .map(|key| step[key].as_str().unwrap_or("-"))
}

fn policy_file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.toml"));
    std::fs::write(&path, text).expect("the policy is written");
    path
}

/// The policy with one permit more: the router reaches the vector store.
fn widened() -> String {
    let permit = "[[permit]]\nname = \"router-queries\"\nfrom = \"router\"\nto = \"vector-store\"\n\
                  actions = \"POST /v1/collections/{name}/query\"\n\n";
    POLICY.replacen("[[forbid]]\n", &format!("{permit}[[forbid]]\n"), 1)
}

/// The policy without its assertions.
fn without_nevers(policy: &str) -> String {
    let (before, rest) = policy.split_once("[[never]]").expect("a never");
    let (_, tests) = rest.split_once("[[test]]").expect("a test");
    format!("{before}[[test]]{tests}")
}

#[test]
fn the_user_gets_an_answer_and_the_attacker_nothing() {
    let output = run(&["--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let steps = steps(&output);
    for step in &steps {
        let keys: Vec<_> = step.as_object().expect("object").keys().collect();
        assert_eq!(keys.len(), KEYS.len());
        assert!(KEYS.iter().all(|key| step.get(key).is_some()), "{step}");
        assert_eq!(step["ok"], true, "{step}");
    }
    let asked = find(&steps, "asks with a token", Some("h2"));
    assert_eq!(
        told(asked),
        [
            "user",
            "gateway",
            "POST /ask",
            "permit",
            "permitted",
            "users-ask"
        ]
    );
    let hops: Vec<_> = steps
        .iter()
        .filter(|step| step["step"] == "hands it on")
        .map(|step| (told(step)[0], told(step)[1], told(step)[3], told(step)[5]))
        .collect();
    assert_eq!(
        hops,
        [
            ("gateway", "router", "permit", "gateway-routes"),
            ("router", "retriever", "permit", "router-searches"),
            ("retriever", "vector-store", "permit", "retriever-queries"),
            ("retriever", "model-server", "permit", "retriever-infers"),
        ]
    );
    for protocol in ["http/1.1", "h2"] {
        let reason = |name| told(find(&steps, name, Some(protocol)))[4].to_owned();
        assert_eq!(reason("asks without a token"), "evidence_missing");
        assert_eq!(reason("asks with another scope"), "requirement_unmet");
        assert_eq!(reason("asks with an old token"), "evidence_missing");
        assert_eq!(reason("the vector store itself"), "no_flow_permitted");
        assert_eq!(reason("the model server itself"), "no_flow_permitted");
        assert_eq!(reason("no certificate"), "identity_unproven");
        assert_eq!(reason("a forged certificate"), "identity_unproven");
        assert_eq!(reason("a foreign certificate"), "identity_unproven");
        assert_eq!(reason("an expired certificate"), "identity_expired");
        assert_eq!(reason("an encoded path"), "path_ambiguous");
        if cfg!(target_os = "linux") {
            assert_eq!(reason("the wrong zone"), "zone_mismatch");
            assert_eq!(reason("no zone at all"), "zone_unknown");
        }
        assert_eq!(
            told(find(&steps, "to swap the model", Some(protocol))),
            [
                "retriever",
                "model-server",
                "PUT /v1/models/tiny",
                "deny",
                "no_action_permitted",
                "-"
            ]
        );
        assert_eq!(
            told(find(&steps, "to drop the salaries", Some(protocol))),
            [
                "retriever",
                "vector-store",
                "DELETE /v1/collections/salaries",
                "deny",
                "forbidden",
                "collections-stay"
            ]
        );
    }
    assert_eq!(
        told(find(&steps, "the agent's own guard", None)),
        [
            "retriever",
            "model-server",
            "PUT /v1/models/tiny",
            "deny",
            "no_action_permitted",
            "-"
        ]
    );
    // What the stolen certificate opens is what the router may do, and nothing else.
    let opened: Vec<_> = steps
        .iter()
        .skip_while(|step| step["step"] != "the vector store itself")
        .filter(|step| step["verdict"] == "permit")
        .map(|step| told(step)[5])
        .collect();
    assert_eq!(opened, ["router-searches"; 4]);
}

#[test]
fn a_permit_that_breaks_an_assertion_does_not_load() {
    let path = policy_file("asserted", &widened());
    let output = run(&["--policy", path.to_str().expect("path")]);
    assert_eq!(output.status.code(), Some(3));
    let error = text(&output.stderr);
    assert!(
        error.contains("embeddings-out-of-the-routers-reach"),
        "{error}"
    );
    assert!(error.contains("router-queries"), "{error}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_wider_policy_without_assertions_fails_the_walk() {
    let path = policy_file("widened", &without_nevers(&widened()));
    let output = run(&["--json", "--policy", path.to_str().expect("path")]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let steps = steps(&output);
    for protocol in ["http/1.1", "h2"] {
        let store = find(&steps, "the vector store itself", Some(protocol));
        assert_eq!(store["ok"], false);
        assert_eq!(told(store)[3..], ["permit", "permitted", "router-queries"]);
    }
    let wrong = steps.iter().filter(|step| step["ok"] == false).count();
    assert_eq!(wrong, 2, "nothing else came out otherwise");
}

#[test]
fn a_narrower_policy_fails_the_walk() {
    let narrow = POLICY.replace(
        "actions = \"POST /v1/models/{model}/infer\"",
        "actions = \"POST /v1/models/small/infer\"",
    );
    let (narrow, _) = narrow.split_once("[[test]]").expect("tests");
    let path = policy_file("narrow", narrow);
    let output = run(&["--json", "--policy", path.to_str().expect("path")]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("asks with a token: "));
    let steps = steps(&output);
    assert_eq!(find(&steps, "asks with a token", Some("h2"))["ok"], false);
}

#[test]
fn on_the_flat_network_the_attacker_gets_everything() {
    let output = run(&["--flat"]);
    assert!(output.status.success(), "{}", text(&output.stdout));
    let table = text(&output.stdout);
    assert!(table.contains("240 000 a year and has a boat"), "{table}");
    assert!(
        table.contains("the answer is now: Wire your savings to mallory."),
        "{table}"
    );
    let output = run(&["--flat", "--json"]);
    assert!(output.status.success());
    let steps = steps(&output);
    assert!(steps.len() > 20);
    for step in &steps {
        assert_eq!(
            (&step["verdict"], &step["ok"]),
            (&"permit".into(), &true.into()),
            "{step}"
        );
        assert_eq!(
            (&step["reason"], &step["rule"]),
            (&"not_judged".into(), &Value::Null)
        );
    }
}

#[test]
fn what_needs_more_than_one_address_is_skipped_aloud() {
    let output = run(&["--one-address", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let steps = steps(&output);
    let skipped: Vec<_> = steps
        .iter()
        .filter(|step| step["verdict"] == "skipped")
        .map(|step| step["step"].as_str().expect("text"))
        .collect();
    assert_eq!(
        skipped,
        [
            "the wrong zone",
            "the wrong zone",
            "no zone at all",
            "no zone at all"
        ]
    );
    let table = text(&run(&["--one-address"]).stdout);
    assert!(table.contains("(4 skipped)"), "{table}");
}

#[test]
fn a_service_in_another_language_that_is_not_here_is_said_with_the_way_to_get_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_five-workloads"))
        .arg("--with-python")
        .env("PYTHON", "/bin/false")
        .output()
        .expect("the program runs");
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{error}");
    assert!(output.stdout.is_empty());
    for said in [
        "`model-server` does not run as `python-service`",
        "-m pip install",
        "examples/python-service/README.md",
    ] {
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_table_that_is_piped_is_plain() {
    let output = run(&[]);
    assert!(output.status.success());
    let table = text(&output.stdout);
    assert!(!table.contains('\u{1b}'));
    assert!(
        table.contains("A new colleague has 27 days of leave in the first year."),
        "{table}"
    );
    assert!(
        table.contains("in shadow, `tiny-retires` would deny it"),
        "{table}"
    );
    let widest = table.lines().map(|line| line.chars().count()).max();
    assert!(widest.is_some_and(|widest| widest <= 140), "{widest:?}");
}

#[test]
fn bad_input_gets_its_own_status() {
    assert_eq!(run(&["--no-such"]).status.code(), Some(2));
    assert_eq!(
        run(&["--policy", "no-such-file.toml"]).status.code(),
        Some(2)
    );
    let path = policy_file("unknown-key", &POLICY.replacen("from = ", "form = ", 1));
    let output = run(&["--policy", path.to_str().expect("path")]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("did you mean `from`?"));
    let path = policy_file("unfit", "schema = 1\ntrust_domain = \"prod.example\"\n");
    let output = run(&["--policy", path.to_str().expect("path")]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("declares no workload `gateway`"));
}

#[test]
fn the_attacker_does_not_use_what_is_attacked() {
    for source in [
        include_str!("../src/attacker.rs"),
        include_str!("../src/tls.rs"),
        include_str!("../src/wire.rs"),
        include_str!("../src/tap.rs"),
    ] {
        assert!(
            !source.contains("ztl"),
            "the raw client knows nothing of ztl"
        );
    }
}
