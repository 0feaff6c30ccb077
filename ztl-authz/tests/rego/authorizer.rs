//! What an answer comes to in a decision.

use super::*;

fn outcome(answer: Result<Option<Value>, RegoError>) -> &'static str {
    let engine = Says::new(answer);
    let policy = policy(asking(&engine, Reads::nothing()), json!({}));
    decide(&policy, json!({})).reason.code()
}

#[test]
fn law_1_only_true_is_no_objection() {
    assert_eq!(outcome(Ok(Some(json!(true)))), "permitted");
    assert_eq!(outcome(Ok(Some(json!({ "allow": true })))), "permitted");
    for objects in [json!(false), json!({ "allow": false })] {
        assert_eq!(outcome(Ok(Some(objects))), "objected");
    }
    assert_eq!(outcome(Ok(None)), "objected");
    for none in [
        json!(null),
        json!(1),
        json!("true"),
        json!([]),
        json!({}),
        json!({ "allow": 1 }),
    ] {
        assert_eq!(outcome(Ok(Some(none))), "authorizer_failed");
    }
}

#[test]
fn rule_7_an_engine_that_fails_denies() {
    for error in [
        RegoError::Timeout,
        RegoError::Memory,
        RegoError::Busy,
        RegoError::Trapped("unreachable".into()),
        RegoError::Builtin {
            name: "http.send".into(),
            why: "it is not there".into(),
        },
    ] {
        assert_eq!(outcome(Err(error)), "authorizer_failed");
    }
}

/// Law 4: it is asked after all else held, and grants nothing.
#[test]
fn law_4_what_no_rule_permits_is_denied_without_asking() {
    let engine = Says::value(json!(true));
    let asks = json!({ "require": { "authorizer": "rego", "trust_score": 70 } });
    let policy = policy(asking(&engine, Reads::nothing()), asks);
    let other = decide(&policy, json!({ "path": "/v1/models" }));
    assert_eq!(other.reason.code(), "no_action_permitted");
    let low = decide(&policy, json!({ "trust_score": 69 }));
    assert_eq!(low.reason.code(), "requirement_unmet");
    assert!(engine.asked().is_empty());
}

#[test]
fn another_engine_is_put_in_force_while_the_policy_stays() {
    let (yes, no) = (Says::value(json!(true)), Says::value(json!(false)));
    let authorizer = Arc::new(asking(&yes, Reads::nothing()));
    let loader = Loader::new().with_authorizer("rego", authorizer.clone());
    let policy = load(&document(json!({})), &loader).expect("a policy");
    assert!(decide(&policy, json!({})).verdict == Verdict::Permit);
    authorizer.replace(no);
    assert_eq!(decide(&policy, json!({})).reason.code(), "objected");
    assert_eq!(yes.asked().len(), 1);
}

/// One decision of an engine that discharges these, and the record of it.
fn enforced(
    answer: Value,
    kinds: ztl_core::ObligationKinds,
) -> (Result<Option<u64>, &'static str>, Value) {
    use ztl_core::audit::MemorySink;
    use ztl_core::{Action, Arrival, Engine, Evidence, Flow};
    let audit = Arc::new(MemorySink::new(8));
    let engine = Says::value(answer);
    let policy = policy(
        asking(&engine, Reads::nothing()),
        json!({ "oblige": { "max_body": 1000 } }),
    );
    let engine = Engine::new(policy, Arc::clone(&audit))
        .expect("an engine")
        .with_obligations(kinds);
    let peer = peer();
    let arrival = Arrival::from_addr("10.1.2.3".parse().expect("an address"));
    let flow = Flow::ingress("models", 8443, arrival, Some(&peer));
    let flow = engine.permit_flow(&flow, NOW).expect("a flow");
    let action = Action::request("POST", "/v1/models/llama/infer").expect("a path");
    let judged = engine.authorize(&flow, &action, &Evidence::none(), NOW);
    let judged = match &judged {
        Ok(permit) => Ok(permit.obligations().max_body()),
        Err(denial) => Err(denial.reason().code()),
    };
    let line = audit.lines().last().expect("a record").clone();
    (judged, serde_json::from_str(&line).expect("JSON"))
}

#[test]
fn law_1_what_an_answer_obliges_to_is_discharged_or_denies() {
    use ztl_core::ObligationKinds;
    let kinds = ObligationKinds::none().with_max_body();
    let answer = |obligations: Value| json!({ "allow": true, "obligations": obligations });
    let (permit, record) = enforced(answer(json!({ "max_body": 7 })), kinds);
    assert_eq!(permit, Ok(Some(7)));
    assert_eq!(record["obligations"], json!({ "max_body": 7 }));
    // Wider than the rule says it is not.
    let (permit, record) = enforced(answer(json!({ "max_body": 5000 })), kinds);
    assert_eq!(
        (permit, &record["obligations"]),
        (Ok(Some(1000)), &json!({ "max_body": 1000 }))
    );
    let (denied, record) = enforced(answer(json!({ "log": true })), kinds);
    assert_eq!(denied, Err("obligation_unknown"));
    assert!(record.get("obligations").is_none(), "{record}");
    let all = kinds.with_log().with_limit();
    let both = json!({ "log": ["x-a"], "limit": "slow" });
    let (permit, record) = enforced(answer(both), all);
    assert_eq!(permit, Ok(Some(1000)));
    let said = json!({ "limit": "slow", "max_body": 1000, "log": ["x-a"] });
    assert_eq!(record["obligations"], said);
    for bad in [
        json!({ "limit": "nowhere" }),
        json!({ "log": ["cookie"] }),
        json!({ "log": ["no name"] }),
    ] {
        let (denied, record) = enforced(answer(bad), all);
        assert_eq!(denied, Err("authorizer_failed"));
        let failed = record["failed"].as_str().expect("what failed");
        assert!(failed.starts_with("the authorizer obliges to "), "{failed}");
    }
}

#[test]
fn law_7_why_it_objects_is_recorded_and_explained() {
    let answer = json!({ "allow": false, "reason_code": "quota_spent" });
    let (denied, record) = enforced(answer.clone(), ztl_core::ObligationKinds::none());
    assert_eq!(
        (denied, &record["objection"]),
        (Err("objected"), &json!("quota_spent"))
    );
    let engine = Says::value(answer);
    let policy = policy(asking(&engine, Reads::nothing()), json!({}));
    let query = r#"{ "from": "router", "from_addr": "10.1.2.3", "to": "models", "method": "POST", "path": "/v1/models/llama/infer" }"#;
    let explained = Query::from_json(query)
        .expect("a query")
        .explain(&policy, NOW);
    let explained = explained.expect("an explanation");
    let failed = explained.rules[0].failed().expect("a clause");
    assert_eq!(failed.got, "objects: quota_spent");
}

#[test]
fn what_is_obliged_to_is_explained() {
    let answer = json!({ "allow": true, "obligations": { "max_body": 7 } });
    let engine = Says::value(answer);
    let policy = policy(asking(&engine, Reads::nothing()), json!({}));
    let query = r#"{ "from": "router", "from_addr": "10.1.2.3", "to": "models", "method": "POST", "path": "/v1/models/llama/infer" }"#;
    let explained = Query::from_json(query)
        .expect("a query")
        .explain(&policy, NOW);
    let explained = explained.expect("an explanation");
    assert_eq!(explained.decision.obligations.max_body(), Some(7));
    let facts = &explained.steps.last().expect("a stage").facts;
    assert!(
        facts.contains(&("oblige", "{\"max_body\":7}".to_owned())),
        "{facts:?}"
    );
}
