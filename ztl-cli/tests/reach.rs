//! `ztl reach`: what is printed of a blast radius.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use common::{ztl, ztl_with_input};
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
        "exits": [],
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

const OUTSIDE: &str = "schema = 1\ntrust_domain = \"prod.example\"\n\
        [workloads.web]\nid = \"spiffe://prod.example/web\"\n\
        [workloads.trainer]\nid = \"spiffe://prod.example/trainer\"\nports = [8443]\n\
        [external.model-hub]\nhosts = [\"hub.example.org\", \"mirror.example.org\"]\n\
        [[permit]]\nname = \"web-trains\"\nfrom = \"web\"\nto = \"trainer\"\nactions = [\"POST /runs\"]\n\
        [[permit]]\nname = \"trainer-fetches\"\nfrom = \"trainer\"\nto = \"external:model-hub\"\n\
        actions = [\"GET /models/{*path}\", \"connect\"]\n\
        [[forbid]]\nname = \"sealed\"\nfrom = \"any\"\nto = \"external:model-hub\"\nactions = [\"GET /models/secret\"]\n";

#[test]
fn t27_what_guards_let_out_is_told_from_both_ends() {
    let ask = |args: &[&str]| {
        let run = ztl_with_input(&[&["reach", "-"], args].concat(), OUTSIDE.as_bytes());
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{args:?}");
        run.stdout
    };
    let wanted = "\
`web` taken over reaches 1 workload, 1 of them freely, and 1 destination outside the mesh

hop 1
  web -> trainer:8443
    POST /runs  (permit web-trains)

let out of the mesh by the caller's own guard, which one that was taken over can skip
  trainer -> external:model-hub:443  (hub.example.org, mirror.example.org)
    GET /models/{*path}  (permit trainer-fetches)
      except what is forbidden by sealed

reached
  trainer                  1 hop away, freely
";
    assert_eq!(ask(&["web"]), wanted);
    let wanted = "\
`external:model-hub` (hub.example.org, mirror.example.org) is reached by 2 workloads

let out of the mesh by the caller's own guard, which one that was taken over can skip
  trainer -> external:model-hub:443  (hub.example.org, mirror.example.org)
    GET /models/{*path}  (permit trainer-fetches)
      except what is forbidden by sealed

reached by
  trainer                  1 hop away, freely
  web                      2 hops away over trainer, freely
";
    assert_eq!(ask(&["external:model-hub"]), wanted);
    let wanted = "\
`external:model-hub` (hub.example.org, mirror.example.org) is reached by nobody, without `trainer-fetches`

no longer reached by: trainer, web
reached only now by: nobody
";
    let without = ["--without", "trainer-fetches"];
    assert_eq!(
        ask(&[&["external:model-hub"][..], &without].concat()),
        wanted
    );
    let gone = ask(&[&["web"][..], &without].concat());
    assert!(
        gone.ends_with("no longer reached: external:model-hub\nreached only now: nothing\n"),
        "{gone}"
    );

    let json = |args: &[&str]| -> Value {
        serde_json::from_str(&ask(&[args, &["--json"]].concat())).expect("JSON")
    };
    let uses = json!([{ "rule": "trainer-fetches", "actions": ["GET /models/{*path}"], "requires": [], "except": ["sealed"], "unless": [] }]);
    let hosts = json!(["hub.example.org", "mirror.example.org"]);
    assert_eq!(
        json(&["web"])["exits"],
        json!([{ "hop": 2, "from": "trainer", "to": "external:model-hub", "hosts": hosts, "port": 443, "freely": true, "uses": uses }])
    );
    let by = json(&["external:model-hub"]);
    assert_eq!(
        (&by["start"], &by["hosts"]),
        (&json!("external:model-hub"), &hosts)
    );
    assert_eq!(
        by["callers"],
        json!([
            { "workload": "trainer", "hops": 1, "over": null, "freely": true },
            { "workload": "web", "hops": 2, "over": "trainer", "freely": true },
        ])
    );
    assert_eq!(by["exits"][0]["uses"], uses);
    assert_eq!(
        json(&[&["external:model-hub"][..], &without].concat())["gone"],
        json!(["trainer", "web"])
    );

    let unknown = ztl_with_input(&["reach", "-", "external:hub"], OUTSIDE.as_bytes());
    assert_eq!(unknown.code, Some(2));
    let told = "there is no external destination `hub`; there is model-hub";
    assert!(unknown.stderr.contains(told), "{}", unknown.stderr);
}
