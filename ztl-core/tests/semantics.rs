//! The numbered rules of docs/rules.md that an engine must get right, each cited.

mod support;

use serde_json::{Value, json};
use support::{
    GATEWAY, NOW, Question, RETRIEVER, ROUTER, SENSOR, STRANGER, document, load, peer, try_load,
};
use ztl_core::policy::Policy;
use ztl_core::{Lack, Reason, Stage, Verdict};

fn permit(rule: Value) -> Policy {
    load(&document(&[rule], &[]))
}

/// Verdict, stage, reason, rule.
fn outcome(question: &Question, policy: &Policy) -> (Verdict, Stage, Reason, Option<String>) {
    let decision = question.ask(policy);
    (
        decision.verdict,
        decision.stage,
        decision.reason,
        decision.rule.map(|rule| rule.to_string()),
    )
}

fn reason(question: &Question, policy: &Policy) -> &'static str {
    question.ask(policy).reason.code()
}

fn refusal(document: &Value) -> String {
    try_load(document).expect_err("refused").to_string()
}

fn router_reads() -> Value {
    json!({ "name": "router-reads", "from": "router", "to": "gateway", "actions": ["GET /v1/{id}"] })
}

#[test]
fn rules_1_and_2_nothing_is_permitted_that_no_permit_names() {
    let ask = Question::get(ROUTER, "gateway", 8443, "/v1/a");
    assert_eq!(
        outcome(&ask, &load(&document(&[], &[]))),
        (Verdict::Deny, Stage::Flow, Reason::NoFlowPermitted, None)
    );
    assert_eq!(
        outcome(&ask, &permit(router_reads())),
        (
            Verdict::Permit,
            Stage::Action,
            Reason::Permitted,
            Some("router-reads".into())
        )
    );
    assert!(Policy::from_toml("").is_err(), "an empty file is no policy");
    assert!(Policy::from_json("{}").is_err());
}

#[test]
fn rule_3_an_absent_list_and_an_empty_one_are_both_refused() {
    let without = json!({ "name": "open", "from": "router", "to": "gateway" });
    assert!(refusal(&document(&[without], &[])).contains("actions"));
    let empty = json!({ "name": "open", "from": [], "to": "gateway", "actions": ["any"] });
    assert!(refusal(&document(&[empty], &[])).contains("empty"));
}

#[test]
fn rule_4_within_a_rule_and_within_a_list_or() {
    let policy = permit(json!({
        "from": ["router", "retriever"], "to": "gateway", "actions": ["GET /v1/{id}", "POST /v1/{id}"],
        "require": { "trust_score": 50, "zone_trust": 3 },
    }));
    for from in [ROUTER, RETRIEVER] {
        for method in ["GET", "POST"] {
            let ask = Question {
                score: Some(50),
                ..Question::get(from, "gateway", 8443, "/v1/a").method(method)
            };
            assert_eq!(reason(&ask, &policy), "permitted");
            let low = Question {
                score: Some(49),
                ..ask
            };
            assert_eq!(reason(&low, &policy), "requirement_unmet");
        }
    }
}

#[test]
fn rule_6_a_forbid_beats_every_permit() {
    let policy = load(&document(
        &[
            router_reads(),
            json!({ "name": "all", "from": "any", "to": "any", "ports": "1-65535", "actions": ["any"] }),
        ],
        &[
            json!({ "name": "not-that", "from": "router", "to": "gateway", "actions": ["GET /v1/secret"] }),
        ],
    ));
    assert_eq!(
        reason(&Question::get(ROUTER, "gateway", 8443, "/v1/a"), &policy),
        "permitted"
    );
    let ask = Question::get(ROUTER, "gateway", 8443, "/v1/secret");
    assert_eq!(
        outcome(&ask, &policy),
        (
            Verdict::Deny,
            Stage::Action,
            Reason::Forbidden,
            Some("not-that".into())
        )
    );
}

