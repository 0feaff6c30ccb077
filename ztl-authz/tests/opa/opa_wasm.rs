//! The crate `opa-wasm` as the other host: the same answers within the same bounds.

use std::time::Duration;

use serde_json::{Value, json};
use ztl_authz::opa::{ModuleError, OpaWasmPolicy};
use ztl_authz::rego::{RegoEngine, RegoError};

use crate::{module_of, patient};

fn ask(entrypoint: &str, input: &str) -> Result<Option<Value>, RegoError> {
    let time = match entrypoint {
        "policy/forever" => Duration::from_millis(30),
        _ => patient().time,
    };
    let limits = patient()
        .with_memory_bytes(4 << 20)
        .with_instances(1)
        .with_time(time);
    let module = module_of("{}", limits);
    let data = json!({"team": "search"});
    let policy = OpaWasmPolicy::new(&module, entrypoint, &data).expect("policy");
    let answer = policy.evaluate(input);
    assert_eq!(answer, policy.evaluate(input), "twice");
    answer
}

#[test]
fn opa_wasm_answers_as_our_own_host_does() {
    for entrypoint in ["readers", "echo", "data", "undefined", "prints"] {
        let entrypoint = format!("policy/{entrypoint}");
        for input in [r#"{"method":"GET"}"#, r#"{"method":"PUT"}"#, "[1, \"ä\"]"] {
            let ours = crate::ask(&entrypoint, input);
            assert!(ours.is_ok(), "{ours:?}");
            assert_eq!(ask(&entrypoint, input), ours, "{entrypoint} {input}");
        }
    }
}

#[test]
fn rule_15_opa_wasm_is_bounded_too() {
    assert_eq!(ask("policy/forever", "{}"), Err(RegoError::Timeout));
    assert_eq!(ask("policy/grows", "{}"), Err(RegoError::Memory));
    for entrypoint in [
        "deep", "aborts", "garbage", "unended", "nowhere", "two", "no_set", "calls",
    ] {
        let answer = ask(&format!("policy/{entrypoint}"), "{}");
        assert!(answer.is_err(), "{entrypoint}: {answer:?}");
    }
    assert!(matches!(ask("policy/echo", "{"), Err(RegoError::Answer(_))));
}

#[test]
fn what_opa_wasm_has_only_by_name_refuses_the_module() {
    let module = module_of(r#"{"regex.split":0}"#, patient());
    let error = OpaWasmPolicy::new(&module, "policy/calls", &json!({})).map(drop);
    let Err(ModuleError::Builtin { name, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(name, "regex.split");
    let module = module_of(r#"{"hex.encode":0}"#, patient());
    let policy = OpaWasmPolicy::new(&module, "policy/calls", &json!({})).expect("policy");
    assert_eq!(policy.evaluate("\"hi\""), Ok(Some(json!("6869"))));
}
