//! Compares what the interpreter says of policies with what OPA itself said: `.ci/opa` runs it.
//!
//! `compare FOLDER ANSWERS`: in FOLDER `NAME.rego`, `NAME.data.json` and `NAME.inputs.json` (a list); in ANSWERS for each input
//! `NAME.INDEX.json`, what `opa eval` printed. Exit status 1 where one of them differs, or where there is nothing to compare.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use ztl_authz::rego::{Interpreter, RegoEngine};

type Failed = Box<dyn Error>;

/// Where the interpreter fails, and so denies, and OPA has an answer: policy, input, why.
const FAILS: [(&str, usize, &str); 1] = [(
    "language",
    6,
    "`some x in` a text is an error to the interpreter, and undefined to OPA",
)];

fn main() -> Result<(), Failed> {
    let mut folders = std::env::args_os().skip(1);
    let (Some(folder), Some(answers)) = (folders.next(), folders.next()) else {
        return Err("usage: compare FOLDER ANSWERS".into());
    };
    let (mut compared, mut differ) = (0, 0);
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "rego")
        {
            let (more, differing) = compare(&path, Path::new(&answers))?;
            compared += more;
            differ += differing;
        }
    }
    println!("{compared} answers compared, {differ} differ");
    if differ > 0 || compared == 0 {
        return Err("the interpreter does not say what OPA says".into());
    }
    Ok(())
}

/// How many answers of a policy were compared, and how many differ.
fn compare(policy: &Path, answers: &Path) -> Result<(usize, usize), Failed> {
    let source = fs::read_to_string(policy)?;
    let name = policy.file_stem().ok_or("a name")?.to_string_lossy();
    let json = |path: &Path| -> Result<Value, Failed> {
        Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
    };
    let mut lines = source.lines();
    let entrypoint = lines.find_map(|line| line.strip_prefix("# entrypoint: "));
    let entrypoint = entrypoint.ok_or("no line `# entrypoint: PATH`")?;
    let data = json(&policy.with_extension("data.json"))?;
    let ours = Interpreter::compile(
        [(&*name, &source)],
        data,
        entrypoint,
        Duration::from_secs(5),
    )?;
    let inputs = json(&policy.with_extension("inputs.json"))?;
    let inputs = inputs.as_array().ok_or("no list of inputs")?;
    let mut differ = 0;
    for (index, input) in inputs.iter().enumerate() {
        let told = json(&answers.join(format!("{name}.{index}.json")))?;
        let opa = if told.get("errors").is_some() {
            Err(())
        } else {
            Ok(told.pointer("/result/0/expressions/0/value").cloned())
        };
        let said = ours.evaluate(&input.to_string());
        let known = FAILS
            .iter()
            .find(|(policy, at, _)| *policy == name && *at == index);
        let agree = match (known, &said) {
            (Some((_, _, why)), Err(_)) => {
                println!("{name}, input {index}: denied, for {why}");
                opa.is_ok()
            }
            (Some(_), Ok(_)) => false,
            (None, said) => said.as_ref().ok() == opa.as_ref().ok(),
        };
        if !agree {
            println!("{name}, input {index}: OPA {opa:?}, the interpreter {said:?}");
            differ += 1;
        }
    }
    Ok((inputs.len(), differ))
}
