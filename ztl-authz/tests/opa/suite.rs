//! Modules that OPA compiled, by others: inputs, data and the answers that OPA's own SDK for JavaScript gave.
//!
//! A compiled policy holds OPA's runtime, so the modules are not kept here. Where `ZTL_OPA_SUITE` names a folder with
//! `cases.json` and `wasm/` they are run; `tests/suites/README.md` says which they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use serde_json::Value;
use ztl_authz::opa::{Limits, ModuleError, WasmModule};
use ztl_authz::rego::RegoEngine;

use tally::{Counts, Stands, Tally};

#[allow(dead_code, reason = "shared with suites that can leave rows unsaid")]
#[path = "../../../ztl-core/tests/suites/tally.rs"]
mod tally;

const EXCEPTIONS: &str = include_str!("../suites/opa.toml");

fn read(path: &Path) -> Value {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// The suite and its modules, compiled; none where it is not there.
struct Suite {
    folder: PathBuf,
    said: Value,
    modules: BTreeMap<String, Result<WasmModule, ModuleError>>,
}

impl Suite {
    fn open() -> Option<Self> {
        let folder = PathBuf::from(env::var_os("ZTL_OPA_SUITE")?);
        let said = read(&folder.join("modules.json"));
        Some(Self {
            folder,
            said,
            modules: BTreeMap::new(),
        })
    }

    /// What becomes of a case: its result set, or in one word why there is none.
    fn answer(&mut self, case: &Value) -> String {
        let name = case["wasm"].as_str().expect("a module").to_owned();
        let folder = &self.folder;
        let module = self.modules.entry(name.clone()).or_insert_with(|| {
            let bytes = fs::read(folder.join("wasm").join(&name)).expect("a module");
            // These are judged beside other tests, on loaded machines.
            let limits = Limits::default()
                .with_time(Duration::from_secs(2))
                .with_wait(Duration::from_secs(20))
                .with_instances(1);
            WasmModule::compile(&bytes, limits)
        });
        let module = match module {
            Ok(module) => module,
            Err(error) => return refused(error),
        };
        let known = self.said[&name]["entrypoints"]
            .as_object()
            .expect("entrypoints");
        let first = known
            .iter()
            .find(|(_, number)| **number == 0)
            .map(|(name, _)| name.as_str());
        let entrypoint = case["entrypoint"]
            .as_str()
            .or(first)
            .expect("an entrypoint");
        let data = match &case["data"] {
            Value::Null => serde_json::json!({}),
            data => data.clone(),
        };
        let policy = match module.policy(entrypoint, &data) {
            Ok(policy) => policy,
            Err(error) => return refused(&error),
        };
        let input = case["input"].to_string();
        let answer = policy.evaluate(&input);
        assert_eq!(answer, policy.evaluate(&input), "{}: twice", case["id"]);
        match answer {
            Ok(Some(value)) => serde_json::json!([{ "result": value }]).to_string(),
            Ok(None) => "[]".into(),
            Err(_) => "error".into(),
        }
    }
}

fn refused(error: &ModuleError) -> String {
    match error {
        ModuleError::Builtin { .. } => "refused: builtin".into(),
        ModuleError::NoAbi => "refused: no ABI".into(),
        ModuleError::Entrypoint { .. } => "error".into(),
        other => format!("refused: {other}"),
    }
}

#[test]
fn modules_of_others_answer_as_they_do_elsewhere() {
    let mut tally = Tally::new(EXCEPTIONS);
    let Some(mut suite) = Suite::open() else {
        println!("ZTL_OPA_SUITE names no folder: nothing is run");
        return;
    };
    let cases = read(&suite.folder.join("cases.json"));
    for case in cases.as_array().expect("cases") {
        let theirs = match &case["expect_result_set"] {
            Value::Null => "error".to_owned(),
            set => set.to_string(),
        };
        let ours = suite.answer(case);
        // What does not load cannot answer: an error, said earlier.
        let alike = if theirs == "error" && ours.starts_with("refused") {
            &theirs
        } else {
            &ours
        };
        let stands = if ours.starts_with('[') && ours != "[]" {
            Stands::Looser
        } else {
            Stands::Stricter
        };
        tally.row(case["id"].as_str().expect("an id"), &theirs, alike, stands);
    }
    let expected = Counts {
        agree: 55,
        stricter: 2,
        ..Counts::default()
    };
    tally.finish("OPA modules", expected);
}
