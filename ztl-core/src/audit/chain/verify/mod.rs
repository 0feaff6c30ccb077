//! Verifying a chain offline: one pass over its files, in memory that does not grow with them.

mod lines;
mod report;

use std::io::Read;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::key::SigningKey;
use super::link::{ChainHash, Head, Line, SIGNED};
use lines::{Lines, Piece};
pub use report::{Broken, End, Report, Start};

/// Why a verification could not say that all is well.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The first place where the chain is broken.
    #[error(transparent)]
    Broken(Box<Broken>),
    /// A file cannot be read.
    #[error("`{file}` cannot be read")]
    Read {
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        error: std::io::Error,
    },
    /// There is not one line.
    #[error("there is no line to verify")]
    Empty,
    /// The head that was kept elsewhere is not in the chain: lines were cut off or rewritten, or it is the head of another chain.
    #[error("the head `{0}` is nowhere in the chain: it was cut before it, or rewritten")]
    HeadMissing(ChainHash),
}

/// Verifies the files of a chain, oldest first.
#[derive(Debug, Default)]
#[must_use = "what it finds is in the report"]
pub struct Verifier {
    key: Option<SigningKey>,
    wanted: Option<ChainHash>,
    wanted_at: Option<u64>,
    /// Before the first line, and the last line so far.
    start: Option<Head>,
    head: Head,
    segment: Segment,
    torn: Option<Torn>,
    kept_from: Option<u64>,
    report: Report,
}

/// The segment that lines belong to.
#[derive(Debug, Default, PartialEq, Eq)]
enum Segment {
    /// It began before the first line there is.
    #[default]
    Unknown,
    Open(String),
    Closed,
}

/// Bytes that are no line of a chain; well only if the next line says that they were recovered.
#[derive(Debug)]
struct Torn {
    broken: Box<Broken>,
    sha256: Sha256,
    bytes: u64,
    pieces: u64,
    ended: bool,
}

impl Verifier {
    /// Checks hashes, numbers and segments.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks signatures as well; a segment without them is a finding.
    pub fn with_key(mut self, key: SigningKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Wants this hash, kept elsewhere, to be the hash of a line.
    pub const fn with_head(mut self, head: ChainHash) -> Self {
        self.wanted = Some(head);
        self
    }

    /// Reads the next file. `name` is for messages.
    ///
    /// # Errors
    /// [`VerifyError`] at the first thing that is wrong.
    pub fn read(&mut self, name: &str, input: impl Read) -> Result<(), VerifyError> {
        self.no_torn_end()?;
        self.report.files += 1;
        let mut lines = Lines::new(input);
        loop {
            let piece = lines.next().map_err(|error| VerifyError::Read {
                file: name.to_owned(),
                error,
            })?;
            let Some((number, piece)) = piece else {
                return Ok(());
            };
            let at = At { name, number };
            match piece {
                Piece::Line { bytes, ended } => match Line::read(bytes) {
                    Some(line) => self.line(at, &line, bytes)?,
                    None => {
                        self.tear(at, bytes, true, || report::fault(bytes));
                        self.tear(at, if ended { b"\n" } else { b"" }, false, Default::default);
                    }
                },
                Piece::Long { bytes, first } => {
                    self.tear(at, bytes, first, report::too_long);
                }
            }
        }
    }

    /// What was found, if all is well.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn finish(mut self) -> Result<Report, VerifyError> {
        // What a crash leaves is one piece of a line, without an end.
        let torn = self
            .torn
            .take_if(|torn| torn.pieces == 1 && !torn.ended)
            .map(|torn| torn.bytes);
        self.no_torn_end()?;
        let start = self.start.ok_or(VerifyError::Empty)?;
        if let (Some(wanted), None) = (self.wanted, self.wanted_at) {
            return Err(VerifyError::HeadMissing(wanted));
        }
        self.report.start = match (start.seq, self.kept_from) {
            (0, _) => Start::Whole,
            (before, Some(kept_from)) if before < kept_from => Start::Rotated { seq: before + 1 },
            (before, _) => Start::Open { seq: before + 1 },
        };
        self.report.end = match (torn, &self.segment) {
            (Some(bytes), _) => End::Torn { bytes },
            (None, Segment::Closed) => End::Closed,
            (None, _) => End::Open,
        };
        self.report.head = self.head;
        self.report.before = start;
        self.report.lines_after_head = self.wanted_at.map(|at| self.head.seq.saturating_sub(at));
        self.report.signatures_checked = self.key.is_some();
        Ok(self.report)
    }

