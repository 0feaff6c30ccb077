//! The libraries, as C and C++ use them: `tests/c/smoke.c` is compiled, linked with each library, and run.
//!
//! `cargo test` does not build the libraries of another package, so this asks Cargo for them, with the profile and the target
//! folder of this test. Cargo holds no lock while tests run.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod certificates;
mod corpus;
mod fork;
mod generated;
#[cfg(target_os = "linux")]
mod growth;
#[cfg(target_os = "linux")]
mod quiet;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

/// What Cargo built.
struct Built {
    shared: PathBuf,
    archive: PathBuf,
    /// What the archive needs of the system, as rustc tells.
    system_libraries: Vec<String>,
}

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[expect(
    clippy::disallowed_methods,
    reason = "finds the tools of the build, as Cargo and make do"
)]
fn tool(variable: &str, otherwise: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| otherwise.into())
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!("{:?} cannot be run: {error}. The tests of the C ABI need Cargo, a C compiler (`cc`, or what CC names) and a C++ compiler (`c++`, or what CXX names)", command.get_program())
    })
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = run(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .parent()
            .expect("the target folder");
        let mut cargo = Command::new(tool("CARGO", "cargo"));
        cargo.args([
            "rustc",
            "--package",
            "ztl-ffi",
            "--lib",
            "--offline",
            "--locked",
            "--message-format=json",
        ]);
        cargo
            .arg("--manifest-path")
            .arg(package().join("Cargo.toml"))
            .arg("--target-dir")
            .arg(target);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        if cfg!(feature = "jwt") {
            cargo.args(["--features", "jwt"]);
        }
        // What Cargo tells a test of its package is no matter of a build script's that asks for it, which would run anew each time.
        for (name, _) in std::env::vars_os() {
            let said = name.to_string_lossy();
            if said.starts_with("CARGO_PKG_") || said.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(name);
            }
        }
        // Cargo keeps the answer with the library, so it is there as well where nothing was to be built.
        cargo.args(["--", "--print=native-static-libs"]);
        let messages: Vec<Value> = succeeds(&mut cargo)
            .lines()
            .map(|line| serde_json::from_str(line).expect("Cargo speaks JSON"))
            .collect();
        let files: Vec<PathBuf> = messages
            .iter()
            .filter(|message| {
                message["reason"] == "compiler-artifact" && message["target"]["name"] == "ztl"
            })
            .flat_map(|message| message["filenames"].as_array().expect("files").iter())
            .map(|file| PathBuf::from(file.as_str().expect("a path")))
            .collect();
        let with = |extensions: &[&str]| {
            let found = files.iter().find(|file| {
                extensions
                    .iter()
                    .any(|wanted| file.extension().is_some_and(|have| have == *wanted))
            });
            found
                .unwrap_or_else(|| panic!("no {extensions:?} among {files:?}"))
                .clone()
        };
        let system_libraries = messages
            .iter()
            .filter_map(|message| {
                message["message"]["message"]
                    .as_str()?
                    .strip_prefix("native-static-libs: ")
            })
            .flat_map(str::split_whitespace)
            .map(str::to_owned)
            .collect();
        Built {
            shared: with(&["so", "dylib"]),
            archive: with(&["a"]),
            system_libraries,
        }
    })
}

/// A folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("c-{name}"));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A compiler with every warning on, and each of them an error.
fn compiler(variable: &str, otherwise: &str, standard: &str) -> Command {
    let mut compiler = if variable.is_empty() {
        Command::new(otherwise)
    } else {
        Command::new(tool(variable, otherwise))
    };
    compiler.arg(format!("-std={standard}")).args([
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pedantic",
        "-g",
    ]);
    // A library that was asked for with tokens has to verify them.
    compiler.arg(format!("-DTOKENS={}", i32::from(cfg!(feature = "jwt"))));
    compiler.arg("-I").arg(package().join("include"));
    compiler
}

fn c() -> Command {
    compiler("CC", "cc", "c11")
}

fn cpp() -> Command {
    let mut compiler = compiler("CXX", "c++", "c++17");
    compiler.args(["-x", "c++"]);
    compiler
}

fn smoke() -> PathBuf {
    package().join("tests/c/smoke.c")
}

