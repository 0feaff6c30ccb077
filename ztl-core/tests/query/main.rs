//! Decide requests as data: what each key means, what is refused, and the form of the answer.

#![cfg(test)]

mod any;
mod recorded;
mod refused;
mod signals;

use serde_json::{Map, Value, json};
use ztl_core::policy::{Policy, Query, QueryError, decision_json};
use ztl_core::{Decision, Reason, Stage, Timestamp, Verdict};

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"
trust_domain_aliases = ["old.example"]

[zones.production]
trust = 3
networks = ["10.10.0.0/16"]

[workloads.client]
id = "spiffe://prod.example/client"

[workloads.one]
id = "spiffe://prod.example/one"
ports = [8443]

[workloads.mixed]
id = "spiffe://prod.example/mixed"
ports = [8443, 443]
public_ports = [443]

[workloads.two]
id = "spiffe://prod.example/two"
ports = [8443, 9443]

[workloads.placed]
id = "spiffe://prod.example/placed"
zone = "production"
ports = [8443]

[[permit]]
name = "reads"
from = "client"
to = "one"
actions = ["GET /docs/{id}", "websocket /live", "connect"]

[[permit]]
name = "posts"
from = "client"
to = "one"
actions = ["POST /docs"]

[permit.require]
trust_score = 50
token = { scopes = ["write"] }
headers = { x-purpose = ["a", "b"] }

[[permit]]
name = "mesh-side"
from = "client"
to = "mixed"
actions = ["GET /mesh"]

[[permit]]
name = "public-side"
from = "public"
to = "mixed"
actions = ["GET /public"]
anonymous = true

[[permit]]
name = "from-the-zone"
from = "client"
to = "placed"
actions = ["GET /placed"]

[[permit]]
name = "reads-soon"
mode = "shadow"
from = "client"
to = "one"
actions = ["GET /soon"]
"#;

fn policy() -> Policy {
    Policy::from_toml(POLICY).unwrap_or_else(|error| panic!("{error}"))
}

fn query(value: &Value) -> Result<Query, QueryError> {
    Query::from_json(&value.to_string())
}

fn ask(value: &Value) -> Result<Decision, QueryError> {
    query(value)?.decide(&policy(), NOW)
}

/// Reason and rule of the answer, or the text of the error.
fn said(value: &Value) -> (String, Option<String>) {
    match ask(value) {
        Ok(decision) => (
            decision.reason.code().to_owned(),
            decision.rule.as_deref().map(str::to_owned),
        ),
        Err(error) => (error.to_string(), None),
    }
}

fn permitted_by(value: &Value, rule: &str) {
    assert_eq!(
        said(value),
        ("permitted".to_owned(), Some(rule.to_owned())),
        "{value}"
    );
}

fn denied_for(value: &Value, reason: Reason) {
    assert_eq!(
        ask(value).map(|decision| decision.reason),
        Ok(reason),
        "{value}"
    );
}

#[test]
fn a_caller_is_named_by_workload_or_by_id_and_absent_is_unproved() {
    let get =
        |from: Value| json!({ "from": from, "to": "one", "method": "GET", "path": "/docs/7" });
    permitted_by(&get("client".into()), "reads");
    permitted_by(&get("spiffe://prod.example/client".into()), "reads");
    // Rule 28: an alias is the same trust domain.
    permitted_by(&get("spiffe://old.example/client".into()), "reads");
    denied_for(
        &get("spiffe://prod.example/other".into()),
        Reason::NoFlowPermitted,
    );
    denied_for(&get(Value::Null), Reason::IdentityUnproven);
    denied_for(
        &json!({ "to": "one", "method": "GET", "path": "/docs/7" }),
        Reason::IdentityUnproven,
    );
}

#[test]
fn a_target_is_named_by_workload_or_by_id_and_an_unknown_one_is_denied() {
    let get = |to: &str| json!({ "from": "client", "to": to, "method": "GET", "path": "/docs/7" });
    permitted_by(&get("one"), "reads");
    permitted_by(&get("spiffe://prod.example/one"), "reads");
    permitted_by(&get("spiffe://old.example/one"), "reads");
    for unknown in [
        "nobody",
        "One",
        "any",
        "spiffe://prod.example/nobody",
        "spiffe://other.example/one",
    ] {
        let decision = ask(&get(unknown)).expect("an answer");
        let (verdict, stage) = (decision.verdict, decision.stage);
        assert_eq!((verdict, stage), (Verdict::Deny, Stage::Flow), "{unknown}");
        assert_eq!(
            (decision.reason, decision.rule),
            (Reason::NoFlowPermitted, None),
            "{unknown}"
        );
    }
}

