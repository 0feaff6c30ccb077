//! What is resident does not grow, however often everything is made and freed.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::{built, c, folder, package, run, succeeds, tool};

/// The program, asked for so many cycles.
fn growth(program: &Path, flags: &[&str], cycles: impl AsRef<OsStr>) -> Command {
    let built = built();
    succeeds(
        c().args(flags)
            .arg(package().join("tests/c/growth.c"))
            .arg(&built.archive)
            .args(&built.system_libraries)
            .arg("-o")
            .arg(program),
    );
    let mut program = Command::new(program);
    program.arg(cycles);
    program
}

#[test]
fn what_is_resident_does_not_grow_and_a_leak_is_told() {
    let folder = folder("growth");
    let said = succeeds(&mut growth(
        &folder.join("growth"),
        &[],
        tool("ZTL_CYCLES", "2500"),
    ));
    assert_eq!(said, "ok\n");
    let leaking = run(&mut growth(&folder.join("leaking"), &["-DLEAK=1"], "1000"));
    let said = String::from_utf8_lossy(&leaking.stderr);
    assert!(
        !leaking.status.success() && said.contains("it does not grow"),
        "a leak that is there is not told: {said}"
    );
}
