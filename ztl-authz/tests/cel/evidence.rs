//! What is missing, stale or of the wrong type: rules 7 to 9, T7.

use super::*;

#[test]
fn rule_7_an_error_fails_a_permit_and_fires_a_forbid_and_says_where() {
    let all = json!({ "claims": { "level": 3, "flags": { "a": 1 }, "list": [1, {}] } });
    for (when, part) in [
        (
            "token.claims.team == 'x'",
            "`token.claims.team` at 1:1 is not there",
        ),
        (
            "true && token.claims.level / 0 > 1",
            "`token.claims.level / 0` at 1:9 divides by zero",
        ),
        (
            "9223372036854775807 + token.claims.level > 0",
            "is beyond its range",
        ),
        (
            "token.claims.level == 'x'",
            "at 1:1 cannot be told of int and string",
        ),
        (
            "token.claims.level != 'x'",
            "at 1:1 cannot be told of int and string",
        ),
        (
            "token.claims.level > 'x'",
            "cannot be told of int and string",
        ),
        (
            "token.claims.level + 'x' == 'x'",
            "`token.claims.level + 'x'` at 1:1 cannot be told",
        ),
        ("token.claims.level", "is int, and neither true nor false"),
        (
            "token.claims.level.startsWith('x')",
            "`token.claims.level` at 1:1 is int, and has to be string",
        ),
        ("token.claims.level.deep == 1", "asks for a field of int"),
        (
            "!('x' in token.claims.list)",
            "looks among what is of another type",
        ),
        (
            "!(1 in [token.claims.level, 'x'])",
            "looks among what is of another type",
        ),
        ("1 in token.claims.level", "looks into int"),
        (
            "token.claims.flags == token.claims.flags",
            "is an object, of which only fields",
        ),
        (
            "'a' in token.claims.flags",
            "is an object, of which only fields",
        ),
        (
            "token.claims.flags.all(k, k != 'b')",
            "`token.claims.flags` at 1:1 is an object",
        ),
        (
            "token.claims.flags.size() == 1",
            "asks how many there are of object",
        ),
        ("token.claims.list == [1]", "holds an object"),
        ("token.claims.list[7] == 1", "is not there"),
        (
            "int(token.claims.team) == 1 || true",
            "`token.claims.team` at 1:5 is not there",
        ),
        (
            "int('x' + params.model) == 1",
            "`int('x' + params.model)` at 1:1 cannot be told of this string",
        ),
        (
            "timestamp(params.model) < now",
            "`timestamp(params.model)` at 1:1 cannot be told",
        ),
        (
            "now.getHours(params.model) == 1",
            "cannot be told of this timestamp and string",
        ),
        (
            "{'a': 1}[params.model] == 1",
            "`{'a': 1}[params.model]` at 1:1 is not there",
        ),
        (
            "{'llama': 1, params.model: 2}.llama == 1",
            "has a key twice",
        ),
        ("token.issuer == 'x'", "`token.issuer` at 1:1 is not there"),
        (
            "peer.labels.owner == 'x'",
            "`peer.labels.owner` at 1:1 is not there",
        ),
        (
            "request.upgrade == 'x'",
            "`request.upgrade` at 1:1 is not there",
        ),
    ] {
        let told = failed(when, &all);
        assert!(told.contains(part), "{when}: {told}");
        // The same in a forbid: whatever cannot be told forbids.
        assert_eq!(ask(&forbid(when), &all), "forbidden", "{when}");
    }
}

#[test]
fn rule_7_no_operator_swallows_an_error() {
    let none = json!({ "claims": {} });
    for when in [
        "token.claims.a == 1 || true",
        "token.claims.a == 1 && false",
        "!(token.claims.a == 1 && false)",
        "[1, 2].exists(x, x == 2 || token.claims.a == x)",
        "[1, 2].all(x, token.claims.a == x)",
    ] {
        assert!(failed(when, &none).contains("`token.claims.a`"), "{when}");
        assert_eq!(ask(&forbid(when), &none), "forbidden", "{when}");
    }
    // What is not come to is not read.
    assert!(holds("true || token.claims.a == 1", &none));
    assert!(!holds("false && token.claims.a == 1", &none));
}

#[test]
fn rule_8_and_t7_evidence_that_is_not_there_fails_a_permit_and_fires_a_forbid() {
    for when in [
        "!token.claims.suspended",
        "trust_score >= 0",
        "posture.managed || true",
        "context.owner != 'mallory'",
        "true || token.scopes.size() == 0",
        "token.expires_at > now",
    ] {
        assert_eq!(ask(&permit(when), &json!({})), "evidence_missing", "{when}");
        assert_eq!(ask(&forbid(when), &json!({})), "forbidden", "{when}");
    }
    // Neither is a token without scopes one without this scope.
    let bare = json!({ "claims": { "sub": "alice" } });
    for when in ["!('admin' in token.scopes)", "token.audience.size() == 0"] {
        assert_eq!(ask(&permit(when), &bare), "authorizer_failed", "{when}");
        assert_eq!(ask(&forbid(when), &bare), "forbidden", "{when}");
    }
    let stale = json!({ "claims": { "exp": 5, "suspended": false } });
    assert_eq!(
        ask(&permit("!token.claims.suspended"), &stale),
        "evidence_stale"
    );
    assert_eq!(ask(&forbid("token.claims.suspended"), &stale), "forbidden");
}

