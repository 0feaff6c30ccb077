//! Rule 15, T34 and T36: whatever a condition or a token holds, it ends in a clear error within its bound, on a small stack.

use proptest::prelude::*;
use ztl_authz::cel::{MAX_BRACKETS, MAX_DEPTH, MAX_NODES, MAX_SOURCE_BYTES};

use super::*;

#[expect(
    clippy::disallowed_methods,
    reason = "how long it took is what is tested"
)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Runs on a thread with the stack of a worker.
fn on_small_stack<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(2 << 20);
        let thread = builder.spawn_scoped(scope, run).expect("a thread");
        thread.join().expect("no panic")
    })
}

#[test]
fn rule_15_a_source_that_is_too_deep_or_too_large_is_refused() {
    let times = |n: usize, open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(n), close.repeat(n))
    };
    on_small_stack(|| {
        for (when, message) in [
            (times(1000, "(", "true", ")"), "opening brackets"),
            (times(1000, "[", "", "]"), "opening brackets"),
            (times(1000, "{1:", "1", "}"), "opening brackets"),
            (times(1000, "!(", "true", ")"), "opening brackets"),
            (times(500, "int(", "1", ")"), "opening brackets"),
            (format!("'{}' == 'x'", "(".repeat(65)), "opening brackets"),
            // Brackets that the parser takes for no text stand in a text that is none.
            (
                format!("'\\q{}'", "[".repeat(MAX_BRACKETS + 1)),
                "opening brackets",
            ),
            (times(MAX_BRACKETS, "[", "", "]"), "nests more than"),
            (times(MAX_BRACKETS, "{1:", "1", "}"), "nests more than"),
            (
                format!("token.claims{} == 1", ".a".repeat(1000)),
                "nests more than",
            ),
            (format!("1{} > 1", "+1".repeat(1000)), "nests more than"),
            (format!("a{}", ".f()".repeat(60)), "nests more than"),
            (format!("true{}", " && true".repeat(500)), "parts"),
            (format!("1 in [{}]", "1,".repeat(1000)), "parts"),
            (format!("{}true", "true?true:".repeat(400)), "condition"),
            (format!("{}true", "!".repeat(4001)), ""),
            (format!("{}1 == 1", "-".repeat(4000)), ""),
            (" ".repeat(MAX_SOURCE_BYTES) + "x", "more than 4096 bytes"),
            ("'".repeat(4095), "condition"),
            (".".repeat(4095), "condition"),
            ("\u{0}".repeat(4000), "condition"),
            ("é".repeat(2000), "condition"),
        ] {
            let setting = Setting::new(Effect::Forbid, []);
            match Cel::new().condition(&when, &setting) {
                Ok(_) => assert!(
                    message.is_empty(),
                    "{} compiles",
                    when.chars().take(30).collect::<String>()
                ),
                Err(error) => assert!(
                    error.message.contains(message),
                    "{}: {error}",
                    when.chars().take(30).collect::<String>()
                ),
            }
        }
        const { assert!(MAX_DEPTH < MAX_BRACKETS && MAX_BRACKETS < MAX_NODES) };
    });
}

#[test]
fn rule_15_the_deepest_condition_that_loads_is_judged_on_a_small_stack() {
    on_small_stack(|| {
        let deep = format!("{}true{}", "(true ? ".repeat(30), " : false)".repeat(30));
        assert!(holds(&deep, &json!({})));
        let deep = format!("{}1{} > 1", "(1 + ".repeat(29), ")".repeat(29));
        assert!(holds(&deep, &json!({})));
        let wide = format!("true{}", " && true".repeat(200));
        assert!(holds(&wide, &json!({})));
    });
}

