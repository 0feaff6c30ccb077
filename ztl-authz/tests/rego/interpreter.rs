//! Policies by the interpreter: what it reads, what it refuses, what it bounds.

use std::time::{Duration, Instant};

use ztl_authz::rego::{Interpreter, InterpreterError, MAX_CHAIN, RegoEngine};

use super::*;

const TIMEOUT: Duration = Duration::from_millis(100);

fn compile(source: &str, entrypoint: &str) -> Result<Interpreter, InterpreterError> {
    Interpreter::compile([("policy.rego", source)], json!({}), entrypoint, TIMEOUT)
}

pub(super) fn ask(body: &str, input: Value) -> Result<Option<Value>, RegoError> {
    let source = format!("package p\nimport rego.v1\n{body}");
    let policy = compile(&source, "p/x").unwrap_or_else(|error| panic!("{error}"));
    policy.evaluate(&input.to_string())
}

pub(super) fn refused(body: &str) -> String {
    let source = format!("package p\n{body}");
    match compile(&source, "p/x") {
        Ok(_) => panic!("{body} is read"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_entrypoint_is_a_rule_by_its_path() {
    let source = "package a.b\nx := 1\nf(y) := y";
    for path in ["a/b/x", "a.b.x", "data.a.b.x", "data/a/b/x"] {
        let policy = compile(source, path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(policy.evaluate("{}"), Ok(Some(json!(1))), "{path}");
    }
    let dashed = compile("package a[\"b-c\"]\nx := 1", "a/b-c/x").expect("a policy");
    assert_eq!(dashed.evaluate("{}"), Ok(Some(json!(1))));
    for (path, why) in [
        ("x", "names no rule"),
        ("", "names no rule"),
        ("a/b", "is no rule of the policy"),
        ("a/b/y", "is no rule of the policy"),
        ("a//x", "has a part that is no name"),
        ("a/b/x\"]", "has a part that is no name"),
    ] {
        let error = compile(source, path).expect_err(path).to_string();
        assert!(error.contains(why), "{path}: {error}");
    }
}

#[test]
fn an_error_has_file_line_and_column() {
    let error = refused("x if {\n  input.a = \n}");
    assert!(error.starts_with("policy.rego:3:11: expecting"), "{error}");
    let error = refused("x if y.z(1)");
    assert!(
        error.starts_with("policy.rego:2:6: the builtin `y.z` is not there"),
        "{error}"
    );
}

#[test]
fn rule_7_what_reaches_beyond_the_decision_refuses_the_policy() {
    for (call, why) in [
        (
            "http.send({\"method\": \"GET\", \"url\": \"x\"})",
            "reaches the network",
        ),
        ("opa.runtime()", "shows the environment"),
        ("rand.intn(\"a\", 5)", "is random"),
        ("uuid.rfc4122(\"a\")", "is random"),
        ("net.lookup_ip_addr(\"localhost\")", "reaches the network"),
        ("net.cidr_expand(\"10.0.0.0/8\")", "can make much of little"),
        (
            "graph.reachable_paths({\"a\": []}, [\"a\"])",
            "can make much of little",
        ),
        ("io.jwt.decode(\"x\")", "is not there"),
        (
            "time.parse_ns(\"2006\", \"2020\")",
            "answers otherwise than OPA's",
        ),
    ] {
        let name = call.split('(').next().expect("a name");
        for body in [
            format!("x := {call}"),
            format!("x if not {call}"),
            format!("x := [y | y := {call}]"),
            format!("x if every y in [1] {{ {call} == y }}"),
            format!("x := {{\"a\": {{1 | {call}}}}}"),
            format!("f(y) := {call}\nx := 1"),
            format!("x := 1 if false else := {call}"),
        ] {
            let error = refused(&body);
            let wanted = format!("the builtin `{name}` {why}");
            assert!(error.contains(&wanted), "{body}: {error}");
        }
    }
    let with = refused("x := y if y := count([1]) with count as rand.intn");
    assert!(with.contains("the builtin `rand.intn` is random"), "{with}");
}

#[test]
fn the_clock_is_that_of_the_decision() {
    let asked = ask(
        "x := time.now_ns()",
        json!({ "now": 1_795_339_815_250_000_000_u64 }),
    );
    assert_eq!(asked, Ok(Some(json!(1_795_339_815_250_000_000_u64))));
    let year = ask(
        "x := time.date(time.now_ns())[0]",
        json!({ "now": 1_795_339_815_250_000_000_u64 }),
    );
    assert_eq!(year, Ok(Some(json!(2026))));
}

#[test]
fn rule_7_builtins_that_fail_fail_the_policy() {
    for body in [
        "x if { y := input.a; not to_number(y) }",
        "x := true if { y := input.a; not json.unmarshal(y) }",
        "default x := true\nx := false if to_number(input.a) == 1",
        "x := numbers.range(0, 1000000000000)",
        "x := 1 / 0",
    ] {
        let asked = ask(body, json!({ "a": "secret" }));
        let Err(RegoError::Trapped(why)) = &asked else {
            panic!("{body}: {asked:?}");
        };
        assert!(why.starts_with("an expression at policy.rego:"), "{why}");
        assert!(!why.contains("secret"), "{why}");
    }
    assert_eq!(
        ask("x := numbers.range(3, 1)", json!({})),
        Ok(Some(json!([3, 2, 1])))
    );
    let steps = ask("x := numbers.range_step(0, 5, 2)", json!({}));
    assert_eq!(steps, Ok(Some(json!([0, 2, 4]))));
}

/// What the crate leaves undefined where it cannot answer, a `not` would take for good news.
#[test]
fn t7_no_builtin_is_undefined_where_it_fails() {
    for call in [
        "units.parse_bytes(a)",
        "units.parse(a)",
        "regex.replace(\"a\", b, \"c\")",
        "regex.match(b, \"a\")",
        "time.add_date(1582934400000000000, 1000, 0, 0)",
        "array.slice([1], 0.5, 1)",
        "bits.and(1.5, 1)",
        "substring(\"abc\", -1, 1)",
        "json.patch({}, [{\"op\": \"remove\", \"path\": \"/a\"}])",
        "net.cidr_contains(\"10.0.0.0/8\", a)",
        "glob.match(b, [], \"a\")",
    ] {
        for body in [
            format!("x if {{ a := input.a; b := input.b; not {call} }}"),
            format!("denied if {{ a := input.a; b := input.b; {call} }}\nx if not denied"),
            format!("f(a, b) := {call}\nx if {{ a := input.a; b := input.b; not f(a, b) }}"),
        ] {
            let asked = ask(&body, json!({ "a": "5zz", "b": "[" }));
            assert!(
                matches!(asked, Err(RegoError::Trapped(_))),
                "{body}: {asked:?}"
            );
        }
    }
    // There is none of nothing, and that is no failure.
    assert_eq!(ask("x if not max([])", json!({})), Ok(Some(json!(true))));
    // 29 February and a year is 1 March, as Go has it.
    let added = ask(
        "x := time.add_date(1582934400000000000, 1, 0, 0)",
        json!({}),
    );
    assert_eq!(added, Ok(Some(json!(1_614_556_800_000_000_000_i64))));
}

/// The zone of the machine would make one revision of a policy two.
#[test]
fn law_3_the_zone_of_the_machine_is_none() {
    for call in [
        "time.clock([0, \"Local\"])",
        "time.date([0, \"Local\"])",
        "time.weekday([0, \"Local\"])",
        "time.format([0, \"Local\"])",
        "time.diff([0, \"Local\"], 0)",
        "time.add_date([0, \"Local\"], 0, 0, 0)",
    ] {
        let asked = ask(&format!("x := {call}"), json!({}));
        assert!(
            matches!(asked, Err(RegoError::Trapped(_))),
            "{call}: {asked:?}"
        );
    }
}

/// What a caller names is no pattern, and no pattern reaches beyond its delimiters.
#[test]
fn t2_a_pattern_matches_what_opa_says_and_no_more() {
    for (body, input) in [
        (
            "x if glob.match(\"tenant:*\", [\":\"], input.r)",
            json!({ "r": "tenant:a:secret" }),
        ),
        (
            "x if glob.match(concat(\"\", [\"/t/\", glob.quote_meta(input.t), \"/*\"]), [\"/\"], \"/t/evil/a\")",
            json!({ "t": "{acme,evil}" }),
        ),
        (
            "x if glob.match(concat(\"\", [\"/t/\", glob.quote_meta(input.t), \"/*\"]), [\"/\"], \"/t/evil/a\")",
            json!({ "t": "????" }),
        ),
        (
            "x if regex.match(`^\\d+$`, input.n)",
            json!({ "n": "\u{663}" }),
        ),
        (
            "x if regex.template_match(\"/longer/<.*>\", input.p, \"<\", \">\")",
            json!({ "p": "/" }),
        ),
    ] {
        let answer = ask(&body.replace("x if ", "default x := false\nx if "), input);
        assert_eq!(answer, Ok(Some(json!(false))), "{body}");
    }
}

/// Forms of calls that the interpreter has, beside the plain one.
#[test]
fn a_builtin_is_called_in_every_form() {
    for (body, answer) in [
        ("x := y if glob.match(\"a\", [], \"a\", y)", json!(true)),
        ("x := y if sprintf(\"%d\", [1], y)", json!("1")),
        ("x := [p | walk({\"a\": 1}, [p, _])]", json!([[], ["a"]])),
        (
            "x := crypto.sha256(\"foo\") == \"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\"",
            json!(true),
        ),
        ("x := count(y) if { y := {1, 2}; y[_] == 1 }", json!(2)),
        ("x := max([count(y) | some y in [\"a\", \"bc\"]])", json!(2)),
    ] {
        assert_eq!(ask(body, json!({})), Ok(Some(answer)), "{body}");
    }
}

/// What is short and shared is long when it is written out.
#[test]
fn rule_15_what_a_builtin_is_given_is_bounded() {
    let doubled: String = (1..30)
        .map(|n| format!("x{n} := [x{}, x{}]\n", n - 1, n - 1))
        .collect();
    let body = format!("x0 := [\"aaaaaaaa\"]\n{doubled}x := sprintf(\"%v\", [x29])");
    let asked = ask(&body, json!({}));
    assert!(matches!(asked, Err(RegoError::Trapped(_))), "{asked:?}");
    let long = "x := regex.replace(input.t, \"(?s).+\", concat(\"\", [\"$0\" | some _ in numbers.range(1, 2000)]))";
    let asked = ask(long, json!({ "t": "x".repeat(4000) }));
    assert!(matches!(asked, Err(RegoError::Trapped(_))), "{asked:?}");
    // The interpreter's own: each would make more of what is short than what any answer has.
    let shared = format!(
        "x0 := {{\"a\": 1, \"b\": 2}}\n{}",
        doubled
            .replace("[x", "{\"a\": x")
            .replace(", x", ", \"b\": x")
            .replace(']', "}")
    );
    let copies = "[{\"op\": \"copy\", \"from\": \"\", \"path\": sprintf(\"/x%d\", [n])} | some n in numbers.range(1, 40)]";
    for call in [
        "bits.lsh(1, 4097)".to_owned(),
        "bits.lsh(1, 4294967295)".to_owned(),
        "concat(\"\", [input.t | some _ in numbers.range(1, 100)])".to_owned(),
        "concat(input.t, [\"\" | some _ in numbers.range(1, 100)])".to_owned(),
        "replace(input.t, \"x\", input.t)".to_owned(),
        "replace(input.t, \"\", input.t)".to_owned(),
        "trim(input.t, concat(\"\", [input.t, input.t]))".to_owned(),
        "json.marshal(x29)".to_owned(),
        "json.marshal_with_options(x29, {\"pretty\": true})".to_owned(),
        "json.marshal_with_options([[1, 2], 3], {\"indent\": concat(\"\", [input.t | some _ in numbers.range(1, 60)]), \"pretty\": true, \"prefix\": concat(\"\", [input.t | some _ in numbers.range(1, 60)])})".to_owned(),
        "object.union(x29, x29)".to_owned(),
        "object.union_n([x29, x29])".to_owned(),
        format!("json.patch({{\"a\": 1}}, {copies})"),
        "[p | walk(x29, [p, _])]".to_owned(),
    ] {
        let asked = ask(&format!("{shared}x := {call}"), json!({ "t": "x".repeat(4000) }));
        assert!(matches!(asked, Err(RegoError::Trapped(_))), "{call}: {asked:?}");
    }
    for (call, answer) in [
        (
            "bits.lsh(1, 4096) == bits.lsh(bits.lsh(1, 4000), 96)",
            json!(true),
        ),
        ("concat(\",\", [\"a\", \"b\"])", json!("a,b")),
        (
            "count(concat(\"\", [input.t | some _ in numbers.range(1, 60)]))",
            json!(240_000),
        ),
        ("count(replace(input.t, \"x\", \"yy\"))", json!(8000)),
        ("trim(\"xax\", input.t)", json!("a")),
        (
            "json.marshal_with_options([1], {\"indent\": \" \"})",
            json!("[\n 1\n]"),
        ),
        (
            "json.patch({\"a\": 1}, [{\"op\": \"copy\", \"from\": \"/a\", \"path\": \"/b\"}])",
            json!({ "a": 1, "b": 1 }),
        ),
        ("count([p | walk(x3, [p, _])])", json!(31)),
    ] {
        let asked = ask(
            &format!("{shared}x := {call}"),
            json!({ "t": "x".repeat(4000) }),
        );
        assert_eq!(asked, Ok(Some(answer)), "{call}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test measures a bound")]
fn rule_15_a_policy_that_loops_ends_within_its_bound() {
    for body in [
        "x if { some a in numbers.range(0, 9999); some b in numbers.range(0, 9999); a + b < 0 }",
        "x := count([1 | some a in numbers.range(0, 9999); some b in numbers.range(0, 9999); a != b])",
        "x if every a in numbers.range(0, 9999) { every b in numbers.range(0, 9999) { a + b >= 0 } }",
        "f(n) := count([1 | some a in numbers.range(0, 9999); a < n])\nx := sum([f(n) | some n in numbers.range(0, 9999)])",
        "x if not deep\ndeep if { some a in numbers.range(0, 9999); some b in numbers.range(0, 9999); a + b < 0 }",
    ] {
        let started = Instant::now();
        assert_eq!(ask(body, json!({})), Err(RegoError::Timeout), "{body}");
        assert!(started.elapsed() < TIMEOUT * 20, "{body}");
    }
}

#[test]
fn rule_15_what_calls_itself_is_refused() {
    for body in [
        "f(n) := f(n + 1)\nx := f(0)",
        "f(n) := g(n)\ng(n) := data.p.f(n)\nx := f(0)",
        "f(n) := y if { y := count([n]) with count as f }\nx := f(0)",
    ] {
        let error = refused(body);
        assert!(error.contains("` calls itself"), "{error}");
    }
    let rules = ask("x if y\ny if z\nz if x", json!({}));
    assert!(matches!(rules, Err(RegoError::Trapped(_))), "{rules:?}");
}

/// A chain of the longest that is read, on a stack that is smaller than any that a service has.
#[test]
fn rule_15_a_chain_ends_before_the_stack() {
    let chain = |length: usize| {
        let links = (1..length).map(|n| {
            format!(
                "f{n}(a) := y if {{ z := [v | v := f{}(a)]; y := z[0] }}\n",
                n + 1
            )
        });
        let links: String = links.collect();
        format!("package p\nx := f1(1)\n{links}f{length}(a) := a\n")
    };
    let error = compile(&chain(MAX_CHAIN), "p/x").expect_err("too long");
    assert!(error.to_string().contains("call one another"), "{error}");
    let rules: String = (0..MAX_CHAIN)
        .map(|n| format!("r{n} := r{}\n", n + 1))
        .collect();
    let error = compile(&format!("package p\n{rules}r{MAX_CHAIN} := 1\n"), "p/r0");
    assert!(error.is_err());
    let longest = compile(&chain(MAX_CHAIN - 1), "p/x").expect("a policy");
    let small = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    let asked = small
        .spawn(move || longest.evaluate("{}"))
        .expect("a thread");
    assert_eq!(asked.join().expect("an answer"), Ok(Some(json!(1))));
}

/// What is short and shared is long when it is written out.
#[test]
fn rule_15_an_answer_is_bounded() {
    let doubled: String = (1..30)
        .map(|n| format!("x{n} := [x{}, x{}]\n", n - 1, n - 1))
        .collect();
    let asked = ask(&format!("x0 := [1]\n{doubled}x := x29"), json!({}));
    assert_eq!(
        asked,
        Err(RegoError::Answer("it has too many parts".into()))
    );
}

#[test]
fn values_become_json() {
    let body = "x := {\"set\": {2, 1}, \"list\": [null, true, \"é\"], \"n\": [1, 1.5, -7]}";
    let all = json!({ "set": [1, 2], "list": [null, true, "é"], "n": [1, 1.5, -7] });
    assert_eq!(ask(body, json!({})), Ok(Some(all)));
    assert_eq!(ask("x if input.nothing", json!({})), Ok(None));
    let keyed = ask("x := {1: 2}", json!({}));
    assert_eq!(
        keyed,
        Err(RegoError::Answer("it has a member without a name".into()))
    );
}

#[test]
fn data_is_an_object_and_is_read() {
    let compile = |data: Value| {
        Interpreter::compile(
            [("p.rego", "package p\nx if input.m in data.models")],
            data,
            "p/x",
            TIMEOUT,
        )
    };
    let policy = compile(json!({ "models": ["llama"] })).expect("a policy");
    assert_eq!(policy.evaluate(r#"{"m":"llama"}"#), Ok(Some(json!(true))));
    assert_eq!(policy.evaluate(r#"{"m":"gpt"}"#), Ok(None));
    let error = compile(json!([])).expect_err("a list").to_string();
    assert_eq!(error, "the data: it is no object");
}

#[test]
fn input_that_is_too_long_or_no_json_is_an_error() {
    let policy = compile("package p\nx := true", "p/x").expect("a policy");
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(300_000));
    assert_eq!(
        policy.evaluate(&long),
        Err(RegoError::Input { bytes: long.len() })
    );
    assert!(matches!(policy.evaluate("{"), Err(RegoError::Trapped(_))));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(policy.evaluate(&deep), Err(RegoError::Trapped(_))));
}

#[test]
fn one_policy_is_asked_by_several_threads() {
    let policy = compile("package p\nx := input.n * 2", "p/x").expect("a policy");
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let policy = &policy;
            scope.spawn(move || {
                for n in 0..50 {
                    let n = thread * 1000 + n;
                    let input = json!({ "n": n }).to_string();
                    assert_eq!(policy.evaluate(&input), Ok(Some(json!(n * 2))));
                }
            });
        }
    });
}
