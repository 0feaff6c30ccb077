//! `ztl test`: does the policy decide as its tests say, and what of its rules do they exercise.

mod asked;
mod cases;
mod clause;
mod coverage;
mod junit;
mod outcome;

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use self::cases::Case;
use self::coverage::Coverage;
use self::outcome::Outcome;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::output::{Colour, Output};
use crate::places::Places;
use crate::policy_file::PolicyFile;

/// Run the tests of a policy document, and say what of its rules they exercise
///
/// The tests are the document's own `[[test]]`s and those of the files that are named after it. Each entry of `from`, `to`,
/// `ports` and `actions` of a rule, and each requirement, is exercised twice: by a test that meets it, and by one that comes as
/// far as to it and does not. The exit code is 1 where a test fails, where there is none, and where `--min-coverage` is missed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy file; `-` reads standard input
    policy: PathBuf,
    /// More tests: files of JSON objects, one a line, with the keys of a `[[test]]`
    #[arg(value_name = "CASES")]
    cases: Vec<PathBuf>,
    /// How it is told
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// The least part, in percent, of what the clauses of the rules can come to that the tests have to exercise
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    min_coverage: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Junit,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let file = PolicyFile::load(&args.policy)?;
    let places = Places::new(&file.text);
    let now = clock::now()?;
    let mut cases = Case::of_document(&file, &places);
    for path in &args.cases {
        cases.extend(Case::of_file(path)?);
    }
    let outcomes: Vec<_> = cases
        .iter()
        .map(|case| Outcome::of(case, &file.policy, now))
        .collect();
    let coverage = Coverage::of(&file, &outcomes);
    let failed = outcomes.iter().filter(|outcome| !outcome.holds()).count();
    let passed = outcomes.len() - failed;
    let enough = args
        .min_coverage
        .is_none_or(|least| coverage.percent() >= least);
    match if args.json { Format::Json } else { args.format } {
        Format::Json => {
            let tests: Vec<Value> = outcomes.iter().map(Outcome::json).collect();
            let object = json!({
                "policy": file.name,
                "tests": tests,
                "passed": passed,
                "failed": failed,
                "coverage": coverage.json(&places),
            });
            writeln!(out, "{}", json::escaped(&object.to_string()))?;
        }
        Format::Junit => junit::write(&file.name, &outcomes, out)?,
        Format::Text => {
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
            coverage.write(&file, &places, out)?;
            if let (false, Some(least)) = (enough, args.min_coverage) {
                let word = out.mark("too little", Colour::Red);
                writeln!(
                    out,
                    "{word}: {} % of what {least} % were asked for",
                    coverage.percent()
                )?;
            }
        }
    }
    Ok(Exit::fine_if(failed == 0 && passed > 0 && enough))
}