#[test]
fn the_header_stands_alone_and_may_come_twice() {
    let folder = folder("header");
    let source = folder.join("twice.c");
    fs::write(&source, "#include \"ztl.h\"\n#include \"ztl.h\"\nint main(void) { return ztl_str_of(\"a\").len == 1 ? 0 : 1; }\n").expect("written");
    for mut compiler in [c(), cpp()] {
        succeeds(compiler.arg(&source).arg("-fsyntax-only"));
    }
}

#[test]
fn t8_a_status_that_is_thrown_away_does_not_compile() {
    let folder = folder("ignored");
    let source = folder.join("ignored.c");
    let call = "ztl_action_authorize(0, 0, 0, 0, 0)";
    let program = |statement: &str| {
        format!("#include \"ztl.h\"\nint main(void) {{ {statement} return 0; }}\n")
    };
    let mut compiler = c();
    compiler
        .arg("-c")
        .arg(&source)
        .arg("-o")
        .arg(folder.join("ignored.o"));
    fs::write(
        &source,
        program(&format!("if ({call} != ZTL_OK) return 1;")),
    )
    .expect("written");
    succeeds(&mut compiler);
    fs::write(&source, program(&format!("{call};"))).expect("written");
    let output = run(&mut compiler);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("unused-result"),
        "{said}"
    );
}