#[test]
fn rule_7_an_error_does_not_permit_and_does_forbid() {
    let permit_errs = permit(
        json!({ "from": "router", "to": "gateway", "actions": ["any"], "require": { "when": "error" } }),
    );
    let ask = Question::get(ROUTER, "gateway", 8443, "/v1/a");
    assert_eq!(reason(&ask, &permit_errs), "authorizer_failed");
    let forbid = |when: &str| {
        load(&document(
            &[router_reads()],
            &[json!({ "from": "router", "to": "gateway", "when": when })],
        ))
    };
    assert_eq!(reason(&ask, &forbid("error")), "forbidden");
    assert_eq!(reason(&ask, &forbid("false")), "permitted");
    for (authorizer, expected) in [
        ("agreeable", "permitted"),
        ("objector", "objected"),
        ("broken", "authorizer_failed"),
    ] {
        let policy = permit(
            json!({ "from": "router", "to": "gateway", "actions": ["any"], "require": { "authorizer": authorizer } }),
        );
        assert_eq!(reason(&ask, &policy), expected);
    }
}

#[test]
fn rule_8_and_t7_what_is_missing_is_never_good_news() {
    let ask = Question::get(ROUTER, "gateway", 8443, "/v1/a");
    for (require, lack) in [
        (json!({ "trust_score": 1 }), Lack::TrustScore),
        (json!({ "token": {} }), Lack::Token),
        (json!({ "mfa": true }), Lack::Token),
        (json!({ "headers": { "x": "1" } }), Lack::Header),
        (json!({ "when": "token" }), Lack::Token),
        (json!({ "when": "score" }), Lack::TrustScore),
    ] {
        let policy = permit(
            json!({ "from": "router", "to": "gateway", "actions": ["any"], "require": require }),
        );
        let decision = ask.ask(&policy);
        assert_eq!(
            (decision.reason, decision.lack),
            (Reason::EvidenceMissing, Some(lack)),
            "{require}"
        );
    }
    // A condition that would not hold, but cannot read what it needs: forbidden.
    let forbid = load(&document(
        &[router_reads()],
        &[json!({ "from": "router", "to": "gateway", "when": "token" })],
    ));
    assert_eq!(reason(&ask, &forbid), "forbidden");
    // On raw bytes nothing that a rule asks about is known.
    let raw = load(&document(
        &[json!({ "from": "router", "to": "gateway", "actions": ["connect"] })],
        &[json!({ "from": "router", "to": "gateway", "actions": ["GET /admin"] })],
    ));
    assert_eq!(
        reason(
            &Question {
                action: Some(None),
                ..ask
            },
            &raw
        ),
        "forbidden"
    );
}

#[test]
fn rule_10_any_has_to_be_written_and_means_a_proved_peer() {
    let any =
        permit(json!({ "from": "any", "to": "gateway", "ports": [443, 8443], "actions": ["any"] }));
    assert_eq!(
        reason(&Question::get(STRANGER, "gateway", 8443, "/"), &any),
        "permitted"
    );
    assert_eq!(
        reason(&Question::anonymous("gateway", 443, "/"), &any),
        "no_flow_permitted"
    );
    assert!(
        refusal(&document(
            &[json!({ "from": "*", "to": "gateway", "actions": ["any"] })],
            &[]
        ))
        .contains("any")
    );
}

#[test]
fn rule_14_denied_by_a_rule_is_not_denied_by_none() {
    let policy = load(&document(
        &[router_reads()],
        &[json!({ "name": "no-sensors", "from": "sensor", "to": "gateway" })],
    ));
    assert_eq!(
        outcome(&Question::get(SENSOR, "gateway", 8443, "/v1/a"), &policy).2,
        Reason::Forbidden
    );
    assert_eq!(
        outcome(&Question::get(RETRIEVER, "gateway", 8443, "/v1/a"), &policy).2,
        Reason::NoFlowPermitted
    );
    assert_eq!(
        outcome(&Question::get(ROUTER, "gateway", 8443, "/v2"), &policy).2,
        Reason::NoActionPermitted
    );
}

#[test]
fn rules_28_and_t13_an_alias_is_the_same_workload() {
    let alias = "spiffe://old.example/agents/router";
    let policy = load(&document(&[router_reads()], &[]));
    let ask = Question::get(alias, "gateway", 8443, "/v1/a").from_addr("10.10.0.5");
    assert_eq!(reason(&ask, &policy), "permitted");
    // T13: and it is as forbidden.
    let policy = load(&document(
        &[router_reads()],
        &[json!({ "from": "spiffe://prod.example/agents/**", "to": "gateway" })],
    ));
    assert_eq!(reason(&ask, &policy), "forbidden");
    // An unknown domain is left as it is.
    let other = Question::get(
        "spiffe://new.example/agents/router",
        "gateway",
        8443,
        "/v1/a",
    )
    .from_addr("10.10.0.5");
    assert_eq!(reason(&other, &policy), "no_flow_permitted");
    let mut twice = document(&[], &[]);
    twice["workloads"]["twin"] = json!({ "id": alias });
    assert!(refusal(&twice).contains("one id"));
}

