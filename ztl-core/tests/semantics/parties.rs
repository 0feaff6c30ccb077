//! Whom a token names, and whose id is passed on: rules 7 and 8, T12, T13, T16.

use super::*;
use support::{CORP, STORE, actors};

fn ask() -> Question {
    Question::get(ROUTER, "gateway", 8443, "/v1/a")
}

fn with(key: &str, clause: Value) -> Policy {
    let mut rule = router_reads();
    rule[key] = clause;
    permit(rule)
}

fn forbidding(forbid: Value) -> Policy {
    load(&document(&[router_reads()], &[forbid]))
}

fn token(subject: &str) -> Value {
    json!({ "iss": CORP, "sub": subject })
}

fn acting(subject: &str, act: Value) -> Value {
    json!({ "iss": CORP, "sub": subject, "act": act })
}

#[test]
fn rule_4_a_subject_is_anded_with_from_and_the_requirements() {
    let policy = with("subject", json!(["user:corp/alice", "retriever"]));
    let lacks = |question: &Question| {
        let decision = question.ask(&policy);
        (decision.reason.code(), decision.lack)
    };
    assert_eq!(lacks(&ask().token(token("alice"))), ("permitted", None));
    assert_eq!(lacks(&ask().token(token(RETRIEVER))), ("permitted", None));
    assert_eq!(
        lacks(&ask().token(token("bob"))),
        ("requirement_unmet", Some(Lack::Subject))
    );
    assert_eq!(lacks(&ask()), ("evidence_missing", Some(Lack::Token)));
    let stale = Question {
        stale: true,
        ..ask().token(token("alice"))
    };
    assert_eq!(lacks(&stale), ("evidence_stale", Some(Lack::Token)));
    assert_eq!(
        lacks(&ask().token(json!({ "iss": CORP }))),
        ("evidence_missing", Some(Lack::Subject))
    );
    // Whom the token names is not who calls.
    let other = Question::get(RETRIEVER, "gateway", 8443, "/v1/a").token(token("alice"));
    assert_eq!(lacks(&other), ("no_flow_permitted", None));
}

#[test]
fn t16_an_identity_is_the_pair_of_issuer_and_subject() {
    let alice = with("subject", json!("user:corp/alice"));
    let corp = with("subject", json!("issuer:corp"));
    let exact = with("subject", json!("issuer:https://other.example"));
    let outcome = |policy: &Policy, claims: Value| reason(&ask().token(claims), policy);
    let elsewhere = json!({ "iss": "https://other.example", "sub": "alice" });
    assert_eq!(outcome(&alice, token("alice")), "permitted");
    assert_eq!(outcome(&alice, elsewhere.clone()), "requirement_unmet");
    assert_eq!(outcome(&corp, token("bob")), "permitted");
    assert_eq!(outcome(&corp, elsewhere.clone()), "requirement_unmet");
    assert_eq!(outcome(&exact, elsewhere), "permitted");
    // Without its issuer a subject is nobody.
    let any = with("subject", json!("any"));
    assert_eq!(outcome(&any, json!({ "sub": "alice" })), "evidence_missing");
    assert_eq!(outcome(&any, json!({ "sub": ROUTER })), "permitted");
    // What stands after the first slash is the subject.
    let path = with("subject", json!("user:corp/a/b"));
    assert_eq!(outcome(&path, token("a/b")), "permitted");
    let unknown =
        json!({ "from": "router", "to": "gateway", "actions": "any", "subject": "user:crop/a" });
    assert!(refusal(&document(&[unknown], &[])).contains("did you mean `corp`?"));
}