#[test]
fn without_port_the_only_one_that_can_be_meant() {
    permitted_by(
        &json!({ "from": "client", "to": "mixed", "method": "GET", "path": "/mesh" }),
        "mesh-side",
    );
    permitted_by(
        &json!({ "to": "mixed", "method": "GET", "path": "/public" }),
        "public-side",
    );
    permitted_by(
        &json!({ "to": "mixed", "port": 443, "method": "GET", "path": "/public" }),
        "public-side",
    );
    denied_for(
        &json!({ "to": "mixed", "port": 8443, "method": "GET", "path": "/public" }),
        Reason::IdentityUnproven,
    );
    denied_for(
        &json!({ "from": "client", "to": "one", "port": 1 }),
        Reason::NoFlowPermitted,
    );
    let unclear = ask(&json!({ "from": "client", "to": "two" }));
    assert_eq!(
        unclear,
        Err(QueryError::UnclearPort {
            to: "two".to_owned(),
            ports: vec![8443, 9443]
        })
    );
    // Neither port is public, so the answer is the same on both.
    denied_for(&json!({ "to": "two" }), Reason::IdentityUnproven);
    // What listens nowhere cannot be reached.
    denied_for(
        &json!({ "from": "one", "to": "client" }),
        Reason::NoFlowPermitted,
    );
}

#[test]
fn t26_an_absent_address_is_in_no_zone() {
    let get = json!({ "from": "client", "to": "placed", "method": "GET", "path": "/placed" });
    denied_for(&get, Reason::ZoneUnknown);
    let mut placed = get.clone();
    placed["from_addr"] = "10.10.0.1".into();
    permitted_by(&placed, "from-the-zone");
    placed["from_addr"] = "::ffff:10.10.0.1".into();
    permitted_by(&placed, "from-the-zone");
    placed["from_addr"] = "192.0.2.1".into();
    denied_for(&placed, Reason::ZoneUnknown);
}

#[test]
fn what_is_asked_for() {
    let flow = ask(&json!({ "from": "client", "to": "one" })).expect("an answer");
    assert_eq!((flow.verdict, flow.stage), (Verdict::Permit, Stage::Flow));
    permitted_by(
        &json!({ "from": "client", "to": "one", "action": "connect" }),
        "reads",
    );
    let get = |path: &str| json!({ "from": "client", "to": "one", "method": "GET", "path": path });
    permitted_by(&get("/docs/7?x=1"), "reads");
    denied_for(&get("/docs/%2e%2e"), Reason::PathAmbiguous);
    denied_for(&get(""), Reason::PathAmbiguous);
    denied_for(&get("/else"), Reason::NoActionPermitted);
    // Rule 44: a method is exact.
    denied_for(
        &json!({ "from": "client", "to": "one", "method": "get", "path": "/docs/7" }),
        Reason::NoActionPermitted,
    );
}

#[test]
fn an_upgrade_field_makes_it_an_upgrade() {
    let live = |headers: Value| json!({ "from": "client", "to": "one", "method": "GET", "path": "/live", "headers": headers });
    permitted_by(&live(json!({ "Upgrade": "WebSocket" })), "reads");
    permitted_by(&live(json!({ "upgrade": ["websocket"] })), "reads");
    denied_for(&live(json!({})), Reason::NoActionPermitted);
    denied_for(&live(json!({ "upgrade": [] })), Reason::NoActionPermitted);
    denied_for(
        &live(json!({ "upgrade": ["websocket", "h2c"] })),
        Reason::NoActionPermitted,
    );
    let mut docs = live(json!({ "upgrade": "h2c" }));
    docs["path"] = "/docs/7".into();
    denied_for(&docs, Reason::NoActionPermitted);
}

#[test]
fn evidence_is_what_the_query_states() {
    let post = json!({
        "from": "client", "to": "one", "method": "POST", "path": "/docs",
        "headers": { "X-Purpose": ["a", "b"] }, "trust_score": 50, "claims": { "scope": "read write" },
    });
    permitted_by(&post, "posts");
    let with = |key: &str, value: Value| {
        let mut post = post.clone();
        post[key] = value;
        post
    };
    let without = |key: &str| {
        let mut post = post.clone();
        post.as_object_mut().expect("object").remove(key);
        post
    };
    for key in ["headers", "trust_score", "claims"] {
        denied_for(&without(key), Reason::EvidenceMissing);
    }
    denied_for(&with("trust_score", 49.into()), Reason::RequirementUnmet);
    denied_for(
        &with("claims", json!({ "scope": "read" })),
        Reason::RequirementUnmet,
    );
    // Rule 43: each value is judged by itself.
    denied_for(
        &with("headers", json!({ "x-purpose": ["a", "c"] })),
        Reason::RequirementUnmet,
    );
    denied_for(
        &with("headers", json!({ "x-purpose": "a, b" })),
        Reason::RequirementUnmet,
    );
}

