//! `ztl check`: does the policy load, what does it hold, and what in it looks like a mistake.

mod finding;
mod lint;
mod spoken;
mod summary;

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::exit::{Exit, Failure, Refusal};
use crate::json;
use crate::output::{Colour, Output};
use crate::policy_file::PolicyFile;

use self::finding::{Finding, Level};
use self::summary::Summary;

/// Check that a policy loads, and point at what looks like a mistake
///
/// A policy that does not load is shown with file, line, column and a suggestion, and the exit code is 3. Warnings and notes
/// do not change the exit code unless `--strict` is given: then it is 1 where there is a warning.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy file; `-` reads standard input
    policy: PathBuf,
    /// Exit with 1 where there is a warning
    #[arg(long)]
    strict: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let file = match PolicyFile::load(&args.policy) {
        Ok(file) => file,
        Err(Failure::Policy(refusal)) if args.json => {
            writeln!(
                out,
                "{}",
                json::escaped(&refused(&args.policy.display().to_string(), &refusal).to_string())
            )?;
            return Err(Failure::Policy(refusal));
        }
        Err(failure) => return Err(failure),
    };
    let summary = Summary::of(&file.policy);
    let findings = lint::findings(&file);
    if args.json {
        let mut object = summary.json();
        object.insert("policy".to_owned(), file.name.as_str().into());
        object.insert("ok".to_owned(), true.into());
        object.insert(
            "findings".to_owned(),
            findings.iter().map(Finding::json).collect(),
        );
        writeln!(out, "{}", json::escaped(&Value::Object(object).to_string()))?;
    } else {
        writeln!(out, "{} {}", file.name, out.mark("holds", Colour::Green))?;
        write!(out, "{summary}")?;
        for finding in &findings {
            let level = out.mark(finding.level.as_str(), finding.level.colour());
            writeln!(out, "\n{level}: {}:{finding}", file.name)?;
        }
    }
    let warned = findings
        .iter()
        .any(|finding| finding.level == Level::Warning);
    Ok(Exit::fine_if(!(args.strict && warned)))
}

/// What a program is told of a policy that does not load.
fn refused(name: &str, refusal: &Refusal) -> Value {
    let errors: Vec<Value> = match refusal {
        Refusal::Load(error) => error
            .diagnostics()
            .iter()
            .map(|one| json!({ "line": one.line, "column": one.column, "message": one.message, "help": one.help }))
            .collect(),
        Refusal::Unreadable { line, column, message, .. } => {
            vec![json!({ "line": line, "column": column, "message": message, "help": null })]
        }
    };
    json!({ "policy": name, "ok": false, "errors": errors })
}