#[test]
fn t13_a_subject_is_the_same_workload_under_an_alias() {
    let policy = with("subject", json!(["store", "label:tier=thing"]));
    let outcome = |subject: &str| reason(&ask().token(token(subject)), &policy);
    assert_eq!(outcome(STORE), "permitted");
    assert_eq!(outcome("spiffe://old.example/data/store"), "permitted");
    assert_eq!(outcome(SENSOR), "permitted", "its label");
    assert_eq!(outcome(ROUTER), "requirement_unmet");
    assert_eq!(outcome(STRANGER), "requirement_unmet", "no label is known");
    // What is written like an id and is none can be nobody's.
    for bad in [
        "SPIFFE://prod.example/data/store",
        "spiffe://prod.example/data/store/",
        "spiffe://prod.example",
    ] {
        assert_eq!(outcome(bad), "evidence_missing", "{bad}");
    }
    let long = format!("spiffe://old.example/{}", "a".repeat(2048 - 21));
    assert_eq!(outcome(&long), "evidence_missing");
    let below = with("subject", json!("spiffe://old.example/agents/**"));
    let agent = ask().token(token(STRANGER));
    assert_eq!(reason(&agent, &below), "permitted");
}

#[test]
fn every_actor_of_the_chain_has_to_be_named() {
    let policy = with("actors", json!(["router", "user:corp/bot"]));
    let lacks = |act: Value| {
        let decision = ask().token(acting("alice", act)).ask(&policy);
        (decision.reason.code(), decision.lack)
    };
    assert_eq!(lacks(json!({ "sub": ROUTER })), ("permitted", None));
    assert_eq!(
        lacks(json!({ "sub": "bot", "act": { "sub": ROUTER } })),
        ("permitted", None)
    );
    assert_eq!(
        lacks(json!({ "sub": ROUTER, "act": { "sub": RETRIEVER } })),
        ("requirement_unmet", Some(Lack::Actors))
    );
    // RFC 8693 §4.1: an actor may have an issuer of its own.
    assert_eq!(
        lacks(json!({ "sub": "bot", "iss": "https://evil.example" })),
        ("requirement_unmet", Some(Lack::Actors))
    );
    let missing = ("evidence_missing", Some(Lack::Actors));
    assert_eq!(lacks(actors(8)), ("permitted", None));
    for act in [
        actors(9),
        json!(null),
        json!("router"),
        json!([]),
        json!({}),
        json!({ "sub": 7 }),
        json!({ "sub": ROUTER, "iss": 7 }),
        json!({ "sub": ROUTER, "act": "x" }),
    ] {
        assert_eq!(lacks(act.clone()), missing, "{act}");
    }
    let none = ask().token(token("alice")).ask(&policy);
    assert_eq!((none.reason.code(), none.lack), missing);
}

#[test]
fn rules_7_and_8_a_forbid_on_a_subject_fires_where_it_cannot_tell() {
    let policy =
        forbidding(json!({ "from": "any", "to": "gateway", "subject": "user:corp/mallory" }));
    let outcome = |question: Question| reason(&question, &policy);
    assert_eq!(outcome(ask().token(token("mallory"))), "forbidden");
    assert_eq!(outcome(ask().token(token("alice"))), "permitted");
    assert_eq!(outcome(ask()), "forbidden", "no token");
    let stale = Question {
        stale: true,
        ..ask().token(token("alice"))
    };
    assert_eq!(outcome(stale), "forbidden");
    for bad in [
        json!({ "iss": CORP }),
        json!({ "iss": 1, "sub": "alice" }),
        json!({ "sub": 1 }),
    ] {
        assert_eq!(outcome(ask().token(bad)), "forbidden");
    }
    // It is no forbid of the flow, and fires on raw bytes.
    let flow = Question::flow(ROUTER, "gateway", 8443);
    assert_eq!(outcome(flow), "permitted");
    let raw = load(&document(
        &[json!({ "from": "router", "to": "gateway", "actions": "connect" })],
        &[json!({ "from": "any", "to": "gateway", "subject": "user:corp/mallory" })],
    ));
    let raw_bytes = Question {
        action: Some(None),
        ..ask().token(token("alice"))
    };
    assert_eq!(reason(&raw_bytes, &raw), "forbidden");
}

#[test]
fn a_forbid_on_actors_fires_on_any_of_them() {
    let policy = forbidding(
        json!({ "from": "any", "to": "gateway", "subject": "any", "actors": "label:tier=thing" }),
    );
    let outcome = |claims: Value| reason(&ask().token(claims), &policy);
    assert_eq!(outcome(token("alice")), "permitted", "nobody is in between");
    let chain = json!({ "sub": ROUTER, "act": { "sub": SENSOR } });
    assert_eq!(outcome(acting("alice", chain)), "forbidden");
    assert_eq!(
        outcome(acting("alice", json!({ "sub": ROUTER }))),
        "permitted"
    );
    assert_eq!(
        outcome(acting("alice", json!({ "sub": STRANGER }))),
        "forbidden",
        "no label is known"
    );
    assert_eq!(
        outcome(acting("alice", json!({ "sub": "bot" }))),
        "permitted",
        "a user has no label"
    );
    assert_eq!(outcome(acting("alice", actors(9))), "forbidden");
}

