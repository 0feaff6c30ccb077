//! `ztl reach`: the blast radius of a workload, and who reaches a destination outside the mesh.

mod outside;
mod radius;
mod text;

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use ztl_core::analysis::{ReachError, ReachOptions, reach, reached_by};

use crate::exit::{Exit, Failure};
use crate::json;
use crate::output::Output;
use crate::policy_file::PolicyFile;

/// Say what can be done with a workload that was taken over
///
/// Hop by hop: what it can ask of whom, by which rule, what stands in the way, and what can be done from there. Requirements
/// may hold and conditional forbids may not fire, so neither ends the walk; where something is required the edge says so. Of
/// `external:NAME` it says who reaches it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy file; `-` reads standard input
    policy: PathBuf,
    /// The name of the workload, or `external:NAME`
    workload: String,
    /// As though this rule were absent; may be given again
    #[arg(long, value_name = "RULE")]
    without: Vec<String>,
    /// At most so many hops
    #[arg(long, value_name = "N")]
    hops: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let file = PolicyFile::load(&args.policy)?;
    match args.workload.strip_prefix("external:") {
        Some(external) => tell(args, &file, out, |options| {
            reached_by(&file.policy, external, options)
        }),
        None => tell(args, &file, out, |options| {
            reach(&file.policy, &args.workload, options)
        }),
    }
}

/// An answer: a blast radius, or who reaches a destination outside the mesh.
trait Found {
    /// What is said of what one answer has and another has not, and of what it has gained, and what none of it is called.
    const CHANGE: [&str; 3];

    /// For a program.
    fn told(&self) -> Value;

    /// What can differ without some rules.
    fn names(&self) -> Vec<String>;

    /// For a person. `given` says without which rules it is.
    fn write(&self, out: &mut Output, given: &str) -> Result<(), Failure>;
}

fn tell<F: Found>(
    args: &Args,
    file: &PolicyFile,
    out: &mut Output,
    ask: impl Fn(&ReachOptions) -> Result<F, ReachError>,
) -> Result<Exit, Failure> {
    let ask = |options| ask(&options).map_err(|error| usage(&error, file));
    let found = ask(args.options())?;
    let before = match args.without.is_empty() {
        true => None,
        false => Some(ask(args.with_every_rule())?),
    };
    if args.json {
        let object = object(&file.name, &args.without, &found, before.as_ref());
        writeln!(out, "{}", json::escaped(&object.to_string()))?;
    } else {
        text::write(out, &args.without, &found, before.as_ref())?;
    }
    Ok(Exit::Fine)
}

impl Args {
    fn options(&self) -> ReachOptions {
        let rules = self.without.iter();
        rules.fold(self.with_every_rule(), |options, rule| {
            options.without(rule)
        })
    }

    fn with_every_rule(&self) -> ReachOptions {
        let options = ReachOptions::new();
        match self.hops {
            Some(hops) => options.hops(hops),
            None => options,
        }
    }
}

fn usage(error: &ReachError, file: &PolicyFile) -> Failure {
    let known: Vec<_> = match error {
        ReachError::UnknownWorkload(_) => {
            let workloads = file.policy.workloads().iter();
            workloads.map(|one| one.name().to_owned()).collect()
        }
        ReachError::UnknownExternal(_) => {
            let externals = file.policy.externals().iter();
            externals.map(|one| one.name().to_owned()).collect()
        }
        ReachError::UnknownRule(_) => {
            let rules = file.policy.document().rules.iter();
            rules.map(|one| one.name.value.to_string()).collect()
        }
        _ => Vec::new(),
    };
    // A long list helps nobody.
    let help = match known.as_slice() {
        known @ [_, ..] if known.len() <= 20 => format!("; there is {}", known.join(", ")),
        _ => String::new(),
    };
    Failure::Usage(json::escaped(&format!("{}: {error}{help}", file.name)))
}

fn object<F: Found>(name: &str, without: &[String], found: &F, before: Option<&F>) -> Value {
    let mut object = json!({ "policy": name, "without": without });
    if let (Some(object), Value::Object(told)) = (object.as_object_mut(), found.told()) {
        object.extend(told);
        if let Some(before) = before {
            object.insert("gone".to_owned(), names_beyond(before, found).into());
            object.insert("gained".to_owned(), names_beyond(found, before).into());
            object.insert("before".to_owned(), before.told());
        }
    }
    object
}

/// What one has and the other has not.
fn names_beyond<F: Found>(one: &F, other: &F) -> Vec<String> {
    let there = other.names();
    let mut here = one.names();
    here.retain(|name| !there.contains(name));
    here
}
