//! The example end to end: the built program, as a user starts it.

#![cfg(test)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Map, Value};
use ztl_core::Timestamp;
use ztl_core::analysis::{ReachOptions, reach};
use ztl_core::policy::{Policy, Query, decision_json};

const POLICY: &str = include_str!("../policy.toml");

/// Runs the program. Each of its calls has a deadline, and so it comes to an end.
fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_zones"))
        .args(arguments)
        .output()
        .expect("the program runs")
}

fn run_under(name: &str, policy: &str) -> Output {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.toml"));
    std::fs::write(&path, policy).expect("the policy is written");
    run(&["--json", "--policy", path.to_str().expect("a path")])
}

fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).expect("UTF-8")
}

fn steps(output: &Output) -> Vec<Value> {
    let lines = text(&output.stdout).lines();
    lines
        .map(|line| serde_json::from_str(line).expect("one JSON object a line"))
        .collect()
}

/// Verdict, stage, reason, rule and what was heard, of every step that calls so.
fn told<'a>(
    steps: &'a [Value],
    caller: &str,
    target: &str,
    action: &str,
) -> Vec<[Option<&'a str>; 5]> {
    let asked = |step: &&Value| {
        step["caller"] == caller && step["target"] == target && step["action"] == action
    };
    let keys = ["verdict", "stage", "reason", "rule", "heard"];
    let steps = steps.iter().filter(asked);
    steps
        .map(|step| keys.map(|key| step[key].as_str()))
        .collect()
}

fn without_nevers_and_tests(policy: &str) -> String {
    let (before, _) = policy.split_once("[[never]]").expect("a never");
    before.to_owned()
}

#[test]
fn every_zone_gets_what_the_policy_says_and_no_more() {
    let output = run(&["--json"]);
    let steps = steps(&output);
    for step in &steps {
        assert_eq!(step["ok"], true, "{step}");
    }
    assert!(output.status.success(), "{}", text(&output.stderr));
    let refused = Some("alert AccessDenied");
    let (deny, permit) = (Some("deny"), Some("permit"));
    let (flow, action) = (Some("flow"), Some("action"));
    assert_eq!(
        told(&steps, "sensor", "broker", "connect"),
        [[
            permit,
            action,
            Some("permitted"),
            Some("things-publish"),
            Some("taken")
        ]]
    );
    assert_eq!(
        told(&steps, "camera", "broker", "GET /v1/topics"),
        [[deny, flow, Some("no_flow_permitted"), None, refused]]
    );
    assert_eq!(
        told(&steps, "camera", "plc-gateway", "PUT /v1/setpoints/oven"),
        [[
            deny,
            flow,
            Some("forbidden"),
            Some("things-stay-with-things"),
            refused
        ]]
    );
    assert_eq!(
        told(&steps, "dashboard", "historian", "POST /v1/series/oven"),
        [[
            deny,
            action,
            Some("forbidden"),
            Some("the-office-writes-nothing"),
            Some("403")
        ]]
    );
    let set = told(
        &steps,
        "orchestrator",
        "plc-gateway",
        "PUT /v1/setpoints/oven",
    );
    assert_eq!(
        set.iter().map(|step| step[2]).collect::<Vec<_>>(),
        [
            "permitted",
            "zone_mismatch",
            "zone_mismatch",
            "zone_unknown"
        ]
        .map(Some)
    );
    // What the camera's certificate opens is the broker, and nothing else.
    let opened: Vec<_> = steps
        .iter()
        .filter(|step| step["caller"] == "camera" && step["verdict"] == "permit")
        .map(|step| (step["target"].as_str(), step["action"].as_str()))
        .collect();
    assert_eq!(opened, [(Some("broker"), Some("connect"))]);
}

#[test]
fn the_walk_takes_every_rule() {
    let policy = Policy::from_toml(POLICY).expect("the policy loads");
    let rules = policy.document().rules.iter();
    let written: BTreeSet<_> = rules.map(|rule| rule.name.value.to_string()).collect();
    let output = run(&["--json"]);
    let steps = steps(&output);
    let rules = steps.iter().filter_map(|step| step["rule"].as_str());
    let taken: BTreeSet<_> = rules.map(str::to_owned).collect();
    assert_eq!(taken, written);
}

#[test]
fn every_rule_says_why_and_for_which_control() {
    let policy = Policy::from_toml(POLICY).expect("the policy loads");
    let document = policy.document();
    for rule in &document.rules {
        let said = rule.why.is_some() && !rule.controls.is_empty();
        assert!(said, "{}", rule.name.value);
    }
    assert!(document.nevers.iter().all(|never| never.why.is_some()));
}

#[test]
fn a_permit_that_opens_the_plant_to_a_camera_does_not_load() {
    let permit = "[[permit]]\nname = \"in-a-hurry\"\nfrom = \"camera\"\nto = \"dashboard\"\n\
                  actions = \"any\"\n\n";
    let output = run_under(
        "in-a-hurry",
        &POLICY.replacen("[[forbid]]\n", &format!("{permit}[[forbid]]\n"), 1),
    );
    assert_eq!(output.status.code(), Some(3));
    let error = text(&output.stderr);
    assert!(error.contains("no-thing-in-production"), "{error}");
    assert!(error.contains("no-thing-meets-a-thing"), "{error}");
    assert!(error.contains("in-a-hurry"), "{error}");
}

