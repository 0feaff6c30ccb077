//! A recorded log, asked again under both policies.

use std::io::{self, Read};
use std::path::Path;

use serde_json::{Value, json};
use ztl_core::analysis::{Replayed, replay};
use ztl_core::policy::{MAX_QUERY_BYTES, Policy, decision_json};
use ztl_core::{Decision, Timestamp};

use crate::exit::Failure;
use crate::lines::{Line, Lines};
use crate::policy_file::{STDIN, open};

/// Most lines of a log that are told of one by one; the others are counted.
const MAX_SHOWN: usize = 1_000;

/// What became of a log.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) lines: u64,
    pub(super) same: u64,
    pub(super) newly_permitted: u64,
    pub(super) newly_denied: u64,
    /// Lines that could not be asked again.
    pub(super) unread: u64,
    /// The first of those that are not the same.
    pub(super) shown: Vec<Shown>,
}

/// A line that is not answered as before.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) line: u64,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Permitted(Decision, Decision),
    Denied(Decision, Decision),
    /// It depends on evidence that a record does not hold.
    Depends {
        permitted: bool,
        denied: bool,
    },
    Unread(String),
}

impl Log {
    pub(super) fn replay(
        path: &Path,
        old: &Policy,
        new: &Policy,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        if path.as_os_str() == STDIN {
            Self::read(io::stdin().lock(), old, new, now)
        } else {
            Self::read(open(path)?, old, new, now)
        }
    }

    fn read(input: impl Read, old: &Policy, new: &Policy, now: Timestamp) -> Result<Self, Failure> {
        let mut lines = Lines::new(input);
        let mut log = Self::default();
        while let Some((number, line)) = lines.next(&mut || Ok(()))? {
            let said = match line {
                Line::Text(text) if text.trim_ascii().is_empty() => continue,
                Line::Text(text) => {
                    replay(old, new, text, now).map_err(|error| format!("the line {error}"))
                }
                Line::TooLong => Err(format!("the line has more than {MAX_QUERY_BYTES} bytes")),
                Line::NotUtf8 => Err("the line is not UTF-8".to_owned()),
            };
            // What a chain tells of itself is no question.
            if !matches!(said, Ok(Replayed::Chain)) {
                log.lines += 1;
                log.add(number, said);
            }
        }
        Ok(log)
    }

    fn add(&mut self, line: u64, said: Result<Replayed, String>) {
        let what = match said {
            Ok(Replayed::Same) => {
                self.same += 1;
                return;
            }
            Ok(Replayed::NewlyPermitted(decisions)) => What::Permitted(decisions.0, decisions.1),
            Ok(Replayed::NewlyDenied(decisions)) => What::Denied(decisions.0, decisions.1),
            Ok(Replayed::Depends { permitted, denied }) => What::Depends { permitted, denied },
            Ok(_) => What::Unread("the line was answered in a way that is not known".to_owned()),
            Err(message) => What::Unread(message),
        };
        let count = |counter: &mut u64, yes: bool| *counter += u64::from(yes);
        let depends = |which: fn(bool, bool) -> bool| match what {
            What::Depends { permitted, denied } => which(permitted, denied),
            _ => false,
        };
        count(
            &mut self.newly_permitted,
            matches!(what, What::Permitted(..)) || depends(|permitted, _| permitted),
        );
        count(
            &mut self.newly_denied,
            matches!(what, What::Denied(..)) || depends(|_, denied| denied),
        );
        count(&mut self.unread, matches!(what, What::Unread(_)));
        if self.shown.len() < MAX_SHOWN {
            self.shown.push(Shown { line, what });
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "lines": self.lines,
            "same": self.same,
            "newly_permitted": self.newly_permitted,
            "newly_denied": self.newly_denied,
            "unread": self.unread,
            "shown": self.shown.iter().map(Shown::to_json).collect::<Value>(),
        })
    }
}

impl Shown {
    fn to_json(&self) -> Value {
        let decision = |decision: &Decision| -> Value {
            serde_json::from_str(&decision_json(decision)).unwrap_or_default()
        };
        let decided = |change: &str, old, new| json!({ "line": self.line, "change": change, "old": decision(old), "new": decision(new) });
        match &self.what {
            What::Permitted(old, new) => decided("newly_permitted", old, new),
            What::Denied(old, new) => decided("newly_denied", old, new),
            What::Depends { permitted, denied } => json!({
                "line": self.line,
                "change": "depends",
                "newly_permitted": permitted,
                "newly_denied": denied,
            }),
            What::Unread(error) => json!({ "line": self.line, "error": error }),
        }
    }
}
