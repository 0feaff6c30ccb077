//! The files of a chain: opened with care, taken up where the last process left them, rotated.
//!
//! `NAME` is written to; `NAME.00000000000000000042` is an earlier file, by the number of its first line; `.NAME.lock` is held
//! by the one process that writes.

use core::time::Duration;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::thread;

use super::super::AuditError;
use super::link::{Head, Line, MAX_LINE_BYTES, seq_of};
use super::out::{Rotated, Store, Torn};
use crate::time::Timestamp;

/// How far back from its end a file is searched for its last whole line.
const MAX_TORN_BYTES: u64 = 8 * 1024 * 1024;

/// When a new file begins, and how many stay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    pub(super) bytes: u64,
    pub(super) age: Option<Duration>,
    pub(super) keep: Option<usize>,
}

pub(super) struct Files {
    path: PathBuf,
    folder: PathBuf,
    file: File,
    /// Held as long as this lives.
    _lock: File,
    len: u64,
    first: u64,
    since: Timestamp,
    /// First lines of earlier files, oldest first.
    older: VecDeque<u64>,
    rotation: Rotation,
}

/// What the files said where they end.
pub(super) struct Found {
    pub(super) head: Head,
    pub(super) torn: Torn,
}

impl Files {
    pub(super) fn open(
        path: &Path,
        rotation: Rotation,
        now: Timestamp,
    ) -> Result<(Self, Found), AuditError> {
        let at = |error: io::Error| AuditError(format!("`{}`: {error}", path.display()));
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| at(io::Error::other("an audit file needs a name in UTF-8")))?;
        let lock = open_or_create(&folder.join(format!(".{name}.lock"))).map_err(at)?;
        hold(&lock).map_err(at)?;
        let mut older = older_files(&folder, name).map_err(at)?;
        take_up(path, &mut older).map_err(at)?;
        let mut file = open_or_create(path).map_err(at)?;
        let len = file.metadata().map_err(at)?.len();
        let mut found = find_end(&mut file, len).map_err(at)?;
        if found.head.seq == 0 && !older.is_empty() {
            found.head = end_of_older(path, &older).map_err(at)?;
        }
        let first = first_seq(&mut file)
            .map_err(at)?
            .unwrap_or_else(|| found.head.seq.saturating_add(1));
        let files = Self {
            path: path.to_owned(),
            folder,
            file,
            _lock: lock,
            len,
            first,
            since: now,
            older,
            rotation,
        };
        Ok((files, found))
    }

    /// How many of the earlier files are too many.
    fn surplus(&self) -> usize {
        let keep = self.rotation.keep.unwrap_or(usize::MAX).max(1);
        (self.older.len() + 1).saturating_sub(keep)
    }

    fn sync_folder(&self) -> io::Result<()> {
        if cfg!(unix) {
            File::open(&self.folder)?.sync_all()
        } else {
            Ok(())
        }
    }
}

impl Store for Files {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.file.write(bytes)?;
        self.len = self
            .len
            .saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
        Ok(taken)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn room(&self) -> usize {
        usize::try_from(self.rotation.bytes.saturating_sub(self.len)).unwrap_or(usize::MAX)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.len > 0
            && (self.len >= self.rotation.bytes
                || self
                    .rotation
                    .age
                    .is_some_and(|age| now.since(self.since) >= age))
    }

    fn rotate(&mut self, seq: u64, now: Timestamp) -> io::Result<Rotated> {
        let mut next = self.path.as_os_str().to_owned();
        next.push(".next");
        let next = PathBuf::from(next);
        // Left by a process that ended between two steps; nothing was ever written to it.
        match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = create(&next)?;
        self.file.sync_all()?;
        let earlier = earlier(&self.path, self.first);
        if fs::symlink_metadata(&earlier).is_ok() {
            return Err(io::Error::other(format!(
                "`{}` is there already",
                earlier.display()
            )));
        }
        fs::rename(&self.path, &earlier)?;
        if let Err(error) = fs::rename(&next, &self.path) {
            fs::rename(&earlier, &self.path)?;
            return Err(error);
        }
        self.file = file;
        self.older.push_back(self.first);
        self.first = seq;
        self.len = 0;
        self.since = now;
        // The files are switched: from here on nothing may fail.
        Ok(Rotated {
            kept_from: self.older.get(self.surplus()).copied().unwrap_or(seq),
            unsure: self.sync_folder().err(),
        })
    }

    fn settle(&mut self) {
        for _ in 0..self.surplus() {
            let Some(first) = self.older.pop_front() else {
                return;
            };
            match fs::remove_file(earlier(&self.path, first)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    // Tried again at the next rotation.
                    self.older.push_front(first);
                    return;
                }
                _ => {}
            }
        }
    }
}

fn earlier(path: &Path, first: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{first:020}"));
    PathBuf::from(name)
}

/// The numbers of the first lines of earlier files, in order.
fn older_files(folder: &Path, name: &str) -> io::Result<VecDeque<u64>> {
    let mut older = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|file| {
            let digits = file.strip_prefix(name)?.strip_prefix('.')?;
            let is_ours = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_ours.then(|| digits.parse::<u64>().ok())?
        });
        older.extend(number);
    }
    older.sort_unstable();
    Ok(older.into())
}

