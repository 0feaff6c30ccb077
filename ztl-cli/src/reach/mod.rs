//! `ztl reach`: the blast radius of a workload, and who reaches a destination outside the mesh.

mod outside;
mod text;

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use ztl_core::analysis::{Reach, ReachError, ReachOptions, reach};

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
    if let Some(external) = args.workload.strip_prefix("external:") {
        return outside::run(args, &file, external, out);
    }
    let ask = |options| {
        reach(&file.policy, &args.workload, &options).map_err(|error| usage(&error, &file))
    };
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

fn object(name: &str, without: &[String], found: &Reach, before: Option<&Reach>) -> Value {
    let mut object = json!({ "policy": name, "without": without });
    let gone = before.map_or_else(Vec::new, |before| names_beyond(before, found));
    let gained = before.map_or_else(Vec::new, |before| names_beyond(found, before));
    if let (Some(object), Value::Object(found)) = (object.as_object_mut(), found.to_json()) {
        object.extend(found);
        if let Some(before) = before {
            object.insert("gone".to_owned(), gone.into());
            object.insert("gained".to_owned(), gained.into());
            object.insert("before".to_owned(), before.to_json());
        }
    }
    object
}

/// What one reaches and the other does not.
fn names_beyond(one: &Reach, other: &Reach) -> Vec<String> {
    let there = names(other);
    let mut here = names(one);
    here.retain(|name| !there.contains(name));
    here
}

/// What is reached, inside the mesh and outside.
fn names(reach: &Reach) -> Vec<String> {
    let reached = reach.reached.iter().map(|one| one.workload.to_string());
    let mut all: Vec<_> = reached.collect();
    for exit in &reach.exits {
        let name = format!("external:{}", exit.to);
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}