    fn no_torn_end(&mut self) -> Result<(), VerifyError> {
        match self.torn.take() {
            Some(torn) => Err(VerifyError::Broken(torn.broken)),
            None => Ok(()),
        }
    }

    fn tear(
        &mut self,
        at: At<'_>,
        bytes: &[u8],
        begins: bool,
        fault: impl FnOnce() -> report::Fault,
    ) {
        let torn = self.torn.get_or_insert_with(|| Torn {
            broken: Box::new(at.broken(fault())),
            sha256: Sha256::new(),
            bytes: 0,
            pieces: 0,
            ended: false,
        });
        if let Some(last) = bytes.last() {
            torn.sha256.update(bytes);
            torn.bytes = torn
                .bytes
                .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            torn.ended = *last == b'\n';
        }
        torn.pieces += u64::from(begins);
    }

    fn line(&mut self, at: At<'_>, line: &Line<'_>, bytes: &[u8]) -> Result<(), VerifyError> {
        let broken = |fault| VerifyError::Broken(Box::new(at.broken(fault)));
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| broken(report::fault_of("it is no JSON", "JSON", &error)))?;
        let kind = value
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or_default();
        self.follows(at, line, kind, &value)?;
        self.belongs(at, line, kind, &value)?;
        if SIGNED.contains(&kind) {
            self.is_signed(at, line, kind, &value)?;
        } else {
            self.report.unsigned_tail += 1;
        }
        self.count(at, kind, &value)
    }

    /// Its number, and the hash of the line before it.
    fn follows(
        &mut self,
        at: At<'_>,
        line: &Line<'_>,
        kind: &str,
        value: &Value,
    ) -> Result<(), VerifyError> {
        let broken = |fault| VerifyError::Broken(Box::new(at.broken(fault)));
        let before = match self.start {
            Some(_) => self.head,
            None if line.seq == 1 => Head::START,
            None => Head::new(line.seq - 1, line.prev),
        };
        let follows = line.seq.checked_sub(1) == Some(before.seq) && line.prev == before.hash;
        match self.torn.take() {
            Some(torn) => {
                let (bytes, sha256) = (torn.bytes, ChainHash(torn.sha256.finalize().into()));
                let told = kind == "recovered"
                    && value.get("bytes").and_then(Value::as_u64) == Some(bytes)
                    && value.get("sha256").and_then(Value::as_str)
                        == Some(sha256.to_string().as_str());
                // Without a line that says so, it is what was found first that is broken.
                if !told || !follows {
                    return Err(VerifyError::Broken(torn.broken));
                }
                self.report.recovered += 1;
                self.report.recovered_bytes = self.report.recovered_bytes.saturating_add(bytes);
            }
            None if kind == "recovered" => {
                return Err(broken(report::fault_of(
                    "it says that a torn line was recovered",
                    "the torn line before it",
                    &"a whole line",
                )));
            }
            None => {}
        }
        if line.seq.checked_sub(1) != Some(before.seq) {
            let expected = before.seq.saturating_add(1);
            return Err(broken(report::fault_of(
                "lines were removed, added or moved here: its number is another",
                &format!("seq {expected}"),
                &format!("seq {}", line.seq),
            )));
        }
        if line.prev != before.hash {
            return Err(broken(report::fault_of(
                "it follows another line than the one before it",
                &format!("prev {}", before.hash),
                &format!("prev {}", line.prev),
            )));
        }
        self.start.get_or_insert(before);
        self.head = line.head();
        if let Some(wanted) = self.wanted {
            for head in [before, self.head] {
                if head.hash == wanted {
                    self.wanted_at = Some(head.seq);
                }
            }
        }
        Ok(())
    }

    /// The segment it belongs to.
    fn belongs(
        &mut self,
        at: At<'_>,
        line: &Line<'_>,
        kind: &str,
        value: &Value,
    ) -> Result<(), VerifyError> {
        let broken = |fault| VerifyError::Broken(Box::new(at.broken(fault)));
        let stated = value.get("segment").and_then(Value::as_str);
        if kind == "segment" {
            let format = value.get("format").and_then(Value::as_u64);
            if format != Some(1) {
                let found = format.map_or_else(|| "none".to_owned(), |it| it.to_string());
                return Err(broken(report::fault_of(
                    "the format of its segment is not known to this verifier",
                    "format 1",
                    &found,
                )));
            }
            if matches!(self.segment, Segment::Open(_)) {
                self.report.unclosed += 1;
            }
            self.segment = Segment::Open(stated.unwrap_or_default().to_owned());
            return Ok(());
        }
        match &self.segment {
            _ if kind == "recovered" => {}
            Segment::Closed => {
                return Err(broken(report::fault_of(
                    "its segment was closed before",
                    "a line of kind `segment`",
                    &format!("`{kind}`"),
                )));
            }
            Segment::Unknown if line.seq == 1 || self.start == Some(Head::START) => {
                return Err(broken(report::fault_of(
                    "the chain does not begin with a segment",
                    "a line of kind `segment`",
                    &format!("`{kind}`"),
                )));
            }
            Segment::Open(open) => {
                if let Some(stated) = stated.filter(|stated| stated != open) {
                    return Err(broken(report::fault_of(
                        "it belongs to another segment: two processes wrote one chain",
                        open,
                        &stated,
                    )));
                }
            }
            Segment::Unknown => {}
        }
        if kind == "close" {
            self.segment = Segment::Closed;
        }
        Ok(())
    }

    fn is_signed(
        &mut self,
        at: At<'_>,
        line: &Line<'_>,
        kind: &str,
        value: &Value,
    ) -> Result<(), VerifyError> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        let fault = if kind == "segment"
            && value.get("key").and_then(Value::as_str) != Some(key.id().as_str())
        {
            let found = value.get("key").and_then(Value::as_str).unwrap_or("no key");
            report::fault_of(
                "its segment is not signed with this key",
                &format!("key {}", key.id()),
                &found,
            )
        } else {
            match line.is_signed_with(key) {
                Some(true) => {
                    self.report.signed += 1;
                    let before = core::mem::take(&mut self.report.unsigned_tail);
                    // Another process wrote what is before a segment: who takes it up cannot know whether it was changed since.
                    if kind == "segment" {
                        self.report.unsigned = self.report.unsigned.saturating_add(before);
                    }
                    return Ok(());
                }
                Some(false) => report::fault_of(
                    "its signature is wrong",
                    "the signature of this key",
                    &"another",
                ),
                None => report::fault_of("it is not signed", "`mac`", &"none"),
            }
        };
        Err(VerifyError::Broken(Box::new(at.broken(fault))))
    }

    fn count(&mut self, at: At<'_>, kind: &str, value: &Value) -> Result<(), VerifyError> {
        let number = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
        let add = |to: &mut u64, more: u64| *to = to.saturating_add(more);
        let report = &mut self.report;
        report.lines += 1;
        match kind {
            "decision" => report.decisions += 1,
            "denials" => add(&mut report.aggregated, number("count")),
            "dropped" => {
                add(&mut report.dropped_permits, number("permits"));
                add(&mut report.dropped_denials, number("denials"));
            }
            "segment" => report.segments += 1,
            "checkpoint" | "close" => report.checkpoints += 1,
            "file" => self.kept_from = Some(number("kept_from")),
            "unsynced" => report.unsynced += 1,
            "recovered" => {}
            _ => {
                return Err(VerifyError::Broken(Box::new(at.broken(report::fault_of(
                    "its kind is not known to this verifier",
                    "a kind of format 1",
                    &format!("`{kind}`"),
                )))));
            }
        }
        Ok(())
    }
}

/// Where a line stands.
#[derive(Clone, Copy)]
struct At<'a> {
    name: &'a str,
    number: u64,
}

impl At<'_> {
    fn broken(self, fault: report::Fault) -> Broken {
        Broken {
            file: self.name.to_owned(),
            line: self.number,
            problem: fault.problem,
            expected: fault.expected,
            found: fault.found,
        }
    }
}
