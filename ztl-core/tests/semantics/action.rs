//! What is asked for: rules 41 to 48.

use super::*;

#[test]
fn rule_41_templates_match_whole_segments() {
    let matches = |pattern: &str, target: &'static str| {
        let policy = permit(
            json!({ "from": "router", "to": "gateway", "actions": [format!("GET {pattern}")] }),
        );
        reason(&Question::get(ROUTER, "gateway", 8443, target), &policy) == "permitted"
    };
    let uuid = "/o/0190a1b2-3c4d-7e8f-9012-3456789abcde";
    for (pattern, target, expected) in [
        ("/a/{x}/b", "/a/1/b", true),
        ("/a/{x}/b", "/a//b", false),
        ("/a/{x}", "/a/", false),
        ("/a/{x}", "/a/1/", false),
        ("/a/{x}", "/a/1/2", false),
        ("/a/{*rest}", "/a/1/2/", true),
        ("/a/{*rest}", "/a/", false),
        ("/a/{*rest}", "/a", false),
        ("/a", "/a/", false),
        ("/a/", "/a", false),
        ("/", "/", true),
        ("/n/{n:int}", "/n/-12", true),
        ("/n/{n:int}", "/n/1e3", false),
        ("/o/{id:uuid}", uuid, true),
        ("/o/{id:uuid}", "/o/0190", false),
        ("/u/bob@x", "/u/bob%40x", true),
        ("/A", "/a", false),
    ] {
        assert_eq!(matches(pattern, target), expected, "{pattern} {target}");
    }
    for bad in [
        "GET a",
        "GET /a//b",
        "GET /{x}.json",
        "GET /{*r}/x",
        "GET /{x}/{x}",
        "GET /a/../b",
        "GET /{x:hex}",
        "get /a",
        "TRACE /a",
        "CONNECT /a",
        "GET /a?b",
        "grpc S",
        "upgrade: /x",
    ] {
        let rule = json!({ "from": "router", "to": "gateway", "actions": [bad] });
        assert!(try_load(&document(&[rule], &[])).is_err(), "{bad}");
    }
}

#[test]
fn rule_41_the_more_specific_pattern_hides_nothing() {
    let policy = permit(
        json!({ "from": "router", "to": "gateway", "actions": ["GET /v1/models", "GET /v1/{any}", "GET /{*rest}"] }),
    );
    for target in ["/v1/models", "/v1/x", "/v1/models/x", "/y"] {
        assert_eq!(
            reason(&Question::get(ROUTER, "gateway", 8443, target), &policy),
            "permitted",
            "{target}"
        );
    }
}

#[test]
fn rule_44_methods_are_exact_and_unknown_ones_are_never_permitted() {
    let policy = permit(json!({ "from": "router", "to": "gateway", "actions": ["any", "GET /x"] }));
    let with = |method| {
        reason(
            &Question::get(ROUTER, "gateway", 8443, "/x").method(method),
            &policy,
        )
    };
    assert_eq!(with("GET"), "permitted");
    for method in ["get", "Get", "CONNECT", "TRACE", "FOO", ""] {
        assert_eq!(with(method), "no_action_permitted", "{method}");
    }
}

#[test]
fn rule_45_a_forbid_on_get_covers_head_and_a_permit_does_not() {
    let policy = permit(json!({ "from": "router", "to": "gateway", "actions": ["GET /x", "any"] }));
    assert_eq!(
        reason(
            &Question::get(ROUTER, "gateway", 8443, "/x").method("HEAD"),
            &policy
        ),
        "no_action_permitted"
    );
    let policy = load(&document(
        &[json!({ "from": "router", "to": "gateway", "actions": ["GET,HEAD /{*rest}"] })],
        &[json!({ "from": "router", "to": "gateway", "actions": ["GET /secret"] })],
    ));
    assert_eq!(
        reason(
            &Question::get(ROUTER, "gateway", 8443, "/open").method("HEAD"),
            &policy
        ),
        "permitted"
    );
    for target in ["/secret", "/secret/"] {
        assert_eq!(
            reason(
                &Question::get(ROUTER, "gateway", 8443, target).method("HEAD"),
                &policy
            ),
            "forbidden",
            "{target}"
        );
    }
}

