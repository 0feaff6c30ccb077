//! What may be missing, where the interpreter would make something of it that OPA leaves undefined (T7).

use super::interpreter::{ask, refused};
use super::*;

/// OPA looks at what a call or a comparison is given before it looks at the `not`, so that nothing of it may be missing.
#[test]
fn t7_a_not_around_what_may_be_missing_refuses_the_policy() {
    for expr in [
        "startswith(input.x, \"a\")",
        "input.x > 1",
        "input.x != 1",
        "f(input.x)",
        "f(input.x) == 1",
        "f([input.x])",
        "input.x in [\"a\"]",
        "\"a\" in input.x",
        "count(input.x) > 1",
        "lower(input.x) == \"a\"",
        "startswith(lower(input.x), \"a\")",
        "startswith(rule, \"a\")",
        "startswith(http.path, \"a\")",
        "startswith(http, \"a\")",
        "startswith(f(1), \"a\")",
        "startswith(max([]), \"a\")",
        "input.x + 1 == 2",
        "[input.x] == [1]",
        "{input.x} == {1}",
        "{\"a\": input.x} == {\"a\": 1}",
        "data.roles[input.x]",
        "data.roles[input.x] == 1",
        "data.roles[input.x].a.b",
    ] {
        let error = refused(&format!(
            "import rego.v1\nimport input.http\nf(y) := y\nrule := input.r\nx if not {expr}"
        ));
        assert!(error.contains("this may be missing"), "{expr}: {error}");
        assert!(error.starts_with("policy.rego:6:"), "{expr}: {error}");
    }
    // What OPA takes as it stands.
    for body in [
        "x if not input.x",
        "x if not input.x.y.z",
        "x if not input.x == 1",
        "x if not 1 == input.x",
        "x if not [1 | input.x] == [1]",
        "x if not rule\nrule if input.x",
        "x if not startswith(rule, \"a\")\ndefault rule := \"\"\nrule := input.r",
        "x if { y := \"b\"; not startswith(y, \"a\") }",
        "x if { some y in [\"b\"]; not y in [\"a\"] }",
        "f(y) if not startswith(y, \"a\")\nx if f(\"b\")",
        "x if not g(1)\ng(y) if y == 2",
    ] {
        assert_eq!(ask(body, json!({})), Ok(Some(json!(true))), "{body}");
    }
    let bound = "x if { y := input.x; not startswith(y, \"a\") }";
    assert_eq!(ask(bound, json!({})), Ok(None));
}

/// `in` is false of what is missing, and with a key nothing is in nothing; OPA leaves both undefined.
#[test]
fn t7_an_in_of_what_may_be_missing_refuses_the_policy() {
    for body in [
        "x if \"tenant\", input.params.tenant in input.claims",
        "x if { banned := input.role in {\"y\"}; banned == false }",
        "x if { banned := \"y\" in input.roles; banned == false }",
        "x := input.role in {\"y\"}",
        "x if (\"y\" in input.roles) == false",
        "x if f(\"y\" in input.roles)\nf(y) if y == false",
        "x if { y := [\"y\" in input.roles]; y[0] == false }",
        "x if { some key, _ in {1}; y := (input.a, key in [1]); not y }",
        "x if { y := \"y\" in roles; not y }\nroles := input.roles",
        "x := y if y := [input.role in {\"y\"} | true]",
        "x if true else := \"y\" in input.roles if true",
    ] {
        let error = refused(&format!("import rego.v1\n{body}"));
        assert!(
            error.contains("this may be missing, and an `in`"),
            "{body}: {error}"
        );
    }
    // As a statement it does not hold, false or undefined; and what has a name is there.
    for (body, answer) in [
        ("x if \"y\" in input.roles", None),
        ("x if input.role in {\"y\"}", None),
        ("x if { t := input.t; \"t\", t in input.claims }", None),
        ("x if { t := 1; \"t\", t in {\"t\": 1} }", Some(json!(true))),
        ("x if { t := input.t; y := t in {1}; y == false }", None),
        (
            "x := y if { r := roles; y := \"y\" in r }\nroles := {\"y\"}",
            Some(json!(true)),
        ),
        (
            "x if { y := \"y\" in roles; y == false }\nroles := {\"z\"}",
            Some(json!(true)),
        ),
        ("x if every y in input.roles { y == 1 }", None),
    ] {
        assert_eq!(ask(body, json!({})), Ok(answer), "{body}");
    }
}

/// A set is there, if empty, and so is what is written out.
#[test]
fn a_not_of_what_is_there_is_asked() {
    for (body, answer) in [
        (
            "x if { u := input.u; not u in blocked }\nblocked := {\"mallory\", [1, null], {\"a\": `b`}}",
            Some(json!(true)),
        ),
        (
            "x if not \"admin\" in roles\nroles contains r if some r in input.roles",
            Some(json!(true)),
        ),
        (
            "x if not \"u\" in roles\nroles contains r if some r in [\"u\"]",
            None,
        ),
    ] {
        assert_eq!(ask(body, json!({ "u": "u" })), Ok(answer), "{body}");
    }
    for rule in [
        "r := {\"a\"} if input.a",
        "r := {input.a}",
        "r[input.a] := 1",
        "r := f(1)",
        "r contains input.a if { 1 == 1 }\nq := r\nx if not 1 in q",
    ] {
        let error = refused(&format!(
            "import rego.v1\nf(y) := y if y == 2\n{rule}\nx if not \"a\" in r"
        ));
        assert!(error.contains("this may be missing"), "{rule}: {error}");
    }
}

/// Only the last of several `with` is asked whether it is there.
#[test]
fn t7_a_with_of_what_may_be_missing_refuses_the_policy() {
    let several = "y if { not input.role }\nz if input.n == 1\ny if z";
    for with in [
        "with input.role as input.a with input.n as 1",
        "with input.n as 1 with input.role as [input.a] with input.n as 1",
        "with input.role as r with input.n as 1",
    ] {
        let error = refused(&format!(
            "import rego.v1\nr := input.r\n{several}\nx if y {with}"
        ));
        assert!(
            error.contains("this `with` would be left out"),
            "{with}: {error}"
        );
    }
    for (with, answer) in [
        ("with input.n as 1", Some(json!(true))),
        ("with input.n as input.a", None),
        ("with input.role as 2 with input.n as input.a", None),
        ("with input.role as 2 with input.n as 1", Some(json!(true))),
        ("with count as f with input.n as 1", Some(json!(true))),
    ] {
        let body = format!("f(_) := 1\n{several}\nx if y {with}");
        assert_eq!(ask(&body, json!({ "role": 1 })), Ok(answer), "{with}");
    }
}
