//! `ztl diff`: what a change of the policy permits and denies.

mod log;
mod text;

use std::io::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::{Value, json};
use ztl_core::Timestamp;
use ztl_core::analysis::{Change, Diff, DocumentChange, diff};

use self::log::Log;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::output::Output;
use crate::policy_file::{PolicyFile, STDIN};

/// Say exactly what becomes permitted and what becomes denied between two policies
///
/// Every difference comes with a request that shows it: `ztl decide` permits it under one policy and denies it under the
/// other. What is loosened in the document, such as a removed assertion or a changed zone, counts as newly permitted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy as it was; `-` reads standard input
    old: PathBuf,
    /// The policy as it is to be; `-` reads standard input
    new: PathBuf,
    /// Exit with 1 where there is such a difference
    #[arg(long, value_name = "WHAT")]
    fail_on: Option<FailOn>,
    /// Ask again what was recorded: decide requests or audit records, one JSON object a line; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Which differences are a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Something is permitted that was not
    NewlyPermitted,
    /// Something is denied that was not
    NewlyDenied,
    /// Either
    Any,
}

impl FailOn {
    fn finds(self, permits_more: bool, denies_more: bool) -> bool {
        match self {
            Self::NewlyPermitted => permits_more,
            Self::NewlyDenied => denies_more,
            Self::Any => permits_more || denies_more,
        }
    }
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let inputs = [Some(&args.old), Some(&args.new), args.log.as_ref()];
    let from_stdin = inputs
        .into_iter()
        .flatten()
        .filter(|path| path.as_os_str() == STDIN);
    if from_stdin.count() > 1 {
        let message = "only one of the policies and the log can be standard input";
        return Err(Failure::Usage(message.to_owned()));
    }
    let old = PolicyFile::load(&args.old)?;
    let new = PolicyFile::load(&args.new)?;
    let found =
        diff(&old.policy, &new.policy).map_err(|error| Failure::Incomplete(error.to_string()))?;
    let log = match &args.log {
        None => None,
        Some(path) => {
            let now: Timestamp = clock::now()?;
            Some(Log::replay(path, &old.policy, &new.policy, now)?)
        }
    };
    if args.json {
        let object = object(&old, &new, &found, log.as_ref());
        writeln!(out, "{}", json::escaped(&object.to_string()))?;
    } else {
        text::write(out, (&old.name, &new.name), &found, log.as_ref())?;
    }
    let finds = |fail_on: FailOn| {
        let logged = log.as_ref().is_some_and(|log| {
            // A line that could not be read may be anything.
            log.unread > 0 || fail_on.finds(log.newly_permitted > 0, log.newly_denied > 0)
        });
        fail_on.finds(found.permits_more(), found.denies_more()) || logged
    };
    Ok(Exit::fine_if(!args.fail_on.is_some_and(finds)))
}

fn object(old: &PolicyFile, new: &PolicyFile, found: &Diff, log: Option<&Log>) -> Value {
    let side = |file: &PolicyFile| json!({ "policy": file.name, "revision": file.policy.revision().to_string() });
    let changes = |changes: &[Change]| changes.iter().map(Change::to_json).collect::<Value>();
    let document = found.document.iter().map(DocumentChange::to_json);
    json!({
        "old": side(old),
        "new": side(new),
        "newly_permitted": changes(&found.newly_permitted),
        "newly_denied": changes(&found.newly_denied),
        "document": document.collect::<Value>(),
        "log": log.map(Log::to_json),
    })
}
