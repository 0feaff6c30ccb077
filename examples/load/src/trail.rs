//! The audit log, read after each kill: every line whole but the one that was being written, and a record for every answer.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;

use serde_json::Value;

use crate::Failed;

/// How far the log was read, and what is still to be found in it.
#[derive(Debug)]
pub(crate) struct Trail {
    path: PathBuf,
    read: u64,
    /// Decisions of the life before: an answer may be heard after the kill.
    before: HashSet<u128>,
    missing: Vec<u128>,
    /// Whether the last line was cut off.
    cut: bool,
    records: u64,
    torn: u64,
}

impl Trail {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            read: 0,
            before: HashSet::new(),
            missing: Vec::new(),
            cut: false,
            records: 0,
            torn: 0,
        }
    }

    /// Lines that were read, and how many were cut off by a kill.
    pub(crate) const fn counts(&self) -> (u64, u64) {
        (self.records, self.torn)
    }

    /// Reads what one life of the service wrote, which is dead. `answered` are decisions that answers told of.
    pub(crate) fn check(&mut self, answered: Vec<u128>) -> Result<(), Failed> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut file = BufReader::new(file);
        let mut found = HashSet::new();
        let mut line = Vec::new();
        // A life that finds a line cut off ends it before it writes its own.
        let mut ends = core::mem::take(&mut self.cut);
        while file.read_until(b'\n', &mut line)? > 0 {
            if line.pop_if(|last| *last == b'\n').is_none() {
                // What follows the last line end is what the kill cut off.
                self.cut = true;
                self.torn += 1;
            } else if !(core::mem::take(&mut ends) && line.is_empty()) {
                let record: Value = serde_json::from_slice(&line).map_err(|error| {
                    let line = String::from_utf8_lossy(&line);
                    let line = line.escape_debug();
                    format!("a line of the audit log is no JSON: {error}: `{line}`")
                })?;
                let id = record.get("id").and_then(Value::as_str).and_then(id_of);
                found.insert(id.ok_or("a record of the audit log has no id")?);
                self.records += 1;
            }
            line.clear();
        }
        self.read = file.stream_position()?;
        let here = |id: &u128| found.contains(id) || self.before.contains(id);
        // An answer that was heard after the kill is one of the life before.
        let late = core::mem::take(&mut self.missing);
        let lost = late.into_iter().find(|id| !here(id));
        self.missing = answered.into_iter().filter(|id| !here(id)).collect();
        self.before = found;
        match lost {
            None => Ok(()),
            Some(id) => Err(unrecorded(id)),
        }
    }

    /// Nothing more comes.
    pub(crate) fn finish(&self) -> Result<(), Failed> {
        match self.missing.first() {
            None => Ok(()),
            Some(id) => Err(unrecorded(*id)),
        }
    }

    /// Begins a new file: whoever rotates it moves the old one away while the service is down.
    pub(crate) fn rotate(&mut self) -> Result<(), Failed> {
        (self.read, self.cut) = (0, false);
        Ok(std::fs::remove_file(&self.path)?)
    }
}

fn unrecorded(id: u128) -> Failed {
    format!("an answer told of the decision {id:032x}, which is not in the audit log").into()
}

/// A decision's id, as answers and records write it.
pub(crate) fn id_of(text: &str) -> Option<u128> {
    u128::from_str_radix(text, 16).ok()
}
