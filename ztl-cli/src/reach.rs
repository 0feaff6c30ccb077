//! `ztl reach`: the blast radius of a workload.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use ztl_core::analysis::{Reach, ReachEdge, ReachError, ReachOptions, reach};

use crate::exit::{Exit, Failure};
use crate::json;
use crate::output::{Colour, Output};
use crate::policy_file::PolicyFile;

/// Say what can be done with a workload that was taken over
///
/// Hop by hop: what it can ask of whom, by which rule, what stands in the way, and what can be done from there. Requirements
/// may hold and conditional forbids may not fire, so neither ends the walk; where something is required the edge says so.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy file; `-` reads standard input
    policy: PathBuf,
    /// The name of the workload
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
    let limited = || {
        let options = ReachOptions::new();
        args.hops
            .map_or_else(|| options.clone(), |hops| options.clone().hops(hops))
    };
    let ask = |options| {
        reach(&file.policy, &args.workload, &options).map_err(|error| usage(&error, &file))
    };
    let without = args
        .without
        .iter()
        .fold(limited(), |options, rule| options.without(rule));
    let found = ask(without)?;
    let before = match args.without.is_empty() {
        true => None,
        false => Some(ask(limited())?),
    };
    if args.json {
        let object = object(&file.name, &args.without, &found, before.as_ref());
        writeln!(out, "{}", json::escaped(&object.to_string()))?;
    } else {
        text(out, &args.without, &found, before.as_ref())?;
    }
    Ok(Exit::Fine)
}

fn usage(error: &ReachError, file: &PolicyFile) -> Failure {
    let known: Vec<_> = match error {
        ReachError::UnknownWorkload(_) => {
            let workloads = file.policy.workloads().iter();
            workloads.map(|one| one.name().to_owned()).collect()
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
    let reached = |name: &str| other.reached.iter().any(|there| *there.workload == *name);
    let names = one.reached.iter().map(|here| here.workload.to_string());
    names.filter(|name| !reached(name)).collect()
}

fn text(
    out: &mut Output,
    without: &[String],
    found: &Reach,
    before: Option<&Reach>,
) -> Result<(), Failure> {
    let freely = found.reached.iter().filter(|one| one.freely).count();
    let count = match found.reached.len() {
        0 => "nothing".to_owned(),
        1 => "1 workload".to_owned(),
        many => format!("{many} workloads"),
    };
    let given = match without {
        [] => String::new(),
        rules => format!(", without `{}`", rules.join("`, `")),
    };
    let freely = match found.reached.is_empty() {
        true => String::new(),
        false => format!(", {freely} of them freely"),
    };
    writeln!(
        out,
        "`{}` taken over reaches {count}{freely}{given}",
        found.start
    )?;
    let mut hop = 0;
    for edge in &found.edges {
        if edge.hop != hop {
            hop = edge.hop;
            writeln!(out, "\nhop {hop}")?;
        }
        write_edge(out, edge)?;
    }
    if !found.reached.is_empty() {
        writeln!(out, "\nreached")?;
    }
    for one in &found.reached {
        let how = match one.freely {
            true => out.mark("freely", Colour::Red),
            false => out.mark("only where what is required holds", Colour::Yellow),
        };
        writeln!(out, "  {:<24} {} away, {how}", one.workload, hops(one.hops))?;
    }
    if let Some(before) = before {
        writeln!(out)?;
        for (what, names) in [
            ("no longer reached", names_beyond(before, found)),
            ("reached only now", names_beyond(found, before)),
        ] {
            let names = if names.is_empty() {
                "nothing".to_owned()
            } else {
                names.join(", ")
            };
            writeln!(out, "{what}: {names}")?;
        }
    }
    Ok(())
}

fn hops(many: usize) -> String {
    match many {
        1 => "1 hop".to_owned(),
        many => format!("{many} hops"),
    }
}

fn write_edge(out: &mut Output, edge: &ReachEdge) -> Result<(), Failure> {
    let shown_as = match edge.shown_as {
        "public" => "  without its SVID",
        "asserted" => "  saying that it is somebody else",
        _ => "",
    };
    writeln!(
        out,
        "  {} -> {}:{}{shown_as}",
        edge.from, edge.to, edge.port
    )?;
    for one in &edge.uses {
        let line = format!("    {}  (permit {})", one.actions.join(", "), one.rule);
        writeln!(out, "{}", json::escaped(&line))?;
        if !one.requires.is_empty() {
            let only = out.mark("only with:", Colour::Yellow);
            let requires = json::escaped(&one.requires.join("; "));
            writeln!(out, "      {only} {requires}")?;
        }
        for (word, names) in [
            ("except what is forbidden by", &one.except),
            ("not counting on the conditional", &one.unless),
        ] {
            if !names.is_empty() {
                writeln!(out, "      {word} {}", names.join(", "))?;
            }
        }
    }
    Ok(())
}
