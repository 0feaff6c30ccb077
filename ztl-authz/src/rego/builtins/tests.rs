//! Calls and their answers by OPA 1.20.2, as `opa eval` prints them.

use super::*;

/// What OPA leaves undefined is an error here: a builtin that failed.
const UNDEFINED: &str = "undefined";

fn call(name: &str, arguments: &str) -> Result<String, String> {
    let builtin = given(name).unwrap_or_else(|| panic!("{name}"));
    let Some(Term::Array(arguments)) = Term::parse(arguments.as_bytes()) else {
        panic!("{name}: {arguments}");
    };
    assert_eq!(arguments.len(), builtin.arity(), "{name}");
    let mut context = Context {
        now: Some(1_585_852_421_593_912_000),
        regexes: &mut Regexes::default(),
        most: 4096,
    };
    let answer = builtin.call(&mut context, &arguments);
    answer
        .map(|term| term.to_string())
        .map_err(|why| why.0.into())
}

#[test]
fn builtins_answer_as_opa_does() {
    let table = include_str!("table.txt");
    let mut faults = String::new();
    let mut rows = 0;
    for row in table.lines() {
        let (call_text, expected) = row.split_once("  =>  ").expect(row);
        let (name, arguments) = call_text.split_once('(').expect(row);
        let arguments = format!("[{}]", arguments.strip_suffix(')').expect(row));
        let ours = call(name, &arguments);
        let agrees = match &ours {
            Ok(ours) => ours == expected,
            Err(_) => expected == UNDEFINED,
        };
        if !agrees {
            faults += &format!("{row}\n    ours {ours:?}\n");
        }
        rows += 1;
    }
    assert!(faults.is_empty(), "{faults}");
    assert!(rows > 150, "{rows}");
}

#[test]
fn rule_15_what_would_be_too_long_is_not_even_made() {
    // One match, and for each `$0` the whole text.
    let text = "x".repeat(4000);
    let arguments = format!(r#"["{text}", "(?s).+", "{}"]"#, "$0".repeat(2000));
    let why = call("regex.replace", &arguments).expect_err("8 MB");
    assert_eq!(why, "the text becomes too long");
    // Groups that match little are no reason to refuse.
    let arguments = format!(r#"["{text}", "x(y?)", "{}"]"#, "$1".repeat(200));
    assert_eq!(call("regex.replace", &arguments), Ok("\"\"".to_owned()));

    let long = "x".repeat(1000);
    let networks: Vec<_> = (0..4)
        .map(|at| format!(r#"["10.0.0.0/{}", "{long}"]"#, 8 + at))
        .collect();
    let addresses: Vec<_> = (0..200).map(|at| format!(r#""10.0.0.{at}""#)).collect();
    let set = format!(r#"{{{}}}"#, networks.join(","));
    let Some(Term::Array(arguments)) =
        Term::parse(format!("[{set}, [{}]]", addresses.join(",")).as_bytes())
    else {
        panic!("terms");
    };
    let mut context = Context {
        now: None,
        regexes: &mut Regexes::default(),
        most: 4096,
    };
    let builtin = given("net.cidr_contains_matches").expect("builtin");
    let why = builtin.call(&mut context, &arguments).expect_err("800 kB");
    assert_eq!(why.0, "the answer becomes too long");
}

#[test]
fn rule_15_what_is_too_much_is_an_error_and_is_not_cut_off() {
    let called = |name: &str, arguments: String| {
        let Some(Term::Array(arguments)) = Term::parse(arguments.as_bytes()) else {
            panic!("{name}");
        };
        let mut context = Context {
            now: None,
            regexes: &mut Regexes::default(),
            most: 1 << 20,
        };
        let answer = given(name).expect(name).call(&mut context, &arguments);
        answer.map(|term| term.elements().map(<[Term]>::len))
    };
    let text = "a".repeat(70_000);
    for (name, arguments) in [
        ("regex.find_n", format!(r#"["a", "{text}", -1]"#)),
        ("regex.find_n", format!(r#"["a", "{text}", 69999]"#)),
        ("regex.split", format!(r#"["a", "{text}"]"#)),
    ] {
        let why = called(name, arguments).expect_err(name);
        assert_eq!(why.0, "there are too many matches", "{name}");
    }
    // Fewer were asked for.
    let few = called("regex.find_n", format!(r#"["a", "{text}", 7]"#));
    assert_eq!(few, Ok(Some(7)));
    let most = called(
        "regex.find_n",
        format!(r#"["a", "{}", -1]"#, "a".repeat(65_536)),
    );
    assert_eq!(most, Ok(Some(65_536)));
}

/// Of what RE2 reads and is not read here, a `not` would take a no for what it is not.
#[cfg(feature = "rego")]
#[test]
fn t7_what_is_not_read_here_is_neither_valid_nor_not() {
    let is_valid = |pattern: &str| {
        let mut context = Context {
            now: None,
            regexes: &mut Regexes::default(),
            most: 4096,
        };
        let builtin = interpreted("regex.is_valid").expect("a builtin");
        builtin.call(&mut context, &[Term::text(pattern)])
    };
    for pattern in [
        "(?P<1>a)",
        "(?ii)a",
        "(?)a",
        "a(?i)*",
        r"a\Q\E*",
        r"\p{Cs}",
        r"\x{D800}",
        r"\pL{1000}",
        &"a".repeat(5000),
        &format!("{}a{}", "(".repeat(100), ")".repeat(100)),
    ] {
        assert!(is_valid(pattern).is_err(), "{pattern}");
    }
    for (pattern, valid) in [("(?P<n>a)", true), ("(?P<n a>a)", false), ("(?-)a", false)] {
        assert_eq!(is_valid(pattern), Ok(Term::Bool(valid)), "{pattern}");
    }
}
