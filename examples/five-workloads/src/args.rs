//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::foreign::Language;

/// Five workloads, one policy, real mutual TLS, and an attacker who gets nowhere.
///
/// First a user's request walks through all five, then an attacker who holds the router's real certificate and key tries
/// what an attacker tries. Everything runs on loopback, with keys made for this one run.
#[derive(Debug, Parser)]
#[command(
    name = "five-workloads",
    after_help = "Exit status: 0 if every step came out as told and as the policy says, 1 if one did not,\n\
                  2 for a wrong command line or an unreadable file, 3 for a policy that is refused,\n\
                  4 for a service in another language that cannot be had here."
)]
pub(crate) struct Args {
    /// Walk under this policy instead of the built-in one
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Walk without ztl: a flat network, plain HTTP, nobody judges
    #[arg(long, conflicts_with = "policy")]
    pub(crate) flat: bool,
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Have the vector store in Go, `examples/go-service`
    #[arg(long, conflicts_with = "flat")]
    pub(crate) with_go: bool,
    /// Have the model server in Python, `examples/python-service`
    #[arg(long, conflicts_with = "flat")]
    pub(crate) with_python: bool,
    /// Use 127.0.0.1 alone, as on a system without the addresses 127.0.x.y
    #[arg(long)]
    pub(crate) one_address: bool,
}

impl Args {
    /// The language of a workload, where it is not in Rust.
    pub(crate) fn language(&self, workload: &str) -> Option<Language> {
        match workload {
            "vector-store" if self.with_go => Some(Language::Go),
            "model-server" if self.with_python => Some(Language::Python),
            _ => None,
        }
    }
}
