//! ztl's main job, end to end: five workloads, one policy, real mutual TLS, and an attacker who gets nowhere.

mod args;
mod attacker;
mod ca;
mod document;
mod flat;
mod foreign;
mod foretell;
mod ledger;
mod mesh;
mod pki;
mod places;
mod services;
mod step;
mod table;
mod tap;
mod tls;
mod user;
mod walk;
mod wire;

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tokio::time::Instant;
use ztl_core::policy::LoadError;

use args::Args;
use document::{Document, DocumentError};
use flat::Flat;
use foreign::Missing;
use mesh::Mesh;
use table::{Section, Style};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(status(&*error))
        }
    }
}

fn status(error: &(dyn Error + 'static)) -> u8 {
    match error.downcast_ref() {
        Some(DocumentError::Unreadable(_)) => 2,
        Some(DocumentError::Unfit(_)) => 3,
        None if error.is::<LoadError>() => 3,
        None if error.is::<Missing>() => 4,
        None => 1,
    }
}

/// Walks, prints, and says whether all came out as told.
async fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let started = Instant::now();
    let document = Document::open(args.policy.as_deref())?;
    let sections = if args.flat {
        let flat = Flat::start(&document, args.one_address).await?;
        let sections = flat.walk().await?;
        flat.stop().await?;
        sections
    } else {
        let mesh = Mesh::start(document, args).await?;
        let sections = vec![walk::user(&mesh).await?, walk::attacker(&mesh).await?];
        mesh.stop().await?;
        sections
    };
    let steps = || sections.iter().flat_map(|section| &section.steps);
    let wrong = steps().filter(|step| !step.is_ok()).count();
    let output = if args.json {
        table::json(&sections)
    } else {
        let took = started.elapsed().as_secs_f64();
        table::text(&sections, style()) + &summary(args, &sections, wrong, took)
    };
    match io::stdout().write_all(output.as_bytes()) {
        // Whoever reads us may stop; the exit status still tells.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    if args.json {
        // The keys of a line are fixed; why a step is not ok is told beside it.
        for step in steps() {
            for wrong in &step.wrong {
                eprintln!("{}: {wrong}", step.step.trim_start());
            }
        }
    }
    Ok(wrong == 0)
}

fn summary(args: &Args, sections: &[Section], wrong: usize, took: f64) -> String {
    let steps = || sections.iter().flat_map(|section| &section.steps);
    let skipped = steps().filter(|step| step.verdict == "skipped").count();
    let outcome = match (wrong, args.flat) {
        (0, false) => "all came out as told, and as the policy says".to_owned(),
        (0, true) => "the attacker got everything".to_owned(),
        (wrong, _) => format!("{wrong} came out otherwise"),
    };
    let skipped = match skipped {
        0 => String::new(),
        skipped => format!(" ({skipped} skipped)"),
    };
    format!(
        "\n{} steps{skipped}: {outcome}. {took:.1} s\n",
        steps().count()
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "NO_COLOR (https://no-color.org) is about how it looks; it decides nothing"
)]
fn style() -> Style {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Style {
        colour: io::stdout().is_terminal() && !unwanted,
    }
}
