//! The ABI as it is committed, and the installed package as a newcomer finds it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]
#![cfg(target_os = "linux")]

mod page;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use ztl_ffi_impl::*;

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("package-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{:?} cannot be run: {error}", command.get_program()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{text}{said}");
    text
}

/// The header without comments, each declaration on one line.
fn declarations() -> Vec<String> {
    let header = fs::read_to_string(package().join("include/ztl.h")).expect("ztl.h");
    let mut rest = header.as_str();
    let mut code = String::new();
    while let Some((before, after)) = rest.split_once("/*") {
        code.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    code.push_str(rest);
    // What C++ has around them is a brace that C has not.
    let lines = code.lines().filter(|line| !line.contains("extern \"C\""));
    let (defines, code): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with('#'));
    let mut found: Vec<_> = defines.into_iter().map(str::to_owned).collect();
    // A structure's fields have semicolons, so that a declaration ends where no brace is open.
    let (mut one, mut depth) = (String::new(), 0_i32);
    for c in code.join(" ").chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if c == ';' && depth == 0 {
            found.push(one.split_whitespace().collect::<Vec<_>>().join(" "));
            one.clear();
        } else {
            one.push(c);
        }
    }
    found
}

/// A line for each number, structure, field, type and function that a program was compiled with.
fn abi() -> String {
    static ABI: OnceLock<String> = OnceLock::new();
    ABI.get_or_init(read_abi).clone()
}

fn read_abi() -> String {
    let mut lines = BTreeSet::new();
    let mut program = String::from("#include <stdio.h>\n#include \"ztl.h\"\nint main(void)\n{\n");
    for declaration in declarations() {
        let words: Vec<_> = declaration.split_whitespace().collect();
        match words.as_slice() {
            ["#define", name, _] if name.starts_with("ZTL_") && *name != "ZTL_MUST_USE" => {
                let _ = writeln!(
                    program,
                    "printf(\"const {name} %lld\\n\", (long long)({name}));"
                );
            }
            ["typedef", "struct", tag, "{", fields @ .., "}", name] if tag == name => {
                let _ = writeln!(
                    program,
                    "printf(\"struct {name} size %zu align %zu\\n\", sizeof({name}), _Alignof({name}));"
                );
                for field in fields
                    .join(" ")
                    .split(';')
                    .filter(|field| !field.trim().is_empty())
                {
                    let of = field.trim().rsplit([' ', '*']).next().expect("a name");
                    let of = of.split('[').next().expect("a name");
                    let _ = writeln!(
                        program,
                        "printf(\"field {name}.{of} at %zu size %zu: %s\\n\", offsetof({name}, {of}), sizeof((({name} *)0)->{of}), \"{}\");",
                        field.trim()
                    );
                }
            }
            []
            | [
                "#ifdef" | "#ifndef" | "#if" | "#else" | "#endif" | "#include" | "#define",
                ..,
            ] => {}
            ["}", ..] | ["extern", "\"C\"", ..] | ["static", ..] => {}
            _ if declaration.contains("ZTL_MUST_USE") && !declaration.contains('(') => {}
            _ => {
                lines.insert(format!("decl {declaration}"));
            }
        }
    }
    program.push_str("return 0;\n}\n");
    let folder = folder("abi");
    let (source, binary) = (folder.join("abi.c"), folder.join("abi"));
    fs::write(&source, program).expect("written");
    succeeds(
        Command::new("cc")
            .args(["-std=c11", "-Wall", "-Werror", "-I"])
            .arg(package().join("include"))
            .arg(&source)
            .arg("-o")
            .arg(&binary),
    );
    lines.extend(
        succeeds(&mut Command::new(&binary))
            .lines()
            .map(str::to_owned),
    );
    lines.extend(
        include_str!("../exports.txt")
            .lines()
            .map(|name| format!("symbol {name}")),
    );
    let mut text = String::new();
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The lists that are committed, one a version of the package.
fn committed() -> Vec<(PathBuf, String)> {
    let lists = fs::read_dir(package().join("abi")).expect("the lists");
    lists
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let text = fs::read_to_string(&path).expect("a list");
            (path, text)
        })
        .collect()
}

/// The version of the ABI that a list is of, as it stands there.
fn abi_version(list: &str) -> &str {
    list.lines()
        .find_map(|line| line.strip_prefix("const ZTL_ABI_VERSION "))
        .expect("a list says of which version it is")
}

