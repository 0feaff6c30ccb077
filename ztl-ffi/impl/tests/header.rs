//! The header that C includes is the one that the sources say, and every export is guarded.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// The order of the header.
const SOURCES: [&str; 21] = [
    "version.rs",
    "status.rs",
    "boundary/input.rs",
    "error.rs",
    "text.rs",
    "decision.rs",
    "engine.rs",
    "file.rs",
    "audit.rs",
    "crl.rs",
    "peer.rs",
    "svid.rs",
    "flow.rs",
    "reads.rs",
    "claims.rs",
    "token.rs",
    "wire.rs",
    "action.rs",
    "refusal.rs",
    "explain.rs",
    "analysis.rs",
];

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn header() -> PathBuf {
    package().join("../include/ztl.h")
}

fn render() -> String {
    let config =
        cbindgen::Config::from_file(package().join("../cbindgen.toml")).expect("cbindgen.toml");
    let builder = SOURCES.iter().fold(
        cbindgen::Builder::new().with_config(config),
        |builder, file| builder.with_src(package().join("src").join(file)),
    );
    let mut text = Vec::new();
    builder
        .generate()
        .expect("the sources parse")
        .write(&mut text);
    String::from_utf8(text).expect("the header is UTF-8")
}

/// Every source file, with its path below `src`.
fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found)
            } else {
                found.push(path)
            }
        }
    }
    let src = package().join("src");
    let mut found = Vec::new();
    walk(&src, &mut found);
    let name = |path: &Path| {
        path.strip_prefix(&src)
            .expect("below src")
            .to_str()
            .expect("a name in UTF-8")
            .replace('\\', "/")
    };
    found
        .iter()
        .map(|path| (name(path), fs::read_to_string(path).expect("a source file")))
        .collect()
}

/// The exports of a source file: name, and the text from its signature to the end of the file.
fn exports(text: &str) -> Vec<(&str, &str)> {
    text.split("#[unsafe(no_mangle)]")
        .skip(1)
        .map(|rest| {
            let name = rest
                .split("extern \"C\" fn ")
                .nth(1)
                .and_then(|rest| rest.split('(').next())
                .expect("an export is a function of C");
            (name, rest)
        })
        .collect()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "asks whether to write the header, which decides nothing"
)]
fn the_header_is_what_the_sources_say() {
    let rendered = render();
    if std::env::var_os("ZTL_UPDATE_HEADER").is_some_and(|value| value == "1") {
        fs::write(header(), &rendered).expect("the header can be written");
    }
    let kept = fs::read_to_string(header()).expect("include/ztl.h");
    let differs = kept
        .lines()
        .zip(rendered.lines())
        .position(|(kept, new)| kept != new);
    assert!(
        kept == rendered,
        "include/ztl.h is out of date from line {}; write it anew with `ZTL_UPDATE_HEADER=1 cargo test -p ztl-ffi-impl --test header`",
        differs.unwrap_or_else(|| kept.lines().count().min(rendered.lines().count())) + 1
    );
}

#[test]
fn the_header_declares_exactly_the_exports() {
    let mut exported: Vec<_> = sources()
        .iter()
        .flat_map(|(_, text)| {
            exports(text)
                .into_iter()
                .map(|(name, _)| name.to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    exported.sort_unstable();
    let golden: Vec<_> = include_str!("exports.txt").lines().collect();
    assert_eq!(
        exported, golden,
        "tests/exports.txt lists the exports; taking one away needs another ZTL_ABI_VERSION"
    );
    let header = render();
    for name in &exported {
        assert!(
            header.contains(&format!("{name}(")),
            "{name} is not in the header"
        );
    }
    for (file, text) in sources() {
        assert!(
            exports(&text).is_empty() || SOURCES.contains(&file.as_str()),
            "{file} has exports and is not in SOURCES"
        );
    }
}

#[test]
fn every_export_is_one_export_macro() {
    for (file, text) in sources() {
        for (name, rest) in exports(&text) {
            let body = rest.split_once("{\n").expect("a body").1;
            let (body, _) = body
                .split_once(
                    "
}
",
                )
                .expect("the end of a function");
            let body = body.trim();
            let inside = body
                .strip_prefix("export!(")
                .and_then(|body| body.strip_suffix(')'));
            assert!(
                inside.is_some_and(|inside| !inside.contains("export!")),
                "{file}: the body of {name} is not one `export!`"
            );
            let first = inside.unwrap_or_default().split([' ', ':']).next();
            assert!(
                matches!(first, Some("outputs" | "otherwise")),
                "{file}: {name}"
            );
        }
    }
}

#[test]
fn t8_every_status_must_be_looked_at() {
    let header = render();
    for call in [
        "ztl_engine_new",
        "ztl_engine_swap",
        "ztl_engine_new_from_file",
        "ztl_engine_new_with_audit",
        "ztl_engine_swap_from_file",
        "ztl_engine_trust",
        "ztl_engine_trust_der",
        "ztl_engine_issuer",
        "ztl_svid_check",
        "ztl_claims_assert_dangerous",
        "ztl_token_verify",
        "ztl_explain",
        "ztl_reach",
        "ztl_diff",
        "ztl_peer_prove",
        "ztl_peer_assert_dangerous",
        "ztl_flow_permit",
        "ztl_action_authorize",
        "ztl_action_refuse",
    ] {
        let (before, _) = header.split_once(&format!("{call}(")).expect("declared");
        let declaration = before.rsplit("*/").next().expect("after its comment");
        assert!(
            declaration.contains("ZTL_MUST_USE"),
            "{call} may be ignored"
        );
    }
}
