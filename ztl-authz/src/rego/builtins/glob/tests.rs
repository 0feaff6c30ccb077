//! Patterns that are errors, and patterns that are none. What the others match stands in `interpreted.txt`.

use super::super::Regexes;
use super::*;

fn asked(pattern: &str, delimiters: &[&str], text: &str) -> Result<bool, Why> {
    let delimiters = delimiters.iter().map(|one| Term::text(*one)).collect();
    let arguments = [
        Term::text(pattern),
        Term::Array(delimiters),
        Term::text(text),
    ];
    let mut context = Context {
        now: None,
        regexes: &mut Regexes::default(),
        most: 4096,
    };
    Ok(matches(&mut context, &arguments)? == Term::Bool(true))
}

/// OPA's matcher says of each of these, and of some text, what the pattern does not say.
#[test]
fn a_glob_about_which_opa_errs_is_an_error() {
    for (pattern, delimiters) in [
        // One that has no length, before those that have one: never matched at all.
        ("/files/{a/**/x,b}/y", &["/"][..]),
        ("/t/{a/**/x,b}", &["/"][..]),
        ("/t/{*,me}", &["/"][..]),
        ("{/a/**/x,/b}/y", &["/"][..]),
        ("{ab**bc,q}x", &["/"][..]),
        // Nothing in a row.
        ("/t/{}/x", &["/"][..]),
        ("/t/{,}", &["/"][..]),
        // What may be empty before what may be empty, and what has no length before what has none.
        ("*{,a}", &["/"][..]),
        ("{a*,bc}{d,ef}", &["/"][..]),
        ("**{*}", &["/"][..]),
        ("***", &["/"][..]),
        // By itself it matches an empty text.
        ("?", &["/"][..]),
        ("[!a]", &["/"][..]),
        ("{?,ab}", &["/"][..]),
        // Of several delimiters, those in a row are looked for.
        ("a?*", &["/", ":"]),
        ("[!ab][!ab]", &["/"][..]),
        ("*{a,bc}", &["/", ":"]),
        // A row is cut by bytes.
        ("{ä,b}c*", &["/"][..]),
        // Begin and end of the one, and of the group.
        ("a{**ab}", &["/"][..]),
        ("{x**y,x**y}", &["/"][..]),
    ] {
        let why = asked(pattern, delimiters, "a").expect_err(pattern).0;
        assert!(
            why.starts_with("OPA's matcher errs") || why.contains("cannot be read"),
            "{why}"
        );
    }
    for (pattern, delimiters) in [
        ("a?*", &["/"][..]),
        ("a*{b,cd}*", &["/"][..]),
        ("/t/{me,*}", &["/"][..]),
        ("{a/**/x,b}", &["/"][..]),
        ("{ä,b}*", &["/"][..]),
        ("{?a,bcd}x", &["/", ":"]),
    ] {
        assert!(asked(pattern, delimiters, "a").is_ok(), "{pattern}");
    }
}

#[test]
fn rule_15_a_glob_is_bounded() {
    let half = "a".repeat(2000);
    for pattern in [
        format!("{half}**{half}"),
        "{".repeat(4000),
        format!("{}a{}", "{".repeat(33), "}".repeat(33)),
        "a".repeat(5000),
    ] {
        let why = asked(&pattern, &[], "a").expect_err(&pattern);
        assert_eq!(why.0, "the pattern is too long or cannot be read");
    }
    let wide: Vec<_> = (0..800).map(|n| format!("*{n}")).collect();
    let wide = format!("{{{}}}", wide.join(","));
    assert_eq!(asked(&wide, &["/"], "a7"), Ok(true));
}
