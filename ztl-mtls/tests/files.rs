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

use common::folder::Folder;
use common::{Ca, Issued, NOW, domain};
use ztl_mtls::source::{Part, PemBundle, PemIdentity, Source, SourceError};
use ztl_mtls::{TrustBundle, X509Svid, provider};

/// What a look at the source gave; `None` while there is nothing new, or nothing certain.
fn news<T>(part: Part<T>) -> Result<Option<T>, SourceError> {
    match part {
        Part::Changed(value) => Ok(Some(value)),
        Part::Failed(error) => Err(error),
        _ => Ok(None),
    }
}

fn look(source: &mut PemIdentity) -> Result<Option<X509Svid>, SourceError> {
    news(source.poll(NOW).svid)
}

fn look_at_bundle(source: &mut PemBundle) -> Result<Option<TrustBundle>, SourceError> {
    news(source.poll(NOW).bundles).map(|bundles| bundles.and_then(|mut all| all.pop()))
}

#[test]
fn an_unchanged_identity_is_not_returned_and_a_changed_one_at_its_second_read() {
    let (folder, root) = (Folder::new("rotate"), Ca::new("root"));
    let (first, second) = (root.leaf(|_| {}), root.leaf(|_| {}));
    let (certificates, key) = folder.put(&first);
    let mut source = PemIdentity::new(certificates, key, provider());
    assert_eq!(source.load().expect("svid").chain(), [first.der]);
    assert!(look(&mut source).expect("unchanged").is_none());
    folder.put(&second);
    assert!(look(&mut source).expect("first read").is_none());
    assert_eq!(
        look(&mut source)
            .expect("second read")
            .expect("svid")
            .chain(),
        [second.der]
    );
    assert!(look(&mut source).expect("unchanged").is_none());
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
    assert!(look(&mut source).expect("first read").is_none());
    for _ in 0..2 {
        let error = look(&mut source).expect_err("torn");
        assert!(error.to_string().contains("svid.key"), "{error}");
    }
    folder.put(&second);
    assert!(look(&mut source).expect("first read").is_none());
    assert_eq!(
        look(&mut source)
            .expect("second read")
            .expect("svid")
            .chain(),
        [second.der]
    );
}

#[test]
fn t6_one_file_for_both_is_never_torn_however_often_it_is_replaced() {
    let (folder, root) = (Folder::new("both"), Ca::new("root"));
    let put = |issued: &Issued| {
        let both = format!("{}{}", issued.pem, issued.key.serialize_pem());
        let beside = folder.write("both.new", both);
        fs::rename(beside, folder.0.join("both.pem")).expect("rename");
    };
    let pairs: Vec<_> = (0..8).map(|_| root.leaf(|_| {})).collect();
    put(&pairs[0]);
    let path = folder.0.join("both.pem");
    std::thread::scope(|threads| {
        let reading = threads.spawn(|| {
            for _ in 0..1000 {
                let mut source = PemIdentity::new(&path, &path, provider());
                source.load().unwrap_or_else(|error| panic!("{error}"));
            }
        });
        for pair in pairs.iter().cycle() {
            if reading.is_finished() {
                break;
            }
            put(pair);
        }
    });
}

#[test]
fn a_change_that_is_taken_back_is_no_change() {
    let (folder, root) = (Folder::new("back"), Ca::new("root"));
    let (first, second) = (root.leaf(|_| {}), root.leaf(|_| {}));
    let (certificates, key) = folder.put(&first);
    let mut source = PemIdentity::new(certificates, key, provider());
    source.load().expect("svid");
    folder.put(&second);
    assert!(look(&mut source).expect("changed").is_none());
    folder.put(&first);
    assert!(look(&mut source).expect("back").is_none());
    assert!(look(&mut source).expect("back").is_none());
}

