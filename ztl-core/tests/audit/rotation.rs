//! T32: the chain goes on over rotation.

use std::time::Duration;

use ztl_core::Timestamp;
use ztl_core::audit::chain::{End, Start, seq_of};

use super::*;

#[test]
fn t32_the_chain_goes_on_over_rotation_under_load() {
    let path = scratch("load").join("audit.jsonl");
    let sink = Arc::new(
        quiet()
            .rotate_at_bytes(0)
            .checkpoint_every(50, Duration::from_secs(1))
            .deny_when_full()
            .key(key())
            .open(&path, NOW)
            .expect("open"),
    );
    let engine = engine(Arc::clone(&sink));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..100 {
                    if n % 2 == 0 {
                        assert_eq!(permit(&engine), Ok(()));
                    } else {
                        deny(&engine);
                    }
                }
            });
        }
    });
    let head = sink.close().expect("close");
    let files = files(&path);
    assert!(files.len() > 10, "{}", files.len());
    let all: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let verifier = || Verifier::new().with_key(key());
    let report = verify_with(verifier().with_head(head.hash), &all).expect("holds");
    assert!(report.is_whole());
    assert_eq!((report.decisions, report.dropped_permits), (400, 0));
    for pair in files.windows(2) {
        let (old, new) = (lines(&pair[0]), lines(&pair[1]));
        assert_eq!(new[0]["kind"], "file");
        assert_eq!(new[0]["prev"], old[old.len() - 1]["hash"]);
    }
    // A file that is missing, and two in the wrong order.
    let mut missing = all.clone();
    missing.remove(3);
    let found = broken(verify_with(verifier(), &missing));
    assert_eq!((found.file.as_str(), found.line), ("file 3", 1));
    let mut swapped = all.clone();
    swapped.swap(3, 4);
    assert_eq!(broken(verify_with(verifier(), &swapped)).file, "file 3");
    // Some at the end alone: an open start, said plainly.
    let seq = seq_of(&files[5]).expect("seq");
    let report = verify_with(verifier(), &all[5..]).expect("holds");
    assert_eq!(report.start, Start::Open { seq });
    assert_eq!(
        verify_with(verifier(), &all[..5]).expect("holds").end,
        End::Open
    );
}

#[test]
fn t32_files_that_rotation_removed_are_known_to_be() {
    let path = scratch("keep").join("audit.jsonl");
    for _ in 0..3 {
        let sink = quiet()
            .rotate_at_bytes(0)
            .keep_files(3)
            .open(&path, NOW)
            .expect("open");
        let engine = engine(sink);
        for _ in 0..60 {
            assert_eq!(permit(&engine), Ok(()));
        }
        drop(engine);
        assert_eq!(files(&path).len(), 3);
        let report = verify_files(&path).expect("holds");
        assert!(
            matches!(report.start, Start::Rotated { seq } if seq > 1),
            "{report:?}"
        );
        assert!(report.is_whole());
    }
    // One more than rotation took is missing.
    let files = files(&path);
    let report = verify_with(Verifier::new(), &[&files[1], &files[2]]).expect("holds");
    assert!(matches!(report.start, Start::Open { .. }));
}

#[test]
fn a_file_is_rotated_by_age() {
    let path = scratch("age").join("audit.jsonl");
    let sink = Arc::new(
        quiet()
            .rotate_after(Duration::from_secs(3600))
            .open(&path, NOW)
            .expect("open"),
    );
    let engine = engine(Arc::clone(&sink));
    let caller = peer(ROUTER);
    for hours in [0, 1, 1, 2] {
        let now = Timestamp::from_unix_secs(NOW.as_unix_secs() + hours * 3600);
        let arrival = Arrival::from_addr("10.10.0.5".parse().expect("address"));
        assert!(
            engine
                .permit_flow(&Flow::ingress("gateway", 8443, arrival, Some(&caller)), now)
                .is_ok()
        );
        sink.flush().expect("flush");
    }
    sink.close().expect("close");
    assert_eq!(files(&path).len(), 3);
    assert!(verify_files(&path).expect("holds").is_whole());
}

/// Of a proved caller, at this time after `NOW`; waits until the record is written where it is a permit.
fn permit_at(engine: &Engine, secs: u64) -> Result<(), Reason> {
    let caller = peer(ROUTER);
    let arrival = Arrival::from_addr("10.10.0.5".parse().expect("address"));
    let flow = Flow::ingress("gateway", 8443, arrival, Some(&caller));
    let now = Timestamp::from_unix_secs(NOW.as_unix_secs() + secs);
    let asked = engine.permit_flow(&flow, now).map(drop);
    asked.map_err(|denial| denial.reason())
}

const YEARS: u64 = 73 * 365 * 24 * 3600;

#[test]
fn t23_a_reading_of_the_clock_that_is_not_believed_stops_no_checkpoint() {
    let path = scratch("unbelieved-checkpoint").join("audit.jsonl");
    let sink = quiet()
        .checkpoint_every(1_000_000, Duration::from_secs(10))
        .deny_unless_on_disk()
        .open(&path, NOW)
        .expect("open");
    let engine = engine(sink);
    assert_eq!(permit_at(&engine, 0), Ok(()));
    assert_eq!(permit_at(&engine, YEARS), Err(Reason::ClockUntrusted));
    for secs in 1..=30 {
        assert_eq!(permit_at(&engine, secs), Ok(()));
    }
    drop(engine);
    let bytes = std::fs::read(&path).expect("read");
    let checkpoints: Vec<_> = lines(&bytes)
        .into_iter()
        .filter(|line| line["kind"] == "checkpoint")
        .map(|line| line["time"].as_u64().expect("time") - NOW.as_unix_secs())
        .collect();
    assert_eq!(checkpoints, [10, 20, 30]);
    assert!(verify(&bytes).expect("holds").is_whole());
}

#[test]
fn t23_a_reading_of_the_clock_that_is_not_believed_stops_no_rotation() {
    let path = scratch("unbelieved-rotation").join("audit.jsonl");
    let sink = quiet()
        .rotate_after(Duration::from_secs(3600))
        .deny_unless_on_disk()
        .open(&path, NOW)
        .expect("open");
    let engine = engine(sink);
    let mut begun = Vec::new();
    for (secs, wanted) in [
        (0, Ok(())),
        (YEARS, Err(Reason::ClockUntrusted)),
        (1, Ok(())),
        (3600, Ok(())),
        (7200, Ok(())),
    ] {
        assert_eq!(permit_at(&engine, secs), wanted);
        begun.push(files(&path).len());
    }
    drop(engine);
    assert_eq!(begun, [1, 1, 1, 2, 3]);
    assert!(verify_files(&path).expect("holds").is_whole());
}

#[test]
fn t32_a_crash_between_the_steps_of_a_rotation_is_taken_up() {
    let folder = scratch("steps");
    let path = folder.join("audit.jsonl");
    drop(engine(quiet().open(&path, NOW).expect("open")));
    let earlier = folder.join("audit.jsonl.00000000000000000001");
    // Renamed, and no new file made; then with an empty one, and one that was left over.
    for empty in [false, true] {
        std::fs::rename(&path, &earlier).expect("rename");
        if empty {
            std::fs::write(&path, b"").expect("write");
            super::tamper::make_private(&path);
            std::fs::write(folder.join("audit.jsonl.next"), b"").expect("write");
        }
        drop(engine(quiet().open(&path, NOW).expect("open")));
        assert!(!earlier.exists());
    }
    let report = verify(&std::fs::read(&path).expect("read")).expect("holds");
    assert_eq!((report.segments, report.is_whole()), (3, true));
}
