//! A full disk: counted, loud, tried again, and no permit where that was asked for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use ztl_core::audit::chain::Trouble;

use super::*;

#[test]
fn law_6_a_full_disk_denies_permits_where_asked_and_the_chain_goes_on() {
    for cut in [0, 1, 60, 400, 700] {
        let disk = Disk::default();
        let (told, troubles) = mpsc::channel();
        let sink = Arc::new(
            ChainSink::builder()
                .deny_when_full()
                .on_trouble(move |trouble| drop(told.send(trouble.clone())))
                .to_writer(disk.clone(), NOW)
                .expect("sink"),
        );
        let engine = engine(Arc::clone(&sink));
        sink.flush().expect("flush");
        disk.room(Some(cut));
        assert_eq!(permit(&engine), Ok(()));
        assert!(sink.flush().is_err());
        assert!(sink.health().failing.is_some());
        assert_eq!(permit(&engine), Err(Reason::AuditUnavailable));
        deny(&engine);
        assert!(sink.flush().is_err(), "tried again in vain");
        disk.room(Some(100));
        assert!(sink.flush().is_err(), "and once more, with a little room");
        disk.room(None);
        sink.flush().expect("space is back");
        assert_eq!(sink.health().failing, None);
        assert_eq!(permit(&engine), Ok(()));
        sink.close().expect("close");
        let report = verify(&disk.bytes()).unwrap_or_else(|error| panic!("{cut}: {error}"));
        assert!(report.is_whole());
        // Two permits, the denial of the one that was not, and the other denial.
        assert_eq!(report.decisions, 4, "{cut}");
        assert_eq!(report.recovered, 1, "{cut}: {report:?}");
        let troubles: Vec<_> = troubles.try_iter().collect();
        assert!(
            matches!(&troubles[..], [Trouble::Failing(_), Trouble::Resumed]),
            "{troubles:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn law_6_nothing_is_permitted_onto_dev_full() {
    for builder in [quiet().deny_when_full(), quiet().deny_unless_on_disk()] {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("open");
        let sink = Arc::new(builder.to_writer(full, NOW).expect("sink"));
        let engine = engine(Arc::clone(&sink));
        let error = sink.flush().expect_err("full").to_string();
        assert!(error.contains("space"), "{error}");
        assert_eq!(permit(&engine), Err(Reason::AuditUnavailable));
        assert!(sink.close().is_err());
    }
}

#[test]
fn a_sink_that_is_dropped_with_a_full_disk_says_what_is_lost() {
    let disk = Disk::default();
    let (told, troubles) = mpsc::channel();
    let sink = ChainSink::builder()
        .on_trouble(move |trouble| drop(told.send(trouble.clone())))
        .to_writer(disk.clone(), NOW)
        .expect("sink");
    sink.flush().expect("flush");
    disk.room(Some(0));
    let engine = engine(sink);
    assert_eq!(permit(&engine), Ok(()));
    drop(engine);
    let troubles: Vec<_> = troubles.try_iter().collect();
    let Some(Trouble::Lost { lines }) = troubles.last() else {
        panic!("{troubles:?}");
    };
    assert!(*lines >= 1);
    assert!(verify(&disk.bytes()).is_ok());
}

#[test]
fn law_6_a_permit_that_waits_for_the_disk_finds_itself_there() {
    let disk = Disk::default();
    let sink = Arc::new(
        quiet()
            .deny_unless_on_disk()
            .to_writer(disk.clone(), NOW)
            .expect("sink"),
    );
    let engine = engine(Arc::clone(&sink));
    for n in 1..=5 {
        assert_eq!(permit(&engine), Ok(()));
        let there = kinds(&disk.bytes())
            .iter()
            .filter(|kind| *kind == "decision")
            .count();
        assert_eq!(there, n);
    }
}

/// A disk that fails to sync so often.
struct Unsynced(Disk, Arc<AtomicUsize>);

impl Write for Unsynced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let less = |left: usize| left.checked_sub(1);
        match self
            .1
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        {
            Ok(_) => Err(io::Error::other("the disk is broken")),
            Err(_) => Ok(()),
        }
    }
}

#[test]
fn t32_lines_that_a_failed_sync_may_have_lost_are_told_and_no_permit_waits_for_them_in_vain() {
    for times in [1, 3] {
        let (disk, fails) = (Disk::default(), Arc::new(AtomicUsize::new(0)));
        let (told, troubles) = mpsc::channel();
        let sink = Arc::new(
            ChainSink::builder()
                .key(key())
                .deny_unless_on_disk()
                .on_trouble(move |trouble| drop(told.send(trouble.clone())))
                .to_writer(Unsynced(disk.clone(), Arc::clone(&fails)), NOW)
                .expect("sink"),
        );
        let engine = engine(Arc::clone(&sink));
        assert_eq!(permit(&engine), Ok(()));
        sink.flush().expect("flush");
        let before = lines(&disk.bytes()).len();
        fails.store(times, Ordering::SeqCst);
        // The next sync succeeds, and says nothing about this record.
        assert_eq!(permit(&engine), Err(Reason::AuditUnavailable), "{times}");
        while sink.flush().is_err() {}
        assert_eq!(permit(&engine), Ok(()));
        sink.close().expect("close");
        let bytes = disk.bytes();
        let report = verify_with(Verifier::new().with_key(key()), &[&bytes]).expect("holds");
        assert!(report.is_whole());
        assert_eq!(report.unsynced, u64::try_from(times).expect("number"));
        assert_eq!(report.to_json()["unsynced"], report.unsynced);
        let first = u64::try_from(before + 1).expect("number");
        let lines = lines(&bytes);
        let told: Vec<_> = lines
            .iter()
            .filter(|line| line["kind"] == "unsynced")
            .collect();
        assert!(told.iter().all(|line| line["from"] == first));
        // Each names all that came before it.
        let last = told.last().expect("line");
        assert_eq!(last["to"].as_u64(), last["seq"].as_u64().map(|seq| seq - 1));
        let troubles: Vec<_> = troubles.try_iter().collect();
        let [
            Trouble::NotOnDisk { first: told, .. },
            Trouble::Failing(_),
            Trouble::Resumed,
        ] = &troubles[..]
        else {
            panic!("{troubles:?}");
        };
        assert_eq!(*told, first);
    }
}
