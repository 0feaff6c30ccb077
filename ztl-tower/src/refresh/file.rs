//! A file that only its owner may write, read again and again.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::FileError;

/// A file whose changes are to be taken once two reads of it agree: half of what somebody writes just now is not what they mean (T6).
///
/// Of what it holds a digest is kept. A small file is read at each look; a large one where the file system says that it was changed, and
/// once in a while all the same.
pub(crate) struct SteadyFile {
    path: PathBuf,
    /// Most bytes of it.
    limit: usize,
    /// What is in force, or was refused.
    seen: Option<Version>,
    /// A change that was read once.
    #[cfg(any(feature = "jwt", feature = "trust"))]
    pending: Option<[u8; 32]>,
    /// How often it was not read since it was read last.
    skipped: u8,
}

/// Below so many bytes a file is read at each look.
const SMALL: u64 = 64 * 1024;
/// So many looks in a row do not read it, whatever the file system says: where files are mapped, or far away, it may be late to tell.
const SKIPS: u8 = 60;
/// What was changed less than so many milliseconds before it was read may be changed again within the same tick of the file system's clock.
const TICK: i64 = 2000;

/// What a file held.
#[derive(Clone, Copy)]
struct Version {
    digest: [u8; 32],
    /// How it stood then, where a change since would show.
    stamp: Option<Stamp>,
}

/// A file, and when it was changed: device, number, length, modification and change.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp([i128; 5]);

impl SteadyFile {
    pub(crate) const fn new(path: PathBuf, limit: usize) -> Self {
        Self {
            path,
            limit,
            seen: None,
            #[cfg(any(feature = "jwt", feature = "trust"))]
            pending: None,
            skipped: 0,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it now.
    pub(crate) fn load(&mut self) -> Result<Vec<u8>, FileError> {
        let (file, metadata) = self.open()?;
        let (bytes, mut version) = self.read(file, &metadata)?;
        if self.seen.is_none_or(|seen| seen.digest != version.digest) {
            // The next look reads it, whatever the file system says: one read alone confirms nothing.
            version.stamp = None;
        }
        self.seen = Some(version);
        self.skipped = 0;
        Ok(bytes)
    }

    /// Whether it holds something else than was loaded last.
    pub(crate) fn differs(&mut self) -> Result<bool, FileError> {
        let Some((_, version)) = self.changed()? else {
            return Ok(false);
        };
        let same = self.seen.is_some_and(|seen| seen.digest == version.digest);
        if same {
            self.seen = Some(version);
        }
        Ok(!same)
    }

    /// What it holds, where that has changed since it was answered last, and two reads agree.
    #[cfg(any(feature = "jwt", feature = "trust"))]
    pub(crate) fn poll(&mut self) -> Result<Option<Vec<u8>>, FileError> {
        let pending = self.pending.take();
        if pending.is_some() {
            // The read that confirms it, whatever the file system says.
            self.skipped = SKIPS;
        }
        let Some((bytes, version)) = self.changed()? else {
            return Ok(None);
        };
        if self.seen.is_some_and(|seen| seen.digest == version.digest) {
            self.seen = Some(version);
            return Ok(None);
        }
        if pending != Some(version.digest) {
            self.pending = Some(version.digest);
            return Ok(None);
        }
        self.seen = Some(version);
        Ok(Some(bytes))
    }

    /// What it holds is to be answered once more, as if it had changed.
    #[cfg(feature = "bundle")]
    pub(crate) const fn forget(&mut self) {
        self.seen = None;
    }

    /// Reads it, unless it is large and stands as it did.
    fn changed(&mut self) -> Result<Option<(Vec<u8>, Version)>, FileError> {
        let (file, metadata) = self.open()?;
        let stands = self.seen.and_then(|seen| seen.stamp);
        if stands.is_some() && stands == Stamp::of(&metadata) && self.skipped < SKIPS {
            self.skipped = self.skipped.saturating_add(1);
            return Ok(None);
        }
        let read = self.read(file, &metadata)?;
        self.skipped = 0;
        Ok(Some(read))
    }

    /// Type, right and bytes are those of one open file, whatever is put in its place meanwhile.
    fn open(&self) -> Result<(File, Metadata), FileError> {
        let failed = |error| self.failed(error);
        let file = ztl_mtls::open_regular(&self.path)
            .map_err(failed)?
            .ok_or_else(|| FileError::NotAFile {
                path: self.path.clone(),
            })?;
        let metadata = file.metadata().map_err(failed)?;
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
            if mode & 0o022 != 0 {
                return Err(FileError::Writable {
                    path: self.path.clone(),
                    mode,
                });
            }
        }
        Ok((file, metadata))
    }

    /// Reads at most `limit` bytes. What the file stood like before counts: a change while it is read shows.
    fn read(&self, file: File, before: &Metadata) -> Result<(Vec<u8>, Version), FileError> {
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| self.failed(error))?;
        if bytes.len() > self.limit {
            return Err(FileError::TooLarge {
                path: self.path.clone(),
                limit: self.limit,
            });
        }
        let version = Version {
            digest: Sha256::digest(&bytes).into(),
            stamp: Stamp::of(before).filter(|stamp| before.len() >= SMALL && stamp.is_settled()),
        };
        Ok((bytes, version))
    }

