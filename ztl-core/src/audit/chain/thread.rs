//! The thread that writes: takes what is queued, adds what the chain says about itself, writes, tries again.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use super::super::text;
use super::out::Out;
use super::queue::{Queue, Taken, Turn};
use super::trouble::{Tell, Trouble};
use crate::time::Timestamp;

/// How long a writer that failed waits before it tries again: at first, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// When a checkpoint is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checkpoints {
    pub(super) lines: u64,
    pub(super) every: Duration,
    /// Every batch of records is on disk before anybody is told that it is written.
    pub(super) sync_records: bool,
}

pub(super) struct Writer {
    queue: Arc<Queue>,
    out: Out,
    tell: Tell,
    checkpoints: Checkpoints,
    segment: String,
    /// Bodies that are being written, and how far.
    batch: String,
    at: usize,
    taken: Option<Taken>,
    sync_due: bool,
    failing: bool,
    wait: Duration,
    /// Lines since the last checkpoint.
    since: u64,
    last: Timestamp,
    latest: Timestamp,
    decisions: u64,
    told_dropped: bool,
}

impl Writer {
    pub(super) fn new(
        queue: Arc<Queue>,
        out: Out,
        tell: Tell,
        checkpoints: Checkpoints,
        segment: String,
        header: String,
        now: Timestamp,
    ) -> Self {
        Self {
            queue,
            out,
            tell,
            checkpoints,
            segment,
            batch: header,
            at: 0,
            taken: None,
            sync_due: true,
            failing: false,
            wait: FIRST_WAIT,
            since: 0,
            last: now,
            latest: now,
            decisions: 0,
            told_dropped: false,
        }
    }

    pub(super) fn run(mut self) {
        let ended = Ended(Arc::clone(&self.queue));
        let mut turn = Turn {
            closing: false,
            flush: None,
            timed_out: false,
        };
        loop {
            let outcome = self.turn(turn);
            self.report(outcome, turn);
            if turn.closing {
                break;
            }
            let wait = if self.failing {
                self.wait
            } else {
                self.checkpoints.every
            };
            turn = self.queue.next(wait, self.failing);
        }
        drop(ended);
    }

    fn report(&mut self, outcome: io::Result<()>, turn: Turn) {
        let failing = outcome.err().map(|error| error.to_string());
        self.queue
            .tried(failing.clone(), self.out.head(), self.out.lines(), turn);
        let began = failing.is_some() && !self.failing;
        let ended = failing.is_none() && self.failing;
        self.failing = failing.is_some();
        match failing {
            Some(error) => {
                self.wait = if began {
                    FIRST_WAIT
                } else {
                    self.wait.saturating_mul(2).min(LONGEST_WAIT)
                };
                if began {
                    self.tell.tell(&Trouble::Failing(error));
                }
                if turn.closing {
                    self.tell_lost();
                }
            }
            None if ended => self.tell.tell(&Trouble::Resumed),
            None => {}
        }
    }

    fn tell_lost(&mut self) {
        let mut rest = String::new();
        self.queue.take(&mut rest);
        let held = self.batch.get(self.at..).unwrap_or_default();
        let lines = held.lines().count() + rest.lines().count();
        self.tell.tell(&Trouble::Lost {
            lines: u64::try_from(lines).unwrap_or(u64::MAX),
        });
    }

    fn turn(&mut self, turn: Turn) -> io::Result<()> {
        self.write_held()?;
        self.take(turn);
        self.write_held()
    }

    /// Fills the batch, which is empty.
    fn take(&mut self, turn: Turn) {
        let taken = self.queue.take(&mut self.batch);
        self.latest = self.latest.max(taken.latest);
        self.since += taken.lines;
        self.decisions += taken.lines;
        if taken.dropped.any() {
            self.write_dropped(&taken);
        }
        let counts = self.queue.has_counts();
        let quiet = self.since == 0 && !counts;
        let due = turn.closing
            || self.since >= self.checkpoints.lines
            || (!quiet && (turn.flush.is_some() || turn.timed_out))
            || (!quiet && self.latest.since(self.last) >= self.checkpoints.every);
        if due {
            if counts {
                self.queue.take_counts(&mut self.batch);
            }
            self.write_checkpoint(if turn.closing { "close" } else { "checkpoint" });
        }
        self.taken = Some(taken);
    }

    fn write_dropped(&mut self, taken: &Taken) {
        let dropped = taken.dropped;
        self.since += 1;
        self.batch.push_str("\"kind\":\"dropped\",\"time\":");
        text::time(&mut self.batch, self.latest);
        self.batch.push_str(",\"permits\":");
        text::number(&mut self.batch, dropped.permits);
        self.batch.push_str(",\"denials\":");
        text::number(&mut self.batch, dropped.denials);
        self.batch.push('\n');
        if !self.told_dropped {
            self.told_dropped = true;
            self.tell.tell(&Trouble::Dropped {
                permits: dropped.permits,
                denials: dropped.denials,
            });
        }
    }

    fn write_checkpoint(&mut self, kind: &str) {
        self.batch.push_str("\"kind\":\"");
        self.batch.push_str(kind);
        self.batch.push_str("\",\"segment\":\"");
        self.batch.push_str(&self.segment);
        self.batch.push_str("\",\"time\":");
        text::time(&mut self.batch, self.latest);
        self.batch.push_str(",\"decisions\":");
        text::number(&mut self.batch, self.decisions);
        self.batch.push('\n');
        self.since = 0;
        self.last = self.latest;
        self.sync_due = true;
        self.told_dropped = false;
    }

    fn write_and_sync(&mut self) -> io::Result<()> {
        self.out.write(&self.batch, &mut self.at, self.latest)?;
        if self.sync_due || (self.checkpoints.sync_records && !self.batch.is_empty()) {
            self.out.sync()?;
            self.sync_due = false;
        }
        Ok(())
    }

    /// Writes what is held, to its end or to the first error.
    fn write_held(&mut self) -> io::Result<()> {
        let written = self.write_and_sync();
        // Whatever a later sync says, nobody who waits for these is told that they are on disk.
        if self.out.take_sync_failed()
            && let Some(taken) = &self.taken
        {
            self.queue.doubt(taken);
        }
        written?;
        self.batch.clear();
        self.at = 0;
        if let Some(taken) = self.taken.take() {
            self.queue.wrote(&taken, self.out.head());
        }
        Ok(())
    }
}

/// Says that the writer is gone, however it went.
struct Ended(Arc<Queue>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end();
    }
}
