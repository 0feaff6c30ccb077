//! `ztl preset`: writes the rules that probes need. Nothing is permitted without a rule, so they are written down to be read (rule 40).

use std::collections::BTreeSet;
use std::io::Write as _;

use serde_json::Value;
use ztl_core::CanonicalPath;

use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Longest name of a rule (docs/LIMITS.md), less what a preset puts around the target's.
const MAX_TARGET_CHARS: usize = 40;
/// Most callers, targets or paths: what a list of a rule holds.
const MAX_ENTRIES: usize = 256;

/// Write the rules that probes need, as TOML to append to a policy
///
/// Nothing is permitted without a rule, probes included. What is written permits `GET` on exactly the paths that are given, to
/// exactly the callers that are given, and says why. The names stay the same for the same options.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    preset: Preset,
}

#[derive(Debug, clap::Subcommand)]
enum Preset {
    /// A health check: `GET /healthz`, or the paths that are given
    Health(Probe),
    /// A scrape of metrics: `GET /metrics`, or the paths that are given; never for `public` and `any`
    Metrics(Probe),
}

#[derive(Debug, clap::Args)]
struct Probe {
    /// Who probes: a principal of the policy, such as a workload's name; may be given several times
    #[arg(long, value_name = "PRINCIPAL", required = true, value_parser = written)]
    from: Vec<String>,
    /// Who is probed: a workload's name or another target; may be given several times, a rule is written for each
    #[arg(long, value_name = "TARGET", required = true, value_parser = written)]
    to: Vec<String>,
    /// An exact path, without parameters and query; may be given several times
    #[arg(long, value_name = "PATH", value_parser = exact_path)]
    path: Vec<String>,
    /// The port; left out, the only one that can be meant
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let (kind, default, why, probe) = match &args.preset {
        Preset::Health(probe) => (
            "health",
            "/healthz",
            "whoever runs it has to know whether it works",
            probe,
        ),
        Preset::Metrics(probe) => (
            "metrics",
            "/metrics",
            "whoever runs it measures it; figures tell an attacker much",
            probe,
        ),
    };
    let of_all = |from: &String| matches!(from.as_str(), "public" | "any");
    if kind == "metrics" && probe.from.iter().any(of_all) {
        return Err(Failure::Usage(
            "metrics are not for `public` or `any`: name who scrapes them".to_owned(),
        ));
    }
    let set = |texts: &[String]| texts.iter().cloned().collect::<BTreeSet<_>>();
    let (from, to, mut paths) = (set(&probe.from), set(&probe.to), set(&probe.path));
    if paths.is_empty() {
        paths.insert(default.to_owned());
    }
    if [&from, &to, &paths]
        .iter()
        .any(|list| list.len() > MAX_ENTRIES)
    {
        return Err(Failure::Usage(format!(
            "a rule lists at most {MAX_ENTRIES} callers or paths"
        )));
    }
    writeln!(
        out,
        "# Written by `ztl preset {kind}`: probes are permitted because a rule says so."
    )?;
    let actions: Vec<_> = paths.iter().map(|path| format!("GET {path}")).collect();
    for to in &to {
        let port = probe.port.map(|port| port.to_string()).unwrap_or_default();
        let said: Vec<_> = [kind, to, &port]
            .into_iter()
            .map(str::to_owned)
            .chain(from.iter().cloned())
            .chain(paths.iter().cloned())
            .collect();
        writeln!(out, "\n[[permit]]")?;
        writeln!(out, "name = {}", text(&name(kind, to, &said)))?;
        writeln!(out, "from = {}", list(from.iter()))?;
        writeln!(out, "to = {}", text(to))?;
        if let Some(port) = probe.port {
            writeln!(out, "ports = {port}")?;
        }
        writeln!(out, "actions = {}", list(actions.iter()))?;
        if from.contains("public") {
            writeln!(out, "anonymous = true")?;
        }
        writeln!(out, "why = {}", text(&format!("{kind} probes: {why}")))?;
    }
    Ok(Exit::Fine)
}

/// A name that says what the rule is for, and ends in a mark of all that the rule says: the same for the same rule, and another
/// for another one.
fn name(kind: &str, to: &str, said: &[String]) -> String {
    let plain = |c: char| {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            c
        } else {
            '-'
        }
    };
    let to: String = to.chars().map(plain).take(MAX_TARGET_CHARS).collect();
    // FNV-1a, 32 bits, over the parts with a byte between them that none of them holds.
    let bytes = said.iter().flat_map(|part| part.bytes().chain([0]));
    let mark = bytes.fold(0x811c_9dc5_u32, |mark, byte| {
        (mark ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{kind}-{}-{mark:08x}", to.trim_matches('-'))
}

/// A text of TOML. Of printable ASCII, JSON escapes the same two characters in the same way.
fn text(text: &str) -> String {
    Value::from(text).to_string()
}

fn list<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    let texts: Vec<_> = texts.map(|one| text(one)).collect();
    match texts.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// A principal or target: whether it exists the policy says.
fn written(given: &str) -> Result<String, String> {
    if given.is_empty() || !given.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it has to be written as in `from` or `to` of a rule, such as `prometheus` or `zone:production`".to_owned());
    }
    Ok(given.to_owned())
}

/// A path that means itself alone (T29).
fn exact_path(given: &str) -> Result<String, String> {
    if given.contains(['{', '}', '?', '*']) {
        return Err("a probe's path is exact: no parameters, no query".to_owned());
    }
    let path =
        CanonicalPath::parse(given).map_err(|error| format!("no request can have it: {error}"))?;
    Ok(path.as_str().to_owned())
}
