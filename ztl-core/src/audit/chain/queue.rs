//! The bounded queue between decisions and the thread that writes.
//!
//! Four rooms, so that no flood takes another's place (T31): three eighths for permits of proved callers, three eighths for their
//! denials, an eighth for permits of callers that proved nothing, an eighth for first denials of those, whose others are counted
//! together. Proved is who shows an SVID or a token.

use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::super::{AuditError, Masks, Record};
use super::flood::Flood;
use super::link::{Head, MAX_BODY_BYTES};
use crate::flow::Direction;
use crate::reason::Reason;
use crate::time::Timestamp;

/// How long a permit waits for its record to be on disk before it is denied.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a permit needs of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing: what cannot be kept is counted.
    Nothing,
    /// A place in the queue of a writer that writes.
    Place,
    /// To be on disk.
    Disk,
}

/// How an audit does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Why nothing can be written at present.
    pub failing: Option<String>,
    /// Records of permits that were dropped since the start.
    pub dropped_permits: u64,
    /// Records of denials of proved callers that were dropped since the start.
    pub dropped_denials: u64,
    /// Denials of unproved callers that were counted together since the start.
    pub aggregated: u64,
    /// Lines that were written since the start.
    pub written: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Permits,
    Denials,
    UnprovedPermits,
    UnprovedDenials,
}

impl Room {
    fn of(record: &Record<'_>) -> Self {
        let unproved = record.direction() == Direction::Ingress
            && record.peer().is_none()
            && record.subject().is_none();
        match (record.is_permit(), unproved) {
            (true, false) => Self::Permits,
            (false, false) => Self::Denials,
            (true, true) => Self::UnprovedPermits,
            (false, true) => Self::UnprovedDenials,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    permits: usize,
    denials: usize,
    unproved_permits: usize,
    unproved_denials: usize,
}

impl Used {
    const fn of(&mut self, room: Room) -> &mut usize {
        match room {
            Room::Permits => &mut self.permits,
            Room::Denials => &mut self.denials,
            Room::UnprovedPermits => &mut self.unproved_permits,
            Room::UnprovedDenials => &mut self.unproved_denials,
        }
    }

    const fn less(self, other: Self) -> Self {
        Self {
            permits: self.permits.saturating_sub(other.permits),
            denials: self.denials.saturating_sub(other.denials),
            unproved_permits: self.unproved_permits.saturating_sub(other.unproved_permits),
            unproved_denials: self.unproved_denials.saturating_sub(other.unproved_denials),
        }
    }
}

/// Dropped records that the chain does not tell of yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) permits: u64,
    pub(super) denials: u64,
}

impl Dropped {
    pub(super) const fn any(self) -> bool {
        self.permits > 0 || self.denials > 0
    }
}

#[derive(Debug, Default)]
struct State {
    /// Bodies of lines, each with a line end.
    text: String,
    /// In the text and in what the writer holds.
    used: Used,
    /// In the text alone.
    waiting: Used,
    lines: u64,
    queued: u64,
    written: u64,
    /// Up to this one a failed sync may have lost them.
    doubted: u64,
    latest: Timestamp,
    dropped: Dropped,
    flood: Flood,
    health: Health,
    head: Option<Head>,
    idle: bool,
    closing: bool,
    ended: bool,
    flush_wanted: u64,
    flush_done: u64,
}

pub(super) struct Queue {
    state: Mutex<State>,
    /// The writer waits here.
    wake: Condvar,
    /// Those who wait for the writer wait here.
    done: Condvar,
    limits: Used,
    needs: Needs,
    masks: Masks,
}

/// What the writer is to do next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) closing: bool,
    pub(super) flush: Option<u64>,
    pub(super) timed_out: bool,
}

/// What was taken out of the queue.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) used: Used,
    pub(super) lines: u64,
    pub(super) latest: Timestamp,
    pub(super) dropped: Dropped,
}

impl Queue {
    pub(super) fn new(bytes: usize, needs: Needs, masks: Masks, now: Timestamp) -> Self {
        Self {
            state: Mutex::new(State {
                latest: now,
                ..State::default()
            }),
            wake: Condvar::new(),
            done: Condvar::new(),
            limits: Used {
                permits: bytes / 8 * 3,
                denials: bytes / 8 * 3,
                unproved_permits: bytes / 8,
                unproved_denials: bytes / 8,
            },
            needs,
            masks,
        }
    }