/// T34: as many steps as a decision has, in parts that the policy alone makes.
#[test]
fn t34_many_conditions_take_together_what_one_decision_may() {
    let list: Vec<u32> = (0..1000).collect();
    let facts = json!({ "claims": { "list": list } });
    let when = "token.claims.list.all(x, x >= 0)";
    let rule = |at: usize, mode: &str, when: &str| json!({ "name": format!("p{at}"), "from": "any", "to": "models", "actions": [ACTIONS], "mode": mode, "when": when });
    let permit = |at: usize, mode: &str, when: &str| {
        let mut rule = rule(at, mode, when);
        let when = rule.as_object_mut().expect("object").remove("when");
        rule["require"] = json!({ "when": when });
        rule
    };
    let loaded = |permits: Vec<Value>, forbids: Vec<Value>| {
        load(json!(permits), json!(forbids)).unwrap_or_else(|error| panic!("{error}"))
    };
    let permits = |count: usize| -> Vec<Value> {
        let all = (0..count).map(|at| permit(at, "enforce", when));
        all.collect()
    };
    assert_eq!(ask(&loaded(permits(10), vec![]), &facts), "permitted");
    let many = loaded(permits(100), vec![]);
    assert_eq!(ask(&many, &facts), "authorizer_failed");
    let explanation = query(&facts).explain(&many, NOW).expect("explained");
    let failed = explanation.rules[0].failed().expect("what failed");
    assert!(
        failed.got.contains("takes more than 1000 steps"),
        "{failed:?}"
    );
    // What takes little is asked all the same, wherever it stands.
    let mut mixed = permits(99);
    mixed.push(permit(99, "enforce", "params.model == 'llama'"));
    assert_eq!(ask(&loaded(mixed, vec![]), &facts), "permitted");
    // However many there are.
    assert_eq!(
        ask(&loaded(permits(5000), vec![]), &facts),
        "authorizer_failed"
    );

    // Shadow rules take nothing from those that decide.
    let mut beside = permits(10);
    beside.extend((10..300).map(|at| permit(at, "shadow", when)));
    let decision = query(&facts).decide(&loaded(beside, vec![]), NOW);
    let decision = decision.expect("a decision");
    assert_eq!(decision.reason.code(), "permitted");
    assert!(decision.shadow.is_empty(), "none of them could tell");

    // A forbid that cannot tell forbids, and each pattern that covers the request asks anew.
    let open = || vec![permit(0, "enforce", "true")];
    let never = "token.claims.list.exists(x, x < 0)";
    let forbids = |count: usize| -> Vec<Value> {
        let all = (1..=count).map(|at| rule(at, "enforce", never));
        all.collect()
    };
    assert_eq!(ask(&loaded(open(), forbids(9)), &facts), "permitted");
    assert_eq!(ask(&loaded(open(), forbids(100)), &facts), "forbidden");
    let mut one = rule(1, "enforce", never);
    let patterns = (0..100).map(|at| format!("POST /v1/models/{{p{at}}}/infer"));
    one["actions"] = patterns.collect();
    assert_eq!(ask(&loaded(open(), vec![one]), &facts), "forbidden");
    // Law 4: the parts are the same whatever is known. To bring less leaves none more, not even one that reads nothing of it.
    let mut last = permits(99);
    let long = format!("[{}].all(x, x > 0)", vec!["1"; 300].join(","));
    last.push(permit(99, "enforce", &long));
    let policy = loaded(last, vec![]);
    assert_eq!(ask(&policy, &facts), "authorizer_failed");
    assert_eq!(ask(&policy, &json!({})), "evidence_missing");
    assert!(holds(&long, &json!({})), "by itself it is true");
}

#[test]
fn rule_15_work_without_end_ends_in_an_error() {
    let digits = (0..100)
        .map(|at| at.to_string())
        .collect::<Vec<_>>()
        .join(",");
    let list: Vec<u32> = (0..3000).collect();
    let text = "a".repeat(600_000);
    let all = json!({ "claims": { "list": list, "text": text, "a": "a".repeat(3000) } });
    on_small_stack(|| {
        for when in [
            // Lists multiplied: by loops in loops, and by lists that hold themselves.
            format!("[{digits}].all(x, [{digits}].all(y, x + y >= 0))"),
            "token.claims.list.exists(x, token.claims.list.exists(y, x + y < 0))".to_owned(),
            format!("[1]{}.size() == 1", ".map(x, [x, x])".repeat(20)),
            format!("['a']{} == ['a']", ".map(x, x + x)".repeat(25)),
            format!("[token.claims.a]{} == ['a']", ".map(x, x + x)".repeat(20)),
            "token.claims.list.map(x, token.claims.list).size() == 1".to_owned(),
            "token.claims.list.map(x, token.claims.text + 'x').size() == 1".to_owned(),
            "token.claims.list.map(x, [token.claims.a]).filter(x, true).map(x, x + x + x).size() == 1".to_owned(),
            // Long texts, read again and again.
            format!("!({} 'b' == 'c')", "token.claims.text + ".repeat(20)),
            "token.claims.text.contains('b') || token.claims.text.contains('c')".to_owned(),
            "token.claims.text.matches('(a|aa)+$')".to_owned(),
            "token.claims.text.matches('([a-z]{1,30}){1,8}x')".to_owned(),
            "token.claims.list.exists(x, x in token.claims.list && x < 0)".to_owned(),
        ] {
            let started = now();
            let told = failed(&when, &all);
            assert!(told.contains("takes more than 10000 steps"), "{when}: {told}");
            // A generous bound for a machine that does much else: unbounded they would take minutes.
            assert!(started.elapsed().as_secs() < 20, "{when}: {:?}", started.elapsed());
        }
    });
}

