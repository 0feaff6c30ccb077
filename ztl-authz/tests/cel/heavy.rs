//! Which conditions may take long, and that the others do not need to: lists of a request are looked at where they lie (T34).

use proptest::prelude::*;
use ztl_core::authorizer::Condition;

use super::*;

/// Whether a condition of a forbid, which may say the most, may take long.
#[track_caller]
fn is_heavy(when: &str) -> bool {
    let setting = Setting::new(Effect::Forbid, ["model"]);
    match Cel::new().condition(when, &setting) {
        Ok(condition) => condition.is_heavy(),
        Err(error) => panic!("{when}: {error}"),
    }
}

#[test]
fn t34_what_compares_is_told_at_once() {
    let eight = ["int(token.claims.a) > 1"; 8].join(" && ");
    let long = ["token.claims.a == 'x'"; 20].join(" || ");
    for when in [
        "true",
        "params.model == 'llama' && request.method == 'POST'",
        "params.model in token.claims.models && token.claims.level >= 3",
        "'admin' in token.scopes || 'models' in token.audience",
        "has(token.scopes) && !has(token.audience)",
        "params.model in ['llama', 'gpt']",
        "!has(token.claims.admin) && peer.labels.tier == 'front'",
        "request.path.startsWith('/v1/') && !token.claims.name.contains('x')",
        "token.claims.a == token.claims.b",
        "token.claims.groups == ['a', 'b']",
        "token.claims.groups.size() > 3",
        "token.claims.groups[0] == 'a' && token.claims['groups'][1] == 'b'",
        "token.claims.level + 1 > 3 && -token.claims.level < 0",
        "token.claims.first + ' ' + params.model == 'a b'",
        "now.getHours('Europe/Berlin') >= 8 && now - token.expires_at < duration('1h')",
        "timestamp(context.since) < now ? zone == 'office' : posture.encrypted",
        "{'a': 1, 'b': 2}[params.model] == 1",
        "[peer.labels.tier, params.model] == ['front', 'llama']",
        // Looked through without a list of them being made.
        "token.claims.a in token.scopes && !(zone in token.audience)",
        &eight,
        &long,
    ] {
        assert!(!is_heavy(when), "{when}");
    }
}

#[test]
fn t34_what_loops_matches_or_puts_lists_together_may_take_long() {
    let nine = ["int(token.claims.a) > 1"; 9].join(" && ");
    let contains = ["token.claims.a.contains(token.claims.b)"; 9].join(" || ");
    for when in [
        &contains,
        "token.claims.list.all(x, x > 0)",
        "token.claims.list.exists(x, x > 0)",
        "token.claims.list.exists_one(x, x > 0)",
        "token.claims.list.existsOne(x, x > 0)",
        "token.claims.list.filter(x, x > 0).size() == 1",
        "token.claims.list.map(x, token.claims.list.map(y, [x, y])).size() == 1",
        "[1].all(x, x > 0)",
        "token.scopes.all(x, x.startsWith('a'))",
        "request.path.matches('^/v1/[a-z]+$')",
        "token.scopes == ['a']",
        "token.audience.size() == 1",
        "token.audience[0] == 'a'",
        "zone in token.scopes + ['a']",
        "zone in token.claims.list + token.claims.list",
        "zone in token.claims.list + (params.model == 'x' ? token.claims.list : [])",
        "[token.claims.list] == [[1]]",
        "[posture['list']] == [[1]]",
        "{'a': token.claims.list}['a'] == [1]",
        "{token.claims.key: 1}['a'] == 1",
        &nine,
    ] {
        assert!(is_heavy(when), "{when}");
    }
    // Wherever it stands.
    for part in ["token.claims.list.all(x, x > 0)", "zone.matches('a')"] {
        for around in [
            "!(@)",
            "zone == 'a' && (@)",
            "(@) || zone == 'a'",
            "zone == 'a' ? true : (@)",
            "(@) ? true : false",
            "(@) == true",
            "true in [@]",
            "(@) in token.claims.list",
            "{'a': @}['a']",
            "string(@) == 'true'",
            "[true][(@) ? 0 : 1]",
            "string(@).startsWith('t')",
            "string(@).size() == 4",
            "-int(string(@)) < 0",
        ] {
            let when = around.replace('@', part);
            assert!(is_heavy(&when), "{when}");
        }
    }
}

