//! Building a chain.

use core::time::Duration;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::super::{AuditError, Field, Mask, Masks};
use super::ChainSink;
use super::files::{Files, Rotation};
use super::key::SigningKey;
use super::link::Head;
use super::out::{Out, Store, Stream, Torn};
use super::queue::{Needs, Queue};
use super::thread::{Checkpoints, Writer};
use super::trouble::{Tell, Trouble};
use crate::time::Timestamp;

/// Smallest queue.
pub const MIN_QUEUE_BYTES: usize = 64 * 1024;
/// Smallest file at which another is begun.
pub const MIN_FILE_BYTES: u64 = 4 * 1024;
/// Records between two checkpoints where it is not said.
pub const DEFAULT_CHECKPOINT_RECORDS: u64 = 1024;
/// Time between two checkpoints where it is not said.
pub const DEFAULT_CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// Gathers what a chain needs; every setting has a default.
#[derive(Clone, Debug)]
#[must_use = "a builder records nothing; call `open`"]
pub struct ChainBuilder {
    queue_bytes: usize,
    needs: Needs,
    masks: Masks,
    key: Option<SigningKey>,
    checkpoints: Checkpoints,
    rotation: Rotation,
    tell: Tell,
}

impl Default for ChainBuilder {
    fn default() -> Self {
        Self {
            queue_bytes: 8 * 1024 * 1024,
            needs: Needs::Nothing,
            masks: Masks::none(),
            key: None,
            checkpoints: Checkpoints {
                lines: DEFAULT_CHECKPOINT_RECORDS,
                every: DEFAULT_CHECKPOINT_EVERY,
                sync_records: false,
            },
            rotation: Rotation {
                bytes: 64 * 1024 * 1024,
                age: None,
                keep: None,
            },
            tell: Tell::default(),
        }
    }
}

impl ChainBuilder {
    /// Bytes of records that may wait for the writer: 8 MiB where it is not said, at least 64 KiB. Three
    /// eighths are for permits of proved callers and three for their denials, one each for permits and denials of callers that
    /// proved nothing.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes.max(MIN_QUEUE_BYTES);
        self
    }

    /// Denies a permit, `audit_unavailable`, whose record finds no room in the queue or a writer that cannot write. Without this it
    /// goes ahead, and the chain says how many were dropped.
    pub fn deny_when_full(mut self) -> Self {
        self.needs = Needs::Place;
        self
    }

    /// Denies a permit whose record is not on disk: each waits for it, five seconds at most, together with the others that wait. It
    /// blocks the thread that decides.
    pub fn deny_unless_on_disk(mut self) -> Self {
        self.needs = Needs::Disk;
        self.checkpoints.sync_records = true;
        self
    }

    /// Has every batch of records on disk, not only checkpoints.
    pub fn sync_records(mut self) -> Self {
        self.checkpoints.sync_records = true;
        self
    }

    /// Shows fields as these masks say. What is masked is masked before it is hashed into the chain.
    pub fn masks(mut self, masks: Masks) -> Self {
        self.masks = masks;
        self
    }

    /// Signs segments, files and checkpoints.
    pub fn key(mut self, key: SigningKey) -> Self {
        self.key = Some(key);
        self
    }

    /// A checkpoint every so many records, and every so often while there are any: 1024 and ten seconds where it is not said.
    pub fn checkpoint_every(mut self, records: u64, time: Duration) -> Self {
        self.checkpoints.lines = records.max(1);
        self.checkpoints.every = time.max(Duration::from_millis(10));
        self
    }

    /// Begins a new file once one has about this many bytes: 64 MiB where it is not said, at least 4 KiB.
    pub fn rotate_at_bytes(mut self, bytes: u64) -> Self {
        self.rotation.bytes = bytes.max(MIN_FILE_BYTES);
        self
    }

    /// Begins a new file once one was written to for so long, by the times of its records.
    pub fn rotate_after(mut self, age: Duration) -> Self {
        self.rotation.age = Some(age);
        self
    }

    /// Keeps this many files, the one being written among them, and removes older ones. Without this none is removed.
    pub fn keep_files(mut self, files: usize) -> Self {
        self.rotation.keep = Some(files.max(1));
        self
    }

    /// Who is told of trouble, from the thread that writes. Without this it is standard error.
    pub fn on_trouble(mut self, listener: impl Fn(&Trouble) + Send + Sync + 'static) -> Self {
        self.tell = Tell::to(listener);
        self
    }

    /// Opens the chain in this file, or takes it up where the last process left it. `now` is the time the segment begins; later
    /// times are those of the records.
    ///
    /// # Errors
    /// [`AuditError`] where the file cannot be opened, is a link, may be written by others, is written by another process, or is no
    /// chain.
    pub fn open(self, path: impl AsRef<Path>, now: Timestamp) -> Result<ChainSink, AuditError> {
        let (files, found) = Files::open(path.as_ref(), self.rotation, now)?;
        self.start(Box::new(files), found.head, found.torn, now)
    }

    /// A chain of its own, written to anything that takes bytes. It does not rotate; `flush` stands for having bytes on disk.
    ///
    /// # Errors
    /// [`AuditError`] where no thread can be started or no random number is to be had.
    pub fn to_writer(
        self,
        out: impl io::Write + Send + 'static,
        now: Timestamp,
    ) -> Result<ChainSink, AuditError> {
        self.start(Box::new(Stream(out)), Head::START, Torn::default(), now)
    }

    fn start(
        self,
        store: Box<dyn Store>,
        head: Head,
        torn: Torn,
        now: Timestamp,
    ) -> Result<ChainSink, AuditError> {
        let failed = |error: &dyn core::fmt::Display| AuditError(error.to_string());
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| failed(&error))?;
        let mut segment = String::new();
        crate::hex::push(&random, &mut segment);
        let header = self.header(&segment, now);
        let queue = Arc::new(Queue::new(self.queue_bytes, self.needs, self.masks, now));
        let out = Out::new(
            store,
            head,
            torn,
            self.key,
            segment.clone(),
            self.tell.clone(),
        );
        let writer = Writer::new(
            Arc::clone(&queue),
            out,
            self.tell,
            self.checkpoints,
            segment,
            header,
            now,
        );
        let thread = std::thread::Builder::new()
            .name("ztl-audit".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| failed(&error))?;
        Ok(ChainSink::new(queue, thread))
    }

    /// The body of the first line of this process.
    fn header(&self, segment: &str, now: Timestamp) -> String {
        let mut body = String::new();
        let now = now.as_unix();
        let version = env!("CARGO_PKG_VERSION");
        // Writing to a String cannot fail.
        let _ = write!(
            body,
            "\"kind\":\"segment\",\"segment\":\"{segment}\",\"time\":{now},\"format\":1,\"version\":\"{version}\""
        );
        if let Some(key) = &self.key {
            let _ = write!(body, ",\"key\":\"{}\"", key.id());
        }
        let mut sign = ",\"masks\":{";
        for field in Field::ALL {
            let mask = match self.masks.get(*field) {
                Mask::Keep => continue,
                Mask::Hash => "hash",
                Mask::Drop => "drop",
            };
            let _ = write!(body, "{sign}\"{}\":\"{mask}\"", field.as_str());
            sign = ",";
        }
        if sign == "," {
            body.push('}');
        }
        body.push('\n');
        body
    }
}
