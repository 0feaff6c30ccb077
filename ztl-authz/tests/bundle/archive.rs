//! What is no archive of plain files within the bounds is refused before anything in it is read.

use tar::EntryType;
use ztl_authz::bundle::{BundleError, BundleReader, Limits};

use super::support::{Pack, gzip};

const DATA: &str = r#"{"a":1}"#;

fn within(set: impl Fn(&mut Limits)) -> BundleReader {
    let mut limits = Limits::default();
    set(&mut limits);
    BundleReader::unsigned().limits(limits)
}

#[test]
fn paths_are_read_one_way() {
    for path in ["data.json", "/data.json", "./data.json"] {
        let bundle = Pack::new().file(path, DATA).read().expect(path);
        assert_eq!(bundle.data.to_string(), DATA);
    }
    for (path, why) in [
        ("//data.json", "empty segment"),
        ("../data.json", "has `..`"),
        ("/../data.json", "has `..`"),
        ("a/../../data.json", "has `..`"),
        ("a/./data.json", "empty segment or `.`"),
        ("a//data.json", "empty segment"),
        ("a\\data.json", "plain UTF-8"),
        ("a/\u{7f}/data.json", "plain UTF-8"),
        (".a/data.json", "reads otherwise"),
        ("a/.manifest", "reads otherwise"),
        ("x.manifest", "reads otherwise"),
        ("a/.signatures.json", "reads otherwise"),
        ("signatures.json", "reads otherwise"),
    ] {
        let refused = Pack::new()
            .file("data.json", DATA)
            .file(path, "{}")
            .refused();
        assert!(refused.contains(why), "{path}: {refused}");
    }
    let bytes = Pack::new().entry(b"a\xff/data.json", EntryType::Regular, b"{}");
    assert!(bytes.refused().contains("plain UTF-8"));
}

#[test]
fn a_file_is_there_once() {
    for (one, other) in [
        ("data.json", "data.json"),
        ("/data.json", "data.json"),
        ("./a/x.rego", "a/x.rego"),
        ("./.manifest", "/.manifest"),
    ] {
        let pack = Pack::new().file(one, "{}").file(other, "{}");
        let refused = pack.refused();
        assert!(refused.contains("twice"), "{one} {other}: {refused}");
    }
}

#[test]
fn links_and_devices_are_refused_and_folders_are_nothing() {
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::Continuous,
        EntryType::GNUSparse,
        EntryType::new(b'Z'),
    ] {
        let pack = Pack::new()
            .file("data.json", DATA)
            .entry(b"a/data.json", kind, b"");
        let error = pack.read().expect_err("refused");
        assert!(
            matches!(error, BundleError::Kind { .. } | BundleError::Archive),
            "{kind:?}: {error}"
        );
    }
    let bundle = Pack::new()
        .entry(b"pax_global_header", EntryType::XGlobalHeader, b"")
        .entry(b"/../", EntryType::Directory, b"")
        .file("data.json", DATA)
        .read();
    assert_eq!(bundle.expect("bundle").data.to_string(), DATA);
}

#[test]
fn each_bound_holds() {
    let pack = || Pack::new().file("data.json", DATA).file("x", [0; 100_000]);
    let bytes = pack().pack();
    assert!(within(|_| {}).read(&bytes).is_ok());
    let most = bytes.len();
    assert!(within(|it| it.compressed_bytes = most).read(&bytes).is_ok());
    for (reader, why) in [
        (within(|it| it.compressed_bytes = most - 1), "at most"),
        (
            within(|it| it.unpacked_bytes = 100_000),
            "unpacks to more than 100000 bytes",
        ),
        (within(|it| it.files = 1), "more than 1 files"),
        (within(|it| it.json_bytes = 6), "more than 6 bytes together"),
    ] {
        let refused = reader.read(&bytes).expect_err(why).to_string();
        assert!(refused.contains(why), "{refused}");
    }
    let whole = pack().tar().len();
    assert!(within(|it| it.unpacked_bytes = whole).read(&bytes).is_ok());
    assert!(
        within(|it| it.unpacked_bytes = whole - 1)
            .read(&bytes)
            .is_err()
    );
}

#[test]
fn a_bomb_is_left_at_the_bound() {
    let bomb = gzip(&vec![0; 40 * 1024 * 1024]);
    let refused = BundleReader::unsigned().read(&bomb).expect_err("bomb");
    assert_eq!(refused, BundleError::Ratio { ratio: 200 });
    let reader = within(|it| it.ratio = usize::MAX);
    // An archive of blanks alone is an empty one.
    assert_eq!(reader.read(&bomb).err(), Some(BundleError::Empty));
    let reader = within(|it| (it.ratio, it.unpacked_bytes) = (usize::MAX, 1024));
    assert_eq!(
        reader.read(&bomb).err(),
        Some(BundleError::UnpacksTooLong { most: 1024 })
    );
    let many = (0..4097).fold(Pack::new(), |pack, n| pack.file(&n.to_string(), ""));
    assert_eq!(
        within(|it| it.ratio = usize::MAX).read(&many.pack()).err(),
        Some(BundleError::TooManyFiles { most: 4096 })
    );
}

#[test]
fn what_is_not_whole_is_refused() {
    let whole = Pack::new().file("data.json", DATA).pack();
    let read = |bytes: &[u8]| BundleReader::unsigned().read(bytes);
    for end in 0..whole.len() {
        assert_eq!(read(&whole[..end]).err(), Some(BundleError::Gzip), "{end}");
    }
    let twice = [whole.as_slice(), whole.as_slice()].concat();
    for behind in [twice, [whole.as_slice(), b"x"].concat()] {
        assert_eq!(read(&behind).err(), Some(BundleError::Trailing));
    }
    let mut flipped = whole.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    assert_eq!(
        read(&flipped).err(),
        Some(BundleError::Gzip),
        "its checksum"
    );

    let tar = Pack::new().file("data.json", DATA).tar();
    for end in [1, 100, 511, 513, 515] {
        assert!(read(&gzip(&tar[..end])).is_err(), "{end}");
    }
    let mut header = tar.clone();
    header[150] ^= 1;
    assert_eq!(read(&gzip(&header)).err(), Some(BundleError::Archive));
    assert_eq!(read(&gzip(b"")).err(), Some(BundleError::Empty));
}
