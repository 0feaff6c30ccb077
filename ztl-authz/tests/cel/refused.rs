//! What does not load, where it is wrong, and how it is mended.

use super::*;

#[test]
fn names_and_types_are_checked_when_the_policy_is_loaded() {
    for (when, at, message, help) in [
        (
            "parms.model == 'x'",
            0..5,
            "unknown name `parms`",
            "did you mean `params`?",
        ),
        (
            "xyzzy",
            0..5,
            "unknown name `xyzzy`",
            "there are: peer, token, params",
        ),
        (
            "params.modle == 'x'",
            0..12,
            "no path of the rule has a parameter `modle`",
            "did you mean `params.model`?",
        ),
        (
            "true && peer.workloda == 'x'",
            8..21,
            "`peer` has no field `workloda`",
            "did you mean `peer.workload`?",
        ),
        (
            "request.headers == 'x'",
            0..15,
            "`request` has no field `headers`",
            "there are: kind, method",
        ),
        (
            "zone + 1 == 2",
            0..8,
            "`+` cannot be applied to string and int",
            "it takes two numbers of one kind",
        ),
        (
            "zone == 1",
            0..9,
            "`==` cannot be applied to string and int",
            "it takes two of one type",
        ),
        (
            "trust_score > '70'",
            0..18,
            "`>` cannot be applied to int and string",
            "two numbers",
        ),
        (
            "1 + 1.0 == 2.0",
            0..7,
            "`+` cannot be applied to int and double",
            "of one kind",
        ),
        (
            "1.5 % 2.0 == 1.0",
            0..9,
            "`%` cannot be applied to double and double",
            "whole numbers",
        ),
        (
            "now - 5 < now",
            0..7,
            "`-` cannot be applied to timestamp and int",
            "a time and a duration",
        ),
        (
            "null < null",
            0..11,
            "`<` cannot be applied to null and null",
            "two numbers",
        ),
        (
            "1 in ['a']",
            0..10,
            "`in` cannot be applied to int and list(string)",
            "a list at its right",
        ),
        (
            "'a' in zone",
            0..11,
            "`in` cannot be applied to string and string",
            "a list at its right",
        ),
        ("-zone == 'x'", 0..5, "string has no negative", ""),
        (
            "zone && true",
            0..4,
            "`&&` takes true or false, and this is string",
            "",
        ),
        (
            "!trust_score",
            1..12,
            "`!` takes true or false, and this is int",
            "",
        ),
        ("zone ? true : false", 0..4, "`?` takes true or false", ""),
        (
            "(true ? 1 : 'x') == 1",
            1..15,
            "the two ends of `? :` are int and string",
            "",
        ),
        (
            "trust_score",
            0..11,
            "a condition is true or false, and this is int",
            "compare it with something",
        ),
        (
            "[true]",
            0..6,
            "a condition is true or false, and this is list(bool)",
            "compare",
        ),
        (
            "token",
            0..5,
            "`token` is an object and no value",
            "name one of its fields: claims, issuer",
        ),
        (
            "token.claims == 1",
            0..12,
            "`token.claims` is an object and no value",
            "`token.claims.x`",
        ),
        (
            "peer['x' + 'y'] == 'z'",
            0..15,
            "`peer` has fields, and no index",
            "",
        ),
        ("zone.x == 'a'", 0..6, "string has no field `x`", ""),
        ("zone[0] == 'a'", 0..7, "string has no index", ""),
        (
            "[1]['a'] == 1",
            4..7,
            "the index is string, and it has to be int",
            "",
        ),
        (
            "size() == 1",
            0..6,
            "`size` does not take 0 arguments",
            "x.size()",
        ),
        (
            "size(1) == 1",
            0..7,
            "`size` cannot be applied to int",
            "x.size()",
        ),
        (
            "zone.size(1) == 1",
            0..12,
            "`size` does not take 1 arguments",
            "x.size()",
        ),
        (
            "zone.startswith('x')",
            0..20,
            "unknown function `startswith`",
            "did you mean `startsWith`?",
        ),
        (
            "startsWith(zone, 'x')",
            0..21,
            "`startsWith` is not called so",
            "text.startsWith",
        ),
        (
            "frobnicate(zone)",
            0..16,
            "unknown function `frobnicate`",
            "",
        ),
        (
            "zone.lowerAscii() == 'x'",
            0..17,
            "unknown function `lowerAscii`",
            "",
        ),
        ("type(zone) == string", 0..10, "unknown function `type`", ""),
        (
            "params.model.map(x, x) == ['a']",
            0..12,
            "`map` goes over a list, and this is string",
            "",
        ),
        (
            "[1].exists(1, true)",
            11..12,
            "`exists` first names its variable",
            "list.exists(x",
        ),
        (
            "[1].exists(zone, true)",
            11..15,
            "the name `zone` is taken",
            "choose another",
        ),
        (
            "[1].all(x, x)",
            11..12,
            "`all` takes true or false, and this is int",
            "",
        ),
        ("[1].all(x, true) && x == 1", 20..21, "unknown name `x`", ""),
        (
            "[1].map(x, x > 0, x) == [1]",
            0..20,
            "unknown function `map`",
            "",
        ),
        (
            "zone.matches(params.model)",
            13..25,
            "has to stand in the condition",
            "no pattern is made from what a request holds",
        ),
        (
            "zone.matches('(')",
            13..16,
            "the pattern is none: unclosed group",
            "",
        ),
        (
            "zone.matches('a**')",
            13..18,
            "the pattern is none: what is repeated is repeated again",
            "its syntax is RE2's",
        ),
        (
            "zone.matches(r'[a-z.-\\d]')",
            13..25,
            "the pattern is none: a backslash stands before what has no meaning there",
            "its syntax is RE2's",
        ),
        (
            "zone.matches('(?:a{100}){100}')",
            13..30,
            "the pattern is none: a count is above 1000",
            "its syntax is RE2's",
        ),
        (
            "zone.matches(r'\\pL{1000}')",
            13..25,
            "the pattern is too large",
            "smaller counts",
        ),
        (
            "timestamp('tomorrow') > now",
            0..21,
            "this cannot be told of this string",
            "",
        ),
        ("has(zone)", 4..8, "`has` asks for a field", "has(of.field)"),
        ("has('a'.b)", 4..9, "string has no fields", ""),
        ("b'x' == b'x'", 0..4, "bytes are nothing", "write a text"),
        ("Foo{a: 1} == 1", 3..9, "no type `Foo` can be made here", ""),
        (
            "{[1]: 2}[1] == 2",
            1..4,
            "list(int) cannot be the key of a map",
            "",
        ),
        (
            "token.?claims == 1",
            5..6,
            "the condition is no expression",
            "",
        ),
        (
            "zone = 'x'",
            5..6,
            "the condition is no expression at `=`",
            "compared with `==`",
        ),
        (
            "zone == 'a' and zone == 'b'",
            12..13,
            "the condition is no expression at `a`",
            "",
        ),
        ("zone ==", 7..7, "ends too early", ""),
        ("  ", 0..0, "the condition is empty", "leave `when` out"),
    ] {
        let error = refused_in(Effect::Permit, when);
        assert!(error.message.contains(message), "{when}: {error:?}");
        assert!(
            error.help.clone().unwrap_or_default().contains(help),
            "{when}: {error:?}"
        );
        assert_eq!(error.at.clone().unwrap_or(0..0), at, "{when}: {error:?}");
    }
}

