//! What each rule is for: the risk that it answers (`why`) and the controls that ask for it (`controls`).

use std::io::Write as _;

use serde_json::{Value, json};
use ztl_core::policy::{Mode, Span};

use crate::exit::{Exit, Failure};
use crate::json;
use crate::output::{Colour, Output};
use crate::places::Places;
use crate::policy_file::PolicyFile;

/// A rule, or an assertion (`[[never]]`), and what it states.
struct Stated<'a> {
    kind: &'static str,
    name: &'a str,
    mode: &'static str,
    span: Span,
    why: Option<&'a str>,
    controls: Vec<&'a str>,
}

impl Stated<'_> {
    fn is_silent(&self) -> bool {
        self.why.is_none() && self.controls.is_empty()
    }
}

pub(super) fn run(
    file: &PolicyFile,
    places: &Places<'_>,
    as_json: bool,
    strict: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let stated = stated(file);
    let silent: Vec<_> = stated.iter().filter(|one| one.is_silent()).collect();
    if as_json {
        let rules: Vec<Value> = stated
            .iter()
            .map(|one| {
                let place = places.of(one.span.start);
                json!({
                    "rule": one.name,
                    "kind": one.kind,
                    "mode": one.mode,
                    "line": place.line,
                    "column": place.column,
                    "why": one.why,
                    "controls": one.controls,
                })
            })
            .collect();
        let object = json!({
            "policy": file.name,
            "revision": file.policy.revision().to_string(),
            "rules": rules,
            "unexplained": silent.iter().map(|one| one.name).collect::<Vec<_>>(),
        });
        writeln!(out, "{}", json::escaped(&object.to_string()))?;
    } else {
        table(&stated, out)?;
        if !silent.is_empty() {
            let head = out.mark("neither `why` nor `controls`", Colour::Yellow);
            writeln!(out, "\n{head}:")?;
        }
        for one in &silent {
            let place = places.of(one.span.start);
            let (kind, name) = (one.kind, one.name);
            writeln!(
                out,
                "  {kind} `{name}` ({}:{}:{})",
                file.name, place.line, place.column
            )?;
        }
    }
    Ok(Exit::fine_if(!strict || silent.is_empty()))
}

fn stated(file: &PolicyFile) -> Vec<Stated<'_>> {
    let document = file.policy.document();
    let rules = document.rules.iter().map(|rule| Stated {
        kind: rule.effect.as_str(),
        name: &rule.name.value,
        mode: match rule.mode {
            Mode::Shadow => "shadow",
            Mode::Off => "off",
            _ => "enforce",
        },
        span: rule.span,
        why: rule.why.as_deref(),
        controls: rule.controls.iter().map(|control| &**control).collect(),
    });
    let nevers = document.nevers.iter().map(|never| Stated {
        kind: "never",
        name: &never.name.value,
        mode: "enforce",
        span: never.span,
        why: never.why.as_deref(),
        controls: never.controls.iter().map(|control| &**control).collect(),
    });
    rules.chain(nevers).collect()
}

/// Three columns; what a document says is escaped for a terminal (T30).
fn table(stated: &[Stated<'_>], out: &mut Output) -> Result<(), Failure> {
    let shown = |text: &str| json::escaped(&text.replace(['\n', '\r', '\t'], " "));
    let mut rows = vec![["RULE".to_owned(), "RISK".to_owned(), "CONTROLS".to_owned()]];
    for one in stated {
        let mode = if one.mode == "enforce" {
            String::new()
        } else {
            format!(" ({})", one.mode)
        };
        let controls = if one.controls.is_empty() {
            "-".to_owned()
        } else {
            one.controls.join("; ")
        };
        rows.push([
            format!("{} {}{mode}", one.kind, one.name),
            shown(one.why.unwrap_or("-")),
            shown(&controls),
        ]);
    }
    let width = |of: fn(&[String; 3]) -> &String| {
        let widths = rows.iter().map(|row| of(row).chars().count());
        widths.max().unwrap_or_default().min(60)
    };
    let (first, second) = (width(|row| &row[0]), width(|row| &row[1]));
    for [rule, why, controls] in &rows {
        writeln!(out, "{rule:first$}  {why:second$}  {controls}")?;
    }
    Ok(())
}
