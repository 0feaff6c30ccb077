//! `ztl decide`: what would the policy say.

pub(crate) mod one;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use core::time::Duration;

use clap::ArgGroup;
use ztl_core::policy::{Policy, Query, decision_json};
use ztl_core::{Timestamp, Verdict};

use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::policy_file::{PolicyFile, STDIN, open};
use crate::stream::{Answer, answer_lines};

/// Ask a policy: one question by options, or a file of them
///
/// For each request one line is printed: {"verdict", "stage", "reason", "rule", "shadow"}. A line that cannot be read gets
/// {"line", "error"} and the run goes on. The exit code is 1 where anything is denied or in error.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("document").required(true).args(["policy", "flagged"])))]
#[command(group(ArgGroup::new("question").required(true).args(["requests", "to"])))]
pub(crate) struct Args {
    /// The policy file; `-` reads standard input
    #[arg(value_name = "POLICY")]
    policy: Option<PathBuf>,
    /// The same, by its name
    #[arg(id = "flagged", long = "policy", value_name = "FILE")]
    flagged: Option<PathBuf>,
    /// Requests, one JSON object a line; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "one")]
    requests: Option<PathBuf>,
    /// The time of requests that state none, in seconds since 1970; the system clock where it is left out
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    now: Option<Timestamp>,
    #[command(flatten)]
    one: one::One,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let ((Some(path), None) | (None, Some(path))) = (&args.policy, &args.flagged) else {
        return Err(Failure::Usage("give one policy".to_owned()));
    };
    let requests = args
        .requests
        .as_deref()
        .map(|requests| Requests::open(requests, path))
        .transpose()?;
    let query = match requests {
        Some(_) => None,
        None => Some(args.one.query()?),
    };
    let policy = PolicyFile::load(path)?.policy;
    let now = args.now.map_or_else(clock::now, Ok)?;
    match (requests, query) {
        (Some(Requests::Stdin), _) => decide_lines(io::stdin().lock(), &policy, now, out),
        (Some(Requests::File(file)), _) => decide_lines(file, &policy, now, out),
        (None, Some(query)) => {
            let decision = query
                .decide(&policy, now)
                .map_err(|error| Failure::Usage(error.to_string()))?;
            writeln!(out, "{}", decision_json(&decision))?;
            Ok(Exit::fine_if(decision.verdict == Verdict::Permit))
        }
        (None, None) => Err(Failure::Usage("give `--requests` or `--to`".to_owned())),
    }
}

fn decide_lines(
    input: impl io::Read,
    policy: &Policy,
    now: Timestamp,
    out: &mut Output,
) -> Result<Exit, Failure> {
    answer_lines(input, out, |line| {
        let decision = Query::from_json(line)
            .and_then(|query| query.decide(policy, now))
            .map_err(|error| error.to_string())?;
        Ok(Answer {
            json: decision_json(&decision),
            fine: decision.verdict == Verdict::Permit,
        })
    })
}

/// Where requests are read from.
#[derive(Debug)]
enum Requests {
    Stdin,
    File(File),
}

impl Requests {
    fn open(path: &Path, policy: &Path) -> Result<Self, Failure> {
        match (path.as_os_str() == STDIN, policy.as_os_str() == STDIN) {
            (true, true) => Err(Failure::Usage(
                "the policy and the requests cannot both be standard input".to_owned(),
            )),
            (true, false) => Ok(Self::Stdin),
            (false, _) => open(path).map(Self::File),
        }
    }
}

pub(crate) fn seconds(text: &str) -> Result<Timestamp, String> {
    let span = match text.parse::<u64>() {
        Ok(secs) => Some(Duration::from_secs(secs)),
        Err(_) => text
            .parse()
            .ok()
            .and_then(|secs| Duration::try_from_secs_f64(secs).ok()),
    };
    let span = span.ok_or("it has to be seconds since 1970-01-01T00:00:00 UTC, at least 0")?;
    Ok(Timestamp::EPOCH.saturating_add(span))
}
