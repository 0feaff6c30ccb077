//! A plant, its office and its things: three zones, one policy, real mutual TLS, and a camera that was taken over.

mod foretell;
mod raw;
mod site;
mod step;
mod walk;
mod wire;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ztl_core::policy::LoadError;

use site::Site;

const BUILT_IN: &str = include_str!("../policy.toml");

/// Three zones, one policy, real mutual TLS, and a camera that was taken over.
///
/// Everything runs in this process, on loopback addresses 127.0.x.y, with keys made for this one run.
#[derive(Debug, Parser)]
#[command(
    name = "zones",
    after_help = "Exit status: 0 if every step came out as told and as the policy says, 1 if one did not,\n\
                  2 for a wrong command line or an unreadable file, 3 for a policy that is refused."
)]
struct Args {
    /// Walk under this policy instead of the built-in one
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let text = match &args.policy {
        None => Ok(BUILT_IN.to_owned()),
        Some(path) => std::fs::read_to_string(path),
    };
    let walked = match text {
        Err(error) => {
            let path = args.policy.unwrap_or_default();
            eprintln!("`{}`: {error}", path.display());
            return ExitCode::from(2);
        }
        Ok(text) => run(text, args.json).await,
    };
    match walked {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if error.is::<LoadError>() { 3 } else { 1 })
        }
    }
}

/// Walks, prints, and says how many steps came out otherwise.
async fn run(text: String, json: bool) -> Result<usize, Box<dyn Error>> {
    let site = Site::start(text).await?;
    let steps = walk::walk(&site).await?;
    site.stop().await?;
    let wrong = steps.iter().filter(|step| !step.wrong.is_empty()).count();
    let output = if json {
        step::json(&steps)
    } else {
        step::table(&steps)
    };
    match io::stdout().write_all(output.as_bytes()) {
        // Whoever reads us may stop; the exit status still tells.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(wrong),
    }
}
