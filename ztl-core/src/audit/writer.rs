//! Records as JSON lines, written to a file or to anything else that takes bytes.

use core::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{AuditError, Masks, Record, Sink};

/// Writes each record as one line of JSON, flushed before the decision is returned.
///
/// A line that could not be written whole is an error, and the next line starts afresh, so that a reader loses at most the
/// broken one.
pub struct JsonLinesSink<W> {
    masks: Masks,
    state: Mutex<State<W>>,
}

struct State<W> {
    out: W,
    line: String,
    broken: bool,
}

impl JsonLinesSink<File> {
    /// Appends to a file, which is made with mode 0600 where it does not exist. To a pipe it writes once somebody reads there: until
    /// then this waits, and from when on nobody does what could not be recorded is denied.
    ///
    /// # Errors
    /// [`AuditError`] where the file cannot be opened.
    pub fn append(path: &Path) -> Result<Self, AuditError> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .open(path)
            .map_err(|error| AuditError(format!("`{}`: {error}", path.display())))?;
        // The last run may have been cut off inside a line.
        Ok(Self {
            masks: Masks::none(),
            state: Mutex::new(State {
                out: file,
                line: String::new(),
                broken: !ends_with_newline(path),
            }),
        })
    }
}

impl<W: Write> JsonLinesSink<W> {
    /// Writes to `out`.
    #[must_use]
    pub fn new(out: W) -> Self {
        Self {
            masks: Masks::none(),
            state: Mutex::new(State {
                out,
                line: String::new(),
                broken: false,
            }),
        }
    }
}

impl<W> JsonLinesSink<W> {
    /// Shows fields as these masks say.
    #[must_use]
    pub fn with_masks(mut self, masks: Masks) -> Self {
        self.masks = masks;
        self
    }
}

impl<W: Write + Send> Sink for JsonLinesSink<W> {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { out, line, broken } = &mut *guard;
        line.clear();
        if *broken {
            line.push('\n');
        }
        record.write_masked_json(line, &self.masks);
        line.push('\n');
        let written = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        *broken = written.is_err();
        written.map_err(|error| AuditError(error.to_string()))
    }
}

impl<W> fmt::Debug for JsonLinesSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonLinesSink")
    }
}

fn ends_with_newline(path: &Path) -> bool {
    use std::io::{Read, Seek, SeekFrom};
    let last = || -> std::io::Result<u8> {
        // A pipe has no end to look at.
        if !std::fs::metadata(path)?.is_file() {
            return Ok(b'\n');
        }
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        Ok(byte[0])
    };
    // An empty file has no last byte and needs no new line.
    last().map_or(true, |byte| byte == b'\n')
}
