//! `ztl audit`: what was recorded, and whether it still stands as it was written.

mod verify;

use clap::Subcommand;

use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Verify an audit chain
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Verify(verify::Args),
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Verify(args) => verify::run(args, out),
    }
}
