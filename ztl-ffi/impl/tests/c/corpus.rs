//! The same questions in every language: here the core's answers, and C's.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use ztl_core::Timestamp;
use ztl_core::policy::{Policy, Query};

use crate::certificates;
use crate::generated::{Core, UNNAMED, names_upgrade, questions, tally};
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
    let fields = headers.split('&').filter(|_| headers != "-");
    let fields = fields.map(|field| field.split_once('=').expect("a value"));
    // What a connection names, the core leaves to whoever enforces.
    let options = fields.clone().filter_map(|(name, value)| {
        let is_connection = name.eq_ignore_ascii_case("connection");
        is_connection.then_some(value)
    });
    let upgrades = names_upgrade(&options.collect::<Vec<_>>());
    let mut asked = json!({});
    for (name, value) in fields {
        let is_ignored = !upgrades && name.eq_ignore_ascii_case("upgrade");
        let values = &mut asked[name];
        if values.is_null() {
            *values = json!([]);
        }
        let value = if is_ignored { UNNAMED } else { value };
        values.as_array_mut().expect("values").push(value.into());
    }
    set("headers", asked, headers);
    let decision = Query::from_json(&query.to_string())
        .and_then(|query| query.decide(policy, Timestamp::from_unix_secs(1_790_000_000)))
        .unwrap_or_else(|error| panic!("`{line}`: {error}"));
    let told: Value =
        serde_json::from_str(&ztl_core::policy::decision_json(&decision)).expect("JSON");
    let text = |key: &str| told[key].as_str().unwrap_or("-").to_owned();
    ["verdict", "stage", "reason", "rule"].map(text).join("\t")
}

/// What C answers to the lines of a file, with the certificates of a folder where there is one.
fn c_answers(name: &str, requests: &Path, certificates: Option<&Path>) -> Vec<String> {
    let (built, program) = (built(), folder(name).join("corpus"));
    succeeds(
        c().arg(package().join("tests/c/corpus.c"))
            .arg(&built.archive)
            .args(&built.system_libraries)
            .arg("-o")
            .arg(&program),
    );
    let policy = package().join("tests/corpus/policy.toml");
    let mut asked = Command::new(&program);
    asked.arg(policy).arg(requests).args(certificates);
    let said = succeeds(&mut asked);
    said.lines().map(str::to_owned).collect()
}

#[track_caller]
fn are_the_same(requests: &[String], answers: &[String], said: &[String]) {
    for (at, request) in requests.iter().enumerate() {
        assert_eq!(said.get(at), answers.get(at), "line {}: {request}", at + 1);
    }
    assert_eq!(
        (answers.len(), said.len()),
        (requests.len(), requests.len())
    );
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_corpus_has_the_same_answers_from_the_core_and_from_c() {
    let corpus = package().join("tests/corpus");
    let read = |name: &str| fs::read_to_string(corpus.join(name)).expect(name);
    let policy = Policy::from_toml(&read("policy.toml")).expect("a policy");
    let requests = lines(&read("requests.tsv"));
    let answers: Vec<String> = requests
        .iter()
        .map(|line| core_answers(&policy, line))
        .collect();
    if tool("ZTL_UPDATE_CORPUS", "") == "1" {
        fs::write(corpus.join("answers.tsv"), answers.join("\n") + "\n").expect("written");
    }
    are_the_same(&requests, &answers, &lines(&read("answers.tsv")));
    let said = c_answers("corpus", &corpus.join("requests.tsv"), None);
    are_the_same(&requests, &answers, &said);
}

/// Written below the target folder, where Go and Python find them: see `tests/corpus/README.md`.
#[test]
fn ten_thousand_questions_have_the_same_answers_from_the_core_and_from_c() {
    let policy = package().join("tests/corpus/policy.toml");
    let policy = Policy::from_toml(&fs::read_to_string(policy).expect("a policy"));
    let core = Core::new(policy.expect("a policy"));
    let requests = questions();
    let answers: Vec<String> = requests.iter().map(|line| core.answer(line)).collect();
    // Each reason that a request alone can have, each rule, and often.
    let tally = tally(&answers);
    for wanted in [
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
        "forwarded_untrusted",
        "obligation_unknown",
        "misdirected",
        "router-searches",
        "retriever-infers",
        "retriever-trains",
        "partner-bills",
        "things-stay-with-things",
        "doc-seven-is-sealed",
        "public-looks",
        "public-signs-in",
        "router-streams",
        "alice-buys-through-the-router",
        "agents-order",
        "partners-look-through-the-gateway",
        "router-uploads",
        "the-outcast-stays-out",
    ] {
        let often = tally.get(wanted).copied().unwrap_or_default();
        assert!(often >= 5, "{wanted} comes {often} times: {tally:?}");
    }
    assert!(tally["permitted"] > 2000, "{tally:?}");
    let folder = folder("generated");
    let write = |name: &str, lines: &[String]| {
        fs::write(folder.join(name), lines.join("\n") + "\n").expect("written");
    };
    write("requests.tsv", &requests);
    write("answers.tsv", &answers);
    certificates::write(&folder, &requests);
    let said = c_answers("generated", &folder.join("requests.tsv"), Some(&folder));
    are_the_same(&requests, &answers, &said);
}
