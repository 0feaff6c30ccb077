//! A process that ends anywhere: the next one takes the chain up.

use ztl_core::audit::chain::End;

use super::tamper::make_private;
use super::*;

/// What stands in the file at one moment, before anything is closed.
fn snapshot(decisions: usize) -> Vec<u8> {
    let disk = Disk::default();
    let sink = Arc::new(quiet().to_writer(disk.clone(), NOW).expect("sink"));
    let engine = engine(Arc::clone(&sink));
    for _ in 0..decisions {
        assert_eq!(permit(&engine), Ok(()));
    }
    sink.flush().expect("flush");
    disk.bytes()
}

#[test]
fn t32_the_chain_goes_on_after_a_crash_at_any_byte() {
    let path = scratch("crash").join("audit.jsonl");
    let bytes = snapshot(1);
    for cut in 0..=bytes.len() {
        std::fs::write(&path, &bytes[..cut]).expect("write");
        make_private(&path);
        let engine = engine(quiet().open(&path, NOW).expect("open"));
        assert_eq!(permit(&engine), Ok(()));
        drop(engine);
        let left = &bytes[..cut];
        let whole = left.iter().filter(|byte| **byte == b'\n').count();
        // A line that lacks nothing but its end is a line.
        let lacks_end = bytes.get(cut) == Some(&b'\n');
        let torn = cut > 0 && left.last() != Some(&b'\n') && !lacks_end;
        let report = verify_files(&path).unwrap_or_else(|error| panic!("{cut}: {error}"));
        assert!(report.is_whole(), "{cut}: {report:?}");
        assert_eq!(report.recovered, u64::from(torn), "{cut}");
        let before = whole + usize::from(lacks_end);
        assert_eq!(
            report.lines,
            u64::try_from(before + usize::from(torn) + 3).expect("number"),
            "{cut}"
        );
        let written = std::fs::read(&path).expect("read");
        assert!(written.starts_with(left), "{cut}: nothing is taken away");
        // What was torn may not be changed either.
        if torn && cut % 7 == 0 {
            let mut changed = written.clone();
            changed[cut - 1] ^= 1;
            broken(verify(&changed));
        }
    }
}

#[test]
fn a_file_that_a_crash_left_says_so_before_it_is_taken_up() {
    let bytes = snapshot(2);
    let report = verify(&bytes[..bytes.len() - 10]).expect("holds");
    assert!(matches!(report.end, End::Torn { bytes } if bytes > 100));
    assert_eq!(report.decisions, 2);
    assert_eq!(verify(&bytes).expect("holds").end, End::Open);
}

#[test]
fn lines_that_a_lost_write_left_empty_are_recovered_too() {
    // A block of zeros and the end of a line after it: what a power cut may leave.
    let path = scratch("zeros").join("audit.jsonl");
    let mut bytes = snapshot(2);
    let at = bytes.len() - 700;
    bytes.truncate(at);
    bytes.extend([0; 300_000]);
    bytes.extend(b"\"}\nand more\n");
    std::fs::write(&path, &bytes).expect("write");
    make_private(&path);
    drop(engine(quiet().open(&path, NOW).expect("open")));
    let report = verify_files(&path).expect("holds");
    assert_eq!((report.recovered, report.unclosed), (1, 1));
    assert!(report.recovered_bytes > 300_000 && report.is_whole());
}

#[test]
fn t32_a_crash_between_two_segments_is_counted() {
    let path = scratch("segments").join("audit.jsonl");
    std::fs::write(&path, snapshot(1)).expect("write");
    make_private(&path);
    for _ in 0..2 {
        drop(engine(quiet().open(&path, NOW).expect("open")));
    }
    let report = verify_files(&path).expect("holds");
    assert_eq!((report.segments, report.unclosed), (3, 1));
}
