//! What an evaluation comes to.

use std::thread;

use serde_json::json;
use ztl_authz::rego::{RegoEngine, RegoError};

use crate::{ask, module_of, patient, policy};

const READS: &str = r#"{"attributes":{"request":{"http":{"method":"GET"}}}}"#;
const WRITES: &str = r#"{"attributes":{"request":{"http":{"method":"PUT"}}}}"#;

#[test]
fn a_policy_answers() {
    assert_eq!(ask("policy/readers", READS), Ok(Some(json!(true))));
    assert_eq!(ask("policy/readers", WRITES), Ok(Some(json!(false))));
    assert_eq!(
        ask("policy/data", "{}"),
        Ok(Some(json!({"team": "search"})))
    );
    assert_eq!(
        ask("policy/prints", "{}"),
        Ok(Some(json!(true))),
        "to nobody"
    );
}

#[test]
fn rule_7_undefined_is_no_value() {
    assert_eq!(ask("policy/undefined", "{}"), Ok(None));
}

#[test]
fn rule_7_what_is_no_result_set_is_an_error() {
    for entrypoint in [
        "policy/two",
        "policy/no_set",
        "policy/garbage",
        "policy/unended",
        "policy/nowhere",
        "policy/null",
        "policy/fails",
        "policy/other_key",
    ] {
        let answer = ask(entrypoint, "{}");
        assert!(
            matches!(answer, Err(RegoError::Answer(_))),
            "{entrypoint}: {answer:?}"
        );
    }
}

#[test]
fn t7_an_input_that_is_no_json_is_an_error_and_not_absent() {
    for input in [
        "",
        "{",
        "nil",
        "{} {}",
        "{\"a\":1} trailing",
        "\u{0}",
        "{1}",
    ] {
        let answer = ask("policy/echo", input);
        assert!(
            matches!(answer, Err(RegoError::Answer(_))),
            "{input}: {answer:?}"
        );
    }
}

#[test]
fn what_is_asked_arrives_as_it_was_sent() {
    let policy = policy("policy/echo", patient());
    for value in [
        json!({"path": "/ä/\u{1F600}\"\\\n", "n": [1, -2.5, null, true, {}]}),
        json!("x".repeat(60_000)),
        json!(null),
    ] {
        assert_eq!(policy.evaluate(&value.to_string()), Ok(Some(value)));
    }
}

#[test]
fn nothing_of_one_evaluation_is_in_the_next() {
    let policy = policy("policy/echo", patient().with_instances(1));
    for n in 0..1000 {
        let value = json!({"n": n, "pad": "p".repeat(n % 97)});
        assert_eq!(policy.evaluate(&value.to_string()), Ok(Some(value)));
    }
}

#[test]
fn several_threads_get_each_its_own_answer() {
    let policy = policy("policy/echo", patient().with_instances(2));
    thread::scope(|scope| {
        for thread in 0..4 {
            let policy = &policy;
            scope.spawn(move || {
                for n in 0..200 {
                    let value = json!([thread, n]);
                    match policy.evaluate(&value.to_string()) {
                        Ok(answer) => assert_eq!(answer, Some(value)),
                        Err(error) => assert_eq!(error, RegoError::Busy),
                    }
                }
            });
        }
    });
}

#[test]
fn a_builtin_is_called() {
    let module = module_of(r#"{"crypto.sha256":0}"#, patient());
    assert_eq!(module.builtins().collect::<Vec<_>>(), ["crypto.sha256"]);
    let policy = module.policy("policy/calls", &json!({})).expect("policy");
    let foo = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    assert_eq!(policy.evaluate("\"foo\""), Ok(Some(json!(foo))));
    // OPA would say "undefined".
    let failed = policy.evaluate("[1]");
    assert_eq!(
        failed,
        Err(RegoError::Builtin {
            name: "crypto.sha256".into(),
            why: "argument 1 is no string".into()
        })
    );
    assert_eq!(
        policy.evaluate("\"foo\""),
        Ok(Some(json!(foo))),
        "and goes on"
    );
}

#[test]
fn t34_what_a_builtin_cannot_take_makes_no_other_instance() {
    let module = module_of(r#"{"crypto.sha256":0}"#, patient().with_instances(1));
    let policy = module.policy("policy/counts", &json!({})).expect("policy");
    assert_eq!(policy.evaluate("\"foo\""), Ok(Some(json!(1))));
    for _ in 0..3 {
        let failed = policy.evaluate("[1]");
        assert!(
            matches!(failed, Err(RegoError::Builtin { .. })),
            "{failed:?}"
        );
    }
    // Another instance would begin with 1.
    assert_eq!(policy.evaluate("\"foo\""), Ok(Some(json!(5))));
}

#[test]
fn rule_63_the_time_is_that_of_the_decision() {
    let module = module_of(r#"{"time.now_ns":0}"#, patient());
    let policy = module.policy("policy/now", &json!({})).expect("policy");
    let now = json!(1_585_852_421_593_000_000_u64);
    let input = json!({"now": now, "path": "/"}).to_string();
    assert_eq!(policy.evaluate(&input), Ok(Some(now)));
    let without = policy.evaluate("{}");
    assert!(
        matches!(without, Err(RegoError::Builtin { .. })),
        "{without:?}"
    );
}

#[test]
fn a_call_of_what_was_not_named_ends_the_evaluation() {
    for builtins in ["{}", r#"{"sprintf":7}"#, r#"{"trace":3}"#] {
        let module = module_of(builtins, patient());
        let policy = module
            .policy("policy/calls_wrongly", &json!({}))
            .expect("policy");
        let answer = policy.evaluate("{}");
        assert!(matches!(answer, Err(RegoError::Trapped(_))), "{answer:?}");
    }
}