#[test]
fn rule_33_both_ends_judge_the_same_edge() {
    use ztl_core::{
        Action, Flow,
        policy::{Input, decide},
    };
    let policy = permit(router_reads());
    let target = peer(GATEWAY);
    let egress = |me, action: &'static str| {
        let input = Input::new(Flow::egress(me, 8443, &target))
            .with_action(Action::request(action, "/v1/a"));
        decide(&policy, &input, NOW).reason.code()
    };
    assert_eq!(egress("router", "GET"), "permitted");
    assert_eq!(egress("router", "PUT"), "no_action_permitted");
    assert_eq!(egress("retriever", "GET"), "no_flow_permitted");
}

#[test]
fn rule_35_addresses_in_all_their_forms() {
    let policy = permit(json!({ "from": "zone:production", "to": "gateway", "actions": ["any"] }));
    let from = |addr| {
        reason(
            &Question::get(ROUTER, "gateway", 8443, "/").from_addr(addr),
            &policy,
        )
    };
    assert_eq!(from("10.10.0.5"), "permitted");
    assert_eq!(from("::ffff:10.10.0.5"), "permitted");
    assert_eq!(from("64:ff9b::a0a:5"), "permitted");
    assert_eq!(from("fd00:10::5"), "permitted");
    assert_eq!(from("10.20.0.5"), "zone_mismatch");
    assert_eq!(
        from("10.10.7.5"),
        "zone_mismatch",
        "the longest prefix is another zone"
    );
    assert_eq!(from("192.0.2.1"), "zone_unknown");
    assert_eq!(from("10.10.0.99"), "zone_unknown", "a relay is in no zone");
}

#[test]
fn rule_36_port_ranges_are_inclusive() {
    let policy = permit(
        json!({ "from": "router", "to": "retriever", "ports": "9000-9001", "actions": ["any"] }),
    );
    assert_eq!(
        reason(&Question::get(ROUTER, "retriever", 9000, "/"), &policy),
        "permitted"
    );
    assert_eq!(
        reason(&Question::get(ROUTER, "retriever", 8443, "/"), &policy),
        "no_flow_permitted"
    );
    let none = json!({ "from": "router", "to": "retriever", "ports": 1234, "actions": ["any"] });
    assert!(refusal(&document(&[none], &[])).contains("listens on none of these ports"));
    let several = json!({ "from": "router", "to": "retriever", "actions": ["any"] });
    assert!(refusal(&document(&[several], &[])).contains("ports = [..]"));
}