/// Where a process ended between the steps of a rotation, the newest earlier file is written to again.
fn take_up(path: &Path, older: &mut VecDeque<u64>) -> io::Result<()> {
    let Some(newest) = older.back().copied() else {
        return Ok(());
    };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() || found.len() > 0 => return Ok(()),
        Ok(_) => fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::rename(earlier(path, newest), path)?;
    older.pop_back();
    Ok(())
}

fn end_of_older(path: &Path, older: &VecDeque<u64>) -> io::Result<Head> {
    let Some(newest) = older.back() else {
        return Ok(Head::START);
    };
    let mut file = open(&earlier(path, *newest))?;
    let len = file.metadata()?.len();
    let found = find_end(&mut file, len)?;
    if found.head.seq == 0 || !found.torn.is_none() {
        return Err(io::Error::other(
            "the newest earlier file does not end with a whole line; verify the chain, then move its files away",
        ));
    }
    Ok(found.head)
}

/// The last whole line of a file, and what stands after it.
fn find_end(file: &mut File, len: u64) -> io::Result<Found> {
    let mut window = 4 * u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX);
    loop {
        let from = len.saturating_sub(window);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        Read::take(&mut *file, len - from).read_to_end(&mut bytes)?;
        if let Some(found) = end_of(&bytes) {
            return Ok(found);
        }
        if from == 0 {
            // All of it is one line that broke off, or it is some other file.
            if bytes.contains(&b'\n') {
                break;
            }
            let mut torn = Torn::default();
            torn.feed(&bytes);
            return Ok(Found {
                head: Head::START,
                torn,
            });
        }
        if window >= MAX_TORN_BYTES {
            break;
        }
        window = window.saturating_mul(8).min(MAX_TORN_BYTES);
    }
    Err(io::Error::other(
        "it does not end like an audit chain; verify it, then move it away",
    ))
}

fn end_of(bytes: &[u8]) -> Option<Found> {
    let mut end = bytes.len();
    while end > 0 {
        let before = bytes.get(..end)?;
        let (line, ended) = match before.strip_suffix(b"\n") {
            Some(line) => (line, true),
            None => (before, false),
        };
        let start = line
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        if let Some(line) = Line::read(line.get(start..)?) {
            let mut torn = if ended {
                Torn::default()
            } else {
                Torn::unended_line()
            };
            torn.feed(bytes.get(end..)?);
            return Some(Found {
                head: line.head(),
                torn,
            });
        }
        end = start;
    }
    None
}

fn first_seq(file: &mut File) -> io::Result<Option<u64>> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    Read::take(&mut *file, 64).read_to_end(&mut start)?;
    Ok(seq_of(&start))
}

/// How long a lock is waited for. Whoever ended just now may have left it to a child that has not begun its own program yet.
const LOCK_WAIT: Duration = Duration::from_millis(200);
const LOCK_STEP: Duration = Duration::from_millis(10);

/// Takes the lock of a chain.
fn hold(lock: &File) -> io::Result<()> {
    let mut waited = Duration::ZERO;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if waited < LOCK_WAIT => {
                thread::sleep(LOCK_STEP);
                waited += LOCK_STEP;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other(
                    "another process writes this chain; give each process a file of its own",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn open_or_create(path: &Path) -> io::Result<File> {
    match create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => open(path),
        made => made,
    }
}

/// A file that was not there before. A link is one that was, even where it leads nowhere.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A file that was there: no link, and nobody else may write it.
fn open(path: &Path) -> io::Result<File> {
    let named = fs::symlink_metadata(path)?;
    if !named.is_file() {
        return Err(io::Error::other(
            "it is no regular file; an audit is never written through a link",
        ));
    }
    let file = OpenOptions::new().read(true).append(true).open(path)?;
    let opened = file.metadata()?;
    check_owner(&named, &opened)?;
    Ok(file)
}

#[cfg(unix)]
fn check_owner(named: &fs::Metadata, opened: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    if (named.dev(), named.ino()) != (opened.dev(), opened.ino()) {
        return Err(io::Error::other("it was replaced while it was opened"));
    }
    if opened.mode() & 0o022 != 0 {
        return Err(io::Error::other(
            "group or others may write it; `chmod go-w` it, and verify it",
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_: &fs::Metadata, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn t32_a_rotation_whose_folder_cannot_be_synced_goes_on() {
        let folder = std::env::temp_dir().join(format!("ztl-rotate-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("folder");
        let path = folder.join("audit.jsonl");
        let now = Timestamp::from_unix_secs(1_790_000_000);
        let rotation = Rotation {
            bytes: 1,
            age: None,
            keep: None,
        };
        let (mut files, _) = Files::open(&path, rotation, now).expect("open");
        files.write(b"old").expect("write");
        files.folder = folder.join("gone");
        let rotated = files.rotate(7, now).expect("the files were switched");
        assert!(rotated.unsure.is_some());
        assert_eq!((rotated.kept_from, files.first, files.len), (1, 7, 0));
        files.write(b"new").expect("write");
        assert_eq!(fs::read(&path).expect("read"), b"new");
        assert_eq!(fs::read(earlier(&path, 1)).expect("read"), b"old");
        drop(files);
        fs::remove_dir_all(&folder).expect("remove");
    }
}
