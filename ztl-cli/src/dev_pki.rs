//! `ztl dev-pki`: a throwaway authority, and an SVID for every workload of a policy. For development only (T28).

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use core::time::Duration;

use ztl_core::policy::Policy;
use ztl_core::{Timestamp, TrustDomain};
use ztl_mtls::{DevCa, DevCaError, write_private};

use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Colour, Output};
use crate::policy_file::PolicyFile;

/// Make a throwaway authority and an SVID for every workload of a policy; for development only
///
/// Writes DIR/TRUST-DOMAIN.bundle.pem for each trust domain, and for each workload DIR/WORKLOAD/svid.pem and
/// DIR/WORKLOAD/svid.key. The authorities' own keys are not kept. A service accepts these identities only where it was built
/// for development and told to.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy file; `-` reads standard input
    policy: PathBuf,
    /// Where to write; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How long the identities are good, in hours
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u8).range(1..=24))]
    hours: u8,
    /// Write into a directory that is not empty, over what an earlier run wrote
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let file = PolicyFile::load(&args.policy)?;
    let now = clock::now()?;
    make_directory(&args.out, args.force)?;
    let authorities = authorities(&file.policy, now).map_err(cannot_issue)?;
    for (domain, authority) in &authorities {
        let path = args.out.join(format!("{domain}.bundle.pem"));
        write(&path, authority.bundle_pem(), Kind::Public)?;
        writeln!(out, "wrote {}", path.display())?;
    }
    let lifetime = Duration::from_secs(u64::from(args.hours) * 3600);
    let provider = ztl_mtls::provider();
    for workload in file.policy.workloads() {
        let Some(authority) = authorities.get(workload.id().trust_domain_name()) else {
            continue;
        };
        let issued = authority
            .issue(workload.id(), now, lifetime, &provider)
            .map_err(cannot_issue)?;
        let directory = args.out.join(workload.name());
        fs::create_dir_all(&directory).map_err(|error| cannot_write(&directory, &error))?;
        let (svid, key) = (directory.join("svid.pem"), directory.join("svid.key"));
        write(&key, &issued.key_pem, Kind::Private)?;
        write(&svid, &issued.cert_pem, Kind::Public)?;
        writeln!(
            out,
            "wrote {} and svid.key for {}",
            svid.display(),
            workload.id()
        )?;
    }
    let (count, hours) = (file.policy.workloads().len(), args.hours);
    let warning = out.mark("warning", Colour::Yellow);
    writeln!(out, "\n{count} identities, good for {hours} h")?;
    writeln!(
        out,
        "{warning}: this is no production authority: nobody was proved, and whoever reads a key is that workload"
    )?;
    Ok(Exit::Fine)
}

/// One authority for each trust domain that has a workload, and for the policy's own.
fn authorities(policy: &Policy, now: Timestamp) -> Result<BTreeMap<String, DevCa>, DevCaError> {
    let own = policy.trust_domain().clone();
    let domains = policy
        .workloads()
        .iter()
        .map(|workload| workload.id().trust_domain())
        .chain([own]);
    let mut authorities = BTreeMap::new();
    for domain in domains {
        let name = TrustDomain::as_str(&domain).to_owned();
        if let std::collections::btree_map::Entry::Vacant(entry) = authorities.entry(name) {
            entry.insert(DevCa::new(domain, now)?);
        }
    }
    Ok(authorities)
}

fn make_directory(path: &Path, force: bool) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|error| cannot_write(path, &error))?;
    let mut entries = fs::read_dir(path).map_err(|error| cannot_write(path, &error))?;
    if !force && entries.next().is_some() {
        let message = format!(
            "`{}` is not empty; give `--force` to write into it",
            path.display()
        );
        return Err(Failure::Usage(message));
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Public,
    /// For its owner alone.
    Private,
}

/// Writes a file beside the one that is meant and puts it in its place at once, so that a reader sees the old or the new one.
fn write(path: &Path, text: &str, kind: Kind) -> Result<(), Failure> {
    let new = path.with_added_extension("new");
    let written = remove_if_there(&new)
        .and_then(|()| match kind {
            Kind::Public => fs::write(&new, text),
            Kind::Private => write_private(&new, text.as_bytes()),
        })
        .and_then(|()| fs::rename(&new, path));
    written.map_err(|error| cannot_write(path, &error))
}

/// What an earlier run left behind when it was stopped.
fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::Usage(format!("cannot write `{}`: {error}", path.display()))
}

fn cannot_issue(error: DevCaError) -> Failure {
    Failure::Usage(format!("cannot make the identities: {error}"))
}
