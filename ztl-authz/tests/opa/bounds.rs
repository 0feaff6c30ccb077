//! Modules that take more than they may: each ends within its bound, and others go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use ztl_authz::opa::{Limits, ModuleError};
use ztl_authz::rego::input::MAX_INPUT_BYTES;
use ztl_authz::rego::{RegoEngine, RegoError};

use crate::{ask, module_of, patient, policy};

/// What a test that loads every core may add to a bound.
const SLACK: Duration = Duration::from_secs(2);

#[test]
fn rule_15_a_loop_ends_in_its_time() {
    let limits = Limits::default().with_time(Duration::from_millis(30));
    let policy = policy("policy/forever", limits);
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(policy.evaluate("{}"), Err(RegoError::Timeout));
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(30), "{took:?}");
        assert!(took < SLACK, "{took:?}");
    }
}

#[test]
fn rule_15_memory_has_an_end() {
    let limits = patient().with_memory_bytes(4 << 20);
    assert_eq!(
        policy("policy/grows", limits).evaluate("{}"),
        Err(RegoError::Memory)
    );
    let least = Limits::default().with_memory_bytes(64 << 10);
    let module = crate::bytes(&crate::text("{}"));
    let refused = ztl_authz::opa::WasmModule::compile(&module, least);
    assert_eq!(
        refused.map(drop),
        Err(ModuleError::Start(RegoError::Memory)),
        "two pages do not fit in one"
    );
}

#[test]
fn rule_15_recursion_has_an_end() {
    let answer = ask("policy/deep", "{}");
    let Err(RegoError::Trapped(text)) = answer else {
        panic!("{answer:?}");
    };
    assert!(text.contains("stack"), "{text}");
}

#[test]
fn an_abort_says_what_the_policy_said() {
    assert_eq!(
        ask("policy/aborts", "{}"),
        Err(RegoError::Trapped(
            "policy.rego:7: two rules say otherwise".into()
        ))
    );
}

#[test]
fn rule_15_input_answer_and_data_are_bounded() {
    let long = json!("x".repeat(MAX_INPUT_BYTES)).to_string();
    let bytes = long.len();
    assert_eq!(
        ask("policy/readers", &long),
        Err(RegoError::Input { bytes })
    );

    let limits = patient().with_result_bytes(100);
    let echo = policy("policy/echo", limits);
    let fits = json!("x".repeat(100 - r#"[{"result":""}]"#.len()));
    assert_eq!(echo.evaluate(&fits.to_string()), Ok(Some(fits)));
    let answer = echo.evaluate(&json!("x".repeat(100)).to_string());
    assert!(matches!(answer, Err(RegoError::Answer(_))), "{answer:?}");

    let limits = Limits::default().with_data_bytes(100);
    let module = module_of("{}", limits);
    assert!(module.policy("policy/data", &json!("x".repeat(98))).is_ok());
    let refused = module
        .policy("policy/data", &json!("x".repeat(99)))
        .map(drop);
    assert_eq!(
        refused,
        Err(ModuleError::Data {
            bytes: 101,
            most: 100
        })
    );
}

#[test]
fn rule_15_who_finds_no_instance_waits_a_while_and_no_longer() {
    let limits = Limits::default()
        .with_instances(1)
        .with_time(Duration::from_millis(500))
        .with_wait(Duration::from_millis(10));
    let policy = policy("policy/forever", limits);
    let busy = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let answer = policy.evaluate("{}");
                busy.fetch_or(answer == Err(RegoError::Busy), Ordering::SeqCst);
                assert!(
                    matches!(answer, Err(RegoError::Busy | RegoError::Timeout)),
                    "{answer:?}"
                );
            });
        }
    });
    assert!(busy.load(Ordering::SeqCst), "one of the two found it taken");
}

#[test]
fn rule_15_a_thousand_evaluations_take_no_more_memory_than_a_few() {
    // A page of room above what one evaluation takes: any that keeps what it took comes to its end.
    let limits = patient().with_instances(1).with_memory_bytes(5 << 16);
    let policy = policy("policy/echo", limits);
    let value = json!("x".repeat(30_000));
    for _ in 0..1000 {
        assert_eq!(policy.evaluate(&value.to_string()), Ok(Some(value.clone())));
    }
}

#[test]
fn t34_others_go_on_while_one_loops() {
    let limits = Limits::default().with_time(Duration::from_millis(200));
    let hostile = policy("policy/forever", limits.with_instances(1));
    let good = policy("policy/readers", patient().with_instances(1));
    let input = r#"{"method":"GET"}"#;
    let time = || {
        let begun = Instant::now();
        assert_eq!(good.evaluate(input), Ok(Some(json!(true))));
        begun.elapsed()
    };
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let quiet = median((0..500).map(|_| time()).collect());
    let over = AtomicBool::new(false);
    let beside = thread::scope(|scope| {
        let looping = scope.spawn(|| {
            let answer = hostile.evaluate("{}");
            over.store(true, Ordering::SeqCst);
            answer
        });
        let mut times = vec![time()];
        while !over.load(Ordering::SeqCst) {
            times.push(time());
        }
        assert_eq!(looping.join().expect("joined"), Err(RegoError::Timeout));
        median(times)
    });
    println!("median of an evaluation: {quiet:?} alone, {beside:?} beside one that loops");
    assert!(
        beside < quiet * 20 + Duration::from_millis(5),
        "{quiet:?}, {beside:?}"
    );
}
