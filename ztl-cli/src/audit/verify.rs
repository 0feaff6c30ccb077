//! `ztl audit verify`: offline, in one pass, in memory that does not grow with the files.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;
use ztl_core::audit::chain::{
    ChainHash, End, Report, SigningKey, Start, Verifier, VerifyError, seq_of,
};

use crate::bounded;
use crate::exit::{Exit, Failure};
use crate::json::escaped;
use crate::output::{Colour, Output};
use crate::policy_file::open;

/// Longest key file: that of a guard.
const MAX_KEY_BYTES: usize = 16 * 1024;

/// Verify the files of an audit chain: every line, its place, and its signatures where a key is given
///
/// The files may be named in any order. The first line that is broken is told, with what was expected and what was found. A chain
/// without a close has an open end: only a head that was kept elsewhere tells whether lines were cut off there.
/// The exit code is 1 where the chain is broken, a head is missing, or `--whole` does not hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The files of one chain, rotated ones too
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// A hash that was kept elsewhere; it has to be the hash of a line
    #[arg(long, value_name = "HASH")]
    head: Option<ChainHash>,
    /// The key that checkpoints are signed with, in hexadecimal digits; a segment without signatures is then a finding
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Wants the chain to begin where it began, or where its rotation says, and to end with a close; with `--key` also that no line
    /// is signed by nobody
    #[arg(long)]
    whole: bool,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let mut verifier = Verifier::new();
    if let Some(path) = &args.key {
        verifier = verifier.with_key(read_key(path)?);
    }
    if let Some(head) = args.head {
        verifier = verifier.with_head(head);
    }
    match verify(verifier, &args.files) {
        Ok(report) => {
            let fine = report.is_whole() || !args.whole;
            if args.json {
                let mut json = report.to_json();
                if let Some(ok) = json.get_mut("ok") {
                    *ok = fine.into();
                }
                writeln!(out, "{}", escaped(&json.to_string()))?;
            } else {
                tell(&report, fine, out)?;
            }
            Ok(Exit::fine_if(fine))
        }
        Err(VerifyError::Read { file, error }) => {
            Err(Failure::Usage(format!("cannot read `{file}`: {error}")))
        }
        Err(finding) => {
            if args.json {
                let json = match &finding {
                    VerifyError::Broken(broken) => broken.to_json(),
                    other => json!({ "ok": false, "problem": other.to_string() }),
                };
                writeln!(out, "{}", escaped(&json.to_string()))?;
            } else {
                let word = out.mark("broken", Colour::Red);
                writeln!(out, "{word}: {finding}")?;
            }
            Ok(Exit::Finding)
        }
    }
}

fn verify(mut verifier: Verifier, files: &[PathBuf]) -> Result<Report, VerifyError> {
    let mut ordered: Vec<(u64, String, &Path)> = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let mut start = Vec::new();
        File::open(path)
            .and_then(|file| file.take(64).read_to_end(&mut start))
            .map_err(|error| unread(&name, error))?;
        // One that begins otherwise stays where it is named; what is wrong with it is told when it is read.
        let seq = seq_of(&start).or(ordered.last().map(|(seq, ..)| *seq));
        ordered.push((seq.unwrap_or_default(), name, path));
    }
    ordered.sort_by_key(|(seq, ..)| *seq);
    for (_, name, path) in ordered {
        let file = File::open(path).map_err(|error| unread(&name, error))?;
        verifier.read(&name, file)?;
    }
    verifier.finish()
}

fn unread(name: &str, error: io::Error) -> VerifyError {
    VerifyError::Read {
        file: name.to_owned(),
        error,
    }
}

/// Part of a key is another key, under which a good chain is a forged one: what is too long is refused.
fn read_key(path: &Path) -> Result<SigningKey, Failure> {
    let shown = path.display();
    let bytes = bounded::read(open(path)?, MAX_KEY_BYTES)
        .map_err(|error| Failure::Usage(format!("cannot read `{shown}`: {error}")))?;
    if bytes.len() > MAX_KEY_BYTES {
        return Err(Failure::Usage(format!(
            "`{shown}` has more than {MAX_KEY_BYTES} bytes; name the file with the key of the chain"
        )));
    }
    // What is no text is none of hexadecimal digits: the error says what a key is.
    let text = core::str::from_utf8(&bytes).unwrap_or_default();
    SigningKey::from_hex(text).map_err(|error| Failure::Usage(format!("`{shown}`: {error}")))
}

fn tell(report: &Report, fine: bool, out: &mut Output) -> Result<(), Failure> {
    let word = if fine {
        out.mark("ok", Colour::Green)
    } else {
        out.mark("not whole", Colour::Red)
    };
    writeln!(
        out,
        "{word}: {} lines in {} files, {} decisions, {} segments, {} checkpoints",
        report.lines, report.files, report.decisions, report.segments, report.checkpoints
    )?;
    writeln!(out, "head: {} {}", report.head.seq, report.head.hash)?;
    match report.start {
        Start::Rotated { seq } => writeln!(
            out,
            "begins with line {seq}: rotation removed what came before, and says so"
        )?,
        Start::Open { seq } => writeln!(
            out,
            "open start: begins with line {seq}; what came before is not in these files"
        )?,
        _ => {}
    }
    match report.end {
        End::Closed => {}
        End::Torn { bytes } => writeln!(
            out,
            "open end: {bytes} bytes of a torn line after the last whole one, as a crash leaves them; lines may have been cut off"
        )?,
        _ => writeln!(
            out,
            "open end: no close; it is being written, its process crashed, or lines were cut off"
        )?,
    }
    if let Some(after) = report.lines_after_head {
        writeln!(
            out,
            "the head that was asked for is there, {after} lines before the end"
        )?;
    }
    if report.signatures_checked {
        writeln!(
            out,
            "signatures: {} right; {} lines after the last of them",
            report.signed, report.unsigned_tail
        )?;
    }
    for (count, what) in [
        (
            report.unsigned,
            "lines of unclosed segments are signed by nobody: the segment after them does not vouch for them",
        ),
        (
            report.aggregated,
            "denials of unproved callers were counted together",
        ),
        (
            report.dropped_permits,
            "permits have no record: the queue was full",
        ),
        (
            report.dropped_denials,
            "denials have no record: the queue was full",
        ),
        (report.recovered, "torn lines were recovered"),
        (
            report.unsynced,
            "times the disk failed, and lines may have been lost with the power: see `unsynced`",
        ),
        (
            report.unclosed,
            "segments have no close and another follows: a crash, or lines were cut off before it began",
        ),
    ] {
        if count > 0 {
            writeln!(out, "{count} {what}")?;
        }
    }
    Ok(())
}
