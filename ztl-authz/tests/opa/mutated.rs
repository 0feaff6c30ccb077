//! Modules that are nearly valid: each is refused or loads, what loads answers or fails within its bounds, and nothing panics.
//!
//! Before `wasmtime` only the length and the first bytes of a module are read; what this tries is what becomes of whatever `wasmtime`
//! takes. What a module says while it runs, the fuzz target `opa_module` makes up.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::json;
use ztl_authz::opa::{Limits, ModuleError, WasmModule};
use ztl_authz::rego::{RegoEngine, RegoError};

use crate::{bytes, text};

/// How many are tried; the same each time.
const TRIED: usize = 250;

#[derive(Clone, Debug)]
enum Change {
    Put(Index, u8),
    Flip(Index, u32),
    Insert(Index, u8),
    Take(Index, usize),
    Double(Index, usize),
    Cut(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(vec![0, 1, 0x7f, 0x80, 0xff])
    ];
    prop_oneof![
        4 => (at(), byte.clone()).prop_map(|(at, byte)| Change::Put(at, byte)),
        4 => (at(), 0..8_u32).prop_map(|(at, bit)| Change::Flip(at, bit)),
        1 => (at(), byte).prop_map(|(at, byte)| Change::Insert(at, byte)),
        1 => (at(), 1..16_usize).prop_map(|(at, count)| Change::Take(at, count)),
        1 => (at(), 1..64_usize).prop_map(|(at, count)| Change::Double(at, count)),
        1 => at().prop_map(Change::Cut),
    ]
}

fn changed(mut module: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if module.is_empty() {
            break;
        }
        let end = |from: usize, count: usize| (from + count).min(module.len());
        match *change {
            Change::Put(at, byte) => *at.get_mut(&mut module) = byte,
            Change::Flip(at, bit) => *at.get_mut(&mut module) ^= 1 << bit,
            Change::Insert(at, byte) => module.insert(at.index(module.len()), byte),
            Change::Take(at, count) => {
                let from = at.index(module.len());
                module.drain(from..end(from, count));
            }
            Change::Double(at, count) => {
                let from = at.index(module.len());
                let part = module[from..end(from, count)].to_vec();
                module.splice(from..from, part);
            }
            Change::Cut(at) => module.truncate(at.index(module.len())),
        }
    }
    module
}

#[test]
fn rule_15_a_module_that_is_nearly_valid_is_refused_or_bounded() {
    let good = bytes(&text(r#"{"crypto.sha256":0}"#));
    let mut limits = Limits::default()
        .with_time(Duration::from_millis(5))
        .with_memory_bytes(4 << 20)
        .with_instances(1);
    limits.load_time = Duration::from_millis(20);
    let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let (mut refused, mut loaded, mut answered) = (0, 0, 0);
    let mut runner = TestRunner::new_with_rng(Config::default(), seed);
    let changes = prop::collection::vec(change(), 1..4);
    for _ in 0..TRIED {
        let changes = changes.new_tree(&mut runner).expect("changes").current();
        let module = match WasmModule::compile(&changed(good.clone(), &changes), limits) {
            Ok(module) => module,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
                continue;
            }
        };
        loaded += 1;
        let entrypoints: Vec<String> = module.entrypoints().take(3).map(str::to_owned).collect();
        for entrypoint in &entrypoints {
            let policy = match module.policy(entrypoint, &json!({ "team": "search" })) {
                Ok(policy) => policy,
                Err(ModuleError::Start(_)) => continue,
                Err(error) => panic!("{error}"),
            };
            for input in [r#"{"method":"GET"}"#, "[1]"] {
                match policy.evaluate(input) {
                    Ok(_) => answered += 1,
                    Err(RegoError::Input { .. } | RegoError::NotInForce) => panic!("not these"),
                    Err(_) => {}
                }
            }
        }
    }
    println!("{TRIED} modules: {refused} refused, {loaded} loaded, {answered} answers");
    assert!(refused > 0 && loaded > 0 && answered > 0);
}
