//! `ztl check`: does the policy load, what does it hold, and what in it looks like a mistake.

mod controls;
mod github;
mod item;
mod sarif;
mod summary;

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use ztl_core::analysis::lint::{Finding, Lint, lint};
use ztl_core::policy::Span;

use crate::exit::{Exit, Failure, Refusal};
use crate::json;
use crate::output::{Colour, Output};
use crate::pages;
use crate::places::Places;
use crate::policy_file::{PolicyFile, STDIN};
use crate::signed::Keys;

use self::item::{Item, Level};
use self::summary::Summary;

/// Check that a policy loads, and point at what looks like a mistake
///
/// A policy that does not load is shown with file, line, column and a suggestion, and the exit code is 3. Warnings and notes
/// do not change the exit code unless `--strict` is given: then it is 1 where there is a warning. `--explain` prints the page of
/// a lint, or of a reason for which something was denied.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy file; `-` reads standard input
    #[arg(required_unless_present = "explain")]
    policy: Option<PathBuf>,
    /// Exit with 1 where there is a warning; with `--controls`, where a rule states neither `why` nor `controls`
    #[arg(long, visible_alias = "deny-warnings")]
    strict: bool,
    /// The least that is shown
    #[arg(long, value_enum, default_value_t = Least::Note)]
    level: Least,
    /// How it is told: `sarif` is SARIF 2.1.0, `github` are the commands of a GitHub workflow
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Public keys in PEM, one of which has to have signed the policy, in the file of its name and `.sig`
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Instead, list what each rule is for: its `why` and its `controls`; as text or JSON
    #[arg(long)]
    controls: bool,
    /// Instead, print the page of a lint or a reason, such as `void-requirement` or `no_flow_permitted`
    #[arg(long, value_name = "NAME", conflicts_with_all = ["policy", "key", "controls", "strict", "level", "format", "json"])]
    explain: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Sarif,
    Github,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Least {
    /// Warnings alone
    Warning,
    /// Notes as well
    Note,
}

impl Args {
    fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(name) = &args.explain {
        return explain(name, out);
    }
    let Some(path) = &args.policy else {
        return Err(Failure::Usage("name a policy file".to_owned()));
    };
    let format = args.format();
    if args.controls && !matches!(format, Format::Text | Format::Json) {
        return Err(Failure::Usage(
            "`--controls` is told as text or JSON".to_owned(),
        ));
    }
    if args.key.is_some() && path.as_os_str() == STDIN {
        return Err(Failure::Usage(
            "`--key` looks for a signature beside the policy, and standard input has nothing beside it".to_owned(),
        ));
    }
    let keys = args.key.as_deref().map(Keys::read).transpose()?;
    let file = match PolicyFile::load_signed(path, keys.as_ref()) {
        Ok(file) => file,
        Err(Failure::Policy(refusal)) => {
            refused(&refusal, format, out)?;
            return Err(Failure::Policy(refusal));
        }
        Err(failure) => return Err(failure),
    };
    let places = Places::new(&file.text);
    if args.controls {
        return controls::run(&file, &places, format == Format::Json, args.strict, out);
    }
    let mut items = items(&file, &places);
    let incomplete = Lint::Incomplete.slug();
    let incomplete = items.iter().any(|item| item.slug == incomplete);
    if args.level == Least::Warning {
        items.retain(|item| item.level <= Level::Warning);
    }
    match format {
        Format::Text => text(&file, &items, out)?,
        Format::Json => {
            let mut object = Summary::of(&file.policy).json();
            object.insert("policy".to_owned(), file.name.as_str().into());
            object.insert("ok".to_owned(), true.into());
            object.insert(
                "findings".to_owned(),
                items.iter().map(Item::json).collect(),
            );
            print(&Value::Object(object), out)?;
        }
        Format::Sarif => print(&sarif::log(&file.name, &items, true), out)?,
        Format::Github => github::write(&file.name, &items, out)?,
    }
    let warned = items.iter().any(|item| item.level == Level::Warning);
    // Nobody is to take it for a document without findings that not all of it was looked at.
    if args.strict && !warned && incomplete {
        return Ok(Exit::Incomplete);
    }
    Ok(Exit::fine_if(!(args.strict && warned)))
}

/// Everything found, warnings first.
fn items(file: &PolicyFile, places: &Places<'_>) -> Vec<Item> {
    let open = file.open_to_others.then(|| {
        Finding::new(
            Lint::FileOpenToOthers,
            Span::default(),
            "others than its owner may write this file",
            "take the right away (`chmod go-w`); a service refuses a policy that others can change",
        )
    });
    open.into_iter()
        .chain(lint(&file.policy))
        .map(|finding| Item::of_finding(finding, places))
        .collect()
}

fn text(file: &PolicyFile, items: &[Item], out: &mut Output) -> Result<(), Failure> {
    writeln!(out, "{} {}", file.name, out.mark("holds", Colour::Green))?;
    write!(out, "{}", Summary::of(&file.policy))?;
    for item in items {
        let level = out.mark(item.level.as_str(), item.level.colour());
        let Item {
            slug,
            start,
            message,
            ..
        } = item;
        let (line, column) = (start.line, start.column);
        writeln!(
            out,
            "\n{level}: {}:{line}:{column}: {message} [{slug}]",
            file.name
        )?;
        if let Some(help) = &item.help {
            writeln!(out, "  = help: {help}")?;
        }
    }
    if !items.is_empty() {
        writeln!(
            out,
            "\n`ztl check --explain NAME` says more about what stands in brackets"
        )?;
    }
    Ok(())
}

/// Tells a program why a policy does not load. A person is told on standard error, whatever the format.
fn refused(refusal: &Refusal, format: Format, out: &mut Output) -> Result<(), Failure> {
    let name = match refusal {
        Refusal::Load(error) => error.source_name().unwrap_or_default(),
        Refusal::Unreadable { name, .. } => name,
    };
    let items = Item::of_refusal(refusal);
    match format {
        Format::Text => Ok(()),
        Format::Json => {
            let errors: Vec<Value> = items.iter().map(Item::json).collect();
            print(
                &json!({ "policy": name, "ok": false, "errors": errors }),
                out,
            )
        }
        Format::Sarif => print(&sarif::log(name, &items, false), out),
        Format::Github => github::write(name, &items, out),
    }
}

fn explain(name: &str, out: &mut Output) -> Result<Exit, Failure> {
    match pages::page(name) {
        Some(page) => {
            write!(out, "{page}")?;
            Ok(Exit::Fine)
        }
        None => {
            let lints: Vec<_> = pages::LINTS.iter().map(|(slug, _)| *slug).collect();
            let reasons: Vec<_> = pages::REASONS.iter().map(|(code, _)| *code).collect();
            Err(Failure::Usage(format!(
                "there is no lint and no reason of that name\n\nlints: {}\n\nreasons: {}",
                lints.join(", "),
                reasons.join(", ")
            )))
        }
    }
}

fn print(value: &Value, out: &mut Output) -> Result<(), Failure> {
    Ok(writeln!(out, "{}", json::escaped(&value.to_string()))?)
}
