//! What a permit obliges to, and the sections that rules name: law 1, rule 11.

use super::*;
use core::time::Duration;
use ztl_core::audit::MemorySink;
use ztl_core::policy::decision_json;
use ztl_core::{Action, Arrival, Decision, Engine, Evidence, Flow, LimitBy, ObligationKinds};

fn obliged(oblige: Value) -> Policy {
    let mut rule = router_reads();
    rule["oblige"] = oblige;
    permit(rule)
}

fn ask() -> Question {
    Question::get(ROUTER, "gateway", 8443, "/v1/a")
}

fn all() -> Value {
    json!({ "limit": "slow", "schema": "infer.schema.json", "max_body": "64KiB", "log": ["x-tenant"] })
}

#[test]
fn a_permit_says_what_it_obliges_to() {
    let decision = ask().ask(&obliged(all()));
    let obligations = &decision.obligations;
    let limit = obligations.limit().expect("a limit");
    assert_eq!((&*limit.name, limit.each.requests), ("slow", 10));
    assert_eq!(
        (limit.each.per, limit.by),
        (Duration::from_secs(60), LimitBy::Peer)
    );
    assert_eq!(obligations.schema(), Some("infer.schema.json"));
    assert_eq!(obligations.max_body(), Some(65536));
    assert_eq!(obligations.log().map(<[_]>::len), Some(1));
    assert_eq!(
        decision_json(&decision),
        r#"{"verdict":"permit","stage":"action","reason":"permitted","rule":"router-reads","shadow":[],"obligations":{"limit":"slow","log":["x-tenant"],"max_body":65536,"schema":"infer.schema.json"}}"#
    );
    let plain = ask().ask(&obliged(json!({ "log": true })));
    assert!(decision_json(&plain).ends_with(r#""obligations":{"log":true}}"#));
    // Nothing is obliged to by a denial, by a flow, or at the caller's end.
    let policy = obliged(all());
    assert!(
        Question::get(ROUTER, "gateway", 8443, "/other")
            .ask(&policy)
            .obligations
            .is_empty()
    );
    assert!(
        Question::flow(ROUTER, "gateway", 8443)
            .ask(&policy)
            .obligations
            .is_empty()
    );
    let target = peer(GATEWAY);
    let input = ztl_core::policy::Input::new(Flow::egress("router", 8443, &target))
        .with_action(Action::request("GET", "/v1/a"));
    let decision = ztl_core::policy::decide(&policy, &input, NOW);
    assert_eq!(
        (decision.verdict, decision.obligations.is_empty()),
        (Verdict::Permit, true)
    );
}

#[test]
fn the_first_permit_whose_requirements_hold_obliges() {
    let rule = |name: &str, least: u8, oblige: Value| json!({ "name": name, "from": "router", "to": "gateway", "actions": "any", "require": { "trust_score": least }, "oblige": oblige });
    let policy = load(&document(
        &[
            rule("free", 80, json!({ "log": true })),
            rule("slow", 20, json!({ "limit": "slow" })),
        ],
        &[],
    ));
    let at = |score| {
        let decision = Question {
            score: Some(score),
            ..ask()
        }
        .ask(&policy);
        (
            decision.rule.map(|rule| rule.to_string()),
            decision.obligations.kinds(),
        )
    };
    assert_eq!(at(90), (Some("free".into()), ObligationKinds::LOG));
    assert_eq!(at(50), (Some("slow".into()), ObligationKinds::LIMIT));
    assert_eq!(
        at(10),
        (Some("free".into()), ObligationKinds::none()),
        "a denial names the nearest"
    );
}

#[test]
fn law_1_an_obligation_that_nobody_discharges_denies() {
    let caller = peer(ROUTER);
    let arrival = Arrival::from_addr("10.10.0.5".parse().expect("address"));
    let flow = Flow::ingress("gateway", 8443, arrival, Some(&caller));
    let action = Action::request("GET", "/v1/a").expect("a path");
    let authorize = |oblige: Value, kinds: Option<ObligationKinds>| {
        let engine = Engine::new(obliged(oblige), MemorySink::new(8)).expect("engine");
        let engine = match kinds {
            Some(kinds) => engine.with_obligations(kinds),
            None => engine,
        };
        let permit = engine
            .permit_flow(&flow, NOW)
            .expect("the flow is permitted");
        engine.authorize(&permit, &action, &Evidence::none(), NOW)
    };
    let denial = authorize(json!({ "log": true }), None).expect_err("nobody logs");
    assert_eq!(denial.reason(), Reason::ObligationUnknown);
    assert_eq!(
        (denial.stage(), denial.rule()),
        (Stage::Action, Some("router-reads"))
    );
    let some = ObligationKinds::none()
        .with_limit()
        .with_log()
        .with_max_body();
    assert!(
        authorize(all(), Some(some)).is_err(),
        "nobody reads schemas"
    );
    let permit = authorize(all(), Some(some.with_schema())).expect("all are discharged");
    assert_eq!(permit.obligations().max_body(), Some(65536));
}

#[test]
fn rule_11_a_limit_and_an_authorizer_that_are_not_there_refuse_the_document() {
    let rule = |key: &str, value: Value| {
        let mut rule = router_reads();
        rule[key] = value;
        document(&[rule], &[])
    };
    let limit = rule("oblige", json!({ "limit": "slwo" }));
    assert!(refusal(&limit).contains("there is no limit `slwo`"));
    assert!(refusal(&limit).contains("did you mean `slow`?"));
    let authorizer = rule("require", json!({ "authorizer": "nobody" }));
    assert!(refusal(&authorizer).contains("no authorizer `nobody` is registered"));
    let with = |section: Value| {
        let mut whole = rule("require", json!({ "authorizer": "mine" }));
        whole["authorizers"]["mine"] = section;
        whole
    };
    assert_eq!(
        reason(
            &ask(),
            &load(&with(json!({ "kind": "fixed", "objects": false })))
        ),
        "permitted"
    );
    assert_eq!(
        reason(
            &ask(),
            &load(&with(json!({ "kind": "fixed", "objects": true })))
        ),
        "objected"
    );
    let error = try_load(&with(json!({ "kind": "fixd" }))).expect_err("no such kind");
    assert!(
        error.to_string().contains("did you mean `fixed`?"),
        "{error}"
    );
    assert!(
        error
            .diagnostics()
            .iter()
            .all(|diagnostic| diagnostic.line > 1)
    );
    let bad = refusal(&with(json!({ "kind": "fixed", "objects": 1 })));
    assert!(
        bad.contains("the authorizer `mine`: takes `objects`, true or false"),
        "{bad}"
    );
    // Even where no rule names it, and where a name would mean two.
    let mut unused = document(&[], &[]);
    unused["authorizers"]["idle"] = json!({ "kind": "opa" });
    assert!(refusal(&unused).contains("no kind of authorizer `opa` is registered"));
    let mut double = document(&[], &[]);
    double["authorizers"]["broken"] = json!({ "kind": "fixed", "objects": false });
    assert!(refusal(&double).contains("registered by name as well"));
}

#[test]
fn t24_every_section_is_in_the_revision() {
    let mut rule = router_reads();
    rule["subject"] = "issuer:corp".into();
    rule["oblige"] = json!({ "log": ["x-a"] });
    let whole = document(&[rule], &[]);
    let revision = |changed: Value| load(&changed).revision();
    let base = revision(whole.clone());
    for (at, value) in [
        ("/limits/slow/requests", json!(11)),
        ("/authorizers/configured/objects", json!(true)),
        ("/workloads/router/forwards", json!("any")),
        ("/permit/0/subject", json!("issuer:other")),
        ("/permit/0/oblige", json!({ "log": ["x-b"] })),
    ] {
        let mut changed = whole.clone();
        *changed.pointer_mut(at).expect(at) = value;
        assert_ne!(revision(changed), base, "{at}");
    }
}

/// The permit of every test here, asked with these authorizers.
fn asked(oblige: Value, authorizers: Value) -> Decision {
    let mut rule = json!({ "name": "router-reads", "from": "router", "to": "gateway", "actions": ["any"], "require": { "authorizer": authorizers } });
    if !oblige.is_null() {
        rule["oblige"] = oblige;
    }
    let mut whole = document(&[rule], &[]);
    whole["limits"]["fast"] = json!({ "requests": 1000, "per": "1m" });
    ask().ask(&load(&whole))
}

#[test]
fn law_4_an_authorizer_obliges_to_more_and_takes_nothing_away() {
    let obliged = |oblige: Value, authorizers: Value| {
        let decision = asked(oblige, authorizers);
        assert_eq!(decision.verdict, Verdict::Permit, "{decision:?}");
        let json: Value = serde_json::from_str(&decision_json(&decision)).expect("JSON");
        json["obligations"].clone()
    };
    let careful = json!({ "max_body": 32768, "log": ["x-tenant", "x-more"] });
    assert_eq!(obliged(Value::Null, json!("careful")), careful);
    // The smaller of the two, whichever says it, and every field once.
    let wider = json!({ "max_body": "64KiB", "log": ["x-own", "x-tenant"] });
    let both = json!({ "max_body": 32768, "log": ["x-own", "x-tenant", "x-more"] });
    assert_eq!(obliged(wider, json!("careful")), both);
    let narrower = json!({ "max_body": 7, "log": true });
    let both = json!({ "max_body": 7, "log": ["x-tenant", "x-more"] });
    assert_eq!(obliged(narrower, json!("careful")), both);
    let slow = json!({ "limit": "slow" });
    assert_eq!(obliged(Value::Null, json!("limiting")), slow);
    assert_eq!(obliged(slow.clone(), json!(["limiting", "limiting"])), slow);
    let all = json!({ "limit": "slow", "schema": "other.json", "max_body": 32768, "log": ["x-tenant", "x-more"] });
    let three = json!(["shaping", "agreeable", "limiting", "careful"]);
    assert_eq!(obliged(Value::Null, three), all);
    assert_eq!(obliged(Value::Null, json!("agreeable")), Value::Null);
}

#[test]
fn rule_7_what_an_authorizer_cannot_add_denies() {
    for (oblige, authorizers) in [
        (Value::Null, json!("lost")),
        (Value::Null, json!("nosy")),
        (json!({ "schema": "infer.json" }), json!("shaping")),
        (json!({ "limit": "fast" }), json!("limiting")),
        (Value::Null, json!(["careful", "nosy"])),
    ] {
        let decision = asked(oblige.clone(), authorizers.clone());
        assert_eq!(
            (decision.reason, decision.lack),
            (Reason::AuthorizerFailed, Some(Lack::Authorizer)),
            "{oblige} {authorizers}"
        );
        assert!(decision.obligations.is_empty());
    }
    let objected = asked(Value::Null, json!(["careful", "objector"]));
    assert_eq!(objected.reason, Reason::Objected);
    assert!(objected.obligations.is_empty());
}

#[test]
fn rule_64_a_limit_has_a_total_and_overrides_of_declared_workloads() {
    let limited = |limit: Value| {
        let mut rule = router_reads();
        rule["oblige"] = json!({ "limit": "own" });
        let mut document = document(&[rule], &[]);
        document["limits"]["own"] = limit;
        document
    };
    let good = json!({ "requests": 1, "per": 2, "total": { "requests": 3, "per": 4 },
        "overrides": { "router": { "requests": 5, "per": 6, "burst": 7 } } });
    let policy = load(&limited(good));
    let decision = ask().ask(&policy);
    let limit = decision.obligations.limit().expect("a limit");
    assert_eq!(
        limit.total.map(|rate| (rate.requests, rate.at_once())),
        Some((3, 3))
    );
    assert_eq!(
        limit
            .of_workload("router")
            .map(|rate| (rate.requests, rate.at_once())),
        Some((5, 7))
    );
    assert_eq!(limit.of_workload("gateway"), None);
    assert_eq!(limit.each.requests, 1);
    let unknown =
        json!({ "requests": 1, "per": 2, "overrides": { "ruoter": { "requests": 5, "per": 6 } } });
    let refused = refusal(&limited(unknown));
    assert!(
        refused.contains("there is no workload `ruoter`")
            && refused.contains("did you mean `router`?"),
        "{refused}"
    );
}

#[test]
fn law_6_what_is_refused_after_it_was_permitted_has_a_record_of_its_own() {
    let audit = std::sync::Arc::new(MemorySink::new(8));
    let engine = Engine::new(
        obliged(json!({ "max_body": 1 })),
        std::sync::Arc::clone(&audit),
    )
    .expect("engine");
    let engine = engine.with_obligations(ObligationKinds::none().with_max_body());
    let caller = peer(ROUTER);
    let arrival = Arrival::from_addr("10.10.0.5".parse().expect("address"));
    let flow = Flow::ingress("gateway", 8443, arrival, Some(&caller));
    let flow = engine.permit_flow(&flow, NOW).expect("a flow");
    let action = Action::request("GET", "/v1/a").expect("a path");
    let permit = engine
        .authorize(&flow, &action, &Evidence::none(), NOW)
        .expect("a permit");
    let refuse =
        || engine.refuse_permitted(&flow, &permit, Some(&action), Reason::BodyTooLarge, NOW);
    let denial = refuse();
    assert_eq!(
        (denial.reason(), denial.rule()),
        (Reason::BodyTooLarge, Some("router-reads"))
    );
    let line: Value = serde_json::from_str(audit.lines().last().expect("a record")).expect("json");
    assert_eq!(line["id"], denial.id().to_string());
    assert_eq!(
        (&line["verdict"], &line["rule"]),
        (&json!("deny"), &json!("router-reads"))
    );
    assert_eq!(line["action"], "GET /v1/a");
    // Under another policy its rules are others.
    engine
        .swap_policy(obliged(json!({ "max_body": 2 })))
        .expect("swapped");
    assert_eq!(refuse().rule(), None);
    // No reason makes it a permit.
    let denial = engine.refuse_permitted(&flow, &permit, None, Reason::Permitted, NOW);
    assert_eq!(denial.reason(), Reason::NotJudged);
}

#[test]
fn t24_a_schema_is_part_of_the_revision() {
    use std::sync::Arc;
    use ztl_core::policy::{Format, Loader};
    use ztl_core::schema::{BodySchema, SchemaCompiler};

    /// A schema of one byte, which fits nothing.
    #[derive(Debug)]
    struct Toy(u8);
    impl BodySchema for Toy {
        fn digest(&self) -> [u8; 32] {
            [self.0; 32]
        }
        fn fits(&self, _: &Value) -> bool {
            false
        }
        fn misfit(&self, _: &Value) -> String {
            String::new()
        }
    }
    impl SchemaCompiler for Toy {
        fn compile(&self, name: &str) -> Result<Arc<dyn BodySchema>, String> {
            match name {
                "infer.schema.json" => Ok(Arc::new(Self(self.0))),
                _ => Err("is not given".to_owned()),
            }
        }
    }
    let mut rule = router_reads();
    rule["oblige"] = all();
    let text = document(&[rule], &[]).to_string();
    let load = |loader: Loader, text: &str| loader.load(text, Format::Json);
    let plain = load(support::loader(), &text).expect("a name");
    let with = |byte| support::loader().with_schemas(Arc::new(Toy(byte)));
    let (one, two) = (
        load(with(1), &text).expect("one"),
        load(with(2), &text).expect("two"),
    );
    assert!(plain.revision() != one.revision() && one.revision() != two.revision());
    assert_eq!(
        one.revision(),
        load(with(1), &text).expect("again").revision()
    );
    assert!(
        plain.schema("infer.schema.json").is_none() && one.schema("infer.schema.json").is_some()
    );
    let changes = |new| {
        ztl_core::analysis::diff(&one, new)
            .expect("a diff")
            .document
            .len()
    };
    assert_eq!((changes(&one), changes(&two)), (0, 1));
    let error =
        load(with(1), &text.replace("infer.schema.json", "other.json")).expect_err("refused");
    assert!(
        error
            .to_string()
            .contains("the schema `other.json`: is not given"),
        "{error}"
    );
}

#[test]
fn law_1_a_permit_of_raw_bytes_that_obliges_refuses_the_document() {
    let refused = |actions: Value, oblige: Value, mode: &str| {
        let rule = json!({ "name": "streams", "from": "router", "to": "gateway", "ports": 8443, "mode": mode, "actions": actions, "oblige": oblige });
        let loaded = try_load(&document(&[rule], &[]));
        loaded.expect_err("refused").to_string()
    };
    for (oblige, named) in [
        (json!({ "limit": "slow" }), "`limit`"),
        (json!({ "schema": "a.json" }), "`schema`"),
        (json!({ "max_body": 1 }), "`max_body`"),
        (json!({ "log": true }), "`log`"),
        (json!({ "log": ["x-a"], "limit": "slow" }), "`limit`, `log`"),
    ] {
        for mode in ["enforce", "shadow", "off"] {
            let error = refused(json!("connect"), oblige.clone(), mode);
            let told = format!(
                "`connect` in the permit `streams` can never be granted: it obliges to {named}, which nobody can discharge for raw bytes"
            );
            assert!(error.contains(&told), "{error}");
            assert!(error.contains("remove `[permit.oblige]`"), "{error}");
        }
        // Beside others it is the one entry that could never be granted.
        let error = refused(json!(["GET /v1/a", "connect"]), oblige, "enforce");
        assert!(error.contains("can never be granted"), "{error}");
        assert!(
            error.contains("write a permit of its own for `connect`"),
            "{error}"
        );
    }
    // `any` is every request, and no raw bytes.
    let rule = json!({ "from": "router", "to": "gateway", "ports": 8443, "actions": "any", "oblige": { "log": true } });
    let plain = json!({ "from": "router", "to": "gateway", "ports": 8443, "actions": "connect" });
    load(&document(&[rule, plain], &[]));
    // With place and mark.
    let text = "schema = 1\ntrust_domain = 'prod.example'\n[workloads.a]\nid = 'spiffe://prod.example/a'\nports = [1]\n\
                [[permit]]\nname = 'p'\nfrom = 'a'\nto = 'a'\nactions = ['GET /', 'connect']\n[permit.oblige]\nlog = true\n";
    let error = Policy::from_toml(text).expect_err("refused").to_string();
    assert!(
        error.contains("10:21: `connect` in the permit `p`"),
        "{error}"
    );
}
