//! Packs bundles, well and badly.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};
use ztl_authz::bundle::{Bundle, BundleError, BundleReader};

/// An archive in the making.
pub(crate) struct Pack(Vec<u8>);

impl Pack {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// A file. The path is written as it is given.
    pub(crate) fn file(self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.entry(path.as_bytes(), EntryType::Regular, bytes.as_ref())
    }

    pub(crate) fn entry(mut self, path: &[u8], kind: EntryType, bytes: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        let name = &mut header.as_old_mut().name;
        assert!(path.len() <= name.len(), "a short path");
        name[..path.len()].copy_from_slice(path);
        header.set_entry_type(kind);
        header.set_size(u64::try_from(bytes.len()).expect("length"));
        header.set_mode(0o600);
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name("target").expect("link");
        }
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// The archive, with its end.
    pub(crate) fn tar(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }

    pub(crate) fn pack(self) -> Vec<u8> {
        gzip(&self.tar())
    }

    pub(crate) fn read(self) -> Result<Bundle, BundleError> {
        BundleReader::unsigned().read(&self.pack())
    }

    /// What is said of it where it is refused.
    pub(crate) fn refused(self) -> String {
        self.read().expect_err("refused").to_string()
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut stream = GzEncoder::new(Vec::new(), Compression::fast());
    stream.write_all(bytes).expect("gzip");
    stream.finish().expect("gzip")
}