    fn failed(&self, error: std::io::Error) -> FileError {
        FileError::Read {
            path: self.path.clone(),
            error,
        }
    }
}

impl Stamp {
    #[cfg(unix)]
    fn of(file: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;

        let nanos = |secs: i64, nanos: i64| {
            (i128::from(secs) * 1_000_000_000).saturating_add(i128::from(nanos))
        };
        Some(Self([
            file.dev().into(),
            file.ino().into(),
            file.len().into(),
            nanos(file.mtime(), file.mtime_nsec()),
            nanos(file.ctime(), file.ctime_nsec()),
        ]))
    }

    #[cfg(not(unix))]
    const fn of(_: &Metadata) -> Option<Self> {
        None
    }

    /// Whether the last change is long enough ago that the next one has another time.
    fn is_settled(self) -> bool {
        let now = i128::from(crate::guard::wall_clock().as_unix_millis());
        let [.., modified, changed] = self.0;
        now.saturating_sub(modified.max(changed) / 1_000_000) >= i128::from(TICK)
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use std::os::unix::fs::PermissionsExt as _;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("ztl-steady-{name}-{}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        fn put(&self, bytes: &[u8]) {
            std::fs::write(&self.0, bytes).expect("written");
            std::fs::set_permissions(&self.0, std::fs::Permissions::from_mode(0o600))
                .expect("mode");
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn t6_a_large_file_is_read_where_it_changed_and_once_in_a_while() {
        let scratch = Scratch::new("large");
        scratch.put(&[b'a'; 100 * 1024]);
        let mut file = SteadyFile::new(scratch.0.clone(), 1024 * 1024);
        assert_eq!(file.load().expect("read").len(), 100 * 1024);
        // It is read for as long as the next change could have the same time.
        for _ in 0..1000 {
            assert!(!file.differs().expect("read"));
            if file.skipped > 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(file.skipped, 1);
        // As where the file system does not tell of a change.
        file.seen.as_mut().expect("seen").digest = [0; 32];
        for skipped in 2..=SKIPS {
            assert!(!file.differs().expect("not read"));
            assert_eq!(file.skipped, skipped);
        }
        assert!(file.differs().expect("read"));
        // Who reads it then takes it once another read says the same.
        file.load().expect("read");
        file.seen.as_mut().expect("seen").digest = [0; 32];
        assert!(file.differs().expect("read"));
        file.load().expect("read");
        assert!(!file.differs().expect("read"));
        assert!(!file.differs().expect("not read"));
        assert_eq!(file.skipped, 1);
        // The same length.
        scratch.put(&[b'b'; 100 * 1024]);
        assert!(file.differs().expect("read"));
        // A right that it must not have is seen without reading it.
        file.load().expect("read");
        std::fs::set_permissions(&scratch.0, std::fs::Permissions::from_mode(0o622)).expect("mode");
        assert!(matches!(file.differs(), Err(FileError::Writable { .. })));
    }

    #[cfg(feature = "bundle")]
    #[test]
    fn t6_a_large_file_that_changed_unseen_is_answered_by_the_read_after() {
        let scratch = Scratch::new("unseen");
        scratch.put(&[b'a'; 100 * 1024]);
        let mut file = SteadyFile::new(scratch.0.clone(), 1024 * 1024);
        file.load().expect("read");
        for _ in 0..1000 {
            assert_eq!(file.poll().expect("read"), None);
            if file.skipped > 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(file.skipped, 1);
        file.seen.as_mut().expect("seen").digest = [0; 32];
        for _ in 2..=SKIPS {
            assert_eq!(file.poll().expect("not read"), None);
        }
        assert_eq!(file.skipped, SKIPS);
        assert_eq!(file.poll().expect("read"), None);
        let changed = file.poll().expect("read");
        assert_eq!(changed.map(|bytes| bytes.len()), Some(100 * 1024));
        assert_eq!(file.poll().expect("not read"), None);
        assert_eq!(file.skipped, 1);
    }

    #[test]
    fn t6_a_small_file_is_read_each_time() {
        let scratch = Scratch::new("small");
        scratch.put(b"a");
        let mut file = SteadyFile::new(scratch.0.clone(), 16);
        file.load().expect("read");
        assert!(file.seen.expect("seen").stamp.is_none());
        scratch.put(b"b");
        assert!(file.differs().expect("read"));
    }

    #[cfg(feature = "bundle")]
    #[test]
    fn t6_a_change_is_answered_once_two_reads_agree() {
        let scratch = Scratch::new("twice");
        scratch.put(b"a");
        let mut file = SteadyFile::new(scratch.0.clone(), 16);
        assert_eq!(file.load().expect("read"), b"a");
        assert_eq!(file.poll().expect("read"), None);
        scratch.put(b"ab");
        assert_eq!(file.poll().expect("read"), None);
        scratch.put(b"abc");
        assert_eq!(file.poll().expect("read"), None);
        assert_eq!(file.poll().expect("read").as_deref(), Some(&b"abc"[..]));
        assert_eq!(file.poll().expect("read"), None);
        file.forget();
        assert_eq!(file.poll().expect("read"), None);
        assert_eq!(file.poll().expect("read").as_deref(), Some(&b"abc"[..]));
    }
}
