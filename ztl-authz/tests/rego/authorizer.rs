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
    let loader = Loader::new().with_authorizer("rego", Arc::clone(&authorizer) as _);
    let policy = load(&document(json!({})), &loader).expect("a policy");
    assert!(decide(&policy, json!({})).verdict == Verdict::Permit);
    authorizer.replace(no);
    assert_eq!(decide(&policy, json!({})).reason.code(), "objected");
    assert_eq!(yes.asked().len(), 1);
}
