//! Records as JSON lines, written to a file or to anything else that takes bytes.

use core::fmt;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{AppendedLines, AuditError, Masks, Record, Sink};

/// Writes each record as one line of JSON, flushed before the decision is returned.
///
/// A line that could not be written whole is an error, and the next line starts afresh, so that a reader loses at most the
/// broken one.
pub struct JsonLinesSink<W> {
    masks: Masks,
    lines: Mutex<AppendedLines<W>>,
}

impl JsonLinesSink<File> {
    /// Appends to a file, which is made with mode 0600 where it does not exist. To a pipe it writes once somebody reads there: until
    /// then this waits, and from when on nobody does what could not be recorded is denied.
    ///
    /// # Errors
    /// [`AuditError`] where the file cannot be opened.
    pub fn append(path: &Path) -> Result<Self, AuditError> {
        let lines = AppendedLines::open(path)
            .map_err(|error| AuditError(format!("`{}`: {error}", path.display())))?;
        Ok(Self::of(lines))
    }
}

impl<W: Write> JsonLinesSink<W> {
    /// Writes to `out`.
    #[must_use]
    pub fn new(out: W) -> Self {
        Self::of(AppendedLines::new(out))
    }
}

impl<W> JsonLinesSink<W> {
    fn of(lines: AppendedLines<W>) -> Self {
        Self {
            masks: Masks::none(),
            lines: Mutex::new(lines),
        }
    }

    /// Shows fields as these masks say.
    #[must_use]
    pub fn with_masks(mut self, masks: Masks) -> Self {
        self.masks = masks;
        self
    }
}

impl<W: Write + Send> Sink for JsonLinesSink<W> {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let written = lines.append(|line| record.write_masked_json(line, &self.masks));
        written.map_err(|error| AuditError(error.to_string()))
    }
}

impl<W> fmt::Debug for JsonLinesSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonLinesSink")
    }
}
