//! The same questions in every language: here the core's answers, and C's.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use ztl_core::Timestamp;
use ztl_core::policy::{Policy, Query};

use crate::{built, c, folder, package, succeeds, tool};

/// A line of the corpus, as the core answers it.
fn core_answers(policy: &Policy, line: &str) -> String {
    let fields: Vec<&str> = line.split('\t').collect();
    let [from, from_addr, to, port, method, target, score, headers] = fields[..] else {
        panic!("`{line}` has not eight fields");
    };
    let mut query = json!({"to": to, "port": port.parse::<u16>().expect("a port"), "method": method, "path": target});
    let mut set = |key: &str, value: Value, given: &str| {
        if given != "-" {
            query[key] = value;
        }
    };
    set("from", from.into(), from);
    set("from_addr", from_addr.into(), from_addr);
    set(
        "trust_score",
        score.parse::<u8>().unwrap_or(0).into(),
        score,
    );
    let mut fields = json!({});
    for field in headers.split('&').filter(|_| headers != "-") {
        let (name, value) = field.split_once('=').expect("a value");
        let values = &mut fields[name];
        if values.is_null() {
            *values = json!([]);
        }
        values.as_array_mut().expect("values").push(value.into());
    }
    set("headers", fields, headers);
    let decision = Query::from_json(&query.to_string())
        .and_then(|query| query.decide(policy, Timestamp::from_unix_secs(1_790_000_000)))
        .unwrap_or_else(|error| panic!("`{line}`: {error}"));
    let told: Value =
        serde_json::from_str(&ztl_core::policy::decision_json(&decision)).expect("JSON");
    let text = |key: &str| told[key].as_str().unwrap_or("-").to_owned();
    ["verdict", "stage", "reason", "rule"].map(text).join("\t")
}

#[test]
fn the_corpus_has_the_same_answers_from_the_core_and_from_c() {
    let corpus = package().join("tests/corpus");
    let read = |name: &str| fs::read_to_string(corpus.join(name)).expect(name);
    let policy = Policy::from_toml(&read("policy.toml")).expect("a policy");
    let requests = read("requests.tsv");
    let answers: Vec<String> = requests
        .lines()
        .map(|line| core_answers(&policy, line))
        .collect();
    if tool("ZTL_UPDATE_CORPUS", "") == "1" {
        fs::write(corpus.join("answers.tsv"), answers.join("\n") + "\n").expect("written");
    }
    let (built, program) = (built(), folder("corpus").join("corpus"));
    succeeds(
        c().arg(package().join("tests/c/corpus.c"))
            .arg(&built.archive)
            .args(&built.system_libraries)
            .arg("-o")
            .arg(&program),
    );
    let said = succeeds(
        Command::new(&program).args(["policy.toml", "requests.tsv"].map(|name| corpus.join(name))),
    );
    let (kept, said): (Vec<_>, Vec<_>) = (
        read("answers.tsv").lines().map(str::to_owned).collect(),
        said.lines().collect(),
    );
    for (at, request) in requests.lines().enumerate() {
        assert_eq!(
            (kept.get(at), said.get(at).copied()),
            (Some(&answers[at]), Some(answers[at].as_str())),
            "line {}: {request}",
            at + 1
        );
    }
    assert_eq!((kept.len(), said.len()), (answers.len(), answers.len()));
}
