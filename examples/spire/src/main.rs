//! Two services on SPIRE: `store` serves, `reader` asks it without pause while SVIDs rotate.

use core::time::Duration;
use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use spire::{Agent, POLICY, load, store, store_address};
use tokio::net::TcpListener;
use ztl_tower::core::audit::JsonLinesSink;

/// Two services that get everything from the Workload API that `SPIFFE_ENDPOINT_SOCKET` names.
#[derive(Debug, Parser)]
#[command(
    name = "spire",
    after_help = "Exit status: 0 if no request failed while SVIDs rotated, 1 if one did or none rotated, 2 for a wrong command line."
)]
struct Args {
    #[command(subcommand)]
    who: Who,
}

#[derive(Debug, Subcommand)]
enum Who {
    /// Serve until stopped, and write the audit to standard output
    Store,
    /// Ask the store without pause, then print what came of it as JSON
    Reader {
        /// For how many seconds
        #[arg(long, default_value_t = 30)]
        seconds: u64,
    },
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let agent = Agent::FromEnvironment;
    match Args::parse().who {
        Who::Store => {
            let listener = TcpListener::bind(store_address()).await?;
            store(
                &agent,
                POLICY,
                listener,
                JsonLinesSink::new(std::io::stdout()),
            )
            .await?;
            Ok(ExitCode::SUCCESS)
        }
        Who::Reader { seconds } => {
            let lasts = Duration::from_secs(seconds);
            let report = load(&agent, POLICY, store_address(), lasts).await?;
            println!("{}", report.to_json());
            Ok(if report.is_good() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
    }
}