#[test]
fn a_token_expires_at_exp() {
    let post = |exp: Value, now: Option<Value>| {
        let mut post = json!({
            "from": "client", "to": "one", "method": "POST", "path": "/docs",
            "headers": { "x-purpose": "a" }, "trust_score": 50, "claims": { "scope": "write", "exp": exp },
        });
        if let Some(now) = now {
            post["now"] = now;
        }
        post
    };
    let default = NOW.as_unix_secs();
    permitted_by(&post((default + 1).into(), None), "posts");
    denied_for(&post(default.into(), None), Reason::EvidenceStale);
    permitted_by(
        &post(default.into(), Some(json!(1_789_999_999.999))),
        "posts",
    );
    denied_for(
        &post(default.into(), Some(json!(1_790_000_000.0))),
        Reason::EvidenceStale,
    );
    permitted_by(&post(1.into(), Some(0.into())), "posts");
    permitted_by(&post(json!(0.5), Some(json!(0.4994))), "posts");
    denied_for(&post(json!(-1), Some(0.into())), Reason::EvidenceStale);
    permitted_by(&post(json!(1e300), None), "posts");
    permitted_by(&post("never".into(), None), "posts");
}

#[test]
fn an_answer_has_all_keys_in_one_order() {
    let soon = json!({ "from": "client", "to": "one", "method": "GET", "path": "/soon" });
    let decision = ask(&soon).expect("an answer");
    assert_eq!(
        decision_json(&decision),
        r#"{"verdict":"deny","stage":"action","reason":"no_action_permitted","rule":null,"shadow":[{"rule":"reads-soon","would":"permit"}]}"#
    );
    let read: Value = serde_json::from_str(&decision_json(&decision)).expect("json");
    assert_eq!(read["shadow"][0]["rule"], "reads-soon");
}

#[test]
fn a_map_means_the_same_as_its_text() {
    let request =
        json!({ "from": "client", "to": "one", "method": "GET", "path": "/docs/7", "now": 5 });
    let map: Map<String, Value> = request.as_object().expect("object").clone();
    let from_map = Query::from_map(&map).and_then(|query| query.decide(&policy(), NOW));
    assert_eq!(from_map, ask(&request));
}

/// T12, T16: whom the claims name, and an id that the caller passes on.
#[test]
fn t12_a_query_can_name_who_comes_along() {
    let policy = Policy::from_toml(
        r#"
        schema = 1
        trust_domain = "prod.example"
        [workloads.proxy]
        id = "spiffe://prod.example/proxy"
        forwards = "client"
        [workloads.client]
        id = "spiffe://prod.example/client"
        [workloads.one]
        id = "spiffe://prod.example/one"
        ports = [8443]
        [[permit]]
        name = "behind-the-proxy"
        from = "proxy"
        subject = "client"
        to = "one"
        actions = "any"
        [permit.oblige]
        max_body = "1KiB"
        "#,
    )
    .expect("policy");
    let answer = |more: Value| {
        let mut query = json!({ "from": "proxy", "to": "one", "method": "GET", "path": "/" });
        let more = more.as_object().expect("object").clone();
        query.as_object_mut().expect("object").extend(more);
        let query = Query::from_json(&query.to_string()).expect("query");
        decision_json(&query.decide(&policy, NOW).expect("answer"))
    };
    let permitted = r#"{"verdict":"permit","stage":"action","reason":"permitted","rule":"behind-the-proxy","shadow":[],"obligations":{"max_body":1024}}"#;
    assert_eq!(
        answer(json!({ "forwarded": "spiffe://prod.example/client" })),
        permitted
    );
    assert_eq!(
        answer(json!({ "claims": { "sub": "spiffe://prod.example/client" } })),
        permitted
    );
    assert!(
        answer(json!({ "forwarded": "spiffe://prod.example/one" })).contains("forwarded_untrusted")
    );
    assert!(answer(json!({})).contains("evidence_missing"));
    let bad = json!({ "to": "one", "forwarded": "client" }).to_string();
    assert!(Query::from_json(&bad).is_err());
}