#[test]
fn a_permit_to_the_machines_is_beaten_by_the_forbid() {
    let permit = "[[permit]]\nname = \"in-a-hurry\"\nfrom = \"camera\"\nto = \"plc-gateway\"\n\
                  actions = \"any\"\n";
    let output = run_under(
        "beaten",
        &format!("{}{permit}", without_nevers_and_tests(POLICY)),
    );
    assert!(output.status.success(), "{}", text(&output.stdout));
}

#[test]
fn a_wider_policy_without_assertions_fails_the_walk() {
    let permit = "[[permit]]\nname = \"in-a-hurry\"\nfrom = \"camera\"\nto = \"dashboard\"\n\
                  actions = \"any\"\n";
    let output = run_under(
        "wider",
        &format!("{}{permit}", without_nevers_and_tests(POLICY)),
    );
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let steps = steps(&output);
    let wrong: Vec<_> = steps.iter().filter(|step| step["ok"] == false).collect();
    assert_eq!(wrong.len(), 1, "nothing else came out otherwise");
    assert_eq!(wrong[0]["step"], "the office");
    assert_eq!(wrong[0]["rule"], "in-a-hurry");
    assert_eq!(wrong[0]["heard"], "200");
}

#[test]
fn bad_input_gets_its_own_status() {
    assert_eq!(run(&["--no-such"]).status.code(), Some(2));
    assert_eq!(run(&["--policy", "no-such.toml"]).status.code(), Some(2));
    let output = run_under("unknown-key", &POLICY.replacen("from = ", "form = ", 1));
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("did you mean `from`?"));
}

#[test]
fn the_table_is_for_people() {
    let output = run(&[]);
    let table = text(&output.stdout);
    assert!(output.status.success(), "{table}");
    assert!(table.contains("29 steps: all came out as told"), "{table}");
    let widest = table.lines().map(|line| line.chars().count()).max();
    assert!(widest.is_some_and(|widest| widest <= 150), "{widest:?}");
}

/// The answers that the README shows are those of the policy.
#[test]
fn the_readme_shows_what_is_so() {
    let policy = Policy::from_toml(POLICY).expect("the policy loads");
    let mut lines = include_str!("../README.md").lines();
    let mut asked = 0;
    while let Some(line) = lines.next() {
        let Some(options) = line.strip_prefix("$ ztl decide --policy policy.toml ") else {
            continue;
        };
        let mut request = Map::new();
        let mut words = options.split(' ');
        while let Some(word) = words.next() {
            let key = word.trim_start_matches("--").replace('-', "_");
            let (key, value) = match (&*key, words.clone().next()) {
                ("connect", _) => ("action", Value::from("connect")),
                ("port", port) => ("port", port.expect("a port").parse().expect("a number")),
                (key, value) => (key, Value::from(value.expect("a value"))),
            };
            if key != "action" {
                let _ = words.next();
            }
            request.insert(key.to_owned(), value);
        }
        let query = Query::from_map(&request).expect("a request");
        let now = Timestamp::from_unix_secs(1_800_000_000);
        let decision = query.decide(&policy, now).expect("a decision");
        assert_eq!(lines.next(), Some(&*decision_json(&decision)), "{options}");
        asked += 1;
    }
    assert_eq!(asked, 6);
}

/// What a camera that was taken over can do, over any number of hops.
#[test]
fn a_camera_that_was_taken_over_reaches_the_broker_alone() {
    let policy = Policy::from_toml(POLICY).expect("the policy loads");
    let reached = |workload| {
        let reach = reach(&policy, workload, &ReachOptions::new()).expect("a workload");
        let reached = reach.reached.iter();
        reached
            .map(|reached| (reached.workload.to_string(), reached.hops))
            .collect::<Vec<_>>()
    };
    assert_eq!(reached("camera"), [("broker".to_owned(), 1)]);
    assert_eq!(reached("sensor"), [("broker".to_owned(), 1)]);
    assert_eq!(reached("broker"), []);
    assert!(
        !reached("laptop")
            .iter()
            .any(|(name, _)| name == "plc-gateway")
    );
}

#[test]
fn a_harmless_edge_that_ends_in_production_does_not_load() {
    let permit = "[[permit]]\nname = \"broker-pushes\"\nfrom = \"broker\"\nto = \"dashboard\"\n\
                  actions = \"POST /v1/events\"\n";
    let (rules, _) = POLICY.split_once("[[test]]").expect("a test");
    let output = run_under("pushes", &format!("{rules}{permit}"));
    assert_eq!(output.status.code(), Some(3));
    let error = text(&output.stderr);
    assert!(error.contains("does not hold over several hops"), "{error}");
    assert!(error.contains("broker-pushes"), "{error}");
}