#[test]
fn the_quickstart_of_the_readme_compiles_and_runs() {
    let readme = fs::read_to_string(package().join("README.md")).expect("README.md");
    let program = readme
        .split("```c\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("a program in C");
    let (built, folder) = (built(), folder("quickstart"));
    let (source, binary) = (folder.join("main.c"), folder.join("main"));
    fs::write(&source, program).expect("written");
    succeeds(
        c().arg(&source)
            .arg(&built.archive)
            .args(&built.system_libraries)
            .arg("-o")
            .arg(&binary),
    );
    let _ = fs::remove_file(folder.join("audit.jsonl"));
    assert_eq!(
        succeeds(Command::new(&binary).current_dir(&folder)),
        "served by rule router-infers\n"
    );
    let audit = fs::read_to_string(folder.join("audit.jsonl")).expect("the audit");
    assert_eq!(audit.lines().count(), 2, "a record a decision (law 6)");
}

/// The compilers of a language that are here: the one that was asked for, and those that most have.
fn compilers(asked: (&str, &str), others: &[&str], standard: &str) -> Vec<Command> {
    let mut found = vec![compiler(asked.0, asked.1, standard)];
    for other in others {
        let is_here = Command::new(other).arg("--version").output();
        if is_here.is_ok_and(|output| output.status.success()) {
            found.push(compiler("", other, standard));
        }
    }
    found
}

/// The walk of `smoke.c`, by each compiler of C and of C++ that is here, with what `link` adds.
fn each_walks(name: &str, link: impl Fn(&mut Command), run: impl Fn(&mut Command)) {
    let folder = folder(name);
    let c = compilers(("CC", "cc"), &["gcc", "clang"], "c11");
    let cpp = compilers(("CXX", "c++"), &["g++", "clang++"], "c++17");
    let languages = [("c", c), ("c++", cpp)];
    for (language, compilers) in languages {
        assert!(!compilers.is_empty());
        for (at, mut compiler) in compilers.into_iter().enumerate() {
            let program = folder.join(format!("{language}-{at}"));
            // `-x none`: a library is no source.
            compiler.args(["-x", language]).arg(smoke());
            link(compiler.args(["-x", "none"]));
            succeeds(compiler.arg("-o").arg(&program));
            let mut walk = Command::new(&program);
            run(&mut walk);
            let said = succeeds(&mut walk);
            assert!(said.ends_with("ok\n"), "{compiler:?}: {said}");
        }
    }
}

#[test]
fn c_and_cpp_programs_of_each_compiler_link_the_archive_and_run() {
    let built = built();
    let link = |compiler: &mut Command| {
        compiler.arg(&built.archive).args(&built.system_libraries);
    };
    each_walks("static", link, |_| {});
}

#[test]
#[cfg(target_os = "linux")]
fn c_and_cpp_programs_of_each_compiler_run_with_the_shared_library() {
    let (built, folder) = (built(), folder("shared-each"));
    let named = folder.join(format!("libztl.so.{}", ztl_ffi_impl::ZTL_ABI_VERSION));
    fs::copy(&built.shared, &named).expect("copied");
    let link = |compiler: &mut Command| {
        compiler.arg(&built.shared);
    };
    let run = |walk: &mut Command| {
        walk.env("LD_LIBRARY_PATH", &folder);
    };
    each_walks("shared-programs", link, run);
}

/// Whether a program holds a symbol: that a sanitizer is really in it.
#[cfg(target_os = "linux")]
fn holds(program: &Path, symbol: &str) -> bool {
    succeeds(Command::new("nm").arg(program)).contains(symbol)
}

#[test]
#[cfg(target_os = "linux")]
fn a_c_program_uses_no_memory_that_it_should_not_and_nothing_undefined() {
    let (built, program) = (built(), folder("sanitized").join("smoke"));
    succeeds(
        c().args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"])
            .arg(smoke())
            .arg(&built.archive)
            .args(&built.system_libraries)
            .arg("-o")
            .arg(&program),
    );
    for symbol in ["__asan_init", "__ubsan_handle_type_mismatch"] {
        assert!(holds(&program, symbol), "{symbol} is not in the program");
    }
    assert!(succeeds(&mut Command::new(&program)).ends_with("ok\n"));
}

/// The library itself is not instrumented, for which Rust's own would have to be built anew, so what it locks is not seen, and what
/// it touches is left out: looked at are the host's outputs, and its function for the audit.
#[test]
#[cfg(target_os = "linux")]
fn threads_of_a_c_program_do_not_race_in_its_memory() {
    let (built, folder) = (built(), folder("threads"));
    let named = folder.join(format!("libztl.so.{}", ztl_ffi_impl::ZTL_ABI_VERSION));
    fs::copy(&built.shared, &named).expect("copied");
    // Each round decides twice.
    let rounds = format!("-DROUNDS={}", tool("ZTL_ROUNDS", "2000").to_string_lossy());
    let program = |name: &str, flags: &[&str]| {
        let program = folder.join(name);
        succeeds(
            c().arg("-fsanitize=thread")
                .args(flags)
                .arg(package().join("tests/c/threads.c"))
                .arg(&built.shared)
                .arg("-lpthread")
                .arg("-o")
                .arg(&program),
        );
        assert!(holds(&program, "__tsan_init"), "ThreadSanitizer is not in");
        let mut run = Command::new(program);
        run.env("LD_LIBRARY_PATH", &folder)
            .env("TSAN_OPTIONS", "ignore_noninstrumented_modules=1");
        run
    };
    assert_eq!(succeeds(&mut program("threads", &[&rounds])), "ok\n");
    let raced = run(&mut program("raced", &["-DRACE"]));
    let said = String::from_utf8_lossy(&raced.stderr);
    assert!(
        !raced.status.success() && said.contains("data race"),
        "a race that is there is not told: {said}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_c_program_loads_the_shared_library_by_the_name_of_its_abi() {
    let (built, folder) = (built(), folder("shared"));
    let program = folder.join("smoke");
    succeeds(c().arg(smoke()).arg(&built.shared).arg("-o").arg(&program));
    // Under no other name will the program find it.
    let named = folder.join(format!("libztl.so.{}", ztl_ffi_impl::ZTL_ABI_VERSION));
    fs::copy(&built.shared, &named).expect("copied");
    assert!(succeeds(Command::new(&program).env("LD_LIBRARY_PATH", &folder)).ends_with("ok\n"));
    fs::remove_file(&named).expect("removed");
    assert!(
        !run(Command::new(&program).env("LD_LIBRARY_PATH", &folder))
            .status
            .success()
    );
}

#[test]
#[cfg(target_os = "linux")]
fn the_shared_library_exports_ztl_and_nothing_else() {
    let listed = succeeds(
        Command::new("nm")
            .args(["-D", "--defined-only"])
            .arg(&built().shared),
    );
    let exported: BTreeSet<_> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    let golden: BTreeSet<_> = include_str!("../exports.txt").lines().collect();
    assert_eq!(exported, golden);
}

#[test]
#[cfg(target_os = "linux")]
fn the_readme_names_the_libraries_that_the_archive_needs() {
    let readme = fs::read_to_string(package().join("README.md")).expect("README.md");
    for library in &built().system_libraries {
        assert!(
            readme.contains(library.as_str()),
            "README.md does not name {library}"
        );
    }
    assert!(!built().system_libraries.is_empty());
}
