//! Opening a regular file, and nothing that could keep a reader for ever.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

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
