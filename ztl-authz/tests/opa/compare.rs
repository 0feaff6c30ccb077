//! Compares what the interpreter and both hosts of modules say of policies with what OPA itself said: `.ci/opa` runs it.
//!
//! `compare FOLDER ANSWERS BUNDLES`: in FOLDER `NAME.rego`, `NAME.data.json` and `NAME.inputs.json` (a list); in ANSWERS for each
//! input `NAME.INDEX.json`, what `opa eval` printed; in BUNDLES `NAME.tar.gz`, what `opa build -t wasm` made of policy and data.
//! Exit status 1 where one of them differs, or where there is nothing to compare.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use ztl_authz::bundle::{Bundle, BundleReader};
use ztl_authz::opa::{Limits, ModuleError, OpaWasmPolicy, WasmModule};
use ztl_authz::rego::{Interpreter, RegoEngine};

type Failed = Box<dyn Error>;

const INTERPRETER: &str = "the interpreter";
const MODULE: &str = "the module";
const OPA_WASM: &str = "the module in `opa-wasm`";

/// Where an engine fails, and so denies, and OPA has an answer: engine, policy, input, why.
const FAILS: [(&str, &str, usize, &str); 1] = [(
    INTERPRETER,
    "language",
    6,
    "`some x in` a text is an error to the interpreter, and undefined to OPA",
)];

/// Where what OPA compiles into a module answers otherwise than OPA, so that a `not` around it holds: policy, input, why.
const HOLDS: [(&str, usize, &str); 2] = [
    ("failing", 2, "what cannot answer is undefined to it"),
    (
        "failing",
        3,
        "it takes no address of IPv4 written in IPv6 for one",
    ),
];

/// For machines that are busy: what is compared is answers.
const LONG: Duration = Duration::from_secs(5);

fn main() -> Result<(), Failed> {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder, answers, bundles] = &*folders else {
        return Err("usage: compare FOLDER ANSWERS BUNDLES".into());
    };
    let (mut compared, mut differ) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "rego")
        {
            let (more, differing) = compare(&path, answers, bundles)?;
            compared += more;
            differ += differing;
        }
    }
    println!("{compared} answers compared, {differ} differ");
    if differ > 0 || compared == 0 {
        return Err("an engine does not say what OPA says".into());
    }
    Ok(())
}

fn json(path: &Path) -> Result<Value, Failed> {
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

/// How many answers of a policy were compared, and how many differ.
fn compare(policy: &Path, answers: &Path, bundles: &Path) -> Result<(usize, usize), Failed> {
    let source = fs::read_to_string(policy)?;
    let name = policy.file_stem().ok_or("a name")?.to_string_lossy();
    let mut lines = source.lines();
    let entrypoint = lines.find_map(|line| line.strip_prefix("# entrypoint: "));
    let entrypoint = entrypoint.ok_or("no line `# entrypoint: PATH`")?;
    let data = json(&policy.with_extension("data.json"))?;
    let interpreter = Interpreter::compile([(&*name, &source)], data, entrypoint, LONG)?;
    let bundle =
        BundleReader::unsigned().read(&fs::read(bundles.join(format!("{name}.tar.gz")))?)?;
    let module = module(&bundle, entrypoint)?;
    let hosted = module.policy(entrypoint, &bundle.data)?;
    let theirs = theirs(&module, entrypoint, &bundle)?;
    let mut engines: Vec<(&str, &dyn RegoEngine)> =
        vec![(INTERPRETER, &interpreter), (MODULE, &hosted)];
    match &theirs {
        Some(theirs) => engines.push((OPA_WASM, theirs)),
        None => println!("{name}: not asked in `opa-wasm`, which has not all of its builtins"),
    }
    let inputs = json(&policy.with_extension("inputs.json"))?;
    let inputs = inputs.as_array().ok_or("no list of inputs")?;
    let (mut compared, mut differ) = (0, 0);
    for (index, input) in inputs.iter().enumerate() {
        let told = json(&answers.join(format!("{name}.{index}.json")))?;
        let opa = if told.get("errors").is_some() {
            Err(())
        } else {
            Ok(told.pointer("/result/0/expressions/0/value").cloned())
        };
        for (engine, ours) in &engines {
            let engine = *engine;
            let said = ours.evaluate(&input.to_string());
            let known = FAILS
                .iter()
                .find(|(who, policy, at, _)| (*who, *policy, *at) == (engine, &*name, index));
            let holds = HOLDS
                .iter()
                .find(|(policy, at, _)| (*policy, *at) == (&*name, index));
            let agree = match (known, &said) {
                (None, said)
                    if engine != INTERPRETER
                        && let Some((.., why)) = holds =>
                {
                    println!("{name}, input {index}: permitted by {engine}, as {why}");
                    *said == Ok(Some(Value::Bool(true))) && opa != Ok(Some(Value::Bool(true)))
                }
                (Some((.., why)), Err(_)) => {
                    println!("{name}, input {index}: denied by {engine}, for {why}");
                    opa.is_ok()
                }
                (Some(_), Ok(_)) => false,
                // What OPA compiles into a module fails as undefined, which denies as well, or leaves a rule with its default.
                (None, Ok(None | Some(Value::Bool(false))))
                    if engine != INTERPRETER && opa.is_err() =>
                {
                    true
                }
                (None, said) => said.as_ref().ok() == opa.as_ref().ok(),
            };
            if !agree {
                println!("{name}, input {index}: OPA {opa:?}, {engine} {said:?}");
                differ += 1;
            }
            compared += 1;
        }
    }
    Ok((compared, differ))
}

/// The module of a bundle for an entrypoint.
fn module(bundle: &Bundle, entrypoint: &str) -> Result<WasmModule, Failed> {
    let answers = |names: &[Box<str>]| names.iter().any(|name| &**name == entrypoint);
    let module = bundle.wasm.iter().find(|it| answers(&it.entrypoints));
    let module = module.ok_or("the bundle has no module for the entrypoint")?;
    let limits = Limits::default()
        .with_time(LONG)
        .with_wait(LONG)
        .with_instances(1);
    Ok(WasmModule::compile(&module.bytes, limits)?)
}

/// The same in the other host; none where it refuses the module for a builtin.
fn theirs(
    module: &WasmModule,
    entrypoint: &str,
    bundle: &Bundle,
) -> Result<Option<OpaWasmPolicy>, Failed> {
    match OpaWasmPolicy::new(module, entrypoint, &bundle.data) {
        Ok(policy) => Ok(Some(policy)),
        Err(ModuleError::Builtin { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