#[test]
fn rule_40_nothing_is_permitted_because_it_is_local_or_a_probe() {
    let policy = permit(router_reads());
    for target in ["/healthz", "/metrics", "/livez"] {
        assert_eq!(
            reason(
                &Question::anonymous("gateway", 8443, target).from_addr("127.0.0.1"),
                &policy
            ),
            "identity_unproven"
        );
        assert_eq!(
            reason(
                &Question::get(GATEWAY, "gateway", 8443, target).from_addr("10.10.0.5"),
                &policy
            ),
            "no_flow_permitted"
        );
    }
}

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
fn rule_43_every_value_of_a_repeated_header_is_judged() {
    let policy = permit(
        json!({ "from": "router", "to": "gateway", "actions": ["any"], "require": { "headers": { "x-tenant": ["a", "b"] } } }),
    );
    let with = |headers: Vec<(&'static str, &'static [u8])>| {
        reason(
            &Question {
                headers,
                ..Question::get(ROUTER, "gateway", 8443, "/")
            },
            &policy,
        )
    };
    assert_eq!(with(vec![("x-tenant", b"a")]), "permitted");
    assert_eq!(
        with(vec![("x-tenant", b"a"), ("x-tenant", b"b")]),
        "permitted"
    );
    assert_eq!(
        with(vec![("x-tenant", b"a"), ("x-tenant", b"evil")]),
        "requirement_unmet"
    );
    assert_eq!(with(vec![("x-tenant", b"a, b")]), "requirement_unmet");
    assert_eq!(with(vec![("x-other", b"a")]), "evidence_missing");
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

#[test]
fn a_shadow_rule_says_what_it_would_have_said() {
    let policy = load(&document(
        &[
            router_reads(),
            json!({ "name": "would-permit", "mode": "shadow", "from": "retriever", "to": "gateway", "actions": ["GET /v1/{id}"] }),
            json!({ "name": "nothing", "mode": "off", "from": "any", "to": "gateway", "actions": ["any"] }),
        ],
        &[
            json!({ "name": "would-forbid", "mode": "shadow", "from": "router", "to": "gateway", "actions": ["GET /v1/b"] }),
        ],
    ));
    let shadow = |question: &Question| {
        let decision = question.ask(&policy);
        let said: Vec<_> = decision
            .shadow
            .iter()
            .map(|one| (one.rule.to_string(), one.would))
            .collect();
        (decision.verdict, said)
    };
    assert_eq!(
        shadow(&Question::get(ROUTER, "gateway", 8443, "/v1/a")),
        (Verdict::Permit, vec![])
    );
    assert_eq!(
        shadow(&Question::get(ROUTER, "gateway", 8443, "/v1/b")),
        (
            Verdict::Permit,
            vec![("would-forbid".into(), Verdict::Deny)]
        )
    );
    assert_eq!(
        shadow(&Question::get(RETRIEVER, "gateway", 8443, "/v1/a")),
        (
            Verdict::Deny,
            vec![("would-permit".into(), Verdict::Permit)]
        )
    );
    assert_eq!(
        shadow(&Question::get(RETRIEVER, "gateway", 8443, "/other")),
        (Verdict::Deny, vec![])
    );
}

#[test]
fn a_token_is_judged_by_issuer_audience_scopes_and_claims() {
    let mut document = document(
        &[
            json!({ "from": "router", "to": "gateway", "actions": ["any"], "require": {
            "token": { "issuer": "corp", "audience": "gw", "scopes": ["infer"], "claims": { "team": "search" } } } }),
        ],
        &[],
    );
    document["issuers"] = json!({ "corp": { "issuer": "https://idp.example" } });
    let policy = load(&document);
    let with = |claims: Value| {
        let decision = Question {
            claims: Some(claims),
            ..Question::get(ROUTER, "gateway", 8443, "/")
        }
        .ask(&policy);
        (decision.reason.code(), decision.lack)
    };
    let good = json!({ "iss": "https://idp.example", "sub": "u", "aud": ["gw"], "scope": "read infer", "team": ["search", "ads"] });
    let but = |key: &str, value: Value| {
        let mut claims = good.clone();
        claims[key] = value;
        claims
    };
    assert_eq!(with(good.clone()), ("permitted", None));
    assert_eq!(
        with(but("iss", json!("https://evil.example"))),
        ("requirement_unmet", Some(Lack::Token))
    );
    assert_eq!(
        with(but("iss", json!("corp"))),
        ("requirement_unmet", Some(Lack::Token))
    );
    assert_eq!(
        with(but("aud", json!("other"))),
        ("requirement_unmet", Some(Lack::Token))
    );
    assert_eq!(
        with(but("scope", json!("inferno"))),
        ("requirement_unmet", Some(Lack::Scope))
    );
    assert_eq!(
        with(but("team", json!("ads"))),
        ("requirement_unmet", Some(Lack::Claim))
    );
}

#[test]
fn the_second_factor_is_read_as_the_standards_say() {
    let policy = |mfa: Value| {
        permit(
            json!({ "from": "router", "to": "gateway", "actions": ["any"], "require": { "mfa": mfa } }),
        )
    };
    let with = |policy: &Policy, claims: Value| {
        reason(
            &Question {
                claims: Some(claims),
                ..Question::get(ROUTER, "gateway", 8443, "/")
            },
            policy,
        )
    };
    let (any, resistant) = (policy(json!(true)), policy(json!("phishing-resistant")));
    assert_eq!(with(&any, json!({ "amr": ["pwd", "mfa"] })), "permitted");
    assert_eq!(with(&any, json!({ "amr": ["pwd"] })), "requirement_unmet");
    assert_eq!(with(&any, json!({ "acr": "phr" })), "permitted");
    assert_eq!(
        with(&resistant, json!({ "amr": ["mfa"] })),
        "requirement_unmet"
    );
    assert_eq!(with(&resistant, json!({ "acr": "phrh" })), "permitted");
}