#[test]
fn a_missing_file_is_an_error_while_it_lasts() {
    let (folder, root) = (Folder::new("missing"), Ca::new("root"));
    let (certificates, key) = folder.put(&root.leaf(|_| {}));
    let mut source = PemIdentity::new(&certificates, &key, provider());
    source.load().expect("svid");
    fs::remove_file(&key).expect("remove");
    assert!(look(&mut source).is_err());
    let error = source.load().expect_err("missing").to_string();
    assert!(error.contains("svid.key"), "{error}");
}

#[test]
fn a_bundle_is_taken_at_its_second_read_and_a_bad_one_never() {
    let (folder, old, new) = (Folder::new("bundle"), Ca::new("old"), Ca::new("new"));
    let path = folder.write("bundle.pem", &old.pem);
    let mut source = PemBundle::new(domain("a.test"), path);
    assert_eq!(source.load().expect("bundle").certificates(), [old.der]);
    assert!(look_at_bundle(&mut source).expect("unchanged").is_none());
    // Half written.
    folder.write("bundle.pem", &new.pem[..new.pem.len() / 2]);
    assert!(look_at_bundle(&mut source).expect("first read").is_none());
    let error = look_at_bundle(&mut source).expect_err("damaged");
    assert!(error.to_string().contains("bundle.pem"), "{error}");
    folder.write("bundle.pem", &new.pem);
    assert!(look_at_bundle(&mut source).expect("first read").is_none());
    let taken = look_at_bundle(&mut source)
        .expect("second read")
        .expect("bundle");
    assert_eq!(
        (taken.certificates(), taken.trust_domain()),
        (&[new.der][..], source.trust_domain())
    );
}

#[test]
fn the_first_content_is_taken_at_once() {
    let (folder, root) = (Folder::new("first"), Ca::new("root"));
    let issued = root.leaf(|_| {});
    let (certificates, key) = folder.put(&issued);
    let mut source = PemIdentity::new(certificates, key, provider());
    let svid = look(&mut source).expect("good").expect("taken");
    assert_eq!(svid.chain(), [issued.der]);
    let mut bundle = PemBundle::new(domain("a.test"), folder.write("bundle.pem", &root.pem));
    assert!(look_at_bundle(&mut bundle).expect("good").is_some());
}

