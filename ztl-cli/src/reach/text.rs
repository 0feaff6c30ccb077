//! An answer, for a person.

use std::io::Write as _;

use ztl_core::analysis::{ReachExit, Use};

use super::{Found, names_beyond};
use crate::exit::Failure;
use crate::json;
use crate::output::{Colour, Output};

pub(super) fn write<F: Found>(
    out: &mut Output,
    without: &[String],
    found: &F,
    before: Option<&F>,
) -> Result<(), Failure> {
    let given = match without {
        [] => String::new(),
        rules => format!(", without `{}`", rules.join("`, `")),
    };
    found.write(out, &given)?;
    let Some(before) = before else {
        return Ok(());
    };
    writeln!(out)?;
    let [gone, gained, none] = F::CHANGE;
    for (what, names) in [
        (gone, names_beyond(before, found)),
        (gained, names_beyond(found, before)),
    ] {
        let names = match names.is_empty() {
            true => none.to_owned(),
            false => names.join(", "),
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

pub(super) fn how(out: &Output, freely: bool) -> String {
    match freely {
        true => out.mark("freely", Colour::Red),
        false => out.mark("only where what is required holds", Colour::Yellow),
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

pub(super) fn write_uses(out: &mut Output, uses: &[Use]) -> Result<(), Failure> {
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
