//! `ztl test`: does the policy decide as its `[[test]]`s say, and which of its rules do they exercise.

mod coverage;
mod outcome;

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use self::coverage::Coverage;
use self::outcome::Outcome;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::output::{Colour, Output};
use crate::policy_file::PolicyFile;

/// Run the tests that a policy document holds, and say which rules they exercise
///
/// The exit code is 1 where a test fails, and where there is none.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy file; `-` reads standard input
    policy: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let file = PolicyFile::load(&args.policy)?;
    let now = clock::now()?;
    let tests = &file.policy.document().tests;
    let outcomes: Vec<_> = tests
        .iter()
        .map(|test| Outcome::of(test, &file.policy, now))
        .collect();
    let coverage = Coverage::of(&file.policy, &outcomes);
    let failed = outcomes.iter().filter(|outcome| !outcome.holds()).count();
    let passed = outcomes.len() - failed;
    if args.json {
        let tests: Vec<Value> = outcomes.iter().map(Outcome::json).collect();
        let object = json!({
            "policy": file.name,
            "tests": tests,
            "passed": passed,
            "failed": failed,
            "coverage": coverage.json(),
        });
        writeln!(out, "{}", json::escaped(&object.to_string()))?;
    } else {
        for outcome in &outcomes {
            let (word, colour) = if outcome.holds() {
                ("ok", Colour::Green)
            } else {
                ("FAIL", Colour::Red)
            };
            let pad = if outcome.holds() { "  " } else { "" };
            writeln!(out, "{}{pad}  {outcome}", out.mark(word, colour))?;
        }
        if outcomes.is_empty() {
            writeln!(
                out,
                "{} has no tests: write `[[test]]`, or nothing says what it must do",
                file.name
            )?;
        } else {
            writeln!(
                out,
                "\n{} tests: {passed} ok, {failed} failed",
                outcomes.len()
            )?;
        }
        coverage.write(&file, out)?;
    }
    Ok(Exit::fine_if(failed == 0 && passed > 0))
}
