//! Lines at the end of a file, or of anything else that takes bytes.

use core::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;

/// Appends lines, each in one write and flushed. Where one could not be written whole the next starts afresh, so that a reader loses
/// no other. What another process could not write whole is seen when it is opened and not after: give each a file of its own.
///
/// ```
/// use ztl_core::audit::AppendedLines;
///
/// let mut lines = AppendedLines::new(Vec::new());
/// lines.append(|line| line.push_str("{\"asked\":1}"))?;
/// lines.append(|line| line.push_str("{\"asked\":2}"))?;
/// assert_eq!(lines.into_inner(), b"{\"asked\":1}\n{\"asked\":2}\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct AppendedLines<W> {
    out: W,
    /// Used again, so that a line takes no allocation of its own.
    line: String,
    /// Whether what stands there ends within a line.
    torn: bool,
}

impl AppendedLines<File> {
    /// To a file, which is made with mode 0600 where it does not exist. One that was cut off within a line is gone on with below it.
    /// To a pipe it writes once somebody reads there; until then this waits.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        // For writing alone: whoever reads his own pipe never hears that nobody else does.
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        // A pipe has no end to look at.
        let torn = file.metadata()?.is_file() && ends_torn(path).unwrap_or(false);
        Ok(Self {
            torn,
            ..Self::new(file)
        })
    }
}

impl<W> AppendedLines<W> {
    /// To `out`, which stands at the beginning of a line.
    #[must_use]
    pub const fn new(out: W) -> Self {
        Self {
            out,
            line: String::new(),
            torn: false,
        }
    }

    /// Where they went.
    #[must_use]
    pub fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write> AppendedLines<W> {
    /// Appends what `write` puts at the end of a text, which has no line end of its own.
    ///
    /// # Errors
    /// Where not all of it is written.
    pub fn append(&mut self, write: impl FnOnce(&mut String)) -> io::Result<()> {
        self.line.clear();
        if self.torn {
            self.line.push('\n');
        }
        write(&mut self.line);
        self.line.push('\n');
        // At once, so that other processes which append to the file tear nothing.
        let written = (self.out.write_all(self.line.as_bytes())).and_then(|()| self.out.flush());
        self.torn = written.is_err();
        written
    }
}

impl<W> fmt::Debug for AppendedLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppendedLines")
    }
}

/// Whether a file has a last line that is not whole. An empty one has none, and one that cannot be read is taken for whole.
fn ends_torn(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut last = [b'\n'];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != [b'\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, and then one write fails.
    struct Full(Vec<u8>, usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.1.min(bytes.len());
            if room == 0 {
                self.1 = usize::MAX;
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.1 -= room;
            self.0.extend(&bytes[..room]);
            Ok(room)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_torn_line_takes_no_other_with_it() {
        let mut lines = AppendedLines::new(Full(Vec::new(), 6));
        for (line, whole) in [("one", true), ("two", false), ("three", true), ("4", true)] {
            let written = lines.append(|text| text.push_str(line));
            assert_eq!(written.is_ok(), whole, "{line}");
        }
        assert_eq!(lines.into_inner().0, b"one\ntw\nthree\n4\n");
    }

    #[test]
    fn a_file_that_ends_within_a_line_is_gone_on_with_below_it() {
        let folder = std::env::temp_dir().join(format!("ztl-lines-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("lines");
        for (before, after) in [
            (None, "new\n"),
            (Some(""), "new\n"),
            (Some("old\n"), "old\nnew\n"),
            (Some("old\nto"), "old\nto\nnew\n"),
        ] {
            let _ = std::fs::remove_file(&path);
            if let Some(before) = before {
                std::fs::write(&path, before).expect("written");
            }
            let mut lines = AppendedLines::open(&path).expect("opened");
            lines.append(|text| text.push_str("new")).expect("written");
            assert_eq!(std::fs::read_to_string(&path).expect("read"), after);
            #[cfg(unix)]
            if before.is_none() {
                let file = std::fs::metadata(&path).expect("a file").permissions();
                let mode = std::os::unix::fs::PermissionsExt::mode(&file);
                assert_eq!(mode & 0o777, 0o600);
            }
        }
        assert!(AppendedLines::open(&folder).is_err(), "a folder");
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
