//! Policies compiled to WebAssembly, by our own host: modules written by hand, and those of others.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "how long an evaluation takes is measured, and the environment says where a suite is"
)]

mod answers;
mod bounds;
mod kind;
mod mutated;
#[cfg(feature = "opa-wasm")]
mod opa_wasm;
mod refused;
mod suite;

use std::time::Duration;

use serde_json::{Value, json};
use ztl_authz::opa::{Limits, WasmModule, WasmPolicy};
use ztl_authz::rego::{RegoEngine, RegoError};

/// The module of `policy.wat`, which wants these builtins.
fn text(builtins: &str) -> String {
    include_str!("policy.wat").replace("BUILTINS", &builtins.replace('"', "\\\""))
}

fn bytes(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn module_of(builtins: &str, limits: Limits) -> WasmModule {
    WasmModule::compile(&bytes(&text(builtins)), limits).unwrap_or_else(|error| panic!("{error}"))
}

/// For policies that come to an end: a machine may be so busy that nothing runs for longer than an evaluation may take.
fn patient() -> Limits {
    let long = Duration::from_secs(20);
    Limits::default().with_time(long).with_wait(long)
}

fn policy(entrypoint: &str, limits: Limits) -> WasmPolicy {
    let module = module_of("{}", limits);
    module
        .policy(entrypoint, &json!({"team": "search"}))
        .expect("policy")
}

fn ask(entrypoint: &str, input: &str) -> Result<Option<Value>, RegoError> {
    policy(entrypoint, patient()).evaluate(input)
}