/// A list that is not copied is of the same kind as one that is.
#[test]
fn a_list_where_none_is_taken_fails_whatever_is_in_it() {
    for list in [json!([]), json!([1]), json!(["x", [1.5, null]])] {
        let all = json!({ "claims": { "list": list }, "trust_score": 3 });
        for (when, told) in [
            ("token.claims.list == 'x'", "list and string"),
            ("3 != token.claims.list", "int and list"),
            ("token.claims.list < 3", "list and int"),
            ("token.claims.list > token.claims.list", "list and list"),
            ("token.claims.list + 1 == 2", "list and int"),
            (
                "token.claims.list + {'x': {'a': 1}, 'y': 1}['x'] == []",
                "list and map",
            ),
            ("[1] + {'x': {'a': 1}, 'y': 1}['x'] == []", "list and map"),
            ("{'x': {'a': 1}, 'y': 1}['x'] + [1] == []", "map and list"),
            ("1 - token.claims.list == 2", "int and list"),
            (
                "token.claims.list * token.claims.list == 2",
                "list and list",
            ),
            ("token.claims.list % 2 == 0", "list and int"),
            ("-token.claims.list == 2", "this is list"),
            ("int(token.claims.list) == 2", "this list"),
            ("uint(token.claims.list) == 2u", "this list"),
            ("double(token.claims.list) == 2.0", "this list"),
            ("string(token.claims.list) == 'x'", "this list"),
            ("bool(token.claims.list)", "this list"),
            ("timestamp(token.claims.list) < now", "this list"),
            ("duration(token.claims.list) < duration('1s')", "this list"),
            ("token.claims.list.getHours() > 1", "this list"),
            (
                "token.claims.list.getHours('UTC') > 1",
                "this list and string",
            ),
            (
                "now.getHours(token.claims.list) > 1",
                "this timestamp and list",
            ),
            ("token.claims.list in {'a': 1}", "what cannot be a key"),
        ] {
            let failed = failed(when, &all);
            assert!(failed.contains(told), "{when} {list}: {failed}");
        }
        for (when, expected) in [
            ("token.claims.list == null", false),
            ("null != token.claims.list", true),
            ("token.claims.list == token.claims.list", true),
        ] {
            assert_eq!(holds(when, &all), expected, "{when} {list}");
        }
    }
    // What is in it counts where lists are compared with lists.
    let all = json!({ "claims": { "list": [1, "a"], "lists": [[1, "a"], []], "nothing": null } });
    for (when, expected) in [
        ("token.claims.list == [1, 'a']", true),
        ("token.claims.list == [1.0, 'a']", true),
        ("token.claims.list == [1, 'b']", false),
        ("token.claims.list != [1]", true),
        ("[] == token.claims.list", false),
        ("token.claims.list + [2] == [1, 'a', 2]", true),
        ("token.claims.list in [[2], [1, 'a']]", true),
        ("token.claims.list in [[], [1]]", false),
        ("token.claims.lists == [[1, 'a'], []]", true),
        ("token.claims.list in [null]", false),
        ("token.claims.nothing in ['a', null]", true),
        ("token.claims.nothing in token.claims.list", false),
    ] {
        assert_eq!(holds(when, &all), expected, "{when}");
    }
    let deep = json!({ "claims": { "list": [1, [{ "a": 1 }]] } });
    let failed = failed("token.claims.list == 'x'", &deep);
    assert!(failed.contains("holds an object"), "{failed}");
}

