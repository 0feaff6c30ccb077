//! A process that forks while its threads decide.

use std::collections::HashMap;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::{built, c, folder, package, succeeds};

/// Two records never share an id, whichever process wrote them, and what a child makes of its parent's engine is no record at all.
#[test]
fn t30_what_a_fork_takes_along_is_refused_and_no_id_comes_twice() {
    let (built, folder) = (built(), folder("fork"));
    let (program, audits) = (folder.join("fork"), folder.join("audits"));
    let _ = fs::remove_dir_all(&audits);
    fs::create_dir_all(&audits).expect("a folder");
    succeeds(
        c().args(["-D_POSIX_C_SOURCE=200809L"])
            .arg(package().join("tests/c/fork.c"))
            .arg(&built.archive)
            .args(&built.system_libraries)
            .arg("-o")
            .arg(&program),
    );
    assert_eq!(succeeds(Command::new(&program).arg(&audits)), "ok\n");
    let mut seen = HashMap::new();
    let mut files = 0;
    for entry in fs::read_dir(&audits).expect("the audits") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("an audit");
        files += 1;
        // The policy, the flow, and an action a round.
        assert!(text.lines().count() > 1000, "{path:?} lacks records");
        for line in text.lines() {
            let record: Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{path:?}: {error}: {line}"));
            let Some(id) = record["id"].as_str() else {
                continue;
            };
            if let Some(other) = seen.insert(id.to_owned(), path.clone()) {
                panic!("{id} is in {other:?} and in {path:?}");
            }
        }
    }
    assert_eq!(files, 9, "a file for the parent and for each child");
    assert!(seen.len() > 9000, "{} records have an id", seen.len());
}
