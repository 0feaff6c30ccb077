//! The laws, as properties of random documents and random questions.

#![cfg(test)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use support::{NOW, Question, document, forbid, load, permit, question, try_load};
use ztl_core::audit::MemorySink;
use ztl_core::{
    Decision, Engine, Evidence, Flow, HeaderPairs, Lack, ObligationKinds, Reason, Verdict,
};

fn rules() -> impl Strategy<Value = (Vec<serde_json::Value>, Vec<serde_json::Value>)> {
    // Often one permit is generous, so that forbids and requirements have something to take away.
    let generous = || {
        let rule = serde_json::json!({ "from": "any", "to": "any", "actions": ["any", "GET /v1/{id}"], "ports": "1-65535" });
        let rule = (Just(rule), support::clauses(0.25), support::oblige()).prop_map(
            |(mut rule, clauses, oblige)| {
                if !oblige.is_null() {
                    rule["oblige"] = oblige;
                }
                support::with_clauses(rule, clauses)
            },
        );
        prop::option::weighted(0.7, rule)
    };
    (
        generous(),
        prop::collection::vec(permit(), 0..6),
        prop::collection::vec(forbid(), 0..3),
    )
        .prop_map(|(generous, mut permits, forbids)| {
            permits.extend(generous);
            (permits, forbids)
        })
}

/// Most random questions are denied; these come from a declared caller at home to a place that listens.
fn likely() -> impl Strategy<Value = Question> {
    prop_oneof![
        question(),
        question().prop_map(|mut question| {
            question.from = Some(support::ROUTER);
            question.addr = Some("10.10.0.5");
            (question.to, question.port) = ("gateway", 8443);
            let target = if question.score.is_some_and(|score| score > 50) {
                "/v1/7"
            } else {
                "/v1/a"
            };
            question.action = Some(Some(("GET", target)));
            question.upgrade = None;
            question
        })
    ]
}

fn permitted(question: &Question, policy: &ztl_core::policy::Policy) -> bool {
    question.ask(policy).verdict == Verdict::Permit
}

/// A clause that a permit may not have yet: who comes along, or one of `require`.
fn clause() -> impl Strategy<Value = (&'static str, serde_json::Value)> {
    use serde_json::json;
    let along = (
        prop::sample::select(vec!["subject", "actors"]),
        prop::sample::select(vec!["any", "issuer:corp", "router", "label:tier=agent"]),
    );
    let along = along.prop_map(|(key, whom)| (key, json!(whom)));
    let required = prop::sample::select(vec![
        ("trust_score", json!(90)),
        ("zone_trust", json!(3)),
        ("token", json!({ "issuer": "corp", "scopes": ["read"] })),
        ("mfa", json!(true)),
        ("mfa", json!("phishing-resistant")),
        ("headers", json!({ "x-tenant": ["a"] })),
        ("when", json!("token")),
        ("when", json!("true")),
        ("when", json!("error")),
        ("authorizer", json!("agreeable")),
        ("authorizer", json!("careful")),
        ("authorizer", json!("objector")),
    ]);
    prop_oneof![along, required]
}

fn forbids_named<'a>(
    forbids: &'a [serde_json::Value],
    name: Option<&str>,
) -> &'a serde_json::Value {
    let at = name.and_then(|name| name.strip_prefix("forbid-")?.parse::<usize>().ok());
    &forbids[at.expect("a forbid without a name of its own") - 1]
}

/// Whether a forbid decided because of somebody who comes along, and not because of the peer.
fn along(question: &Question, forbids: &[serde_json::Value], decision: &Decision) -> bool {
    decision.reason == Reason::Forbidden
        && !forbids_peer(question, forbids_named(forbids, decision.rule.as_deref()))
}

