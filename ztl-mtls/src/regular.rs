//! Opening a regular file, and nothing that could keep a reader for ever; and writing one that a reader sees whole.

use core::hash::{BuildHasher as _, Hasher as _};
use std::fs::{self, File, OpenOptions};
use std::hash::RandomState;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// How often a name beside a file is looked for that nobody has. The first is free, but for somebody who puts files there.
const MOST_TRIES: u32 = 16;

/// Opens a regular file for reading, or answers `None` where the path leads to a pipe, a device or a folder. Never waits.
///
/// What is learnt of the file and what is read of it should both come from the handle, whatever takes its place meanwhile.
///
/// ```
/// use std::path::Path;
///
/// assert!(ztl_mtls::open_regular(Path::new("/")).is_ok_and(|file| file.is_none()));
/// assert!(ztl_mtls::open_regular(Path::new("no such file")).is_err());
/// ```
///
/// # Errors
/// What the system said: nothing is there, or we may not read it.
pub fn open_regular(path: &Path) -> io::Result<Option<File>> {
    // To open a pipe waits for its other end, so it is not even tried; where it takes the file's place just then, O_NONBLOCK
    // keeps the open from waiting.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(all(
        any(target_os = "linux", target_os = "android"),
        any(
            target_arch = "x86_64",
            target_arch = "x86",
            target_arch = "aarch64",
            target_arch = "arm",
            target_arch = "riscv64"
        )
    ))]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, 0o4000);
    #[cfg(target_vendor = "apple")]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, 0x4);
    let file = options.open(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Writes beside the file and then into its place, so that a reader sees the old one or the new one, whole, whoever else writes the
/// same path meanwhile: the last of them stays. Readable for its owner only.
///
/// What comes back after a power loss is old or new as well, and new once this is `Ok`, where the file system can say that of a
/// folder. A process that is killed here may leave a file behind whose name is that of the file with `.HEX.new` after it.
///
/// ```
/// let path = std::env::temp_dir().join(format!("ztl-replace-file-{}", std::process::id()));
/// ztl_mtls::replace_file(&path, b"one")?;
/// ztl_mtls::replace_file(&path, b"two")?;
/// assert_eq!(std::fs::read(&path)?, b"two");
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// What the system said; the file that was there stays. Where it could not keep the folder, the new one is in place, and a power
/// loss may take it back.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (file, beside) = create_beside(path)?;
    let placed = fill(file, bytes).and_then(|()| fs::rename(&beside, path));
    if let Err(error) = placed {
        // It failed for a reason of its own, which is the one to tell.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    sync_folder_of(path)
}

/// A file of this call alone: other processes, in other containers with the same ids, may write the same path. What stands there
/// already, a link that somebody put there among them, is not written through.
fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut tries = 0;
    loop {
        let mut beside = path.as_os_str().to_owned();
        let chance = RandomState::new().build_hasher().finish();
        beside.push(format!(".{chance:016x}.new"));
        let beside = PathBuf::from(beside);
        match options.open(&beside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < MOST_TRIES => {
                tries += 1;
            }
            opened => return opened.map(|file| (file, beside)),
        }
    }
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// A name is kept with its folder.
#[cfg(unix)]
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // A folder that may be written and not read; a file system that keeps folders in its own time.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

#[cfg(not(unix))]
fn sync_folder_of(_: &Path) -> io::Result<()> {
    Ok(()) // a folder is not opened as a file there
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const WRITERS: [u8; 2] = [b'a', b'b'];
    const ROUNDS: usize = 300;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ztl-mtls-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("folder");
        folder
    }

    #[test]
    fn t24_whoever_writes_a_reader_sees_one_of_them_whole() {
        let folder = folder("replace");
        let path = folder.join("state");
        let text = |letter: u8| vec![letter; 64 * 1024];
        replace_file(&path, &text(b'a')).expect("first");
        let writing = AtomicUsize::new(WRITERS.len());
        std::thread::scope(|scope| {
            for letter in WRITERS {
                let (path, writing) = (&path, &writing);
                scope.spawn(move || {
                    let failed = (0..ROUNDS).find_map(|_| replace_file(path, &text(letter)).err());
                    writing.fetch_sub(1, Ordering::SeqCst);
                    assert!(failed.is_none(), "{failed:?}");
                });
            }
            while writing.load(Ordering::SeqCst) > 0 {
                let seen = fs::read(&path).expect("always there");
                let whole = WRITERS.iter().any(|letter| seen == text(*letter));
                assert!(whole, "{} bytes", seen.len());
            }
        });
        let left = fs::read_dir(&folder).expect("folder").count();
        assert_eq!(left, 1, "nothing is left beside it");
        fs::remove_dir_all(&folder).expect("remove");
    }

    #[test]
    fn what_cannot_be_put_in_place_leaves_nothing_behind() {
        let folder = folder("replace-failed");
        let path = folder.join("state");
        // A folder is not replaced by a file.
        fs::create_dir_all(path.join("inner")).expect("folder");
        assert!(replace_file(&path, b"new").is_err());
        assert_eq!(fs::read_dir(&folder).expect("folder").count(), 1);
        assert!(replace_file(&folder.join("no").join("state"), b"new").is_err());
        fs::remove_dir_all(&folder).expect("remove");
    }
}
