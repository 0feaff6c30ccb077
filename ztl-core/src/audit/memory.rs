//! The last records in memory: for tests, and for an operator's look at a running service.

use core::fmt;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::{AuditError, Masks, Record, Sink};

/// Keeps the last records as JSON lines, and counts those that had to go.
///
/// Its buffers are used again, so that a full ring takes a record without allocating.
pub struct MemorySink {
    capacity: usize,
    masks: Masks,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    lines: VecDeque<String>,
    taken: u64,
}

impl MemorySink {
    /// Keeps the last `capacity` records, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            masks: Masks::none(),
            ring: Mutex::default(),
        }
    }

    /// Shows fields as these masks say.
    #[must_use]
    pub const fn with_masks(mut self, masks: Masks) -> Self {
        self.masks = masks;
        self
    }

    /// The kept records, oldest first, each one JSON object.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.ring().lines.iter().cloned().collect()
    }

    /// How many records were taken since the start, kept or not.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.ring().taken
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, Ring> {
        // A panic while the lock was held left at worst one half-written line.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for MemorySink {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        let mut ring = self.ring();
        let mut line = if ring.lines.len() >= self.capacity {
            ring.lines.pop_front().unwrap_or_default()
        } else {
            String::new()
        };
        line.clear();
        record.write_masked_json(&mut line, &self.masks);
        ring.lines.push_back(line);
        ring.taken += 1;
        Ok(())
    }
}

impl fmt::Debug for MemorySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySink")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
