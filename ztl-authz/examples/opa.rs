//! A policy compiled to WebAssembly, asked as a decision would ask it.
//!
//! `opa build -t wasm` makes such modules. This one is written by hand (`tests/opa/policy.wat`), so that the example needs no
//! `opa`: its entrypoint `policy/readers` says whether the input has `"method":"GET"`.
//!
//! ```sh
//! cargo run -p ztl-authz --features opa --example opa
//! ```

use std::error::Error;
use std::time::Duration;

use serde_json::json;
use ztl_authz::opa::{Limits, WasmModule};
use ztl_authz::rego::RegoEngine;

const POLICY: &str = include_str!("../tests/opa/policy.wat");

fn main() -> Result<(), Box<dyn Error>> {
    let wasm = wat::parse_str(POLICY.replace("BUILTINS", "{}"))?;
    // Compiled once, and asked in instances that are kept ready.
    let limits = Limits::default()
        .with_time(Duration::from_millis(20))
        .with_instances(1);
    let module = WasmModule::compile(&wasm, limits)?;
    let policy = module.policy("policy/readers", &json!({}))?;
    for method in ["GET", "PUT"] {
        let input = json!({"attributes": {"request": {"http": {"method": method}}}});
        println!("{method}: {:?}", policy.evaluate(&input.to_string())?);
    }

    // A policy that does not come to an end is ended, and whoever asked denies.
    let forever = module.policy("policy/forever", &json!({}))?;
    match forever.evaluate("{}") {
        Ok(answer) => println!("loops: {answer:?}"),
        Err(error) => println!("loops: {error}"),
    }

    // A module that wants what no policy is given is not taken.
    let greedy = wat::parse_str(POLICY.replace("BUILTINS", r#"{\"http.send\":0}"#))?;
    if let Err(error) = WasmModule::compile(&greedy, limits) {
        println!("refused: {error}");
    }
    Ok(())
}