#[test]
fn rule_9_a_caller_that_proved_nothing_has_no_name_to_differ_by() {
    let rule = json!({ "name": "asks", "from": "public", "to": "models", "ports": 443, "anonymous": true,
        "actions": ["GET /{model}"], "require": { "when": "peer.workload != 'mallory'" } });
    let mut document = json!({ "schema": 1, "trust_domain": "prod.example",
        "workloads": { "models": { "id": "spiffe://prod.example/models", "public_ports": [443] } }, "permit": [rule] });
    let asked =
        Query::from_json(r#"{ "to": "models", "port": 443, "method": "GET", "path": "/a" }"#);
    let asked = asked.expect("a query");
    for (when, reason) in [
        ("peer.workload != 'mallory'", "authorizer_failed"),
        (
            "peer.id != 'spiffe://prod.example/mallory'",
            "authorizer_failed",
        ),
        ("peer.labels.tier != 'x'", "authorizer_failed"),
        ("zone != 'iot'", "authorizer_failed"),
        ("params.model == 'a'", "permitted"),
    ] {
        document["permit"][0]["require"]["when"] = when.into();
        let policy = loader()
            .load(&document.to_string(), Format::Json)
            .expect("loads");
        let decision = asked.decide(&policy, NOW).expect("a decision");
        assert_eq!(decision.reason.code(), reason, "{when}");
    }
}

#[test]
fn t7_absence_cannot_be_asked_for_in_a_permit() {
    for when in [
        "!has(token.claims.suspended)",
        "has(token.claims.a.b)",
        "has(token.issuer)",
        "has(posture.managed)",
        "has(context.owner)",
        "has(peer.workload)",
        "has(peer.labels.tier)",
        "token.claims.list.exists(x, has(x.a))",
    ] {
        let error = refused_in(Effect::Permit, when);
        assert!(
            error
                .message
                .contains("in a permit `has` cannot be asked of evidence"),
            "{when}: {error}"
        );
        let setting = Setting::new(Effect::Forbid, []);
        Cel::new()
            .condition(when, &setting)
            .unwrap_or_else(|error| panic!("{when}: {error}"));
    }
    // In a forbid it forbids.
    let suspended = forbid("has(token.claims.suspended)");
    assert_eq!(
        ask(&suspended, &json!({ "claims": { "suspended": 1 } })),
        "forbidden"
    );
    assert_eq!(ask(&suspended, &json!({ "claims": {} })), "permitted");
    assert_eq!(ask(&suspended, &json!({})), "forbidden");
    let unlabelled =
        forbid("!has(peer.labels.team) || has(peer.workload) && !has(request.upgrade)");
    assert_eq!(ask(&unlabelled, &json!({})), "forbidden");
    // An object as a whole reads nothing: a forbid that asks for one would fire for nobody, or for everybody.
    for when in [
        "has(token.claims)",
        "has(token.claims) && zone == 'iot'",
        "!has(token.claims)",
        "has(peer.labels)",
        "!has(peer.labels)",
    ] {
        let error = refused_in(Effect::Forbid, when);
        assert!(
            error.message.contains("is an object and no evidence"),
            "{when}: {error}"
        );
        assert!(
            (error.help.as_deref()).is_some_and(|help| help.contains("ask for one of its fields")),
            "{when}: {error}"
        );
    }
    // And nowhere by looking whether a name is among those of an object.
    for when in [
        "'a' in token.claims",
        "'a' in peer.labels",
        "'a' in posture",
    ] {
        let error = refused_in(Effect::Forbid, when);
        assert!(
            error.message.starts_with("`in` takes a list"),
            "{when}: {error}"
        );
    }
}

#[test]
fn t7_a_condition_reads_what_it_names_and_nothing_else() {
    use ztl_core::authorizer::{Condition as _, Reads};
    let nothing = Reads::nothing();
    for (when, reads) in [
        (
            "zone == 'a' && params.model == 'b' && peer.path == request.path",
            nothing,
        ),
        ("zone == 'a' || now > timestamp(0)", nothing.with_clock()),
        ("token.claims.a == 1", nothing.with_token()),
        ("'a' in token.scopes", nothing.with_token()),
        (
            "trust_score > 1 && posture.a",
            nothing.with_trust_score().with_posture(),
        ),
        (
            "false && context['a'] == token.issuer",
            nothing.with_context().with_token(),
        ),
        ("context[params.model] == 1", nothing.with_context()),
    ] {
        let setting = Setting::new(Effect::Permit, ["model"]);
        let condition = Cel::new().condition(when, &setting).expect("compiles");
        assert_eq!(condition.reads(), reads, "{when}");
    }
}

#[test]
fn law_7_an_error_holds_no_value() {
    let secret = json!({ "claims": { "a": "hunter2", "b": ["hunter2"], "c": 4_711 }, "context": { "x": "hunter2" } });
    for when in [
        "token.claims.a + 1 == 2",
        "token.claims.a > 1",
        "token.claims.b[0] == 1",
        "timestamp(token.claims.a) < now",
        "int(context.x) == 1",
        "token.claims.c + context.x == 2",
        "{token.claims.a: 1, context.x: 2}.hunter == 1",
        "[1][token.claims.c] == 1",
        "now.getHours(context.x) == 1",
        "token.claims.c / (token.claims.c - 4711) == 1",
    ] {
        let told = failed(when, &secret);
        // The text of the condition itself may be told.
        let told = told
            .rsplit_once('`')
            .map_or(told.as_str(), |(_, told)| told);
        assert!(
            !told.contains("hunter2") && !told.contains("4711"),
            "{told}"
        );
    }
}
