//! What a verification found.

use core::fmt;

use serde_json::{Value, json};
use thiserror::Error;

use super::super::link::{ChainHash, Head, MAX_LINE_BYTES};

/// Longest piece of a hostile line that a message shows, in characters.
const MAX_SHOWN: usize = 200;

/// The first place where a chain is broken. What comes after it proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{file}` line {line}: {problem}; expected {expected}, found {found}")]
#[non_exhaustive]
pub struct Broken {
    /// The file.
    pub file: String,
    /// The line in it, counted from 1.
    pub line: u64,
    /// What is wrong.
    pub problem: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// How a chain begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// With its first line.
    #[default]
    Whole,
    /// Later, and the chain itself says that older files were removed by rotation.
    Rotated {
        /// The number of the first line there is.
        seq: u64,
    },
    /// Later, and nothing says why: what came before is not among these files.
    Open {
        /// The number of the first line there is.
        seq: u64,
    },
}

/// How a chain ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// With a close.
    Closed,
    /// Without one: it is being written, its process crashed, or lines were cut off. Only a head kept elsewhere can tell.
    #[default]
    Open,
    /// As an open one, with a piece of a line after the last whole one.
    Torn {
        /// Its bytes.
        bytes: u64,
    },
}

/// What is in a chain whose every line holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Files that were read.
    pub files: u64,
    /// Lines of the chain.
    pub lines: u64,
    /// Records of single decisions.
    pub decisions: u64,
    /// Denials of unproved callers that were counted together.
    pub aggregated: u64,
    /// Permits whose records were dropped.
    pub dropped_permits: u64,
    /// Denials whose records were dropped.
    pub dropped_denials: u64,
    /// Segments that began.
    pub segments: u64,
    /// Segments that another follows without a close: their process crashed, or lines were cut off before the next began.
    pub unclosed: u64,
    /// Checkpoints and closes.
    pub checkpoints: u64,
    /// Torn lines that were recovered, and their bytes.
    pub recovered: u64,
    /// Their bytes.
    pub recovered_bytes: u64,
    /// Lines that say that lines before them may not have come to disk.
    pub unsynced: u64,
    /// Whether signatures were checked.
    pub signatures_checked: bool,
    /// Lines whose signature is right.
    pub signed: u64,
    /// Lines after the last signed one, which no signature covers; all of them where none was checked.
    pub unsigned_tail: u64,
    /// Lines between the last signed one of a process that did not close its segment, and the segment of the next: signed by
    /// nobody, as the next only takes up what it finds. 0 where no signature was checked.
    pub unsigned: u64,
    /// Lines after the head that was asked for.
    pub lines_after_head: Option<u64>,
    /// How it begins.
    pub start: Start,
    /// What came before the first line.
    pub before: Head,
    /// How it ends.
    pub end: End,
    /// The last line.
    pub head: Head,
}

impl Report {
    /// Whether it begins where a chain does, or where its rotation says, and ends with a close; and, where signatures were
    /// checked, whether there is no line that nobody signed for.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        let signed = !self.signatures_checked || (self.unsigned == 0 && self.unsigned_tail == 0);
        matches!(self.start, Start::Whole | Start::Rotated { .. })
            && matches!(self.end, End::Closed)
            && signed
    }

    /// As one JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (start, end) = (self.start_word(), self.end_word());
        json!({
            "ok": true,
            "files": self.files,
            "lines": self.lines,
            "decisions": self.decisions,
            "aggregated": self.aggregated,
            "dropped": { "permits": self.dropped_permits, "denials": self.dropped_denials },
            "segments": self.segments,
            "unclosed": self.unclosed,
            "checkpoints": self.checkpoints,
            "recovered": { "times": self.recovered, "bytes": self.recovered_bytes },
            "unsynced": self.unsynced,
            "signatures": if self.signatures_checked { json!({ "right": self.signed, "unsigned_tail": self.unsigned_tail, "unsigned": self.unsigned }) } else { Value::Null },
            "lines_after_head": self.lines_after_head,
            "start": start,
            "first_seq": self.before.seq.saturating_add(1),
            "end": end,
            "torn_bytes": match self.end { End::Torn { bytes } => bytes, _ => 0 },
            "head": { "seq": self.head.seq, "hash": self.head.hash.to_string() },
        })
    }

    const fn start_word(&self) -> &'static str {
        match self.start {
            Start::Whole => "whole",
            Start::Rotated { .. } => "rotated",
            Start::Open { .. } => "open",
        }
    }

    const fn end_word(&self) -> &'static str {
        match self.end {
            End::Closed => "closed",
            End::Open => "open",
            End::Torn { .. } => "torn",
        }
    }
}

impl Broken {
    /// As one JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "ok": false,
            "file": self.file,
            "line": self.line,
            "problem": self.problem,
            "expected": self.expected,
            "found": self.found,
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct Fault {
    pub(super) problem: String,
    pub(super) expected: String,
    pub(super) found: String,
}

pub(super) fn fault_of(problem: &str, expected: &str, found: &impl fmt::Display) -> Fault {
    Fault {
        problem: problem.to_owned(),
        expected: shown(expected),
        found: shown(&found.to_string()),
    }
}

pub(super) fn too_long() -> Fault {
    fault_of(
        "it is too long for a line of a chain",
        &format!("at most {MAX_LINE_BYTES} bytes"),
        &"more",
    )
}

/// What is wrong with a line that does not agree with itself.
pub(super) fn fault(line: &[u8]) -> Fault {
    const TAIL: usize = ",\"hash\":\"".len();
    let stated = line
        .strip_suffix(b"\"}")
        .and_then(|rest| rest.split_at_checked(rest.len().checked_sub(64)?))
        .and_then(|(rest, digits)| {
            let covered = rest.strip_suffix(b",\"hash\":\"")?;
            Some((covered, core::str::from_utf8(digits).ok()?))
        });
    match stated {
        Some((covered, digits)) if digits.parse::<ChainHash>().is_ok() => fault_of(
            "it was changed: its bytes have another hash than it says",
            &format!("hash {digits}"),
            &format!("hash {}", ChainHash::of(covered)),
        ),
        _ => {
            let end = line.len().saturating_sub(TAIL + 66);
            let end = String::from_utf8_lossy(line.get(end..).unwrap_or_default());
            fault_of(
                "it is no whole line of a chain",
                "`,\"hash\":\"…\"}` at its end",
                &format!("`{end}`"),
            )
        }
    }
}

/// A hostile text as a message may show it (T30).
fn shown(text: &str) -> String {
    let mut out = String::new();
    for (at, character) in text.chars().enumerate() {
        if at >= MAX_SHOWN {
            out.push('…');
            break;
        }
        if character.is_ascii_graphic() || matches!(character, ' ' | '…') {
            out.push(character);
        } else {
            out.extend(character.escape_unicode());
        }
    }
    out
}