#[test]
fn t12_a_forbid_by_identity_fires_on_peer_subject_actor_and_forwarded_id() {
    for from in [
        "sensor",
        "spiffe://old.example/things/**",
        "label:tier=thing",
    ] {
        let policy = forbidding(json!({ "name": "no-things", "from": from, "to": "gateway" }));
        let decided = |question: Question| outcome(&question, &policy);
        let forbidden = (
            Verdict::Deny,
            Stage::Action,
            Reason::Forbidden,
            Some("no-things".to_owned()),
        );
        assert_eq!(decided(ask()).2, Reason::Permitted);
        assert_eq!(decided(ask().token(token("alice"))).2, Reason::Permitted);
        assert_eq!(decided(ask().token(token(SENSOR))), forbidden);
        let act = json!({ "sub": RETRIEVER, "act": { "sub": SENSOR } });
        assert_eq!(decided(ask().token(acting("alice", act))), forbidden);
        assert_eq!(decided(ask().token(acting("alice", json!(7)))), forbidden);
        assert_eq!(decided(ask().forwards(SENSOR)), forbidden);
        assert_eq!(decided(ask().forwards(RETRIEVER)).2, Reason::Permitted);
        // An expired token still says who comes along.
        let stale = Question {
            stale: true,
            ..ask().token(token(SENSOR))
        };
        assert_eq!(decided(stale), forbidden);
    }
    // A place is the peer's alone, and so is a port.
    let place = forbidding(json!({ "from": "zone:iot", "to": "gateway" }));
    assert_eq!(reason(&ask().token(token(SENSOR)), &place), "permitted");
    let port = forbidding(json!({ "from": "sensor", "to": "gateway", "ports": 443 }));
    assert_eq!(reason(&ask().token(token(SENSOR)), &port), "permitted");
    // An undeclared workload might have the label.
    let label = forbidding(json!({ "from": "label:tier=thing", "to": "gateway" }));
    assert_eq!(reason(&ask().token(token(STRANGER)), &label), "forbidden");
    let shadow =
        forbidding(json!({ "name": "would", "mode": "shadow", "from": "sensor", "to": "gateway" }));
    let decision = ask().token(token(SENSOR)).ask(&shadow);
    assert_eq!(
        (decision.verdict, decision.shadow.len()),
        (Verdict::Permit, 1)
    );
}

#[test]
fn t12_an_id_is_passed_on_only_by_whom_the_policy_names() {
    let policy =
        permit(json!({ "from": ["router", "retriever"], "to": "gateway", "actions": "any" }));
    let outcome = |question: Question| reason(&question, &policy);
    for trusted in [
        RETRIEVER,
        "spiffe://old.example/agents/retriever",
        SENSOR,
        "spiffe://other.example/x",
    ] {
        assert_eq!(outcome(ask().forwards(trusted)), "permitted", "{trusted}");
    }
    for other in [
        STORE,
        STRANGER,
        "spiffe://other.example",
        "spiffe://third.example/x",
    ] {
        assert_eq!(
            outcome(ask().forwards(other)),
            "forwarded_untrusted",
            "{other}"
        );
    }
    // Another workload forwards nobody, not even itself.
    let retriever = Question::get(RETRIEVER, "gateway", 8443, "/v1/a");
    assert_eq!(
        outcome(retriever.forwards(RETRIEVER)),
        "forwarded_untrusted"
    );
    // A forwarded id is a subject, and never the peer.
    let rule =
        json!({ "from": "router", "to": "gateway", "actions": "any", "subject": "retriever" });
    let subject = permit(rule);
    assert_eq!(reason(&ask().forwards(RETRIEVER), &subject), "permitted");
    assert_eq!(
        reason(&ask().forwards(SENSOR), &subject),
        "requirement_unmet"
    );
    let both = ask().forwards(RETRIEVER).token(token("alice"));
    assert_eq!(
        reason(&both, &subject),
        "requirement_unmet",
        "every subject counts"
    );
    let peer = permit(json!({ "from": "sensor", "to": "gateway", "actions": "any" }));
    assert_eq!(reason(&ask().forwards(SENSOR), &peer), "no_flow_permitted");
}

