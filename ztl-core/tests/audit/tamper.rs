//! T32: whatever is changed in a finished file is found.

use sha2::{Digest, Sha256};
use ztl_core::audit::chain::{ChainHash, End, Head, Start};

use super::*;

/// A closed chain with some decisions, and its head.
fn finished(builder: ChainBuilder) -> (Vec<u8>, Head) {
    let disk = Disk::default();
    let sink = Arc::new(builder.to_writer(disk.clone(), NOW).expect("sink"));
    let engine = engine(Arc::clone(&sink));
    for _ in 0..2 {
        assert_eq!(permit(&engine), Ok(()));
        deny(&engine);
    }
    sink.flush().expect("flush");
    assert_eq!(permit(&engine), Ok(()));
    let head = sink.close().expect("close");
    (disk.bytes(), head)
}

fn is_whole(bytes: &[u8]) -> bool {
    verify(bytes).is_ok_and(|report| report.is_whole())
}

fn split(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

#[test]
fn t32_a_finished_chain_is_whole_and_says_what_it_holds() {
    let (bytes, head) = finished(quiet().key(key()));
    let report = verify_with(
        Verifier::new().with_key(key()).with_head(head.hash),
        &[&bytes],
    )
    .expect("whole");
    assert!(report.is_whole());
    assert_eq!((report.lines, report.decisions, report.segments), (8, 5, 1));
    assert_eq!(
        (report.checkpoints, report.signed, report.unsigned_tail),
        (2, 3, 0)
    );
    assert_eq!(
        (report.start, report.end, report.head),
        (Start::Whole, End::Closed, head)
    );
    assert_eq!(report.lines_after_head, Some(0));
    assert_eq!(
        kinds(&bytes),
        [
            "segment",
            "decision",
            "decision",
            "decision",
            "decision",
            "checkpoint",
            "decision",
            "close"
        ]
    );
    assert_eq!(report.to_json()["head"]["hash"], head.hash.to_string());
}

#[test]
fn t32_any_byte_that_is_flipped_is_found() {
    let (bytes, _) = finished(quiet());
    assert!(is_whole(&bytes));
    let ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
    for at in 0..bytes.len() {
        let line = ends.iter().filter(|end| **end < at).count() + 1;
        for flip in [1 << (at % 8), bytes[at] ^ b'\n'] {
            if flip == 0 {
                continue;
            }
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            match verify(&changed) {
                Err(VerifyError::Broken(broken)) => {
                    assert_eq!(
                        broken.line,
                        u64::try_from(line).expect("number"),
                        "byte {at}"
                    );
                }
                // Without its end the last line may be one that a crash tore.
                Ok(report) => assert!(
                    at + 1 == bytes.len() && matches!(report.end, End::Torn { .. }),
                    "byte {at} ^ {flip}: {report:?}"
                ),
                Err(other) => panic!("byte {at}: {other}"),
            }
        }
    }
}

#[test]
fn t32_lines_that_are_removed_doubled_swapped_or_cut_are_found() {
    let (bytes, head) = finished(quiet());
    let lines = split(&bytes);
    for at in 0..lines.len() {
        let mut removed = lines.clone();
        removed.remove(at);
        let outcome = verify(&removed.concat());
        match at {
            // What is left is a chain that begins later, or one that does not end: said plainly, and found with a head.
            0 => assert_eq!(outcome.expect("open").start, Start::Open { seq: 2 }),
            last if last + 1 == lines.len() => {
                assert_eq!(outcome.expect("open").end, End::Open);
                assert!(matches!(
                    verify_with(Verifier::new().with_head(head.hash), &[&removed.concat()]),
                    Err(VerifyError::HeadMissing(_))
                ));
            }
            _ => assert_eq!(broken(outcome).line, u64::try_from(at + 1).expect("number")),
        }
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at]);
        assert_eq!(
            broken(verify(&doubled.concat())).line,
            u64::try_from(at + 2).expect("number")
        );
        for other in at + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(at, other);
            let outcome = verify(&swapped.concat());
            let first = u64::try_from(at + 1).expect("number");
            let found = broken(outcome).line;
            assert!(
                found == first || (at == 0 && found == 2),
                "{at} {other}: {found}"
            );
        }
    }
}

