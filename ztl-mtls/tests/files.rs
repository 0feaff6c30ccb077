//! Files that somebody else replaces: what is taken, when, and what stays in use meanwhile (T6, T22).
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    reason = "a test may panic"
)]

mod common;

use std::fs;
use std::path::PathBuf;

use common::{Ca, Issued, domain};
use ztl_mtls::source::{PemBundle, PemIdentity};
use ztl_mtls::{BundleError, SvidError, provider};

/// A folder of its own for each test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ztl-mtls-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("folder");
        Self(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("write");
        path
    }

    fn put(&self, issued: &Issued) -> (PathBuf, PathBuf) {
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

#[test]
fn an_unchanged_identity_is_not_returned_and_a_changed_one_at_its_second_read() {
    let (folder, root) = (Folder::new("rotate"), Ca::new("root"));
    let (first, second) = (root.leaf(|_| {}), root.leaf(|_| {}));
    let (certificates, key) = folder.put(&first);
    let mut source = PemIdentity::new(certificates, key, provider());
    assert_eq!(source.load().expect("svid").chain(), [first.der]);
    assert!(source.poll().expect("unchanged").is_none());
    folder.put(&second);
    assert!(source.poll().expect("first read").is_none());
    assert_eq!(
        source.poll().expect("second read").expect("svid").chain(),
        [second.der]
    );
    assert!(source.poll().expect("unchanged").is_none());
}

#[test]
fn a_torn_pair_is_never_returned_and_heals() {
    let (folder, root) = (Folder::new("torn"), Ca::new("root"));
    let (first, second) = (root.leaf(|_| {}), root.leaf(|_| {}));
    let (certificates, key) = folder.put(&first);
    let mut source = PemIdentity::new(certificates, key, provider());
    source.load().expect("svid");
    // The certificate arrives, its key does not yet.
    folder.write("svid.pem", &second.pem);
    assert!(source.poll().expect("first read").is_none());
    for _ in 0..2 {
        let error = source.poll().expect_err("torn");
        assert!(error.to_string().contains("svid.key"), "{error}");
    }
    folder.put(&second);
    assert!(source.poll().expect("first read").is_none());
    assert_eq!(
        source.poll().expect("second read").expect("svid").chain(),
        [second.der]
    );
}

#[test]
fn a_change_that_is_taken_back_is_no_change() {
    let (folder, root) = (Folder::new("back"), Ca::new("root"));
    let (first, second) = (root.leaf(|_| {}), root.leaf(|_| {}));
    let (certificates, key) = folder.put(&first);
    let mut source = PemIdentity::new(certificates, key, provider());
    source.load().expect("svid");
    folder.put(&second);
    assert!(source.poll().expect("changed").is_none());
    folder.put(&first);
    assert!(source.poll().expect("back").is_none());
    assert!(source.poll().expect("back").is_none());
}

#[test]
fn a_missing_file_is_an_error_while_it_lasts() {
    let (folder, root) = (Folder::new("missing"), Ca::new("root"));
    let (certificates, key) = folder.put(&root.leaf(|_| {}));
    let mut source = PemIdentity::new(&certificates, &key, provider());
    source.load().expect("svid");
    fs::remove_file(&key).expect("remove");
    assert!(matches!(source.poll(), Err(SvidError::File(_))));
    let error = source.load().expect_err("missing").to_string();
    assert!(error.contains("svid.key"), "{error}");
}

#[test]
fn a_bundle_is_taken_at_its_second_read_and_a_bad_one_never() {
    let (folder, old, new) = (Folder::new("bundle"), Ca::new("old"), Ca::new("new"));
    let path = folder.write("bundle.pem", &old.pem);
    let mut source = PemBundle::new(domain("a.test"), path);
    assert_eq!(source.load().expect("bundle").certificates(), [old.der]);
    assert!(source.poll().expect("unchanged").is_none());
    // Half written.
    folder.write("bundle.pem", &new.pem[..new.pem.len() / 2]);
    assert!(source.poll().expect("first read").is_none());
    let error = source.poll().expect_err("damaged");
    assert!(matches!(error, BundleError::InFile { .. }), "{error}");
    assert!(error.to_string().contains("bundle.pem"), "{error}");
    folder.write("bundle.pem", &new.pem);
    assert!(source.poll().expect("first read").is_none());
    let taken = source.poll().expect("second read").expect("bundle");
    assert_eq!(
        (taken.certificates(), taken.trust_domain()),
        (&[new.der][..], source.trust_domain())
    );
}
