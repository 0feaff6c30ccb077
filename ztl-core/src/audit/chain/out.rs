//! Lines on their way out: linked, written in blocks, and linked anew where a write broke off.

use std::io;

use sha2::{Digest, Sha256};

use super::super::text;
use super::key::SigningKey;
use super::link::{self, Head};
use super::trouble::{Tell, Trouble};
use crate::time::Timestamp;

/// Bytes that are handed to the file at once, about.
const BLOCK: usize = 64 * 1024;

/// Where bytes go.
pub(super) trait Store: Send {
    /// As [`io::Write::write`].
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Has what was written on disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Bytes that may be written before the next rotation.
    fn room(&self) -> usize {
        BLOCK
    }
    /// Whether a new file is to begin.
    fn is_due(&self, _now: Timestamp) -> bool {
        false
    }
    /// Begins a new file with the line `seq`. After an error the old one is still written to.
    fn rotate(&mut self, _seq: u64, _now: Timestamp) -> io::Result<Rotated> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Removes the files that are not kept, now that the chain says so.
    fn settle(&mut self) {}
}

/// A file was begun.
#[derive(Debug)]
pub(super) struct Rotated {
    /// From which line on the files are kept.
    pub(super) kept_from: u64,
    /// Why the new names may not be on disk yet.
    pub(super) unsure: Option<io::Error>,
}

/// Bytes after the last whole line that are no whole line: of a process that ended, or of a write that broke off.
#[derive(Clone, Default)]
pub(super) struct Torn {
    sha256: Sha256,
    bytes: u64,
    /// The last byte is no line end.
    unended: bool,
}

impl Torn {
    /// After a whole line that only lacks its end.
    pub(super) fn unended_line() -> Self {
        Self {
            unended: true,
            ..Self::default()
        }
    }

    /// More bytes came after what there is.
    pub(super) fn feed(&mut self, mut piece: &[u8]) {
        if self.unended
            && self.bytes == 0
            && let Some((b'\n', rest)) = piece.split_first()
        {
            piece = rest;
            self.unended = false;
        }
        if let Some(last) = piece.last() {
            self.sha256.update(piece);
            self.bytes = self
                .bytes
                .saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            self.unended = *last != b'\n';
        }
    }

    pub(super) const fn is_none(&self) -> bool {
        self.bytes == 0 && !self.unended
    }

    /// How many bytes there are, and their digest, once their line is ended.
    pub(super) fn ended(&self) -> (u64, [u8; 32]) {
        let mut sha256 = self.sha256.clone();
        if self.unended && self.bytes > 0 {
            sha256.update(b"\n");
        }
        let end = u64::from(self.unended && self.bytes > 0);
        (self.bytes.saturating_add(end), sha256.finalize().into())
    }
}

/// A line of the block.
struct Placed {
    /// Where it ends in the block.
    end: usize,
    head: Head,
    /// How much of the bodies it stands for.
    body: usize,
    tells: Tells,
}

/// What is told once a line is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tells {
    Nothing,
    /// That a file began.
    File,
    /// That lines may not be on disk.
    Unsynced,
}

pub(super) struct Out {
    store: Box<dyn Store>,
    head: Head,
    torn: Torn,
    key: Option<SigningKey>,
    segment: String,
    tell: Tell,
    lines: u64,
    /// A new file was begun, and its first line is not written yet: from which line on files are kept.
    file_begun: Option<u64>,
    not_rotated: bool,
    /// The last line that is known to be on disk.
    synced: u64,
    /// Lines that a failed sync may have lost, from the first to the last, which no line tells of yet. Linux takes what it
    /// could not write for written: another sync that succeeds says nothing about them.
    unsynced: Option<(u64, u64)>,
    /// Where the lines begin that trouble was told of last.
    unsynced_told: u64,
    /// A sync failed since it was asked.
    sync_failed: bool,
    block: String,
    placed: Vec<Placed>,
}

impl Out {
    pub(super) fn new(
        store: Box<dyn Store>,
        head: Head,
        torn: Torn,
        key: Option<SigningKey>,
        segment: String,
        tell: Tell,
    ) -> Self {
        Self {
            store,
            head,
            torn,
            key,
            segment,
            tell,
            lines: 0,
            file_begun: None,
            not_rotated: false,
            synced: head.seq,
            unsynced: None,
            unsynced_told: 0,
            sync_failed: false,
            block: String::new(),
            placed: Vec::new(),
        }
    }

    pub(super) const fn head(&self) -> Head {
        self.head
    }