/// The same chain with one text changed and every hash made anew: what an intruder without a key can do.
fn rewritten(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = core::str::from_utf8(bytes)
        .expect("text")
        .replacen(from, to, 1);
    let (mut out, mut prev) = (String::new(), "0".repeat(64));
    for line in text.lines() {
        let (covered, _) = line.rsplit_once(",\"hash\":\"").expect("hash");
        let (front, rest) = covered.split_once("\"prev\":\"").expect("prev");
        let (_, rest) = rest.split_at(64);
        let covered = format!("{front}\"prev\":\"{prev}{rest}");
        prev = Sha256::digest(covered.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        out.push_str(&format!("{covered},\"hash\":\"{prev}\"}}\n"));
    }
    out.into_bytes()
}

#[test]
fn t32_a_chain_that_is_made_anew_is_found_by_key_and_by_head() {
    let (bytes, head) = finished(quiet().key(key()));
    let forged = rewritten(&bytes, "zone_mismatch", "zone_unknown");
    assert!(is_whole(&forged), "without key or head it cannot be told");
    let found = broken(verify_with(Verifier::new().with_key(key()), &[&forged]));
    assert_eq!(
        (found.line, found.problem.as_str()),
        (6, "its signature is wrong")
    );
    assert!(matches!(
        verify_with(Verifier::new().with_head(head.hash), &[&forged]),
        Err(VerifyError::HeadMissing(_))
    ));
    // A chain without signatures is none for who has a key, and so is one with another's.
    let (unsigned, _) = finished(quiet());
    let other = SigningKey::from_bytes(&[8; 32]).expect("key");
    for bytes in [unsigned, finished(quiet().key(other)).0] {
        let found = broken(verify_with(Verifier::new().with_key(key()), &[&bytes]));
        assert_eq!(found.problem, "its segment is not signed with this key");
    }
}

#[test]
fn t32_what_no_signature_covers_is_told() {
    let disk = Disk::default();
    let sink = Arc::new(
        quiet()
            .key(key())
            .to_writer(disk.clone(), NOW)
            .expect("sink"),
    );
    let engine = engine(Arc::clone(&sink));
    assert_eq!(permit(&engine), Ok(()));
    sink.flush().expect("flush");
    let signed = disk.bytes();
    assert_eq!(permit(&engine), Ok(()));
    sink.close().expect("close");
    let all = disk.bytes();
    let tail = &split(&all[signed.len()..])[..1].concat();
    let report = verify_with(Verifier::new().with_key(key()), &[&signed, tail]).expect("holds");
    assert_eq!((report.unsigned_tail, report.end), (1, End::Open));
}

/// The lines behind the first `keep` ones replaced by others that are linked rightly.
fn with_forged_tail(bytes: &[u8], keep: usize, forged: usize) -> Vec<u8> {
    let lines = split(bytes);
    let text = String::from_utf8_lossy(lines[keep]);
    let (_, body) = text.split_once(",\"prev").expect("prev");
    let mut out = lines[..keep].concat();
    for more in 1..=forged {
        out.extend(format!("{{\"seq\":{},\"prev{body}", keep + more).bytes());
    }
    rewritten(&out, "", "")
}

#[test]
fn t32_a_restart_vouches_for_nothing_that_it_finds_unsigned() {
    let path = scratch("restart").join("audit.jsonl");
    let open = || quiet().key(key()).open(&path, NOW).expect("open");
    let verified = || {
        let bytes = std::fs::read(&path).expect("read");
        verify_with(Verifier::new().with_key(key()), &[&bytes]).expect("holds")
    };
    let (bytes, _) = finished(quiet().key(key()));
    // After the segment line, and after the checkpoint.
    for (keep, forged) in [(1, 40), (6, 3)] {
        std::fs::write(&path, with_forged_tail(&bytes, keep, forged)).expect("write");
        make_private(&path);
        for _ in 0..2 {
            // The service starts again, honestly, signs checkpoints and ends.
            let sink = Arc::new(open());
            let engine = engine(Arc::clone(&sink));
            assert_eq!(permit(&engine), Ok(()));
            sink.flush().expect("flush");
            sink.close().expect("close");
            let report = verified();
            assert_eq!(report.unsigned, u64::try_from(forged).expect("number"));
            assert_eq!((report.unsigned_tail, report.end), (0, End::Closed));
            assert!(!report.is_whole());
            assert_eq!(report.to_json()["signatures"]["unsigned"], report.unsigned);
        }
    }
    // What was closed is vouched for by its own process.
    std::fs::write(&path, &bytes).expect("write");
    make_private(&path);
    drop(open());
    assert!(verified().is_whole() && verified().unsigned == 0);
}

#[test]
fn t32_two_segments_that_are_mixed_are_found() {
    let folder = scratch("mixed");
    let path = folder.join("audit.jsonl");
    drop(engine(quiet().open(&path, NOW).expect("open")));
    let start = std::fs::read(&path).expect("read");
    let forks: Vec<Vec<u8>> = (0..2)
        .map(|fork| {
            let path = folder.join(format!("fork-{fork}"));
            std::fs::write(&path, &start).expect("write");
            make_private(&path);
            let engine = engine(quiet().open(&path, NOW).expect("open"));
            for _ in 0..3 {
                assert_eq!(permit(&engine), Ok(()));
            }
            drop(engine);
            let bytes = std::fs::read(&path).expect("read");
            assert!(is_whole(&bytes));
            bytes[start.len()..].to_vec()
        })
        .collect();
    let (one, other) = (split(&forks[0]), split(&forks[1]));
    let mut mixed = vec![&start[..]];
    for (one, other) in one.iter().zip(&other) {
        mixed.extend([*one, *other]);
    }
    let found = broken(verify(&mixed.concat()));
    assert_eq!(found.line, 4);
    assert!(found.problem.contains("number"), "{found}");
}

#[test]
fn hostile_files_end_in_an_error_and_no_control_character() {
    let (bytes, _) = finished(quiet());
    let mut long = vec![b'x'; 1 << 20];
    long.push(b'\n');
    for (input, line) in [
        (&b"\n"[..], 1),
        (b"{}\n", 1),
        (b"\x1b[31m\xff\n", 1),
        (&long, 1),
        (&[&bytes[..], &long].concat(), 9),
        (&[&long, &bytes[..]].concat(), 1),
    ] {
        let found = broken(verify(input));
        assert_eq!(found.line, line);
        assert!(!found.to_string().contains('\u{1b}') && found.to_string().len() < 2_000);
    }
    assert!(matches!(verify(b""), Err(VerifyError::Empty)));
    assert_eq!("x".parse::<ChainHash>().ok(), None);
}

pub(super) fn make_private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, mode).expect("mode");
    }
}
