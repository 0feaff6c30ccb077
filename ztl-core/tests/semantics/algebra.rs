//! How rules come together: rules 1 to 14.

use super::*;

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

/// What a policy's memory grows with is bounded, whatever a short text says.
#[test]
fn rules_that_speak_of_too_many_pairs_are_refused() {
    let mut text = "schema = 1\ntrust_domain = 'p.example'\n".to_owned();
    for at in 0..1_000 {
        text += &format!("[workloads.w{at}]\nid = 'spiffe://p.example/w{at}'\nports = [1]\n");
    }
    let from = (0..20)
        .map(|at| format!("'w{at}'"))
        .collect::<Vec<_>>()
        .join(",");
    let rule = format!("[[permit]]\nfrom = [{from}]\nto = 'any'\nactions = 'any'\n");
    let few = text.clone() + &rule.repeat(3);
    assert!(Policy::from_toml(&few).is_ok());
    let error = Policy::from_toml(&(text + &rule.repeat(251))).expect_err("too many");
    let said = error.to_string();
    assert!(
        said.contains("more than 4000000 pairs of a caller and a target"),
        "{said}"
    );
}