/// Whether programs that were compiled with what stands in one list go on with another: all of it is there, or the version tells them.
fn goes_on(kept: &str, now: &str) -> Result<(), String> {
    let there: BTreeSet<_> = now.lines().collect();
    match kept.lines().find(|line| !there.contains(line)) {
        Some(gone) if abi_version(kept) == abi_version(now) => Err(format!(
            "`{gone}` is gone from the ABI: programs that were compiled with it break; that needs another ZTL_ABI_VERSION"
        )),
        _ => Ok(()),
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "asks whether to write the list, which decides nothing"
)]
fn the_abi_is_the_one_that_is_committed() {
    let version = env!("CARGO_PKG_VERSION")
        .rsplit_once('.')
        .expect("a version")
        .0;
    let path = package().join(format!("abi/{version}.txt"));
    let now = abi();
    // Before anything is written: no addition takes something away, from this version or one before it.
    for (path, kept) in committed() {
        if let Err(gone) = goes_on(&kept, &now) {
            panic!("{}: {gone}", path.display());
        }
    }
    if std::env::var_os("ZTL_UPDATE_ABI").is_some_and(|value| value == "1") {
        fs::write(&path, &now).expect("written");
    }
    let kept = fs::read_to_string(&path).expect("the committed list");
    for line in now.lines() {
        assert!(
            kept.lines().any(|other| other == line),
            "`{line}` is new in the ABI: write it down with `ZTL_UPDATE_ABI=1 cargo test -p ztl-ffi-impl --test package`"
        );
    }
    assert_eq!(
        kept, now,
        "the list of this version has what the ABI has not"
    );
    assert!(
        kept.lines()
            .filter(|line| line.starts_with("field "))
            .count()
            > 30
    );
}

#[test]
fn nothing_goes_from_an_abi_whose_version_stays() {
    for (_, kept) in committed() {
        assert_eq!(goes_on(&kept, &kept), Ok(()));
        assert_eq!(goes_on(&kept, &format!("{kept}const ZTL_MORE 1\n")), Ok(()));
        let next = format!("const ZTL_ABI_VERSION {}9", abi_version(&kept));
        for line in kept
            .lines()
            .filter(|line| !line.contains("ZTL_ABI_VERSION"))
        {
            let without = kept.replacen(&format!("{line}\n"), "", 1);
            let said = goes_on(&kept, &without).expect_err(line);
            assert!(said.contains(line), "{said}");
            let other = without.replace(
                &format!("const ZTL_ABI_VERSION {}", abi_version(&kept)),
                &next,
            );
            assert_eq!(goes_on(&kept, &other), Ok(()));
        }
    }
}

