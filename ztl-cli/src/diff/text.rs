//! The differences, as a person reads them.

use std::io::Write as _;

use serde_json::Value;
use ztl_core::analysis::{Change, Diff};

use super::log::{Log, What};
use crate::exit::Failure;
use crate::json::escaped;
use crate::output::{Colour, Output};

/// Most names of one list that are written out.
const MAX_NAMES: usize = 6;

pub(super) fn write(
    out: &mut Output,
    (old, new): (&str, &str),
    found: &Diff,
    log: Option<&Log>,
) -> Result<(), Failure> {
    writeln!(
        out,
        "{old} -> {new}: {} newly permitted, {} newly denied, {} of the document",
        found.newly_permitted.len(),
        found.newly_denied.len(),
        found.document.len()
    )?;
    if found.is_empty() {
        writeln!(out, "no decision can change")?;
    }
    for (title, colour, changes) in [
        ("newly permitted", Colour::Red, &found.newly_permitted),
        ("newly denied", Colour::Yellow, &found.newly_denied),
    ] {
        if !changes.is_empty() {
            writeln!(out, "\n{}", out.mark(title, colour))?;
        }
        let mut edge = String::new();
        for change in changes {
            write_change(out, change, &mut edge)?;
        }
    }
    if !found.document.is_empty() {
        let title = out.mark("changed in the document", Colour::Red);
        writeln!(out, "\n{title} (counts as newly permitted)")?;
    }
    for change in &found.document {
        let name = match &*change.name {
            "" => String::new(),
            name => format!(" `{name}`"),
        };
        let line = format!("  {}{name}: {}", change.kind, change.how);
        writeln!(out, "{}", escaped(&line))?;
    }
    match log {
        None => Ok(()),
        Some(log) => write_log(out, log),
    }
}

/// A change, under a line for its edge where that is not the one before.
fn write_change(out: &mut Output, change: &Change, edge: &mut String) -> Result<(), Failure> {
    let callers: Vec<_> = change.callers.iter().map(ToString::to_string).collect();
    let places: Vec<_> = change
        .places
        .iter()
        .map(|place| place.as_deref().unwrap_or("an unknown place").to_owned())
        .collect();
    let ports: Vec<_> = change.ports.iter().map(ToString::to_string).collect();
    let here = format!(
        "  {} -> {}:{}  from {}",
        listed(&callers),
        change.to,
        listed(&ports),
        listed(&places)
    );
    if *edge != here {
        writeln!(out, "{}", escaped(&here))?;
        *edge = here;
    }
    let action = change
        .action
        .as_deref()
        .unwrap_or("the flow, with nothing to ask on it");
    let mut line = format!("    {action}  (permit {})", change.rule);
    if !change.requires.is_empty() {
        line.push_str(&format!("\n      with: {}", change.requires.join("; ")));
    }
    let otherwise = &change.otherwise;
    line.push_str(&format!("\n      otherwise: {}", otherwise.reason.code()));
    if let Some(rule) = &otherwise.rule {
        line.push_str(&format!(" by {rule}"));
    }
    if !otherwise.requires.is_empty() {
        line.push_str(&format!(
            ", which asks for: {}",
            otherwise.requires.join("; ")
        ));
    }
    for line in line.lines() {
        writeln!(out, "{}", escaped(line))?;
    }
    let witness = escaped(&Value::Object(change.witness.clone()).to_string());
    let word = match change.confirmed {
        true => "witness",
        false => "depends on a condition, such as of",
    };
    writeln!(out, "      {word}: {witness}")?;
    Ok(())
}

fn listed(names: &[String]) -> String {
    let shown = names.get(..MAX_NAMES).unwrap_or(names);
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn write_log(out: &mut Output, log: &Log) -> Result<(), Failure> {
    writeln!(
        out,
        "\nlog: {} lines, {} as before, {} newly permitted, {} newly denied, {} that cannot be asked again",
        log.lines, log.same, log.newly_permitted, log.newly_denied, log.unread
    )?;
    for shown in &log.shown {
        let said = match &shown.what {
            What::Permitted(old, new) => {
                format!("newly permitted: was {}, is {}", told(old), told(new))
            }
            What::Denied(old, new) => format!("newly denied: was {}, is {}", told(old), told(new)),
            What::Depends {
                permitted: true,
                denied: true,
            } => "newly permitted or newly denied, as the evidence was".to_owned(),
            What::Depends {
                permitted: true, ..
            } => "newly permitted with some evidence".to_owned(),
            What::Depends { .. } => "newly denied with some evidence".to_owned(),
            What::Unread(message) => message.clone(),
        };
        writeln!(out, "  line {}: {}", shown.line, escaped(&said))?;
    }
    let hidden = u64::try_from(log.shown.len()).map_or(0, |shown| {
        log.lines.saturating_sub(log.same).saturating_sub(shown)
    });
    if hidden > 0 {
        writeln!(out, "  and {hidden} more")?;
    }
    Ok(())
}

fn told(decision: &ztl_core::Decision) -> String {
    let reason = decision.reason.code();
    match &decision.rule {
        Some(rule) => format!("{reason} by {rule}"),
        None => reason.to_owned(),
    }
}
