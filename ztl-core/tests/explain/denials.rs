//! What an engine says of its denials in passing, and what it explains.

use std::sync::Arc;

use serde_json::{Value, json};
use ztl_core::audit::MemorySink;
use ztl_core::policy::explain;
use ztl_core::{Clause, Decision, Engine, Reason, Timestamp, Verdict};

use super::with_input;
use crate::support::{NOW, Question, ROUTER, document, load};

fn engine(permits: &[Value], forbids: &[Value], explains: bool) -> (Engine, Arc<MemorySink>) {
    let audit = Arc::new(MemorySink::new(10));
    let engine = Engine::new(load(&document(permits, forbids)), Arc::clone(&audit));
    (engine.expect("engine").explain_denials(explains), audit)
}

fn denied(engine: &Engine, question: &Question) -> Decision {
    with_input(question, false, |input| {
        let permit = match engine.permit_flow(&input.flow, NOW) {
            Ok(permit) => permit,
            Err(denial) => return denial.decision().clone(),
        };
        let action = input.action.as_ref().expect("an action");
        let action = action.as_ref().expect("one reading");
        let denial = engine.authorize(&permit, action, &input.evidence, NOW);
        denial.expect_err("denied").decision().clone()
    })
}

fn rules() -> Vec<Value> {
    vec![
        json!({ "name": "reads", "from": "router", "to": "gateway", "actions": "GET /v1/{id}", "ports": 8443 }),
        json!({ "name": "scored", "from": "router", "to": "gateway", "actions": "PUT /v1/{id}", "ports": 8443, "require": { "trust_score": 50 } }),
        json!({ "name": "stores", "from": "retriever", "to": "store", "actions": "GET /v1/{id}" }),
    ]
}

#[test]
fn every_denial_says_what_it_hung_on() {
    let forbid =
        json!({ "name": "closed", "from": "router", "to": "gateway", "actions": "GET /v1/secret" });
    let (engine, audit) = engine(&rules(), &[forbid], true);
    let get = |target| Question::get(ROUTER, "gateway", 8443, target);
    let at_store = Question::get(ROUTER, "store", 6333, "/v1/a").at("10.10.0.5");
    let cases = [
        (get("/v1/a").method("POST"), "reads", Clause::Method),
        (get("/v2/a"), "reads", Clause::Path),
        (get("/v1/a").method("PUT"), "scored", Clause::TrustScore),
        (get("/v1/secret"), "closed", Clause::Forbid),
        (
            Question::get(ROUTER, "gateway", 443, "/v1/a"),
            "reads",
            Clause::Port,
        ),
        (at_store, "stores", Clause::From),
    ];
    for (question, rule, clause) in cases {
        let decision = denied(&engine, &question);
        let near = decision.near.expect("near");
        assert_eq!((&*near.rule, near.clause), (rule, clause), "{question:?}");
        let line = audit.lines().pop().expect("a record");
        let record: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(
            record["near"],
            json!({ "rule": rule, "clause": clause.code() })
        );
    }
}

#[test]
fn nothing_is_said_where_nobody_asked_for_it_nor_of_a_permit() {
    let question = Question::get(ROUTER, "gateway", 8443, "/v2/a");
    let (engine, audit) = engine(&rules(), &[], false);
    assert_eq!(denied(&engine, &question).near, None);
    assert!(!audit.lines().concat().contains("near"));
    let (engine, audit) = self::engine(&rules(), &[], true);
    with_input(&question, false, |input| {
        assert!(engine.permit_flow(&input.flow, NOW).is_ok());
    });
    assert!(!audit.lines().concat().contains("near"));
}

#[test]
fn an_explanation_leaves_no_trace() {
    let (engine, audit) = engine(&rules(), &[], true);
    let question = Question::get(ROUTER, "gateway", 8443, "/v1/a");
    let far = NOW.saturating_add(core::time::Duration::from_secs(3600));
    with_input(&question, false, |input| {
        assert_eq!(engine.explain(input, far).decision.verdict, Verdict::Permit);
        assert_eq!(audit.taken(), 0);
        // A later time that was only asked about has not moved the clock.
        assert!(engine.permit_flow(&input.flow, NOW).is_ok());
        let early = Timestamp::from_unix_secs(1_780_000_000);
        let why = engine.explain(input, early);
        assert_eq!(why.decision.reason, Reason::ClockUntrusted);
        assert_eq!(
            engine.explain(input, Timestamp::EPOCH).decision.reason,
            Reason::ClockUntrusted
        );
    });
}

#[test]
fn law_1_an_obligation_that_nobody_discharges_is_explained() {
    let mut rules = rules();
    rules[0]["oblige"] = json!({ "max_body": "1KiB" });
    let (engine, _) = engine(&rules, &[], true);
    let question = Question::get(ROUTER, "gateway", 8443, "/v1/a");
    let decision = denied(&engine, &question);
    assert_eq!(decision.reason, Reason::ObligationUnknown);
    assert_eq!(decision.near.map(|near| near.clause), Some(Clause::Oblige));
    with_input(&question, false, |input| {
        let why = engine.explain(input, NOW);
        assert_eq!(why.decision.reason, Reason::ObligationUnknown);
        let failed = why.steps.last().and_then(|step| step.failed.as_ref());
        assert_eq!(failed.map(|failed| failed.clause), Some(Clause::Oblige));
        // No change that leads to the same permit helps.
        assert!(
            why.nearest
                .otherwise
                .iter()
                .all(|one| &*one.rule != "reads")
        );
        let plain = explain(&engine.policy(), input, NOW);
        assert_eq!(plain.decision.verdict, Verdict::Permit);
    });
}
