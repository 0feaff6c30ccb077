//! Opening a regular file, and nothing that could keep a reader for ever; and writing one that a reader sees whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

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

/// Writes beside the file and then into its place, so that a reader sees the old one or the new one, whole. Readable for its owner
/// only.
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
/// What the system said; the file that was there stays.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // What an earlier write left behind, or a link that somebody put there, is not written through.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&beside, path)
}
