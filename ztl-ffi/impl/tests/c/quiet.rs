//! What the library does to a process, and to its threads.

use std::fs;
use std::process::Command;

use crate::{built, c, folder, package, succeeds};

#[test]
fn no_thread_no_signal_no_file_and_nothing_of_a_threads_own() {
    let (built, folder) = (built(), folder("quiet"));
    let program = folder.join("quiet");
    succeeds(
        c().arg("-D_XOPEN_SOURCE=700")
            .arg(package().join("tests/c/quiet.c"))
            .arg(&built.archive)
            .args(&built.system_libraries)
            .arg("-o")
            .arg(&program),
    );
    let _ = fs::remove_file(folder.join("audit.jsonl"));
    let said = succeeds(Command::new(&program).arg(&folder));
    assert_eq!(said, "ok\n");
}