/// Whether a forbid speaks of the peer itself, and not only of somebody who comes along.
fn forbids_peer(question: &Question, forbid: &serde_json::Value) -> bool {
    let whole = serde_json::json!({ "from": forbid["from"], "to": forbid["to"] });
    let flow = Question {
        action: None,
        ..question.clone()
    };
    flow.ask(&load(&document(&[], &[whole]))).reason == Reason::Forbidden
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Law 1, rule 2: a policy without rules denies everything.
    #[test]
    fn law_1_an_empty_policy_denies(question in question()) {
        prop_assert!(!permitted(&question, &load(&document(&[], &[]))));
    }

    /// Law 3: the same inputs, the same decision.
    #[test]
    fn law_3_a_decision_depends_on_its_inputs_alone((permits, forbids) in rules(), question in likely()) {
        let document = document(&permits, &forbids);
        prop_assert_eq!(question.ask(&load(&document)), question.ask(&load(&document)));
    }

    /// Law 4: adding a forbid never widens.
    #[test]
    fn law_4_a_forbid_never_widens((permits, mut forbids) in rules(), more in forbid(), question in likely()) {
        let before = permitted(&question, &load(&document(&permits, &forbids)));
        forbids.push(more);
        let after = permitted(&question, &load(&document(&permits, &forbids)));
        prop_assert!(before || !after);
    }

    /// Law 4: adding a requirement to a permit never widens.
    #[test]
    fn law_4_a_requirement_never_widens((mut permits, forbids) in rules(), at in any::<prop::sample::Index>(), which in clause(), question in likely()) {
        prop_assume!(!permits.is_empty());
        let before = permitted(&question, &load(&document(&permits, &forbids)));
        let at = at.index(permits.len());
        let (key, clause) = which;
        if ["subject", "actors"].contains(&key) {
            prop_assume!(permits[at].get(key).is_none());
            permits[at][key] = clause;
        } else {
            let mut require = permits[at]["require"].as_object().cloned().unwrap_or_default();
            prop_assume!(!require.contains_key(key));
            require.insert(key.into(), clause);
            permits[at]["require"] = require.into();
        }
        let after = permitted(&question, &load(&document(&permits, &forbids)));
        prop_assert!(before || !after);
    }

    /// Law 4: removing evidence never widens.
    #[test]
    fn law_4_less_evidence_never_widens((permits, forbids) in rules(), question in likely(), which in 0..4_u8) {
        let policy = load(&document(&permits, &forbids));
        let decision = question.ask(&policy);
        let mut less = question.clone();
        match which {
            // Who a token names and who the peer passes on are one thing: without the token alone the other would be the subject.
            0 => (less.claims, less.forwarded) = (None, None),
            1 => less.score = None,
            2 => less.headers.clear(),
            _ => less.addr = None,
        }
        // Who comes along and is forbidden, or may not be passed on by this peer, is no evidence for the caller: without them
        // there is nobody to forbid (T12).
        let along = which == 0 && match decision.reason {
            Reason::Forbidden => along(&question, &forbids, &decision),
            reason => reason == Reason::ForwardedUntrusted,
        };
        prop_assert!(decision.verdict == Verdict::Permit || along || !permitted(&less, &policy));
    }

    /// T12: whoever else comes along can only take away, where no rule asks for them.
    #[test]
    fn t12_an_identity_more_never_widens((permits, forbids) in rules(), question in likely()) {
        let plain = |rules: &[serde_json::Value]| -> Vec<serde_json::Value> {
            let mut rules = rules.to_vec();
            for rule in rules.iter_mut().filter_map(serde_json::Value::as_object_mut) {
                for key in ["subject", "actors", "require", "when"] {
                    rule.remove(key);
                }
            }
            rules
        };
        let policy = load(&document(&plain(&permits), &plain(&forbids)));
        let alone = Question { claims: None, forwarded: None, ..question.clone() };
        prop_assert!(permitted(&alone, &policy) || !permitted(&question, &policy));
    }

    /// Law 4: a token whose subject or actors cannot be read never widens.
    #[test]
    fn law_4_an_unreadable_identity_never_widens((permits, forbids) in rules(), mut question in likely(), which in 0..3_u8) {
        let policy = load(&document(&permits, &forbids));
        let before = permitted(&question, &policy);
        let Some(claims) = &mut question.claims else { return Ok(()) };
        match which {
            0 => claims["sub"] = 7.into(),
            1 => claims["act"] = true.into(),
            _ => claims["act"] = support::actors(9),
        }
        prop_assert!(before || !permitted(&question, &policy));
    }

    /// Law 4, rule 7: an error in a condition never widens, in a permit or in a forbid.
    #[test]
    fn law_4_an_injected_error_never_widens((permits, forbids) in rules(), question in likely()) {
        let before = permitted(&question, &load(&document(&permits, &forbids)));
        let broken = |rules: &[serde_json::Value]| -> Vec<serde_json::Value> {
            let text = serde_json::to_string(rules).expect("json");
            let text = text.replace(r#""when":"true""#, r#""when":"error""#).replace(r#""when":"token""#, r#""when":"error""#);
            let text = text.replace(r#""when":"false""#, r#""when":"error""#).replace("agreeable", "broken");
            serde_json::from_str(&text).expect("json")
        };
        let after = permitted(&question, &load(&document(&broken(&permits), &broken(&forbids))));
        prop_assert!(before || !after);
    }

    /// Rule 5: the order of rules changes neither the verdict nor the stage at which it falls, nor whether it is forbidden. Which of
    /// several requirements is told of as lacking is that of the first permit in the document.
    #[test]
    fn rule_5_order_does_not_matter(
        ((permits, forbids), (shuffled, mixed)) in rules().prop_flat_map(|(permits, forbids)| {
            let mixed = (Just(permits.clone()).prop_shuffle(), Just(forbids.clone()).prop_shuffle());
            (Just((permits, forbids)), mixed)
        }),
        question in likely(),
    ) {
        let one = question.ask(&load(&document(&permits, &forbids)));
        let two = question.ask(&load(&document(&shuffled, &mixed)));
        prop_assert_eq!(one.verdict, two.verdict);
        prop_assert_eq!(one.stage, two.stage);
        prop_assert_eq!(one.reason == Reason::Forbidden, two.reason == Reason::Forbidden);
    }

    /// A rule in shadow mode, or off, never changes a decision.
    #[test]
    fn a_shadow_rule_changes_nothing((permits, forbids) in rules(), question in likely()) {
        let quiet = |rules: &[serde_json::Value]| -> Vec<serde_json::Value> {
            rules.iter().filter(|rule| rule.get("mode").is_none()).cloned().collect()
        };
        let with = question.ask(&load(&document(&permits, &forbids)));
        let without = question.ask(&load(&document(&quiet(&permits), &quiet(&forbids))));
        prop_assert_eq!((with.verdict, with.stage, with.reason), (without.verdict, without.stage, without.reason));
        prop_assert!(without.shadow.is_empty());
    }

    /// Whatever is permitted, an enforced permit names.
    #[test]
    fn nothing_is_permitted_without_a_permit((permits, forbids) in rules(), question in likely()) {
        let decision = question.ask(&load(&document(&permits, &forbids)));
        if decision.verdict == Verdict::Permit {
            prop_assert!(decision.rule.expect("a rule").starts_with("permit-"));
        }
    }

    /// Laws 2 and 6: the engine says what `decide` says, and writes one record a decision.
    #[test]
    fn law_6_the_engine_agrees_with_decide_and_records_it((permits, forbids) in rules(), question in likely(), able in any::<bool>()) {
        let document = document(&permits, &forbids);
        let audit = Arc::new(MemorySink::new(10));
        let engine = Engine::new(load(&document), Arc::clone(&audit)).expect("engine");
        let engine = if able { engine.with_obligations(ObligationKinds::none().with_limit().with_schema().with_max_body().with_log()) } else { engine };
        let peer = question.from.map(support::peer);
        let flow = Flow::ingress(question.to, question.port, question.arrival(), peer.as_ref());
        let permit = engine.permit_flow(&flow, NOW);
        prop_assert_eq!(audit.taken(), 1);
        let decided = question.ask(&load(&document));
        match (permit, question.named()) {
            (Err(denial), _) => prop_assert_eq!((denial.reason(), denial.stage()), (decided.reason, decided.stage)),
            (Ok(_), None) => prop_assert_eq!(decided.verdict, Verdict::Permit),
            (Ok(_), Some(Err(_))) => prop_assert_eq!(decided.reason.code(), "path_ambiguous"),
            (Ok(permit), Some(Ok(action))) => {
                let claims = question.claims();
                let headers = HeaderPairs(&question.headers);
                let forwarded = question.passed_on();
                let outcome = engine.authorize(&permit, &action, &question.evidence(claims.as_ref(), &headers, forwarded.as_ref()), NOW);
                prop_assert_eq!(audit.taken(), 2);
                match outcome {
                    Ok(permit) => {
                        prop_assert_eq!(Some(permit.rule()), decided.rule.as_deref().filter(|_| decided.verdict == Verdict::Permit));
                        prop_assert_eq!(permit.obligations(), &decided.obligations);
                        prop_assert!(able || permit.obligations().is_empty());
                    }
                    // Law 1: an obligation that nobody would discharge.
                    Err(denial) if !able && !decided.obligations.is_empty() => {
                        prop_assert_eq!((denial.reason(), denial.rule()), (Reason::ObligationUnknown, decided.rule.as_deref()));
                        prop_assert!(denial.decision().obligations.is_empty());
                    }
                    Err(denial) => prop_assert_eq!(denial.decision(), &decided),
                }
            }
        }
    }

    /// The engine agrees with the reference interpreter, which was written from the prose.
    #[test]
    fn the_engine_agrees_with_the_reference((permits, forbids) in rules(), question in likely(), egress in prop::bool::weighted(0.1)) {
        let policy = load(&document(&permits, &forbids));
        let (decided, meant) = question.ask_both(&policy, egress);
        prop_assert_eq!(decided, meant);
    }

    /// Law 8: until an action's permit ends, asking again with the same evidence is answered the same. Who judges what runs again then, and not
    /// before, misses nothing that expires.
    #[test]
    fn law_8_a_permit_ends_with_the_first_evidence_that_it_rests_on((permits, forbids) in rules(), question in likely(), secs in [1..100_u64, 1..100]) {
        let until = secs.map(|secs| NOW.saturating_add(Duration::from_secs(secs)));
        let question = Question { until, ..question };
        let engine = Engine::new(load(&document(&permits, &forbids)), MemorySink::new(1)).expect("engine");
        let engine = engine.with_obligations(ObligationKinds::none().with_limit().with_schema().with_max_body().with_log());
        let peer = question.from.map(support::peer);
        let flow = Flow::ingress(question.to, question.port, question.arrival(), peer.as_ref());
        let (Ok(flow), Some(Ok(action))) = (engine.permit_flow(&flow, NOW), question.named()) else { return Ok(()) };
        let (claims, headers, forwarded) = (question.claims(), HeaderPairs(&question.headers), question.passed_on());
        let evidence = question.evidence(claims.as_ref(), &headers, forwarded.as_ref());
        let Ok(permit) = engine.authorize(&flow, &action, &evidence, NOW) else { return Ok(()) };
        let ends = permit.expires_at().min(NOW.saturating_add(Duration::from_secs(200)));
        let last = ends.saturating_sub(Duration::from_millis(1));
        let decision = question.ask_at(&engine.policy(), last);
        prop_assert!(decision.verdict == Verdict::Permit, "{:?} at {last}, though until {}", decision.reason, permit.expires_at());
    }

    /// A permit of one engine is worth nothing at another (T5).
    #[test]
    fn t5_permits_do_not_travel((permits, forbids) in rules(), question in likely()) {
        let document = document(&permits, &forbids);
        let engines = [(); 2].map(|()| Engine::new(load(&document), MemorySink::new(1)).expect("engine"));
        let peer = question.from.map(support::peer);
        let flow = Flow::ingress(question.to, question.port, question.arrival(), peer.as_ref());
        if let (Ok(permit), Some(Ok(action))) = (engines[0].permit_flow(&flow, NOW), question.named()) {
            let denial = engines[1].authorize(&permit, &action, &Evidence::none(), NOW).expect_err("foreign");
            prop_assert_eq!(denial.reason().code(), "flow_withdrawn");
        }
    }

    /// Whatever a document holds, loading it ends in a policy or in an error with a place.
    #[test]
    fn a_refused_document_says_where((permits, forbids) in rules(), key in "[a-z]{1,8}") {
        let mut document = document(&permits, &forbids);
        let known = document.get(&key).is_some() || ["permit", "forbid", "never", "test", "end", "external", "issuers", "serial"].contains(&key.as_str());
        prop_assume!(!known);
        document[&key] = 1.into();
        let error = try_load(&document).expect_err("unknown key");
        prop_assert!(error.diagnostics().iter().all(|diagnostic| diagnostic.line > 1));
    }
}

#[test]
fn the_random_questions_are_not_all_denied() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut count = [0_usize; 2];
    let mut seen = BTreeMap::<_, usize>::new();
    for _ in 0..1000 {
        let ((permits, forbids), question) = (rules(), likely())
            .new_tree(&mut runner)
            .expect("tree")
            .current();
        let decision = question.ask(&load(&document(&permits, &forbids)));
        count[usize::from(decision.verdict == Verdict::Permit)] += 1;
        for what in [
            (decision.lack == Some(Lack::Subject)).then_some("subject"),
            (decision.lack == Some(Lack::Actors)).then_some("actors"),
            (decision.reason == Reason::ForwardedUntrusted).then_some("forwarded"),
            (!decision.obligations.is_empty()).then_some("obliged"),
            along(&question, &forbids, &decision).then_some("along"),
        ] {
            *seen.entry(what).or_default() += 1;
        }
    }
    assert!(
        count[1] > 100,
        "permitted {} of 1000: the properties would be hollow",
        count[1]
    );
    for what in ["subject", "actors", "forwarded", "obliged", "along"] {
        let times = seen.get(&Some(what)).copied().unwrap_or_default();
        assert!(times >= 5, "{what}: {times} of 1000");
    }
}