#[test]
fn rule_31_whatever_is_in_the_files_is_an_error_that_names_them() {
    let (folder, root) = (Folder::new("bad"), Ca::new("root"));
    let good = root.leaf(|_| {});
    let (certificates, key) = folder.put(&good);
    let key_text = good.key.serialize_pem();
    let mut source = PemIdentity::new(&certificates, &key, provider());
    source.load().expect("svid");
    let huge = "A".repeat(2 * 1024 * 1024);
    let half = &good.pem[..good.pem.len() / 2];
    let bad: [(&str, &str, &str); 8] = [
        ("empty", "", &key_text),
        ("empty key", &good.pem, ""),
        ("both empty", "", ""),
        ("huge", &huge, &key_text),
        ("truncated", half, &key_text),
        ("truncated key", &good.pem, &key_text[..key_text.len() / 2]),
        ("swapped", &key_text, &good.pem),
        ("no PEM", "\0\u{1}garbage", &key_text),
    ];
    for (what, certificate_text, key_text) in bad {
        folder.write("svid.pem", certificate_text);
        folder.write("svid.key", key_text);
        let mut looks = (0..3).map(|_| look(&mut source));
        let error = looks.find_map(Result::err).expect(what).to_string();
        assert!(error.contains("svid."), "{what}: {error}");
        assert!(!error.contains(&huge[..64]), "{what}");
    }
    folder.put(&good);
    assert!(look(&mut source).expect("what was taken is back").is_none());
    assert!(matches!(source.poll(NOW).svid, Part::Current));
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_an_error_while_it_lasts() {
    let (folder, root) = (Folder::new("kind"), Ca::new("root"));
    let (certificates, key) = folder.put(&root.leaf(|_| {}));
    let text = fs::read(&key).expect("read");
    let mut source = PemIdentity::new(&certificates, &key, provider());
    source.load().expect("svid");
    // Root may read whatever its mode is, so what nobody can read is a folder in the file's place.
    fs::remove_file(&key).expect("remove");
    fs::create_dir(&key).expect("folder");
    assert!(look(&mut source).is_err());
    fs::remove_dir(&key).expect("remove");
    assert!(look(&mut source).is_err(), "gone");
    fs::write(&key, text).expect("write");
    assert!(matches!(source.poll(NOW).svid, Part::Current), "back");
}

/// What kubelet's atomic writer does: a new folder named by its time, a link to it beside the old one, renamed over it, and
/// the old folder removed.
#[cfg(unix)]
mod kubelet {
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn publish(volume: &Path, stamp: &str, files: &[(&str, &str)]) {
        let old = fs::read_link(volume.join("..data")).ok();
        let folder = volume.join(stamp);
        fs::create_dir(&folder).expect("folder");
        for (name, text) in files {
            fs::write(folder.join(name), text).expect("write");
        }
        symlink(stamp, volume.join("..data_tmp")).expect("link");
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).expect("rename");
        for (name, _) in files {
            let link = volume.join(name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(name), link).expect("link");
            }
        }
        if let Some(old) = old {
            fs::remove_dir_all(volume.join(old)).expect("remove");
        }
    }

    fn put(volume: &Path, stamp: &str, issued: &Issued) {
        let key = issued.key.serialize_pem();
        publish(
            volume,
            stamp,
            &[("svid.pem", &issued.pem), ("svid.key", &key)],
        );
    }

    #[test]
    fn a_volume_that_kubelet_updates_is_followed() {
        let (folder, root) = (Folder::new("kubelet"), Ca::new("root"));
        let (first, second) = (root.leaf(|_| {}), root.leaf(|_| {}));
        put(&folder.0, "..2026_11_22_01", &first);
        let (certificates, key) = (folder.0.join("svid.pem"), folder.0.join("svid.key"));
        let mut source = PemIdentity::new(certificates, key, provider());
        assert_eq!(source.load().expect("svid").chain(), [first.der]);
        put(&folder.0, "..2026_11_22_02", &second);
        assert!(look(&mut source).expect("first read").is_none());
        let taken = look(&mut source).expect("second read").expect("svid");
        assert_eq!(taken.chain(), [second.der]);
    }

    #[test]
    fn t6_a_volume_that_turns_between_two_reads_never_tears_the_pair() {
        let (folder, root) = (Folder::new("tear"), Ca::new("root"));
        let pairs: Vec<_> = (0..8).map(|_| root.leaf(|_| {})).collect();
        put(&folder.0, "..0", &pairs[0]);
        let (certificates, key) = (folder.0.join("svid.pem"), folder.0.join("svid.key"));
        let mut source = PemIdentity::new(certificates, key, provider());
        source.load().expect("svid");
        let stop = Arc::new(AtomicBool::new(false));
        let turning = {
            let (volume, stop) = (folder.0.clone(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut turns = 0;
                for (turn, pair) in (1..).zip(pairs.iter().cycle()) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    put(&volume, &format!("..{turn}"), pair);
                    turns = turn;
                    // Every other time long enough for two reads to agree.
                    if turn % 2 == 0 {
                        std::thread::sleep(std::time::Duration::from_millis(3));
                    }
                }
                (turns, pairs)
            })
        };
        let mut taken = Vec::new();
        for _ in 0..2_000_000 {
            // A file may be gone for a moment, with the folder that it stood in; a torn pair is never seen.
            match source.poll(NOW).svid {
                Part::Changed(svid) => taken.push(svid),
                Part::Failed(error) => {
                    let text = error.to_string();
                    assert!(!text.contains("belongs to"), "torn: {text}");
                }
                _ => {}
            }
            if taken.len() > 20 {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        let (turns, pairs) = turning.join().expect("thread");
        assert!(turns > 10 && taken.len() > 10, "{turns} {}", taken.len());
        for svid in taken {
            assert!(pairs.iter().any(|pair| [pair.der.clone()] == svid.chain()));
        }
    }
}