#[test]
fn rule_15_an_overrun_is_swallowed_by_nothing() {
    let list: Vec<u32> = (0..3000).collect();
    let all = json!({ "claims": { "list": list } });
    let burn = "token.claims.list.exists(x, token.claims.list.exists(y, y < 0))";
    for when in [
        format!("{burn} || true"),
        format!("!({burn} && false)"),
        format!(
            "[1].exists(z, z == 1 ? {} : true)",
            burn.replace("exists(x, ", "exists(x, x < 0 || ")
                .replace(".exists(y, y < 0)", ".size() < 0")
        ),
    ] {
        assert!(failed(&when, &all).contains("10000 steps"), "{when}");
    }
}

#[test]
fn rule_15_loops_stand_two_deep() {
    let error = refused_in(
        Effect::Permit,
        "[1].all(x, [2].all(y, [3].all(z, x + y + z > 0)))",
    );
    assert!(error.message.contains("more than 2 deep"), "{error}");
    assert_eq!(error.at, Some(22..47));
}

#[test]
fn t36_patterns_are_bounded() {
    for pattern in ["(a+)+$", "(a|a)*b", "(.*)(.*)(.*)x"] {
        let all = json!({ "claims": { "t": "a".repeat(1500) } });
        let when = format!("token.claims.t.matches('{pattern}')");
        let started = now();
        let _ = holds(&when, &all);
        assert!(
            started.elapsed().as_secs() < 10,
            "{pattern}: {:?}",
            started.elapsed()
        );
    }
    let error = refused_in(
        Effect::Permit,
        &format!("zone.matches('{}')", "a".repeat(257)),
    );
    assert!(error.message.contains("more than 256 bytes"), "{error}");
    let error = refused_in(
        Effect::Permit,
        "zone.matches('((((((((((((((((((a))))))))))))))))))')",
    );
    assert!(error.message.contains("the pattern is none"), "{error}");
}

#[test]
fn odd_times_and_numbers_fail_and_end_nothing() {
    for value in [
        i64::MAX,
        i64::MIN,
        253_402_300_799,
        -62_135_596_800,
        -62_135_596_801,
        253_402_300_800,
    ] {
        for name in ["getDayOfYear", "getFullYear", "getHours", "getMilliseconds"] {
            let when = format!(
                "timestamp(context.t).{name}() >= -1 && timestamp(context.t).{name}('-23:59') >= -1"
            );
            let reason = ask(&permit(&when), &json!({ "context": { "t": value } }));
            assert!(
                matches!(reason, "permitted" | "authorizer_failed"),
                "{when}: {reason}"
            );
        }
    }
    let odd = json!({ "context": { "d": "9999999999999999999h", "f": 1e308, "i": i64::MIN } });
    for when in [
        "duration(context.d) > duration('1s')",
        "now + duration(context.d) > now",
        "int(context.f) > 0",
        "-context.i > 0",
        "context.i % -1 == 0 && context.i / -1 > 0",
    ] {
        failed(when, &odd);
    }
}

/// Pieces of conditions, good and bad, in any order.
fn soup() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ".",
        ",",
        ":",
        "?",
        "!",
        "-",
        "+",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        "<=",
        "in",
        "&&",
        "||",
        "token",
        "claims",
        ".claims",
        ".a",
        "peer",
        ".labels",
        "params",
        ".model",
        "now",
        "zone",
        "x",
        "has(",
        "size(",
        ".all(x, ",
        ".map(x, ",
        ".exists(",
        ".matches(",
        "'a'",
        "\"b\"",
        "r'\\'",
        "'''",
        "'",
        "\\",
        "1",
        "2u",
        "1.5",
        "0x1F",
        "1e400",
        "99999999999999999999",
        "true",
        "null",
        "b'x'",
        "// c\n",
        "\n",
        "é",
        "\u{202e}",
        "\0",
        "`",
        "$",
        "=",
        "duration('1s')",
        "timestamp(",
        ".getHours()",
        "Foo{",
        "a.b{",
        "if",
        "as",
        "function",
    ]);
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_text_at_all_ends_the_process(source in prop_oneof![soup(), any::<String>(), "[ -~]{0,60}"]) {
        let setting = Setting::new(Effect::Forbid, ["model"]);
        if let Err(error) = Cel::new().condition(&source, &setting) {
            // The place is one of the source, on the borders of characters.
            prop_assert!(error.at.clone().is_none_or(|at| source.get(at).is_some()), "{error:?}");
            let shown = error.in_text(&source).to_string();
            prop_assert!(!shown.contains('\u{202e}'), "shown as it is");
        }
    }
}