    pub(super) fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        let mut guard = self.state();
        let state = &mut *guard;
        if state.closing || state.ended {
            return Err(AuditError("the audit was closed".to_owned()));
        }
        let room = Room::of(record);
        let reason = record.reason();
        // A reading that the engine did not believe says nothing of when the next checkpoint or file is due (T23).
        if reason != Reason::ClockUntrusted {
            state.latest = state.latest.max(record.time());
        }
        if room == Room::UnprovedDenials
            && !state.flood.is_first(record.addr(), reason, record.time())
        {
            state.flood.count(record.addr(), reason, record.time());
            return Ok(());
        }
        if let (true, Some(error), false) = (
            record.is_permit(),
            &state.health.failing,
            self.needs == Needs::Nothing,
        ) {
            return Err(AuditError(error.clone()));
        }
        let start = state.text.len();
        let mut limits = self.limits;
        let limit = *limits.of(room);
        let fits = *state.used.of(room) < limit && {
            state.text.push_str("\"kind\":\"decision\",");
            record.write_members(&mut state.text, &self.masks);
            state.text.push('\n');
            let bytes = state.text.len() - start;
            bytes <= MAX_BODY_BYTES && *state.used.of(room) + bytes <= limit
        };
        if !fits {
            state.text.truncate(start);
            return match room {
                Room::UnprovedDenials => {
                    state.flood.count(record.addr(), reason, record.time());
                    Ok(())
                }
                Room::Permits | Room::UnprovedPermits if self.needs != Needs::Nothing => {
                    Err(full())
                }
                Room::Permits | Room::UnprovedPermits => {
                    state.dropped.permits += 1;
                    state.health.dropped_permits += 1;
                    Ok(())
                }
                Room::Denials => {
                    state.dropped.denials += 1;
                    state.health.dropped_denials += 1;
                    Err(full())
                }
            };
        }
        let bytes = state.text.len() - start;
        *state.used.of(room) += bytes;
        *state.waiting.of(room) += bytes;
        state.lines += 1;
        state.queued += 1;
        let ticket = state.queued;
        if state.idle {
            self.wake.notify_one();
        }
        if record.is_permit() && self.needs == Needs::Disk {
            self.wait_for_disk(guard, ticket)
        } else {
            Ok(())
        }
    }

    fn wait_for_disk(&self, guard: MutexGuard<'_, State>, ticket: u64) -> Result<(), AuditError> {
        let waits = |state: &mut State| {
            state.written < ticket && state.health.failing.is_none() && !state.ended
        };
        let (state, _) = self
            .done
            .wait_timeout_while(guard, PATIENCE, waits)
            .unwrap_or_else(PoisonError::into_inner);
        if ticket <= state.doubted {
            return Err(AuditError("the record may not be on disk".to_owned()));
        }
        if state.written >= ticket {
            return Ok(());
        }
        Err(AuditError(state.health.failing.clone().unwrap_or_else(
            || "the record was not on disk in time".to_owned(),
        )))
    }

    /// Waits until all that was recorded before is written and checkpointed, or could not be.
    pub(super) fn flush(&self) -> Result<Head, AuditError> {
        let mut state = self.state();
        state.flush_wanted += 1;
        let wanted = state.flush_wanted;
        self.wake.notify_one();
        let state = self
            .done
            .wait_while(state, |state| state.flush_done < wanted && !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        match (&state.health.failing, state.head) {
            (None, Some(head)) if state.flush_done >= wanted => Ok(head),
            (Some(error), _) => Err(AuditError(error.clone())),
            (None, _) => Err(AuditError("the audit was closed".to_owned())),
        }
    }

    pub(super) fn health(&self) -> Health {
        self.state().health.clone()
    }

    pub(super) fn head(&self) -> Option<Head> {
        self.state().head
    }

    pub(super) fn close(&self) {
        self.state().closing = true;
        self.wake.notify_one();
    }

    // What follows is the writer's.

    /// Waits for something to do, at most `for_at_most`. A writer that failed waits for nothing else than time, a flush or
    /// the end.
    pub(super) fn next(&self, for_at_most: Duration, failing: bool) -> Turn {
        let mut state = self.state();
        state.idle = true;
        let (mut state, waited) = self
            .wake
            .wait_timeout_while(state, for_at_most, |state| {
                let asked = state.closing || state.flush_wanted > state.flush_done;
                let work = !failing && (state.lines > 0 || state.dropped.any());
                !asked && !work
            })
            .unwrap_or_else(PoisonError::into_inner);
        state.idle = false;
        Turn {
            closing: state.closing,
            flush: (state.flush_wanted > state.flush_done).then_some(state.flush_wanted),
            timed_out: waited.timed_out(),
        }
    }

    /// Takes all that waits, in exchange for an empty text.
    pub(super) fn take(&self, text: &mut String) -> Taken {
        let mut guard = self.state();
        let state = &mut *guard;
        core::mem::swap(text, &mut state.text);
        Taken {
            used: core::mem::take(&mut state.waiting),
            lines: core::mem::take(&mut state.lines),
            latest: state.latest,
            dropped: core::mem::take(&mut state.dropped),
        }
    }

    /// Whether denials were counted that no line tells of.
    pub(super) fn has_counts(&self) -> bool {
        self.state().flood.is_counted()
    }

    /// Takes the counts of denials, as bodies of lines.
    pub(super) fn take_counts(&self, text: &mut String) {
        let mut state = self.state();
        let total = state.flood.drain(text, &self.masks);
        state.health.aggregated += total;
    }

    /// Says that a sync failed that what was taken, and not said to be written, waits for.
    pub(super) fn doubt(&self, taken: &Taken) {
        let mut state = self.state();
        state.doubted = state.written + taken.lines;
    }

    /// Says that what was taken is written.
    pub(super) fn wrote(&self, taken: &Taken, head: Head) {
        let mut state = self.state();
        state.used = state.used.less(taken.used);
        state.written += taken.lines;
        state.head = Some(head);
        drop(state);
        self.done.notify_all();
    }

    /// Says how an attempt to write ended.
    pub(super) fn tried(&self, failing: Option<String>, head: Head, lines: u64, turn: Turn) {
        let mut state = self.state();
        state.health.failing = failing;
        state.health.written = lines;
        state.head = Some(head);
        if let Some(flush) = turn.flush {
            state.flush_done = flush;
        }
        drop(state);
        self.done.notify_all();
    }

    /// Says that there is no writer any more.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.done.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn full() -> AuditError {
    AuditError("the audit has no room for the record".to_owned())
}
