//! `ztl reach POLICY external:NAME`: who reaches a destination outside the mesh.

use std::io::Write as _;

use serde_json::{Value, json};
use ztl_core::analysis::{ReachedBy, reached_by};

use super::{Args, text, usage};
use crate::exit::{Exit, Failure};
use crate::json;
use crate::output::{Colour, Output};
use crate::policy_file::PolicyFile;

pub(super) fn run(
    args: &Args,
    file: &PolicyFile,
    external: &str,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let ask =
        |options| reached_by(&file.policy, external, &options).map_err(|error| usage(&error, file));
    let found = ask(args.options())?;
    let before = match args.without.is_empty() {
        true => None,
        false => Some(ask(args.with_every_rule())?),
    };
    if args.json {
        let object = object(&file.name, &args.without, &found, before.as_ref());
        writeln!(out, "{}", json::escaped(&object.to_string()))?;
    } else {
        write(out, &args.without, &found, before.as_ref())?;
    }
    Ok(Exit::Fine)
}

fn object(name: &str, without: &[String], found: &ReachedBy, before: Option<&ReachedBy>) -> Value {
    let mut object = json!({ "policy": name, "without": without });
    if let (Some(object), Value::Object(told)) = (object.as_object_mut(), found.to_json()) {
        object.extend(told);
        if let Some(before) = before {
            object.insert("gone".to_owned(), names_beyond(before, found).into());
            object.insert("gained".to_owned(), names_beyond(found, before).into());
            object.insert("before".to_owned(), before.to_json());
        }
    }
    object
}

/// Who reaches it in one and not in the other.
fn names_beyond(one: &ReachedBy, other: &ReachedBy) -> Vec<String> {
    let reaches = |name: &str| other.callers.iter().any(|there| *there.workload == *name);
    let names = one.callers.iter().map(|here| here.workload.to_string());
    names.filter(|name| !reaches(name)).collect()
}

fn write(
    out: &mut Output,
    without: &[String],
    found: &ReachedBy,
    before: Option<&ReachedBy>,
) -> Result<(), Failure> {
    let count = match found.callers.len() {
        0 => "nobody".to_owned(),
        1 => "1 workload".to_owned(),
        many => format!("{many} workloads"),
    };
    let given = match without {
        [] => String::new(),
        rules => format!(", without `{}`", rules.join("`, `")),
    };
    let line = format!(
        "`external:{}` ({}) is reached by {count}{given}",
        found.external,
        found.hosts.join(", ")
    );
    writeln!(out, "{}", json::escaped(&line))?;
    text::write_exits(out, &found.exits)?;
    if !found.callers.is_empty() {
        writeln!(out, "\nreached by")?;
    }
    for one in &found.callers {
        let how = match one.freely {
            true => out.mark("freely", Colour::Red),
            false => out.mark("only where what is required holds", Colour::Yellow),
        };
        let over = match &one.over {
            Some(over) => format!(" over {over}"),
            None => String::new(),
        };
        let away = text::hops(one.hops);
        writeln!(out, "  {:<24} {away} away{over}, {how}", one.workload)?;
    }
    if let Some(before) = before {
        let (gone, gained) = (names_beyond(before, found), names_beyond(found, before));
        let change = [
            ("no longer reached by", gone),
            ("reached only now by", gained),
        ];
        text::write_change(out, change)?;
    }
    Ok(())
}