#[test]
fn rules_46_and_48_a_path_with_two_readings_is_no_action() {
    let policy =
        permit(json!({ "from": "router", "to": "gateway", "actions": ["GET /pub/{*rest}"] }));
    for target in [
        "/pub/%2e%2e/admin",
        "/pub/../admin",
        "/pub//x",
        "/pub/a%2fb",
        "/pub/a%5cb",
        "/pub/a;x",
        "/pub/%00",
        "/pub/%2561",
        "pub/x",
        "/pub/x#y",
    ] {
        let ask = Question::get(ROUTER, "gateway", 8443, target);
        assert_eq!(
            outcome(&ask, &policy),
            (Verdict::Deny, Stage::Action, Reason::PathAmbiguous, None),
            "{target}"
        );
    }
    assert_eq!(
        reason(
            &Question::get(ROUTER, "gateway", 8443, "/pub/x?../../admin"),
            &policy
        ),
        "permitted"
    );
    // Who has no flow learns nothing of paths.
    assert_eq!(
        reason(
            &Question::get(RETRIEVER, "gateway", 8443, "/pub/.."),
            &policy
        ),
        "no_flow_permitted"
    );
}

#[test]
fn rule_47_and_t20_a_grpc_method_is_a_path_and_a_forbid_covers_its_every_dress() {
    let policy =
        permit(json!({ "from": "router", "to": "gateway", "actions": ["grpc pkg.Svc/Do"] }));
    let with = |method, target| {
        reason(
            &Question::get(ROUTER, "gateway", 8443, target).method(method),
            &policy,
        )
    };
    assert_eq!(with("POST", "/pkg.Svc/Do"), "permitted");
    assert_eq!(with("GET", "/pkg.Svc/Do"), "no_action_permitted");
    assert_eq!(with("POST", "pkg.Svc/Do"), "path_ambiguous");
    assert_eq!(with("POST", "/pkg.Svc/Do/"), "no_action_permitted");
    let policy = load(&document(
        &[json!({ "from": "router", "to": "gateway", "actions": ["any", "websocket /{*all}"] })],
        &[json!({ "from": "router", "to": "gateway", "actions": ["grpc pkg.Svc/*"] })],
    ));
    for method in ["POST", "GET", "PUT"] {
        let ask = Question::get(ROUTER, "gateway", 8443, "/pkg.Svc/Other").method(method);
        assert_eq!(reason(&ask, &policy), "forbidden", "{method}");
    }
    let upgrade = Question {
        upgrade: Some("websocket"),
        ..Question::get(ROUTER, "gateway", 8443, "/pkg.Svc/Other")
    };
    assert_eq!(reason(&upgrade, &policy), "forbidden");
}

#[test]
fn an_upgrade_is_an_action_of_its_own() {
    let policy = permit(
        json!({ "from": "router", "to": "gateway", "actions": ["any", "websocket /chat", "upgrade:h2c /h"] }),
    );
    let with = |upgrade, target| {
        reason(
            &Question {
                upgrade: Some(upgrade),
                ..Question::get(ROUTER, "gateway", 8443, target)
            },
            &policy,
        )
    };
    assert_eq!(with("websocket", "/chat"), "permitted");
    assert_eq!(with("websocket", "/other"), "no_action_permitted");
    assert_eq!(with("h2c", "/h"), "permitted");
    assert_eq!(with("h2c, websocket", "/chat"), "no_action_permitted");
    // `upgrade:websocket` is the same by another name (§9.1.4).
    for written in ["upgrade:websocket /chat", "upgrade:WebSocket /chat"] {
        let rule = json!({ "from": "router", "to": "gateway", "actions": [written] });
        let policy = permit(rule);
        for (asked, target, wanted) in [
            ("websocket", "/chat", Verdict::Permit),
            ("WEBSOCKET", "/chat", Verdict::Permit),
            ("websocket", "/other", Verdict::Deny),
            ("h2c", "/chat", Verdict::Deny),
        ] {
            let question = Question {
                upgrade: Some(asked),
                ..Question::get(ROUTER, "gateway", 8443, target)
            };
            let (said, meant) = question.ask_both(&policy, false);
            assert_eq!(
                (said.verdict, said == meant),
                (wanted, true),
                "{question:?}"
            );
        }
    }
    let plain = permit(json!({ "from": "router", "to": "gateway", "actions": ["GET /chat"] }));
    let ask = Question {
        upgrade: Some("websocket"),
        ..Question::get(ROUTER, "gateway", 8443, "/chat")
    };
    assert_eq!(reason(&ask, &plain), "no_action_permitted");
    // A forbid on the plain request covers the one that wants more.
    let policy = load(&document(
        &[json!({ "from": "router", "to": "gateway", "actions": ["websocket /chat"] })],
        &[json!({ "from": "router", "to": "gateway", "actions": ["GET /chat"] })],
    ));
    assert_eq!(reason(&ask, &policy), "forbidden");
}