#[test]
fn t3_a_public_permit_by_subject_asks_for_a_token() {
    let policy = permit(
        json!({ "from": "public", "to": "gateway", "actions": "any", "subject": "user:corp/alice" }),
    );
    let ask = Question::anonymous("gateway", 443, "/");
    assert_eq!(reason(&ask, &policy), "evidence_missing");
    assert_eq!(
        reason(&ask.clone().token(token("alice")), &policy),
        "permitted"
    );
    // Who proved nothing passes nobody on.
    assert_eq!(
        reason(&ask.forwards(ROUTER), &policy),
        "forwarded_untrusted"
    );
}

#[test]
fn t10_and_t11_an_assertion_counts_no_subject_as_protection() {
    let mut whole = document(
        &[
            json!({ "from": "router", "to": "store", "actions": "any", "subject": "user:corp/alice", "actors": "router" }),
        ],
        &[json!({ "from": "router", "to": "store", "actors": "any" })],
    );
    whole["never"] = json!([{ "name": "not-there", "from": "router", "to": "store" }]);
    assert!(refusal(&whole).contains("`not-there` does not hold"));
    whole["forbid"] = json!([{ "from": "router", "to": "store" }]);
    load(&whole);
}

#[test]
fn rule_33_subjects_are_judged_where_the_token_is() {
    use ztl_core::{
        Action, Flow,
        policy::{Input, decide},
    };
    let target = peer(GATEWAY);
    let flow = Flow::egress("router", 8443, &target);
    let judge = |policy: &Policy, action| {
        let input = Input::new(flow).with_action(action);
        decide(policy, &input, NOW).reason.code()
    };
    let get = || Action::request("GET", "/v1/a");
    assert_eq!(
        judge(&with("subject", json!("user:corp/alice")), get()),
        "permitted"
    );
    let forbid = forbidding(json!({ "from": "router", "to": "gateway", "subject": "any" }));
    assert_eq!(judge(&forbid, get()), "permitted");
    assert_eq!(judge(&forbid, Ok(Action::Connect)), "forbidden");
}

#[test]
fn t34_a_token_is_read_where_a_rule_could_name_somebody_in_it() {
    use ztl_core::{Arrival, Engine, Flow, audit::MemorySink};
    let reads = |policy: Policy| {
        let own = policy.workload_reads_token("gateway");
        let engine = Engine::new(policy, MemorySink::new(1)).expect("engine");
        let caller = peer(ROUTER);
        let arrival = Arrival::from_addr("10.10.0.5".parse().expect("address"));
        let flow = Flow::ingress("gateway", 8443, arrival, Some(&caller));
        (
            own,
            engine
                .permit_flow(&flow, NOW)
                .expect("permitted")
                .reads_token(),
        )
    };
    assert_eq!(reads(permit(router_reads())), (false, false));
    assert_eq!(reads(with("subject", json!("any"))), (true, true));
    assert_eq!(reads(with("actors", json!("any"))), (true, true));
    // Rule 64: what a permit obliges to counts by whom it names.
    for (by, expected) in [("subject", true), ("peer", false), ("address", false)] {
        let mut counts = document(&[router_reads()], &[]);
        counts["permit"][0]["oblige"] = json!({ "limit": "slow" });
        counts["limits"] = json!({ "slow": { "requests": 1, "per": 1, "by": by } });
        assert_eq!(reads(load(&counts)), (expected, expected), "{by}");
    }
    let of = |from: &str| forbidding(json!({ "from": from, "to": "gateway" }));
    // No rule asks for one, and whom one names would be forbidden (T12).
    assert_eq!(reads(of("sensor")), (false, true));
    assert_eq!(reads(of("zone:iot")), (false, false));
}