/// What is looked for in a list where it lies, and in a copy that a loop makes.
#[test]
fn t34_scopes_are_looked_through_as_their_list_would_be() {
    let claims = json!({ "claims": { "scope": "read  write", "scp": ["infer", 7], "aud": "models", "s": "infer", "n": 3, "l": ["read"], "nothing": null } });
    for of in ["token.scopes", "token.audience"] {
        for one in [
            "'read'",
            "'infer'",
            "'models'",
            "''",
            "token.claims.s",
            "token.claims.n",
            "token.claims.l",
            "token.claims.nothing",
        ] {
            let lies = format!("{one} in {of}");
            let copied = format!("{one} in {of}.filter(x, true)");
            assert_eq!(
                ask(&permit(&lies), &claims),
                ask(&permit(&copied), &claims),
                "{lies}"
            );
        }
    }
    let none = json!({ "claims": { "sub": "alice" } });
    let failed = failed(
        "zone in token.scopes || token.claims.sub.matches('a')",
        &none,
    );
    assert!(
        failed.contains("`token.scopes` at 1:9 is not there"),
        "{failed}"
    );
    // All of them count, as those of their list would.
    let many = json!({ "claims": { "scope": "a ".repeat(6000) } });
    for when in [
        "token.claims.scope + '' in token.scopes",
        "'b' in token.scopes",
    ] {
        let failed = super::failed(when, &many);
        assert!(failed.contains("takes more than 10000 steps"), "{failed}");
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!("a"),
        json!("b"),
        json!(1),
        json!(-1),
        json!(1.0),
        json!(1.5),
        json!(1e19),
        json!(9_007_199_254_740_993_i64),
        json!(9_007_199_254_740_992.0),
        json!(true),
        json!(false),
        json!(null),
    ])
}

fn list() -> impl Strategy<Value = Value> {
    let flat = || prop::collection::vec(scalar(), 0..4).prop_map(Value::from);
    let deep = prop::collection::vec(prop_oneof![3 => scalar(), 1 => flat()], 0..4);
    prop_oneof![flat(), deep.prop_map(Value::from)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A copy is made by a loop, and compared as the `cel` crate does.
    #[test]
    fn lists_are_compared_where_they_lie_as_their_copies_are(a in list(), b in list(), same in any::<bool>()) {
        let b = if same { a.clone() } else { b };
        let all = json!({ "claims": { "a": a, "b": b } });
        for sign in ["==", "!="] {
            let lie = format!("token.claims.a {sign} token.claims.b");
            let copied = format!("token.claims.a.filter(x, true) {sign} token.claims.b.filter(x, true)");
            let mixed = format!("token.claims.a {sign} token.claims.b.filter(x, true)");
            let turned = format!("token.claims.a.filter(x, true) {sign} token.claims.b");
            let expected = ask(&permit(&copied), &all);
            prop_assert_eq!(ask(&permit(&turned), &all), expected, "{} {}", turned, all);
            prop_assert_eq!(ask(&permit(&lie), &all), expected, "{} {}", lie, all);
            prop_assert_eq!(ask(&permit(&mixed), &all), expected, "{} {}", mixed, all);
        }
        let sum = "token.claims.a + token.claims.b == token.claims.a.filter(x, true) + token.claims.b.filter(x, true)";
        let same = "token.claims.a == token.claims.a && token.claims.b == token.claims.b";
        prop_assert_eq!(ask(&permit(sum), &all), ask(&permit(same), &all), "{}", all);
    }

    #[test]
    fn what_is_looked_for_is_found_where_it_lies_as_in_a_copy(one in scalar(), list in prop::collection::vec(scalar(), 0..5)) {
        let all = json!({ "claims": { "one": one, "list": list } });
        // The first by native code or, where that cannot tell, by the interpreter; the second by that alone.
        let lie = ["token.claims.one in token.claims.list", "(true ? token.claims.one : 0) in token.claims.list"];
        let copied = "token.claims.one in token.claims.list.filter(x, true)";
        let expected = ask(&permit(copied), &all);
        for lie in lie {
            prop_assert_eq!(ask(&permit(lie), &all), expected, "{} {}", lie, all);
        }
    }
}
