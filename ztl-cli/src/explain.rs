//! `ztl explain`: why does the policy say what it says.

mod record;
mod text;

use std::io::Write as _;
use std::path::PathBuf;

use clap::{ArgGroup, ValueEnum};
use serde_json::Value;
use ztl_core::policy::{Explanation, Query, Recorded};
use ztl_core::{Timestamp, Verdict};

use crate::clock;
use crate::decide::{one, seconds};
use crate::exit::{Exit, Failure};
use crate::json;
use crate::output::Output;
use crate::policy_file::PolicyFile;

/// Explain a decision of a policy, down to the clause
///
/// The request is given by the options of `ztl decide`, as one line of JSON, or by the id of a decision that an audit log
/// holds. The exit code is 1 where it is denied.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("question").required(true).args(["json", "id", "to"])))]
pub(crate) struct Args {
    /// The policy file; `-` reads standard input
    policy: PathBuf,
    /// The request, as one JSON object
    #[arg(long, value_name = "LINE", conflicts_with = "one")]
    json: Option<String>,
    /// The id of a recorded decision; with `--log`
    #[arg(
        long,
        value_name = "DECISION",
        requires = "log",
        conflicts_with = "one"
    )]
    id: Option<String>,
    /// The audit log that holds it, JSON lines; `-` reads standard input
    #[arg(long, visible_alias = "audit", value_name = "FILE", requires = "id")]
    log: Option<PathBuf>,
    /// The time of a request that states none, in seconds since 1970; the system clock where it is left out
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    now: Option<Timestamp>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Only what the caller may know
    #[arg(long)]
    redacted: bool,
    #[command(flatten)]
    one: one::One,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let usage = |error: ztl_core::policy::QueryError| Failure::Usage(error.to_string());
    let (query, recorded) = match (&args.json, &args.id, &args.log) {
        (Some(line), ..) => (Query::from_json(line).map_err(usage)?, None),
        (None, Some(id), Some(log)) => {
            let recorded = record::find(id, log, &args.policy)?;
            (recorded.query.clone(), Some(recorded))
        }
        _ => (args.one.query()?, None),
    };
    let file = PolicyFile::load(&args.policy)?;
    let now = args.now.map_or_else(clock::now, Ok)?;
    let why = query.explain(&file.policy, now).map_err(usage)?;
    match (args.format, args.redacted) {
        (Format::Json, redacted) => {
            let object = object(&why, recorded.as_ref(), &file, redacted);
            writeln!(out, "{}", json::escaped(&object.to_string()))?;
        }
        (Format::Text, true) => {
            let id = recorded.as_ref().map(|recorded| &recorded.id);
            let id = id.map_or_else(String::new, |id| format!(" (decision {id})"));
            writeln!(out, "{}", json::escaped(&format!("{}{id}", why.redacted())))?;
        }
        (Format::Text, false) => text::write(&why, recorded.as_ref(), &file, out)?,
    }
    Ok(Exit::fine_if(why.decision.verdict == Verdict::Permit))
}

fn object(
    why: &Explanation,
    recorded: Option<&Recorded>,
    file: &PolicyFile,
    redacted: bool,
) -> Value {
    let mut object = if redacted {
        why.redacted().json()
    } else {
        why.json(&file.text)
    };
    let Value::Object(keys) = &mut object else {
        return object;
    };
    if let (true, Some(recorded)) = (redacted, recorded) {
        keys.insert("id".to_owned(), Value::from(&*recorded.id));
    }
    if redacted {
        return object;
    }
    keys.insert("policy".to_owned(), file.name.as_str().into());
    keys.extend(recorded.map(|recorded| ("record".to_owned(), record::json(recorded, why))));
    object
}
