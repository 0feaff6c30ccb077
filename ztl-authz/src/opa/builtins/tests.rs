//! Calls and their answers by OPA 1.20.2, as `opa eval` prints them.

use super::*;

/// What OPA leaves undefined is an error here: a builtin that failed.
const UNDEFINED: &str = "undefined";

fn call(name: &str, arguments: &str) -> Result<String, String> {
    let builtin = resolve(name).unwrap_or_else(|error| panic!("{error}"));
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
