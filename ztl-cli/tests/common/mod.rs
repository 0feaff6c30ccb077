//! Runs the built tool.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }
}

/// Runs `ztl` with these arguments in the folder of the test policies.
pub(crate) fn ztl(args: &[&str]) -> Run {
    ztl_with_input(args, b"")
}

pub(crate) fn ztl_with_input(args: &[&str], input: &[u8]) -> Run {
    let mut child = command(args).spawn().expect("start");
    let mut stdin = child.stdin.take().expect("stdin");
    let input = input.to_vec();
    // The tool may end before it has read all.
    let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
    let output = child.wait_with_output().expect("end");
    writer.join().expect("writer");
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ztl"));
    command.args(args).current_dir(data(""));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A file of the test policies.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// An empty folder of this test's own.
pub(crate) fn scratch(test: &str) -> PathBuf {
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("remove");
    }
    std::fs::create_dir_all(&folder).expect("create");
    folder
}

/// A policy file of this test's own.
pub(crate) fn policy(test: &str, text: &str) -> String {
    let path = scratch(test).join("policy.toml");
    std::fs::write(&path, text).expect("write");
    path.display().to_string()
}
