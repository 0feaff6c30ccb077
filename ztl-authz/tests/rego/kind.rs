//! `[authorizers.NAME]` of kind `rego`.

use std::collections::BTreeMap;

use ztl_authz::rego::{Folder, RegoKind};
use ztl_core::Reason;

use super::*;

const MODELS: &str = "package models\nimport rego.v1\ndefault allow := false\nallow if input.params.model in data.models[input.attributes.source.workload]\n";

fn files(data: &str) -> BTreeMap<String, Vec<u8>> {
    let all = [
        ("models.rego", MODELS),
        ("more.rego", "package more\nx := data.models"),
        ("models.json", data),
        ("other.json", r#"{ "models": { "other": [] } }"#),
        ("list.json", "[]"),
        (
            "twice.json",
            "{ \"grants\": {\n\"router\": [], \"router\": [1] } }",
        ),
        ("bad.rego", "package bad\nallow if {"),
    ];
    let all = all.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    all.into_iter().collect()
}

const DATA: &str = r#"{ "models": { "router": ["llama"] } }"#;

fn section(more: Value) -> Value {
    let mut section = json!({ "kind": "rego", "policy": "models.rego", "data": "models.json", "entrypoint": "models/allow" });
    for (key, value) in more.as_object().expect("an object") {
        section[key] = value.clone();
        if value.is_null() {
            section.as_object_mut().expect("an object").remove(key);
        }
    }
    section
}

fn with(section: Value, data: &str) -> Result<Policy, LoadError> {
    let mut document = document(json!({}));
    document["authorizers"] = json!({ "rego": section });
    let kind = RegoKind::interpreter(Arc::new(files(data)));
    load(
        &document,
        &Loader::new().authorizer_kind("rego", Arc::new(kind)),
    )
}

fn refused(more: Value) -> String {
    match with(section(more.clone()), DATA) {
        Ok(_) => panic!("{more} is taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_document_names_a_policy_and_its_data() {
    let policy = with(section(json!({})), DATA).expect("a policy");
    let llama = decide(&policy, json!({}));
    assert_eq!(llama.verdict, Verdict::Permit);
    let other = decide(&policy, json!({ "path": "/v1/models/gpt/infer" }));
    assert_eq!(other.reason, Reason::Objected);
    let lists = json!({ "policy": ["models.rego", "more.rego"], "data": ["models.json", "other.json"], "reads": [], "timeout": "1s" });
    let policy = with(section(lists), DATA).expect("a policy");
    assert_eq!(decide(&policy, json!({})).verdict, Verdict::Permit);
}

#[test]
fn t24_the_revision_covers_the_policy_and_its_data() {
    let revision =
        |more: Value, data: &str| with(section(more), data).expect("a policy").revision();
    let own = revision(json!({}), DATA);
    assert_eq!(own, revision(json!({}), DATA));
    assert_ne!(
        own,
        revision(json!({}), r#"{ "models": { "router": ["llama", "gpt"] } }"#)
    );
    let more = json!({ "policy": ["models.rego", "more.rego"] });
    assert_ne!(own, revision(more, DATA));
    // T10: what is compared is what is in force, not the names of files.
    let policy = |data: &str| with(section(json!({})), data).expect("a policy");
    let more = policy(r#"{ "models": { "router": ["llama", "gpt"] } }"#);
    let diff = |old: &Policy, new: &Policy| ztl_core::analysis::diff(old, new).expect("small");
    assert!(diff(&policy(DATA), &more).permits_more());
    assert!(!diff(&policy(DATA), &policy(DATA)).permits_more());
    // One that has no artefacts has the revision of its document.
    let text = r#"{ "schema": 1, "trust_domain": "prod.example" }"#;
    let plain = Loader::new().load(text, Format::Json).expect("a policy");
    let read = Loader::new().read(text, Format::Json).expect("a document");
    assert_eq!(plain.revision(), read.revision);
}

#[test]
fn what_is_wrong_with_a_section_refuses_the_document() {
    for (more, why) in [
        (
            json!({ "polices": "x" }),
            "the authorizer `rego`: unknown key `polices`: did you mean `policy`?",
        ),
        (json!({ "policy": null }), "write the files of the policy"),
        (
            json!({ "policy": 1 }),
            "`policy` takes a text or a list of texts",
        ),
        (
            json!({ "policy": ["models.rego", "models.rego"] }),
            "`policy` has `models.rego` twice",
        ),
        (
            json!({ "policy": "nowhere.rego" }),
            "`nowhere.rego` is not given",
        ),
        (json!({ "policy": "bad.rego" }), "bad.rego:2:"),
        (json!({ "data": "list.json" }), "`list.json` is no object"),
        (
            json!({ "data": "models.rego" }),
            "`models.rego` is not one JSON document, at line 1",
        ),
        (json!({ "entrypoint": null }), "write the rule that answers"),
        (
            json!({ "entrypoint": "models/deny" }),
            "the entrypoint `models/deny` is no rule of the policy",
        ),
        (
            json!({ "reads": ["tokens"] }),
            "`reads` has `tokens`; it takes",
        ),
        (
            json!({ "timeout": "10s" }),
            "`timeout` takes a time from one millisecond to five seconds",
        ),
        (json!({ "timeout": "0ms" }), "`timeout` takes a time"),
        (json!({ "timeout": 5 }), "`timeout` takes a time"),
        (json!({ "memory": "1KiB" }), "`memory` takes from 1 MiB"),
        (
            json!({ "memory": "16MiB" }),
            "`memory` cannot be bounded by the interpreter",
        ),
    ] {
        let error = refused(more.clone());
        assert!(error.contains(why), "{more}: {error}");
    }
    // Rule 22: the last of two would win, or the first, as the reader is made.
    let error = refused(json!({ "data": "twice.json" }));
    let why = "`twice.json` has a member name twice, at line 2 column";
    assert!(error.contains(why), "{error}");
    let large = r#"{ "account": 123456789012345678901234567890 }"#;
    let error = with(section(json!({})), large)
        .expect_err("rounded")
        .to_string();
    assert!(
        error.contains("`models.json` has a number too large"),
        "{error}"
    );
    let deep = format!("{{ \"a\": {}{} }}", "[".repeat(70), "]".repeat(70));
    let error = with(section(json!({})), &deep).expect_err("too deep");
    let error = error.to_string();
    assert!(
        error.contains("`models.json` has objects and lists more than 64 deep"),
        "{error}"
    );
    let twice = with(
        section(json!({ "data": ["models.json", "other.json"] })),
        r#"{ "models": { "other": 1 } }"#,
    );
    let error = twice.expect_err("said twice").to_string();
    assert!(
        error.contains("`other.json` says what is said already: `models.other`"),
        "{error}"
    );
}

#[test]
fn a_folder_shows_only_what_is_in_it() {
    let folder = Folder::new("some/where");
    assert_eq!(folder.path("a/b.rego"), Ok("some/where/a/b.rego".into()));
    for name in ["", "..", "../a", "/etc/passwd", "a/../../b", "./a"] {
        assert!(folder.path(name).is_err(), "{name}");
    }
}

#[test]
fn t34_the_flow_says_which_actions_ask_a_policy() {
    use ztl_core::audit::MemorySink;
    use ztl_core::{Action, Arrival, Engine, Flow};
    let mut document = document(json!({}));
    document["authorizers"] = json!({ "rego": section(json!({})) });
    let plain =
        json!({ "name": "health", "from": "router", "to": "models", "actions": "GET /health" });
    document["permit"]
        .as_array_mut()
        .expect("a list")
        .push(plain);
    let kind = RegoKind::interpreter(Arc::new(files(DATA)));
    let loader = Loader::new().authorizer_kind("rego", Arc::new(kind));
    let engine = Engine::new(
        load(&document, &loader).expect("a policy"),
        MemorySink::new(8),
    )
    .expect("an engine");
    let peer = peer();
    let arrival = Arrival::from_addr("10.1.2.3".parse().expect("an address"));
    let flow = engine
        .permit_flow(&Flow::ingress("models", 8443, arrival, Some(&peer)), NOW)
        .expect("a flow");
    let heavy = |method: &str, path: &str| {
        engine.asks_heavy(&flow, Some(&Action::request(method, path).expect("a path")))
    };
    assert!(heavy("POST", "/v1/models/llama/infer"));
    assert!(
        !heavy("GET", "/health")
            && !heavy("GET", "/v1/models/llama/infer")
            && !heavy("GET", "/other")
    );
}
