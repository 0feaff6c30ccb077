//! The call graph of the example, explained: the answers are checked in.

use ztl_core::Timestamp;
use ztl_core::policy::{Policy, Query, decision_json};

const POLICY: &str = include_str!("../../../examples/five-workloads/policy.toml");
const WANTED: &str = include_str!("five_workloads.txt");

/// Questions, each beside what is expected of it in the file.
const ASKED: [&str; 8] = [
    r#"{"from":"retriever","from_addr":"127.0.30.2","to":"model-server","method":"PUT","path":"/v1/models/tiny"}"#,
    r#"{"from":"router","from_addr":"127.0.30.1","to":"vector-store","method":"POST","path":"/v1/collections/salaries/query"}"#,
    r#"{"from":"router","from_addr":"127.0.10.2","to":"retriever","method":"POST","path":"/v1/search/handbook"}"#,
    r#"{"from_addr":"127.0.10.1","to":"gateway","method":"POST","path":"/ask"}"#,
    r#"{"from":"retriever","from_addr":"127.0.30.2","to":"vector-store","method":"DELETE","path":"/v1/collections/handbook"}"#,
    r#"{"from":"retriever","from_addr":"127.0.30.2","to":"model-server","method":"POST","path":"/v1/models/tiny/infer"}"#,
    r#"{"to":"retriever","method":"POST","path":"/v1/search/handbook"}"#,
    r#"{"from":"router","from_addr":"127.0.30.1","to":"retriever","method":"POST","path":"/v1/search/%2e%2e/salaries"}"#,
];

fn told(question: &str, policy: &Policy) -> String {
    let now = Timestamp::from_unix_secs(1_790_000_000);
    let query = Query::from_json(question).expect("a question");
    let why = query.explain(policy, now).expect("an answer");
    assert_eq!(why.decision, query.decide(policy, now).expect("an answer"));
    let mut told = format!("{question}\n{}\n", decision_json(&why.decision));
    for step in &why.steps {
        let failed = step.failed.as_ref();
        let failed = failed.map(|one| format!(" {}: {} / {}", one.clause, one.expected, one.got));
        let word = if step.passed { "passed" } else { "denied" };
        told += &format!("  {} {word}{}\n", step.stage, failed.unwrap_or_default());
    }
    for walk in why.rules.iter().chain(&why.shadow) {
        let failed = walk.failed();
        let failed = failed.map(|one| format!("{}: {} / {}", one.clause, one.expected, one.got));
        told += &format!(
            "  {} {:?} {}\n",
            walk.rule,
            walk.mode,
            failed.unwrap_or_else(|| "matches".to_owned())
        );
    }
    for one in &why.nearest.otherwise {
        told += &format!("  if {one} ({})\n", one.rule);
    }
    told
}

#[test]
fn the_examples_denials_are_explained_as_checked_in() {
    let policy = Policy::from_toml(POLICY).expect("the example's policy");
    let told: Vec<String> = ASKED
        .iter()
        .map(|question| told(question, &policy))
        .collect();
    let told = told.join("\n");
    assert_eq!(told, WANTED, "{told}");
}
