//! What is required beside: headers, tokens, factors.

use super::*;

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
