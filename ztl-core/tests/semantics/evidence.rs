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
    // CGI takes `_` for `-`: nobody knows what the service would read, even where it would be the same.
    for other in ["x_tenant", "X_Tenant"] {
        assert_eq!(with(vec![(other, b"a")]), "requirement_unmet");
        let both = vec![("x-tenant", b"a".as_slice()), (other, b"evil")];
        assert_eq!(with(both), "requirement_unmet");
        let both = vec![(other, b"a".as_slice()), ("x-tenant", b"a")];
        assert_eq!(with(both), "requirement_unmet");
    }
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
fn a_claim_inside_another_is_asked_for_by_a_table() {
    let asks = |claims: &str| {
        let text = format!(
            r#"
schema = 1
trust_domain = "prod.example"
[workloads.router]
id = "{ROUTER}"
[workloads.gateway]
id = "spiffe://prod.example/gw"
ports = [8443]
[[permit]]
name = "asks"
from = "router"
to = "gateway"
actions = ["any"]
[permit.require.token.claims]
{claims}
"#
        );
        ztl_core::policy::Policy::from_toml(&text).unwrap_or_else(|error| panic!("{error}"))
    };
    let with = |policy: &Policy, claims: Value| {
        let claims = Some(claims);
        let decision = Question {
            claims,
            ..Question::get(ROUTER, "gateway", 8443, "/")
        }
        .ask(policy);
        (decision.reason.code(), decision.lack)
    };
    let unmet = ("requirement_unmet", Some(Lack::Claim));
    // A dotted key of TOML is a table; a quoted one is one name.
    let policy = asks(
        "realm_access.roles = \"admin\"\nrealm_access.level = 3\n\"https://x.example/team\" = \"a\"",
    );
    let good = json!({
        "sub": "u", "iss": "i", "https://x.example/team": "a",
        "realm_access": { "roles": ["user", "admin"], "level": 3, "more": {} },
    });
    assert_eq!(with(&policy, good.clone()), ("permitted", None));
    for inner in [
        json!({ "roles": ["user"], "level": 3 }),
        json!({ "roles": "administrator", "level": 3 }),
        json!({ "roles": { "admin": true }, "level": 3 }),
        json!({ "roles": "admin" }),
        json!({ "roles": "admin", "level": "3" }),
        json!({}),
        json!([{ "roles": "admin", "level": 3 }]),
        json!("admin"),
        json!(null),
    ] {
        let mut claims = good.clone();
        claims["realm_access"] = inner;
        assert_eq!(with(&policy, claims.clone()), unmet, "{claims}");
    }
    let mut flat = good;
    let object = flat.as_object_mut().expect("object");
    object.remove("realm_access");
    object.insert("realm_access.roles".to_owned(), "admin".into());
    object.insert("realm_access.level".to_owned(), 3.into());
    assert_eq!(
        with(&policy, flat),
        unmet,
        "a name with a dot is another claim"
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
