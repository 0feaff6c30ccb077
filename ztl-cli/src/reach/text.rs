//! A blast radius, for a person.

use std::io::Write as _;

use ztl_core::analysis::{Reach, ReachEdge, ReachExit, Use};

use super::names_beyond;
use crate::exit::Failure;
use crate::json;
use crate::output::{Colour, Output};

pub(super) fn write(
    out: &mut Output,
    without: &[String],
    found: &Reach,
    before: Option<&Reach>,
) -> Result<(), Failure> {
    let freely = found.reached.iter().filter(|one| one.freely).count();
    let count = match found.reached.len() {
        0 if !found.exits.is_empty() => "no workload".to_owned(),
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
        "`{}` taken over reaches {count}{freely}{}{given}",
        found.start,
        outside(found)
    )?;
    let mut hop = 0;
    for edge in &found.edges {
        if edge.hop != hop {
            hop = edge.hop;
            writeln!(out, "\nhop {hop}")?;
        }
        write_edge(out, edge)?;
    }
    write_exits(out, &found.exits)?;
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
        let (gone, gained) = (names_beyond(before, found), names_beyond(found, before));
        write_change(
            out,
            [("no longer reached", gone), ("reached only now", gained)],
        )?;
    }
    Ok(())
}

/// What is another without some rules.
pub(super) fn write_change(
    out: &mut Output,
    change: [(&str, Vec<String>); 2],
) -> Result<(), Failure> {
    writeln!(out)?;
    for (what, names) in change {
        let names = if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join(", ")
        };
        writeln!(out, "{what}: {names}")?;
    }
    Ok(())
}

pub(super) fn hops(many: usize) -> String {
    match many {
        1 => "1 hop".to_owned(),
        many => format!("{many} hops"),
    }
}

/// How many destinations outside the mesh guards let out to.
fn outside(found: &Reach) -> String {
    let mut names: Vec<_> = found.exits.iter().map(|exit| &exit.to).collect();
    names.sort();
    names.dedup();
    match names.len() {
        0 => String::new(),
        1 => ", and 1 destination outside the mesh".to_owned(),
        many => format!(", and {many} destinations outside the mesh"),
    }
}

/// What guards let out of the mesh.
pub(super) fn write_exits(out: &mut Output, exits: &[ReachExit]) -> Result<(), Failure> {
    if !exits.is_empty() {
        writeln!(
            out,
            "\nlet out of the mesh by the caller's own guard, which one that was taken over can skip"
        )?;
    }
    for exit in exits {
        let hosts = exit.hosts.join(", ");
        let line = format!(
            "  {} -> external:{}:{}  ({hosts})",
            exit.from, exit.to, exit.port
        );
        writeln!(out, "{}", json::escaped(&line))?;
        write_uses(out, &exit.uses)?;
    }
    Ok(())
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
    write_uses(out, &edge.uses)
}

fn write_uses(out: &mut Output, uses: &[Use]) -> Result<(), Failure> {
    for one in uses {
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
