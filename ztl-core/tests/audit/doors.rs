//! Which files are opened.

use super::*;

#[test]
fn t32_one_process_writes_a_chain() {
    let path = scratch("lock").join("audit.jsonl");
    let first = quiet().open(&path, NOW).expect("open");
    let error = quiet().open(&path, NOW).expect_err("refused").to_string();
    assert!(error.contains("another process"), "{error}");
    // Who ends just now is waited for: a child that it made may have the lock until it begins its own program.
    let ends = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        drop(first);
    });
    assert!(quiet().open(&path, NOW).is_ok());
    ends.join().expect("ended");
}

#[test]
fn a_file_that_is_no_chain_is_left_alone() {
    let path = scratch("other").join("audit.jsonl");
    std::fs::write(&path, "a log\nof something else\n").expect("write");
    super::tamper::make_private(&path);
    let error = quiet().open(&path, NOW).expect_err("refused").to_string();
    assert!(
        error.contains("audit.jsonl") && error.contains("chain"),
        "{error}"
    );
    assert_eq!(
        std::fs::read(&path).expect("read"),
        b"a log\nof something else\n"
    );
    assert!(quiet().open(path.join("no-folder"), NOW).is_err());
}

#[cfg(unix)]
#[test]
fn t32_links_and_files_that_others_may_write_are_refused() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = scratch("links");
    let path = folder.join("audit.jsonl");
    drop(quiet().open(&path, NOW).expect("open"));
    let mode = |path: &Path| std::fs::metadata(path).expect("file").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    for (name, target) in [("to-file", "audit.jsonl"), ("to-nothing", "missing")] {
        let link = folder.join(name);
        symlink(folder.join(target), &link).expect("link");
        let error = quiet().open(&link, NOW).expect_err("refused").to_string();
        assert!(error.contains("link"), "{error}");
        assert!(!folder.join("missing").exists());
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o620)).expect("mode");
    let error = quiet().open(&path, NOW).expect_err("refused").to_string();
    assert!(error.contains("chmod"), "{error}");
}

#[cfg(unix)]
fn pipe(test: &str) -> PathBuf {
    let path = scratch(test).join("audit.jsonl");
    let made = std::process::Command::new("mkfifo")
        .args(["-m", "600"])
        .arg(&path)
        .status();
    assert!(made.expect("mkfifo").success());
    path
}

#[cfg(unix)]
#[test]
fn t32_a_pipe_is_no_chain() {
    let path = pipe("pipe-chain");
    let error = quiet().open(&path, NOW).expect_err("refused").to_string();
    assert!(
        error.contains("audit.jsonl") && error.contains("no regular file"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn law_6_lines_go_into_a_pipe_whole_and_without_a_reader_nothing_is_permitted() {
    use std::io::{BufRead as _, BufReader};
    let path = pipe("pipe-lines");
    let at = path.clone();
    let reader = std::thread::spawn(move || {
        let mut lines = BufReader::new(std::fs::File::open(at).expect("open")).lines();
        [(); 2].map(|()| lines.next().expect("a line").expect("a line"))
    });
    let engine = engine(JsonLinesSink::append(&path).expect("open"));
    assert_eq!(permit(&engine), Ok(()));
    deny(&engine);
    let lines = reader.join().expect("reader");
    for (line, verdict) in lines.iter().zip(["permit", "deny"]) {
        let record: Value = serde_json::from_str(line).expect("one record");
        assert_eq!(record["verdict"], verdict, "{line}");
    }
    assert_eq!(permit(&engine), Err(Reason::AuditUnavailable));
}

#[test]
fn law_6_a_closed_audit_permits_nothing() {
    let sink = Arc::new(quiet().to_writer(Disk::default(), NOW).expect("sink"));
    let engine = engine(Arc::clone(&sink));
    assert_eq!(permit(&engine), Ok(()));
    sink.close().expect("close");
    assert_eq!(permit(&engine), Err(Reason::AuditUnavailable));
    assert!(sink.flush().is_err());
}
