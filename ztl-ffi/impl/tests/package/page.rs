//! What the page tells a newcomer to do, done.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{package, succeeds};

/// The lines of the page, below a folder that the system's loader does not know.
pub(crate) fn says(folder: &Path, from: &Path) {
    let lib = folder.join("prefix/lib");
    let mut install = Command::new(package().join("install"));
    install.arg("--prefix").arg(folder.join("prefix"));
    let said = succeeds(install.arg("--from").arg(from).env_remove("DESTDIR"));
    let rpath = format!("-Wl,-rpath,{}\n", lib.display());
    assert!(said.ends_with(&rpath), "{said}");
    let page = fs::read_to_string(package().join("README.md")).expect("the page");
    let main = page
        .split("```c\n")
        .nth(1)
        .and_then(|it| it.split("```").next());
    fs::write(folder.join("main.c"), main.expect("a program")).expect("written");
    let page = page.replace("\\\n", "");
    let lines: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("cc main.c"))
        .collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in lines {
        let mut build = Command::new("sh");
        build.args(["-c", line]).current_dir(folder);
        succeeds(build.env("PKG_CONFIG_PATH", lib.join("pkgconfig")));
        let mut run = Command::new(folder.join("main"));
        run.current_dir(folder).env_remove("LD_LIBRARY_PATH");
        assert_eq!(succeeds(&mut run), "served by rule router-infers\n");
    }
}