#[test]
fn an_error_stands_in_the_policy_where_it_is_written() {
    let head = "schema = 1\ntrust_domain = 'prod.example'\n[workloads.a]\nid = 'spiffe://prod.example/a'\nports = [1]\n[[forbid]]\nname = 'f'\nfrom = 'any'\nto = 'a'\n";
    let load = |when: &str| {
        let text = format!("{head}when = {when}\n");
        let loader = loader().source("policy.toml");
        loader
            .load(&text, Format::Toml)
            .expect_err("refused")
            .to_string()
    };
    assert_eq!(
        load(r#"'trust_score < 50 || zone + 1 == 2'"#),
        "policy.toml:10:29: `+` cannot be applied to string and int
   |
10 | when = 'trust_score < 50 || zone + 1 == 2'
   |                             ^^^^^^^^
   = help: it takes two numbers of one kind, two texts, two lists, or a time and a duration"
    );
    // Escapes stand between the two texts: the place is told within the condition's own.
    let escaped = load(r#""zone == \"a\" && zonne == \"b\"""#);
    assert!(
        escaped.contains("10:8: unknown name `zonne` (at 1:16 of its text)"),
        "{escaped}"
    );
}

#[test]
fn a_parameter_of_any_of_the_paths_may_be_named() {
    let rule = |when: &str| json!({ "name": "asks", "from": "any", "to": "models", "actions": ["GET /a/{x}", "GET /b/{y}"], "require": { "when": when } });
    let policy = load(
        json!([rule("has(params.x) ? params.x == '1' : params.y == '2'")]),
        json!([]),
    );
    let policy = policy.expect("loads");
    for (path, reason) in [
        ("/a/1", "permitted"),
        ("/a/2", "objected"),
        ("/b/2", "permitted"),
    ] {
        assert_eq!(
            ask(&policy, &json!({ "method": "GET", "path": path })),
            reason
        );
    }
    let error = load(json!([rule("params.query == '1'")]), json!([])).expect_err("refused");
    assert!(error.to_string().contains("there are: x, y"), "{error}");
}
