//! `ztl`, the operator's tool: checks a policy, tests it, asks it, and makes throwaway identities for development.
//!
//! Exit codes, the same for every verb: 0 all is well, 1 a denial or a finding, 2 wrong use, 3 an invalid policy, 4 no exact answer.

mod audit;
mod bounded;
mod canonical_path;
mod check;
mod clock;
mod decide;
mod dev_pki;
mod diff;
mod exit;
mod explain;
mod json;
mod lines;
mod output;
mod pages;
mod places;
mod policy_file;
mod preset;
mod reach;
mod signed;
mod spiffe_id;
mod stream;
mod test;
mod verify_svid;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit::{Exit, Failure};
use crate::output::Output;

/// The operator's tool of ztl: check, test and ask a zero-trust policy
///
/// Exit codes: 0 all is well, 1 a denial or a finding, 2 wrong use, 3 an invalid policy, 4 no exact answer (`diff`, `check --strict`).
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(visible_alias = "lint", after_help = EXIT_CODES)]
    Check(check::Args),
    #[command(after_help = EXIT_CODES)]
    Test(test::Args),
    #[command(after_help = EXIT_CODES)]
    Decide(Box<decide::Args>),
    #[command(after_help = EXIT_CODES)]
    Explain(Box<explain::Args>),
    #[command(after_help = EXIT_CODES)]
    Preset(preset::Args),
    #[command(after_help = EXIT_CODES)]
    Reach(reach::Args),
    #[command(after_help = EXIT_CODES)]
    Diff(diff::Args),
    DevPki(dev_pki::Args),
    CanonicalPath(canonical_path::Args),
    SpiffeId(spiffe_id::Args),
    Audit(audit::Args),
    VerifySvid(verify_svid::Args),
}

const EXIT_CODES: &str = "Exit codes: 0 all is well, 1 a denial or a finding, 2 wrong use, 3 an invalid policy, 4 no exact answer (`diff`, `check --strict`).";

fn main() -> ExitCode {
    // Wrong use ends here with code 2, `--help` and `--version` with code 0.
    let verb = Cli::parse().verb;
    let mut out = Output::stdout();
    let outcome = run(&verb, &mut out).and_then(|exit| {
        out.finish()?;
        Ok(exit)
    });
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // What was found before the failure is still worth showing; a second failure adds nothing.
            let _ = out.finish();
            failure.report().into()
        }
    }
}

fn run(verb: &Verb, out: &mut Output) -> Result<Exit, Failure> {
    match verb {
        Verb::Check(args) => check::run(args, out),
        Verb::Test(args) => test::run(args, out),
        Verb::Decide(args) => decide::run(args, out),
        Verb::Explain(args) => explain::run(args, out),
        Verb::Preset(args) => preset::run(args, out),
        Verb::Reach(args) => reach::run(args, out),
        Verb::Diff(args) => diff::run(args, out),
        Verb::DevPki(args) => dev_pki::run(args, out),
        Verb::CanonicalPath(_) => canonical_path::run(out),
        Verb::SpiffeId(_) => spiffe_id::run(out),
        Verb::Audit(args) => audit::run(args, out),
        Verb::VerifySvid(args) => verify_svid::run(args, out),
    }
}