    pub(super) const fn lines(&self) -> u64 {
        self.lines
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        let last = self.head.seq;
        if let Err(error) = self.store.sync() {
            self.sync_failed = true;
            if last > self.synced {
                let first = self.synced.saturating_add(1);
                self.unsynced = Some((first, last));
                // Once, not at every attempt.
                if core::mem::replace(&mut self.unsynced_told, first) != first {
                    self.tell.tell(&Trouble::NotOnDisk { first, last });
                }
            }
            return Err(error);
        }
        self.synced = last;
        Ok(())
    }

    /// Whether a sync failed since this was asked.
    pub(super) const fn take_sync_failed(&mut self) -> bool {
        core::mem::replace(&mut self.sync_failed, false)
    }

    /// Writes the bodies from `at` on, and moves `at` behind those that are written.
    pub(super) fn write(&mut self, bodies: &str, at: &mut usize, now: Timestamp) -> io::Result<()> {
        while *at < bodies.len() || self.unsynced.is_some() {
            self.begin_block(now);
            let limit = BLOCK.min(self.store.room());
            for body in bodies.get(*at..).unwrap_or_default().split_inclusive('\n') {
                let line = body.strip_suffix('\n').unwrap_or(body);
                self.place(line, body.len(), Tells::Nothing);
                if self.block.len() >= limit {
                    break;
                }
            }
            self.write_block(at)?;
        }
        Ok(())
    }

    /// What has to stand before the next body: the end of a torn line and what it was, the first line of a new file.
    fn begin_block(&mut self, now: Timestamp) {
        self.block.clear();
        self.placed.clear();
        if self.torn.is_none() && self.file_begun.is_none() && self.store.is_due(now) {
            let next = self.head.seq.saturating_add(1);
            match self.sync().and_then(|()| self.store.rotate(next, now)) {
                Ok(rotated) => {
                    self.file_begun = Some(rotated.kept_from);
                    self.not_rotated = false;
                    if let Some(error) = rotated.unsure {
                        self.tell.tell(&Trouble::NamesNotOnDisk(error.to_string()));
                    }
                }
                Err(error) if !self.not_rotated => {
                    self.not_rotated = true;
                    self.tell.tell(&Trouble::NotRotated(error.to_string()));
                }
                Err(_) => {}
            }
        }
        if self.torn.unended {
            self.block.push('\n');
        }
        if self.torn.bytes > 0 {
            let (bytes, sha256) = self.torn.ended();
            let mut body = "\"kind\":\"recovered\",\"bytes\":".to_owned();
            text::number(&mut body, bytes);
            body.push_str(",\"sha256\":\"");
            crate::hex::push(&sha256, &mut body);
            body.push('"');
            self.place(&body, 0, Tells::Nothing);
        }
        if let Some(kept_from) = self.file_begun {
            let mut body = "\"kind\":\"file\",\"segment\":\"".to_owned();
            body.push_str(&self.segment);
            body.push_str("\",\"kept_from\":");
            text::number(&mut body, kept_from);
            self.place(&body, 0, Tells::File);
        }
        if let Some((first, last)) = self.unsynced {
            let mut body = "\"kind\":\"unsynced\",\"segment\":\"".to_owned();
            body.push_str(&self.segment);
            body.push_str("\",\"from\":");
            text::number(&mut body, first);
            body.push_str(",\"to\":");
            text::number(&mut body, last);
            self.place(&body, 0, Tells::Unsynced);
        }
    }

    fn place(&mut self, line: &str, body: usize, tells: Tells) {
        let before = self.placed.last().map_or(self.head, |placed| placed.head);
        let head = link::append(&mut self.block, before, line, self.key.as_ref());
        self.placed.push(Placed {
            end: self.block.len(),
            head,
            body,
            tells,
        });
    }

    fn write_block(&mut self, at: &mut usize) -> io::Result<()> {
        let bytes = self.block.as_bytes();
        let mut done = 0;
        let outcome = loop {
            let rest = bytes.get(done..).unwrap_or_default();
            if rest.is_empty() {
                break Ok(());
            }
            match self.store.write(rest) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => done += taken.min(rest.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let mut whole = 0;
        let mut settled = false;
        for placed in self
            .placed
            .drain(..)
            .take_while(|placed| placed.end <= done)
        {
            whole = placed.end;
            self.head = placed.head;
            self.lines += 1;
            *at += placed.body;
            settled |= placed.tells == Tells::File;
            if placed.tells == Tells::Unsynced {
                self.unsynced = None;
            }
        }
        if whole > 0 {
            self.torn = Torn::default();
        }
        self.torn.feed(bytes.get(whole..done).unwrap_or_default());
        if settled {
            self.file_begun = None;
            self.store.settle();
        }
        outcome
    }
}

/// Anything that takes bytes, as a store that never rotates.
pub(super) struct Stream<W>(pub(super) W);

impl<W: io::Write + Send> Store for Stream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
