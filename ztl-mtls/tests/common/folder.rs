//! A folder of its own for each test, removed at its end.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::expect_used, reason = "a test may panic")]

use std::fs;
use std::path::PathBuf;

use super::Issued;

pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ztl-mtls-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("folder");
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("write");
        path
    }

    /// An SVID, as certificate and key.
    pub(crate) fn put(&self, issued: &Issued) -> (PathBuf, PathBuf) {
        (
            self.write("svid.pem", &issued.pem),
            self.write("svid.key", issued.key.serialize_pem()),
        )
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("remove");
    }
}
