//! What is in a bundle fits together, or nothing of it is used.

use serde_json::json;
use ztl_authz::bundle::{BundleError, RegoVersion};

use super::support::Pack;

const POLICY: &str = "package authz.http\n\ndefault allow := false\n";

#[test]
fn a_bundle_is_read_whole() {
    let manifest = json!({
        "revision": "7", "roots": ["authz", "roles"],
        "wasm": [
            {"entrypoint": "authz/http/allow", "module": "/policy.wasm"},
            {"entrypoint": "authz/grpc/allow", "module": "/policy.wasm"},
        ],
        "file_rego_versions": {"/authz/old.rego": 0},
    });
    let bundle = Pack::new()
        .file("/data.json", r#"{"authz":{"x":1}}"#)
        .file("/authz/http.rego", POLICY)
        .file("/authz/old.rego", "package authz.old")
        .file("/authz/sub/data.json", "[1,2]")
        .file("/roles/data.json", r#"{"admin":["alice"]}"#)
        .file("/policy.wasm", b"\0asm")
        .file("/README.md", "of no account")
        .file("/.manifest", manifest.to_string())
        .read()
        .expect("bundle");
    assert_eq!(&*bundle.manifest.revision, "7");
    assert_eq!(
        bundle.data,
        json!({"authz": {"x": 1, "sub": [1, 2]}, "roles": {"admin": ["alice"]}})
    );
    let modules: Vec<_> = bundle
        .rego
        .iter()
        .map(|it| (&*it.path, &*it.package, it.version))
        .collect();
    assert_eq!(
        modules,
        [
            ("authz/http.rego", "authz/http", RegoVersion::V1),
            ("authz/old.rego", "authz/old", RegoVersion::V0),
        ]
    );
    assert_eq!(&*bundle.rego[0].text, POLICY);
    let [wasm] = &bundle.wasm[..] else {
        panic!("one module")
    };
    assert_eq!(
        (&*wasm.path, wasm.bytes.as_slice()),
        ("policy.wasm", &b"\0asm"[..])
    );
    assert_eq!(
        wasm.entrypoints
            .iter()
            .map(AsRef::as_ref)
            .collect::<Vec<_>>(),
        ["authz/http/allow", "authz/grpc/allow"]
    );
    assert!(!bundle.signed);
    // What was read last is what counts, in whatever order the files come.
    let late = Pack::new()
        .file("b/data.json", "2")
        .file("data.json", r#"{"a":1}"#);
    assert_eq!(late.read().expect("bundle").data, json!({"a": 1, "b": 2}));
}

#[test]
fn what_is_outside_the_roots_refuses_the_bundle() {
    let rooted = |path: &str, text: &str| {
        Pack::new()
            .file(".manifest", r#"{"roots":["authz/http"]}"#)
            .file(path, text)
    };
    for (path, text) in [
        ("authz/http/data.json", r#"{"x":1}"#),
        ("authz/data.json", r#"{"http":{"x":1}}"#),
        ("authz/data.json", "{}"),
        ("data.json", r#"{"authz":{"http":7}}"#),
        ("anywhere.rego", POLICY),
        ("anywhere.rego", "package authz.http.deeper"),
    ] {
        assert!(rooted(path, text).read().is_ok(), "{path} {text}");
    }
    for (path, text, why) in [
        ("data.json", r#"{"other":1}"#, "data at `other`"),
        ("authz/data.json", r#"{"x":1}"#, "data at `authz/x`"),
        ("authz/data.json", "7", "data at `authz`"),
        ("other/data.json", "{}", "data at `other`"),
        ("data.json", r#"{"authz/http":1}"#, "data at `/authz/http`"),
        ("authz/http.rego", "package authz", "of the package `authz`"),
        ("authz/http.rego", "package authz.https", "`authz/https`"),
        (
            "authz/http/x.rego",
            "package other",
            "of the package `other`",
        ),
    ] {
        let refused = rooted(path, text).refused();
        assert!(refused.contains(why), "{path} {text}: {refused}");
    }
    let nothing = Pack::new()
        .file(".manifest", r#"{"roots":[]}"#)
        .file("x.rego", "package a");
    assert!(nothing.refused().contains("outside the roots"));
    let overlap = Pack::new()
        .file(".manifest", r#"{"roots":["a","b","a/c"]}"#)
        .file("data.json", "{}");
    assert!(overlap.refused().contains("`a` and `a/c` overlap"));
    let entrypoint = r#"{"roots":["a"],"wasm":[{"entrypoint":"b/allow","module":"policy.wasm"}]}"#;
    let entrypoint = Pack::new()
        .file(".manifest", entrypoint)
        .file("policy.wasm", "");
    assert!(entrypoint.refused().contains("entrypoint `b/allow`"));
}

#[test]
fn law_1_what_is_not_understood_refuses_the_bundle() {
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    let long = json!({ "revision": "r".repeat(1025) }).to_string();
    for (path, text, why) in [
        ("patch.json", r#"{"data":[]}"#, "delta bundle"),
        ("a/patch.json", "{}", "delta bundle"),
        ("a/data.yaml", "x: 1", "is YAML"),
        ("a/data.yml", "x: 1", "is YAML"),
        ("a/data.json", "{", "not one JSON document, at line 1"),
        ("a/data.json", "{} {}", "not one JSON document"),
        ("a/data.json", r#"{"x":1,"x":1}"#, "member name twice"),
        ("a/data.json", &deep, "more than 64 deep"),
        ("a/data.json", "\u{feff}{}", "not one JSON document"),
        ("a/data.json", "[18446744073709551616]", "held exactly"),
        ("a/data.json", r#"{"x":-1e16}"#, "held exactly"),
        (".manifest", "[]", "not one JSON document"),
        (".manifest", r#"{"version":2}"#, "`version` is not known"),
        (".manifest", r#"{"rego_version":9}"#, "neither 0 nor 1"),
        (".manifest", &long, "`revision` has 1025 bytes"),
        (
            ".manifest",
            r#"{"wasm":[{"entrypoint":"a","module":"/b/policy.wasm"}]}"#,
            "no such `policy.wasm`",
        ),
        ("a.rego", "allow := true", "begins with `package`"),
        ("a.rego", "", "begins with `package`"),
    ] {
        let refused = Pack::new()
            .file("data.json", "{}")
            .file(path, text)
            .refused();
        assert!(refused.contains(why), "{path}: {refused}");
    }
    let numbers = Pack::new().file(
        "data.json",
        r#"{"x":[18446744073709551615,-9223372036854775808,1e15,0.1]}"#,
    );
    assert!(numbers.read().is_ok());
    let text = Pack::new().file("a.rego", b"package a\n# \xff");
    assert!(text.refused().contains("UTF-8"));
}

#[test]
fn no_value_takes_the_place_of_another() {
    for (one, other, place) in [
        (
            ("data.json", r#"{"a":{"x":1}}"#),
            ("a/data.json", r#"{"x":2}"#),
            "`data/a/x`",
        ),
        (
            ("data.json", r#"{"a":7}"#),
            ("a/data.json", "{}"),
            "`data/a`",
        ),
        (("a/data.json", "7"), ("a/b/data.json", "7"), "`data/a`"),
    ] {
        for pack in [
            Pack::new().file(one.0, one.1).file(other.0, other.1),
            Pack::new().file(other.0, other.1).file(one.0, one.1),
        ] {
            let refused = pack.refused();
            assert!(refused.contains(place), "{refused}");
        }
    }
    let top = Pack::new().file("data.json", "[]").refused();
    assert!(top.contains("no object at the top"), "{top}");
}

#[test]
fn a_bundle_of_nothing_is_none() {
    let empty = |pack: Pack| assert_eq!(pack.read().err(), Some(BundleError::Empty));
    empty(Pack::new());
    empty(Pack::new().file(".manifest", "{}"));
    empty(Pack::new().file("README.md", "x"));
    assert!(Pack::new().file("data.json", "{}").read().is_ok());
}
