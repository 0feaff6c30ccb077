//! What may have become of a file that is read again, kind by kind: a bundle's and a revocation list's. It is an error that names the
//! file for as long as it lasts, nothing of it is taken, and what was taken last is known when it is back (rules 30 and 31, T6).
//! What may be wrong with an SVID and its key is in `files.rs`.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod common;

use std::fs;
use std::path::Path;

use common::crl::{List, params};
use common::folder::Folder;
use common::{Ca, NOW, domain, tlv};
use ztl_mtls::source::{CrlFiles, Part, PemBundle, Source};
use ztl_mtls::{Prover, Purpose};

const MIB: usize = 1024 * 1024;

/// What stands in a file's place.
enum Wrong {
    Bytes(Vec<u8>),
    /// What everybody may write.
    Open(Vec<u8>),
    Folder,
    /// Nobody ever writes into it: whoever waits for it waits for ever.
    Pipe,
    Nothing,
}

impl Wrong {
    fn text(text: impl AsRef<str>) -> Self {
        Self::Bytes(text.as_ref().as_bytes().to_vec())
    }

    fn put(&self, path: &Path) {
        remove(path);
        match self {
            Self::Bytes(bytes) => fs::write(path, bytes).expect("write"),
            Self::Folder => fs::create_dir(path).expect("folder"),
            Self::Nothing => {}
            #[cfg(unix)]
            Self::Open(bytes) => {
                use std::os::unix::fs::PermissionsExt;
                fs::write(path, bytes).expect("write");
                let everybody = fs::Permissions::from_mode(0o666);
                fs::set_permissions(path, everybody).expect("mode");
            }
            #[cfg(unix)]
            Self::Pipe => {
                let made = std::process::Command::new("mkfifo").arg(path).status();
                assert!(made.expect("mkfifo").success());
            }
            #[cfg(not(unix))]
            Self::Open(_) | Self::Pipe => {}
        }
    }
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir(path).expect("remove");
    } else if path.symlink_metadata().is_ok() {
        fs::remove_file(path).expect("remove");
    }
}

/// A kind of damage, what the error has to say of it, and what stands in the file's place.
type Kind = (&'static str, &'static str, Wrong);

/// Those that no content makes up for.
fn of_the_file(good: &[u8]) -> Vec<Kind> {
    let kinds = vec![
        ("gone", "cannot read", Wrong::Nothing),
        ("a folder", "not a regular file", Wrong::Folder),
    ];
    if cfg!(not(unix)) {
        return kinds;
    }
    let more = [
        ("a pipe", "not a regular file", Wrong::Pipe),
        ("open to all", "chmod o-w", Wrong::Open(good.to_vec())),
    ];
    kinds.into_iter().chain(more).collect()
}

/// Whether something else was taken, or why nothing can be.
type Look<'a> = dyn FnMut() -> Result<bool, String> + 'a;

/// Walks over all kinds. Whoever looks was given `good` already.
fn suffer(path: &Path, kinds: Vec<Kind>, [good, next]: [&[u8]; 2], look: &mut Look<'_>) {
    let name = path.file_name().expect("a name").to_string_lossy();
    for (what, says, wrong) in kinds {
        wrong.put(path);
        // The first look may find that it is changing just now; from the second on it is told, each time.
        if let Ok(taken) = look() {
            assert!(!taken, "{what}");
        }
        for _ in 0..3 {
            let error = look().expect_err(what);
            assert!(
                error.contains(&*name) && error.contains(says),
                "{what}: {error}"
            );
            assert!(error.len() < 1000, "{what}: {} bytes", error.len());
        }
        remove(path);
        fs::write(path, good).expect("write");
        for _ in 0..2 {
            assert_eq!(look(), Ok(false), "{what}: what was taken is back");
        }
    }
    // The source is none the worse for it: what is good and new is taken, at its second read.
    fs::write(path, next).expect("write");
    assert_eq!((look(), look(), look()), (Ok(false), Ok(true), Ok(false)));
}

