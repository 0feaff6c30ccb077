//! `ztl reach`: what is printed of a blast radius.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use common::ztl;
use serde_json::{Value, json};

#[test]
fn a_radius_is_printed_hop_by_hop() {
    let run = ztl(&["reach", "mesh.toml", "retriever"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let wanted = "\
`retriever` taken over reaches 3 workloads, 2 of them freely

hop 1
  retriever -> gateway:443  without its SVID
    GET /hello  (permit anyone-greets)
  retriever -> model-server:8443
    POST /v1/models/{model}/infer  (permit retriever-infers)
      only with: trust_score >= 70; token from https://login.corp.example with scope infer; header x-purpose of `answer`, `embed`
  retriever -> vector-store:6333
    connect  (permit retriever-reads-vectors)

hop 2
  model-server -> gateway:443  without its SVID
    GET /hello  (permit anyone-greets)
  vector-store -> gateway:443  without its SVID
    GET /hello  (permit anyone-greets)

reached
  gateway                  1 hop away, freely
  model-server             1 hop away, only where what is required holds
  vector-store             1 hop away, freely
";
    assert_eq!(run.stdout, wanted);
}

#[test]
fn a_rule_taken_out_is_shown_before_and_after() {
    let args = [
        "reach",
        "mesh.toml",
        "router",
        "--without",
        "router-searches",
        "--without",
        "anyone-greets",
    ];
    let run = ztl(&args);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let wanted = "\
`router` taken over reaches nothing, without `router-searches`, `anyone-greets`

no longer reached: gateway, retriever, model-server, vector-store
reached only now: nothing
";
    assert_eq!(run.stdout, wanted);
    let told: Value =
        serde_json::from_str(&ztl(&[&args[..], &["--json"]].concat()).stdout).expect("JSON");
    assert_eq!(told["without"], json!(["router-searches", "anyone-greets"]));
    assert_eq!((&told["reached"], &told["edges"]), (&json!([]), &json!([])));
    assert_eq!(
        told["before"]["reached"][0],
        json!({ "workload": "gateway", "hops": 1, "freely": true })
    );
    assert_eq!(
        (told["gone"].as_array().map(Vec::len), &told["gained"]),
        (Some(4), &json!([]))
    );
    // A forbid taken out widens.
    let told = ztl(&[
        "reach",
        "mesh.toml",
        "sensor",
        "--without",
        "things-stay-with-things",
        "--json",
    ]);
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!(told["gained"], json!(["gateway"]));
}

#[test]
fn the_json_is_one_object_of_this_shape() {
    let run = ztl(&["reach", "mesh.toml", "router", "--hops", "1", "--json"]);
    let told: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let wanted = json!({
        "policy": "mesh.toml",
        "without": [],
        "start": "router",
        "reached": [
            { "workload": "gateway", "hops": 1, "freely": true },
            { "workload": "retriever", "hops": 1, "freely": true },
        ],
        "edges": [
            { "hop": 1, "from": "router", "as": "public", "to": "gateway", "port": 443, "free": true, "uses": [
                { "rule": "anyone-greets", "actions": ["GET /hello"], "requires": [], "except": [], "unless": [] },
            ] },
            { "hop": 1, "from": "router", "as": "svid", "to": "retriever", "port": 8443, "free": true, "uses": [
                { "rule": "router-searches", "actions": ["GET /v1/search", "GET /v1/docs/{id:int}", "websocket /v1/live"], "requires": [], "except": ["doc-seven-is-sealed"], "unless": [] },
            ] },
        ],
    });
    assert_eq!(told, wanted);
}

#[test]
fn who_does_not_exist_is_wrong_use() {
    for (args, wanted) in [
        (
            &["reach", "mesh.toml", "nobody"][..],
            "there is no workload `nobody`; there is gateway, router",
        ),
        (
            &["reach", "mesh.toml", "router", "--without", "x"],
            "there is no rule `x`; there is router-searches",
        ),
        (&["reach", "mesh.toml"], "WORKLOAD"),
        (
            &["reach", "mesh.toml", "router", "--hops", "many"],
            "--hops",
        ),
    ] {
        let run = ztl(args);
        assert_eq!(run.code, Some(2), "{args:?}");
        assert!(run.stderr.contains(wanted), "{}", run.stderr);
    }
    assert_eq!(ztl(&["reach", "requests.jsonl", "router"]).code, Some(3));
}
