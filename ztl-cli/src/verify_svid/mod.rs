//! `ztl verify-svid`: would this chain prove a peer, and if not, why not and how to mend it.

mod input;
mod refusal;
mod text;

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::Value;
use ztl_core::{Peer, Timestamp};
use ztl_mtls::{BundleSet, Bundles, Prover, Purpose};

use self::input::{BundleFile, Chain};
use self::refusal::Refusal;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::{clock, json, rfc3339};

/// Say whether a certificate chain proves a workload, and if not, why and how to mend it
///
/// Judged as a service that embeds ztl judges it, but for one thing: that the peer holds the leaf's key shows in a handshake
/// only. One JSON object is printed: {"ok", "spiffe_id", "reason", "clause"}. `spiffe_id` is null unless it is proved; `reason` is
/// a stable code, and `clause` says which clause of which specification is broken. What it means and how to mend it goes to
/// standard error. Exit codes: 0 proved, 1 refused, 2 wrong use or a file that cannot be read, or is no bundle.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The chain in PEM as the workload presents it, leaf first, without the authority; `-` reads standard input
    #[arg(value_name = "CHAIN.pem")]
    chain: PathBuf,
    /// The authorities of a trust domain, in PEM; may be given several times, once for each domain
    #[arg(long = "bundle", value_name = "TD=FILE", required = true, value_parser = input::bundle)]
    bundles: Vec<BundleFile>,
    /// When it is judged, such as 2026-11-22T04:00:00Z; the system clock where it is left out
    #[arg(long, value_name = "RFC3339", value_parser = rfc3339::parse)]
    at: Option<Timestamp>,
    /// Which end of TLS the workload is: does it call, or is it called
    #[arg(long, value_enum, default_value_t)]
    purpose: End,
    /// Also take development authorities, which prove nobody in production
    #[arg(long)]
    allow_dev_authority: bool,
    /// `json` is one object on standard output; `text` is for a person, with what names the leaf elsewhere
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum End {
    #[default]
    Client,
    Server,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    #[default]
    Json,
    Text,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let now = args.at.map_or_else(clock::now, Ok)?;
    let chain = input::chain(&args.chain);
    let judged = judge(args, chain.as_ref(), now);
    match args.format {
        Format::Json => {
            writeln!(out, "{}", object(&judged))?;
            if let Err(refusal) = &judged {
                // The verdict is on standard output; where there is nobody to tell the rest, it stands.
                for line in refusal.to_string().lines() {
                    let _ = writeln!(io::stderr(), "{}", json::escaped(line));
                }
            }
        }
        Format::Text => text::write(&judged, chain.as_ref().ok(), now, out)?,
    }
    Ok(judged.map_or_else(|refusal| refusal.exit, |_| Exit::Fine))
}

fn judge(args: &Args, chain: Result<&Chain, &Refusal>, now: Timestamp) -> Result<Peer, Refusal> {
    let bundles = args.bundles.iter().map(BundleFile::load);
    let bundles = bundles.collect::<Result<Vec<_>, _>>()?;
    let set = BundleSet::new(bundles).map_err(|error| Refusal::of_bundle(&error))?;
    let chain = chain.map_err(Refusal::clone)?;
    let mut prover = Prover::new(Bundles::new(set), &ztl_mtls::provider());
    if args.allow_dev_authority {
        prover = prover.allow_dev_authority();
    }
    let purpose = match args.purpose {
        End::Client => Purpose::Client,
        End::Server => Purpose::Server,
    };
    prover
        .prove(&chain.certificates, now, purpose)
        .map_err(|error| Refusal::of_chain(&error, chain, &args.bundles))
}

/// Keys in the order in which they are documented.
fn object(judged: &Result<Peer, Refusal>) -> String {
    let (id, reason, clause) = match judged {
        Ok(peer) => (peer.id().as_str().into(), Value::Null, Value::Null),
        Err(refusal) => (Value::Null, refusal.reason.into(), refusal.clause.into()),
    };
    let ok = judged.is_ok();
    json::escaped(&format!(
        r#"{{"ok":{ok},"spiffe_id":{id},"reason":{reason},"clause":{clause}}}"#
    ))
}
