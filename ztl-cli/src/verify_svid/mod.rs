//! `ztl verify-svid`: would this chain prove a peer, and if not, why not and how to mend it.

mod crl;
mod deny_list;
mod input;
mod refusal;
mod text;

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::Value;
use ztl_core::{Peer, Timestamp, TrustDomain};
use ztl_mtls::{
    BundleSet, Bundles, Leaf, Prover, Purpose, Revocation, RevocationDepth, UnknownStatus,
};

use self::input::{BundleFile, Chain};
use self::refusal::Refusal;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::{clock, json};

/// Say whether a certificate chain proves a workload, and if not, why and how to mend it
///
/// Judged as a service that embeds ztl judges it by these bundles and lists, but for two things: that the peer holds the leaf's key
/// shows in a handshake only, and who may write the files is not asked. A service that has a deny list, or revocation lists,
/// refuses by them: give them here too. One JSON object is printed: {"ok", "spiffe_id", "reason", "clause"}. `spiffe_id` is null unless it is proved; `reason` is
/// a stable code, and `clause` says which clause of which specification is broken. What it means and how to mend it goes to
/// standard error. Exit codes: 0 proved, 1 refused, 2 wrong use, or a file that cannot be read, or a bundle, revocation list or
/// deny list that is none.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The chain in PEM as the workload presents it, leaf first, without the authority; `-` reads standard input
    #[arg(value_name = "CHAIN.pem")]
    chain: PathBuf,
    /// The authorities of a trust domain, in PEM or as a SPIFFE bundle document (JSON); may be given several times, once for each domain
    #[arg(long = "bundle", value_name = "TD=FILE", required = true, value_parser = input::bundle)]
    bundles: Vec<BundleFile>,
    /// Revocation lists of the leaf's trust domain, in PEM or DER; may be given several times. A certificate whose issuer's lists do
    /// not cover it is refused
    #[arg(long = "crl", value_name = "FILE")]
    crls: Vec<PathBuf>,
    /// Take a certificate that no revocation list covers as not revoked
    #[arg(long, requires = "crls")]
    allow_unknown_status: bool,
    /// Whose status the revocation lists are asked for, as `depth` of `[[crl_files]]` says it for a service
    #[arg(long, requires = "crls", value_enum, default_value_t)]
    crl_depth: Depth,
    /// A deny list, as a service reads it: one entry a line, that names an id, a key or a certificate
    #[arg(long, value_name = "FILE")]
    deny_list: Option<PathBuf>,
    /// Another name of the leaf's trust domain, as `trust_domain_aliases` of the policy gives them; may be given several times. An id that is denied
    /// under one of the names is denied under all
    #[arg(long = "alias", value_name = "TD", requires = "deny_list", value_parser = input::domain)]
    aliases: Vec<TrustDomain>,
    /// When it is judged, such as 2026-11-22T04:00:00Z; the system clock where it is left out
    #[arg(long, value_name = "RFC3339")]
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
enum Depth {
    #[default]
    Chain,
    Leaf,
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
    let mut prover = Prover::new(Bundles::new(set), &ztl_mtls::provider())
        .with_revocation(revocation(args, chain)?);
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

/// Revocation lists and aliases speak of the trust domain that the leaf names; where it names none the chain is refused before
/// they are asked.
fn revocation(args: &Args, chain: &Chain) -> Result<Revocation, Refusal> {
    let revocation = Revocation::new();
    let lists = crl::read(&args.crls)?;
    if let Some(path) = &args.deny_list {
        revocation.swap_deny_list(deny_list::read(path)?);
    }
    let leaf = chain.certificates.first().map(|der| Leaf::read(der));
    let Some(Ok(leaf)) = leaf else {
        return Ok(revocation);
    };
    let domain = leaf.id().trust_domain();
    if !args.aliases.is_empty() {
        let one = args.aliases.iter().cloned();
        revocation.swap_aliases(one.chain([domain.clone()]));
    }
    if !args.crls.is_empty() {
        let unknown = match args.allow_unknown_status {
            true => UnknownStatus::Allow,
            false => UnknownStatus::Deny,
        };
        let depth = match args.crl_depth {
            Depth::Chain => RevocationDepth::Chain,
            Depth::Leaf => RevocationDepth::Leaf,
        };
        let set = crl::set(domain, lists)?;
        revocation.replace_crls(set.with_unknown_status(unknown).with_depth(depth));
    }
    Ok(revocation)
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