#[test]
fn rule_31_whatever_becomes_of_a_bundle_file_is_an_error_that_names_it() {
    let (folder, old, new) = (Folder::new("damaged"), Ca::new("old"), Ca::new("new"));
    let leaf = old.leaf(|_| {});
    let list = armour("X509 CRL", &old.crl(&[]));
    let both = format!("{}{}", old.pem, new.pem);
    let middle = old.pem.len() / 2;
    let mut noise = old.pem.clone().into_bytes();
    noise[middle] = b'*';
    let mut flipped = old.der.to_vec();
    flipped[4] ^= 0xff;
    let damaged = "a PEM section is cut off or is not base64";
    let none = "no PEM section `CERTIFICATE`";
    let mut kinds = of_the_file(old.pem.as_bytes());
    kinds.extend([
        ("empty", none, Wrong::text("")),
        ("blank", none, Wrong::text(" \r\n\n\t ")),
        (
            "huge",
            "longer than 1 MiB",
            Wrong::text("A".repeat(MIB + 1)),
        ),
        (
            "many",
            "more than 256 authorities",
            Wrong::text(many(&old, 257)),
        ),
        (
            "cut off",
            damaged,
            Wrong::text(both.get(..both.len() - middle).expect("ASCII")),
        ),
        (
            "cut in a header",
            damaged,
            Wrong::text(both.get(..old.pem.len() + 20).expect("ASCII")),
        ),
        (
            "without an end",
            damaged,
            Wrong::text(old.pem.replace("-----END", "-----BEGIN")),
        ),
        ("not base64", damaged, Wrong::Bytes(noise)),
        ("in DER", none, Wrong::Bytes(old.der.to_vec())),
        ("no text", none, Wrong::text("\0\u{1}garbage")),
        ("a key", none, Wrong::text(leaf.key.serialize_pem())),
        ("a revocation list", none, Wrong::text(&list)),
        ("a leaf", "has not `cA` true", Wrong::text(&leaf.pem)),
        (
            "a leaf as well",
            "certificate 1",
            Wrong::text(format!("{}{}", old.pem, leaf.pem)),
        ),
        (
            "no certificate",
            "not a certificate in DER",
            Wrong::text(armour("CERTIFICATE", &flipped)),
        ),
        (
            "an empty section",
            "not a certificate in DER",
            Wrong::text(armour("CERTIFICATE", &[])),
        ),
    ]);
    let path = folder.write("bundle.pem", &old.pem);
    let mut source = PemBundle::new(domain("a.test"), &path);
    source.load().expect("good");
    let good = [old.pem.as_bytes(), new.pem.as_bytes()];
    suffer(&path, kinds, good, &mut || match source.poll(NOW).bundles {
        Part::Changed(bundles) => {
            assert_eq!(bundles[0].certificates(), std::slice::from_ref(&new.der));
            Ok(true)
        }
        Part::Failed(error) => Err(error.to_string()),
        _ => Ok(false),
    });
}

