//! Files for their owner alone.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// Writes a new file that its owner alone may read: mode 0600 from its first byte on. An existing file is left as it is.
///
/// # Errors
/// What the system says; [`io::ErrorKind::AlreadyExists`] where something is there already.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn t28_a_key_file_is_its_owners_alone_and_is_never_overwritten() {
        let path = std::env::temp_dir().join(format!("ztl-mtls-private-{}", std::process::id()));
        write_private(&path, b"key").expect("write");
        let mode = std::fs::metadata(&path)
            .expect("metadata")
            .permissions()
            .mode();
        let again = write_private(&path, b"other").expect_err("exists");
        let kept = std::fs::read(&path).expect("read");
        std::fs::remove_file(&path).expect("remove");
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(kept, b"key");
    }
}
