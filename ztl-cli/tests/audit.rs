//! `ztl audit verify`: T32 by the tool that an auditor runs.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use std::path::{Path, PathBuf};

use common::{Run, scratch, ztl};
use serde_json::Value;
use ztl_core::audit::ChainSink;
use ztl_core::audit::chain::SigningKey;
use ztl_core::policy::Policy;
use ztl_core::{Arrival, Engine, Flow, Timestamp};

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);
const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// A chain over some files, and where it is.
fn chain(test: &str) -> PathBuf {
    signed(test, KEY)
}

/// The same, signed with this key.
fn signed(test: &str, key: &str) -> PathBuf {
    let path = scratch(test).join("audit.jsonl");
    let policy = "schema = 1\ntrust_domain = 'prod.example'\n[workloads.db]\nid = 'spiffe://prod.example/db'\nports = [5432]\n";
    let sink = ChainSink::builder()
        .rotate_at_bytes(0)
        .key(SigningKey::from_hex(key).expect("key"))
        .open(&path, NOW)
        .expect("open");
    let engine = Engine::new(Policy::from_toml(policy).expect("policy"), sink).expect("engine");
    for n in 0..50 {
        let addr = format!("10.0.{n}.1").parse().expect("address");
        let flow = Flow::ingress("db", 5432, Arrival::from_addr(addr), None);
        assert!(engine.permit_flow(&flow, NOW).is_err());
    }
    drop(engine);
    path
}

fn files(path: &Path) -> Vec<String> {
    let mut files: Vec<_> = std::fs::read_dir(path.parent().expect("folder"))
        .expect("folder")
        .map(|entry| entry.expect("entry").path().display().to_string())
        .filter(|file| file.contains("audit.jsonl") && !file.ends_with(".lock"))
        .collect();
    files.sort();
    files
}

fn verify(files: &[String], more: &[&str]) -> Run {
    let mut args = vec!["audit", "verify"];
    args.extend(files.iter().map(String::as_str));
    args.extend(more);
    ztl(&args)
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).expect("json")
}

#[test]
fn t32_a_whole_chain_is_0_in_any_order_of_its_files() {
    let path = chain("whole");
    let key = path.with_file_name("key");
    std::fs::write(&key, format!("{KEY}\n")).expect("write");
    let key = key.display().to_string();
    let mut files = files(&path);
    assert!(files.len() > 3);
    let run = verify(&files, &["--json", "--whole", "--key", &key]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let report = json(&run);
    assert_eq!(
        (&report["ok"], &report["decisions"]),
        (&true.into(), &50.into())
    );
    assert_eq!(
        (&report["start"], &report["end"]),
        (&"whole".into(), &"closed".into())
    );
    let head = report["head"]["hash"].as_str().expect("head").to_owned();
    files.reverse();
    let run = verify(&files, &["--head", &head]);
    assert_eq!(run.code, Some(0));
    assert!(
        run.stdout.starts_with("ok: ") && run.stdout.contains(&head),
        "{run:?}"
    );

    // Without the last file the end is open; the head kept elsewhere tells that it was cut.
    files.sort_by_key(|file| !file.ends_with(".jsonl"));
    let cut = &files[1..];
    let run = verify(cut, &[]);
    assert_eq!(run.code, Some(0));
    assert!(run.stdout.contains("open end"), "{run:?}");
    assert_eq!(verify(cut, &["--whole"]).code, Some(1));
    let run = verify(cut, &["--head", &head, "--json"]);
    assert_eq!((run.code, &json(&run)["ok"]), (Some(1), &false.into()));
}

#[test]
fn t32_lines_that_nobody_signed_are_told_and_are_not_whole() {
    let path = chain("unsigned");
    let key = path.with_file_name("key");
    std::fs::write(&key, format!("{KEY}\n")).expect("write");
    let key = key.display().to_string();
    // A crash after the first lines, and a process that takes them up.
    let oldest = &files(&path)[1];
    let first = std::fs::read_to_string(oldest).expect("read");
    let signed = |line: &&str| line.contains(",\"mac\":\"");
    let ends: Vec<&str> = first.split_inclusive('\n').collect();
    let last = ends.iter().rposition(signed).map_or(0, |at| at + 1);
    let unsigned = ends.len() - last;
    assert!(unsigned > 0);
    let crashed = scratch("unsigned-crashed").join("crashed.jsonl");
    std::fs::copy(oldest, &crashed).expect("copy");
    let signing = SigningKey::from_hex(KEY).expect("key");
    drop(
        ChainSink::builder()
            .key(signing)
            .open(&crashed, NOW)
            .expect("open"),
    );
    let file = [crashed.display().to_string()];
    assert_eq!(verify(&file, &["--whole"]).code, Some(0));
    let run = verify(&file, &["--whole", "--key", &key]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let told = format!("{unsigned} lines of unclosed segments are signed by nobody");
    assert!(run.stdout.contains(&told), "{run:?}");
    let report = json(&verify(&file, &["--json", "--key", &key]));
    assert_eq!(report["signatures"]["unsigned"], unsigned);
}

#[test]
fn t32_a_key_as_long_as_a_guard_takes_is_read_whole_and_no_other_in_part() {
    let longest = "07".repeat(8 * 1024);
    let path = signed("long-key", &longest);
    let key = path.with_file_name("key");
    let verified = |text: &str| {
        std::fs::write(&key, text).expect("write");
        let key = key.display().to_string();
        verify(&files(&path), &["--whole", "--key", &key])
    };
    let run = verified(&longest);
    assert_eq!(run.code, Some(0), "{run:?}");
    let run = verified(longest.get(..4096).expect("a part"));
    assert_eq!(run.code, Some(1), "{run:?}");
    let run = verified(&format!("{longest}\n"));
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("more than 16384 bytes"), "{run:?}");
    let key = "/dev/zero";
    let run = verify(&files(&path), &["--key", key]);
    assert_eq!(run.code, Some(2), "{run:?}");
}

#[test]
fn t32_the_first_broken_line_is_told() {
    let path = chain("broken");
    let files = files(&path);
    let text = std::fs::read_to_string(&files[1]).expect("read");
    let changed = text.replacen("identity_unproven", "no_flow_permitted", 1);
    std::fs::write(&files[1], &changed).expect("write");
    let line = changed
        .lines()
        .position(|line| line.contains("no_flow_permitted"))
        .expect("line")
        + 1;
    let run = verify(&files, &["--json"]);
    assert_eq!(run.code, Some(1));
    let report = json(&run);
    assert_eq!(
        (&report["ok"], &report["line"]),
        (&false.into(), &line.into())
    );
    assert_eq!(report["file"], files[1].as_str());
    assert!(
        report["expected"]
            .as_str()
            .expect("text")
            .starts_with("hash ")
    );
    let run = verify(&files, &[]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stdout.starts_with("broken: ") && run.stdout.contains(&format!("line {line}")),
        "{run:?}"
    );
}

#[test]
fn wrong_use_is_2() {
    let path = chain("usage");
    let file = path.display().to_string();
    let short = path.with_file_name("short");
    std::fs::write(&short, "0707").expect("write");
    let short = short.display().to_string();
    for args in [
        &["audit"][..],
        &["audit", "verify"],
        &["audit", "verify", "no-such-file"],
        &["audit", "verify", &file, "--head", "abc"],
        &["audit", "verify", &file, "--key", "no-such-file"],
        &["audit", "verify", &file, "--key", &short],
    ] {
        let run = ztl(args);
        assert_eq!(run.code, Some(2), "{args:?}: {run:?}");
    }
}