/// Where Rust has the fields of its structures, and how long they are.
struct Layout {
    name: &'static str,
    size: usize,
    align: usize,
    /// Each with its offset and its size.
    fields: Vec<(&'static str, usize, usize)>,
}

const fn size_of_field<S, F>(_: fn(&S) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! layouts {
    ($($structure:ident { $($field:ident),* })*) => {
        vec![$(Layout {
            name: stringify!($structure),
            size: size_of::<$structure>(),
            align: align_of::<$structure>(),
            fields: vec![$((
                stringify!($field),
                core::mem::offset_of!($structure, $field),
                size_of_field::<$structure, _>(|it| &it.$field),
            )),*],
        }),*]
    };
}

fn layouts() -> Vec<Layout> {
    layouts! {
        ztl_action_request {
            size, flags, method, target, upgrade, headers, headers_len, now_unix, trust_score, reserved, claims
        }
        ztl_decision { size, permit, reserved, stage, reason, id, expires_unix, rule }
        ztl_flow_request { size, port, flags, me, peer, from_addr, now_unix, to }
        ztl_header { name, value }
        ztl_issuer { size, kind, name, iss, audience, jwks }
        ztl_str { ptr, len }
    }
}

/// What Rust writes and reads lies where C has it: of every structure of the header, every field.
#[test]
fn rust_has_every_field_where_c_has_it() {
    let header = abi();
    let of = |kind: &str| -> BTreeSet<String> {
        let lines = header.lines().filter_map(|line| line.strip_prefix(kind));
        lines
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect()
    };
    let layouts = layouts();
    let (mut structures, mut fields) = (BTreeSet::new(), BTreeSet::new());
    let mut program = String::from("#include \"ztl.h\"\n");
    for layout in &layouts {
        let name = layout.name;
        structures.insert(name.to_owned());
        let (size, align) = (layout.size, layout.align);
        let _ = writeln!(
            program,
            "_Static_assert(sizeof({name}) == {size} && _Alignof({name}) == {align}, \"{name}\");"
        );
        for (field, at, size) in &layout.fields {
            fields.insert(format!("{name}.{field}"));
            let _ = writeln!(
                program,
                "_Static_assert(offsetof({name}, {field}) == {at} && sizeof((({name} *)0)->{field}) == {size}, \"{name}.{field}\");"
            );
        }
    }
    assert_eq!(
        (of("struct "), of("field ")),
        (structures, fields),
        "a structure of the header, or a field of one, is not looked at"
    );
    let source = folder("layout").join("layout.c");
    let compiles = |program: &str| {
        fs::write(&source, program).expect("written");
        Command::new("cc")
            .args(["-std=c11", "-fsyntax-only", "-I"])
            .arg(package().join("include"))
            .arg(&source)
            .output()
            .expect("a C compiler")
    };
    let output = compiles(&program);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // One that is elsewhere does not compile.
    let (at, elsewhere) = (
        "offsetof(ztl_decision, permit) == 4",
        "offsetof(ztl_decision, permit) == 5",
    );
    assert!(program.contains(at));
    assert!(!compiles(&program.replace(at, elsewhere)).status.success());
}

/// Two Rust archives in one program define the same names, unless one of them shows only its own.
const OTHER: &str = "#[unsafe(no_mangle)] pub extern \"C\" fn other() -> i32 { \
    std::panic::catch_unwind(|| { if std::hint::black_box(true) { panic!(\"caught\") } }).map_or(7, |()| 1) }";

#[test]
fn a_newcomer_installs_it_and_builds_against_it() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the target folder");
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--package",
        "ztl-ffi",
        "--offline",
        "--locked",
        "--quiet",
    ]);
    cargo
        .arg("--manifest-path")
        .arg(package().join("Cargo.toml"));
    cargo.arg("--target-dir").arg(target);
    if profile == "release" {
        cargo.arg("--release");
    }
    // As `tests/c` does, or ring is built anew.
    for (name, _) in std::env::vars_os() {
        let said = name.to_string_lossy();
        if said.starts_with("CARGO_PKG_") || said.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    succeeds(&mut cargo);
    let folder = folder("install");
    let (stage, from) = (folder.join("stage"), target.join(profile));
    succeeds(
        Command::new(package().join("install"))
            .env("DESTDIR", &stage)
            .args(["--prefix", "/opt/ztl", "--from"])
            .arg(&from),
    );
    let root = stage.join("opt/ztl");
    let mut files: Vec<_> = ["include", "lib", "lib/pkgconfig"]
        .iter()
        .flat_map(|dir| fs::read_dir(root.join(dir)).expect("a folder"))
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    files.sort();
    assert_eq!(
        files,
        [
            "libztl.a",
            "libztl.so",
            "libztl.so.1",
            "pkgconfig",
            "ztl.h",
            "ztl.pc"
        ]
    );
    let dynamic = succeeds(
        Command::new("readelf")
            .arg("-d")
            .arg(root.join("lib/libztl.so")),
    );
    assert!(
        dynamic.contains("Library soname: [libztl.so.1]"),
        "{dynamic}"
    );

    // pkg-config, told of the stage, is all that a build needs to know.
    let flags = |ask: &[&str]| -> Vec<String> {
        let text = succeeds(
            Command::new("pkg-config")
                .args(ask)
                .arg("ztl")
                .env("PKG_CONFIG_PATH", root.join("lib/pkgconfig"))
                .env("PKG_CONFIG_SYSROOT_DIR", &stage),
        );
        text.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(flags(&["--modversion"]), [env!("CARGO_PKG_VERSION")]);
    let compile = |program: &Path| {
        let mut cc = Command::new("cc");
        cc.args(["-std=c11", "-Wall", "-Werror"])
            .args(flags(&["--cflags"]));
        cc.arg("-o")
            .arg(program)
            .arg(package().join("tests/c/smoke.c"));
        cc
    };
    let shared = folder.join("shared");
    succeeds(compile(&shared).args(flags(&["--libs"])));
    let said = succeeds(Command::new(&shared).env("LD_LIBRARY_PATH", root.join("lib")));
    assert!(said.ends_with("ok\n"), "{said}");

    // Statically, beside another Rust library.
    let (source, other) = (folder.join("other.rs"), folder.join("libother.a"));
    fs::write(&source, OTHER).expect("written");
    succeeds(
        Command::new("rustc")
            .args(["--crate-type=staticlib", "--crate-name=other", "-o"])
            .arg(&other)
            .arg(&source),
    );
    let both = folder.join("both");
    let archive = root.join("lib/libztl.a");
    let mut link = compile(&both);
    link.args(["-Wl,-u,other"]).arg(&archive).arg(&other);
    link.args(
        flags(&["--libs-only-l", "--static"])
            .iter()
            .filter(|flag| *flag != "-lztl"),
    );
    succeeds(&mut link);
    assert!(succeeds(&mut Command::new(&both)).ends_with("ok\n"));
    let symbols = succeeds(
        Command::new("nm")
            .args(["-g", "--defined-only"])
            .arg(&archive),
    );
    let shown: BTreeSet<_> = symbols
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .filter(|name| *name != "DW.ref.rust_eh_personality")
        .collect();
    assert_eq!(
        shown,
        include_str!("../exports.txt")
            .lines()
            .collect::<BTreeSet<_>>()
    );
    page::says(&folder, &from);
    let _ = fs::remove_dir_all(&folder);
}