#[test]
fn rule_31_whatever_becomes_of_a_revocation_list_is_an_error_that_names_its_file() {
    let (folder, ca) = (Folder::new("damaged-lists"), Ca::new("root"));
    let gone = ca.leaf(|_| {}).der;
    let (first, good, next) = (
        ca.crl_of(&params(&[], (-50, 3000))),
        ca.crl(&[]),
        ca.crl(&[&gone]),
    );
    let pem = |list: &List| armour("X509 CRL", list);
    let (good_pem, next_pem) = (pem(&good), pem(&next));
    let both = format!("{good_pem}{next_pem}");
    let middle = good_pem.len() / 2;
    let mut noise = good_pem.clone().into_bytes();
    noise[middle] = b'*';
    let mut flipped = good.to_vec();
    flipped[4] ^= 0xff;
    let half = good[..good.len() / 2].to_vec();
    let longer = [&good[..], &[0]].concat();
    let damaged = "a PEM section is cut off or is not base64";
    let none = "no PEM section `X509 CRL`";
    let unread = "not a revocation list in DER";
    let mut kinds = of_the_file(good_pem.as_bytes());
    kinds.extend([
        ("empty", none, Wrong::text("")),
        ("blank", none, Wrong::text(" \r\n\n\t ")),
        (
            "huge",
            "longer than 16 MiB",
            Wrong::text("A".repeat(16 * MIB + 1)),
        ),
        (
            "too much with the other",
            "more than 16 MiB together",
            Wrong::text("A".repeat(16 * MIB)),
        ),
        (
            "cut off",
            damaged,
            Wrong::text(both.get(..both.len() - middle).expect("ASCII")),
        ),
        (
            "cut in a header",
            damaged,
            Wrong::text(both.get(..good_pem.len() + 20).expect("ASCII")),
        ),
        (
            "without an end",
            damaged,
            Wrong::text(good_pem.replace("-----END", "-----BEGIN")),
        ),
        ("not base64", damaged, Wrong::Bytes(noise)),
        ("half in DER", unread, Wrong::Bytes(half)),
        ("DER with a byte more", unread, Wrong::Bytes(longer)),
        ("no text", none, Wrong::text("\0\u{1}garbage")),
        ("a bundle", none, Wrong::text(&ca.pem)),
        (
            "a certificate in DER",
            unread,
            Wrong::Bytes(ca.der.to_vec()),
        ),
        ("a key", none, Wrong::text(ca.issuer.key().serialize_pem())),
        ("no list", unread, Wrong::text(armour("X509 CRL", &flipped))),
        (
            "one good and one bad",
            "list 1",
            Wrong::text(format!("{good_pem}{}", armour("X509 CRL", &flipped))),
        ),
        (
            "an empty section",
            unread,
            Wrong::text(armour("X509 CRL", &[])),
        ),
        (
            "an empty sequence",
            unread,
            Wrong::Bytes(tlv(0x30, &[0; 200])),
        ),
    ]);
    // The other file is well all the while, and nothing of it is taken alone.
    let one = folder.write("first.crl", first.as_ref());
    let two = folder.write("second.crl", &good_pem);
    let mut source = CrlFiles::new(domain("a.test"), [&one, &two]);
    assert_eq!(source.load().expect("good").len(), 2);
    let good = [good_pem.as_bytes(), next_pem.as_bytes()];
    suffer(&two, kinds, good, &mut || match source.poll() {
        Ok(taken) => {
            assert!(taken.as_ref().is_none_or(|set| set.len() == 2));
            Ok(taken.is_some())
        }
        Err(error) => Err(error.to_string()),
    });
}

#[test]
fn rule_20_bundles_that_were_swapped_prove_nobody_of_the_other_domain() {
    let (folder, a, b) = (Folder::new("swapped"), Ca::new("a"), Ca::new("b"));
    let paths = [folder.write("a.pem", &a.pem), folder.write("b.pem", &b.pem)];
    let mut sources = [("a.test", &paths[0]), ("b.test", &paths[1])]
        .map(|(of, path)| PemBundle::new(domain(of), path));
    let load = |sources: &mut [PemBundle; 2]| {
        let bundles = sources.iter_mut().map(|it| it.load().expect("good"));
        common::prover(bundles.collect::<Vec<_>>())
    };
    let chains = [("a", &a), ("b", &b)]
        .map(|(name, ca)| [ca.leaf_of(&format!("spiffe://{name}.test/x")).der]);
    let proved = |prover: &Prover| {
        let chains = chains.each_ref();
        chains.map(|chain| prover.prove(chain, NOW, Purpose::Client).is_ok())
    };
    assert_eq!(proved(&load(&mut sources)), [true, true]);
    fs::write(&paths[0], &b.pem).expect("write");
    fs::write(&paths[1], &a.pem).expect("write");
    assert_eq!(proved(&load(&mut sources)), [false, false]);
}

/// So many authorities that are all good and all different.
fn many(ca: &Ca, count: usize) -> String {
    (0..count)
        .map(|place| ca.intermediate(&format!("authority {place}"), |_| {}).pem)
        .collect()
}

fn armour(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}
