//! Permits that are kept, and peers that nobody proved: T5, T18.

use super::*;

#[test]
fn t5_a_kept_permit_sees_the_policy_in_force() {
    let (engine, audit) = engine(&document(&[reads()], &[]));
    let permit = permitted(&engine, &peer(ROUTER));
    assert!(
        engine
            .authorize(&permit, &get("/v1/a"), &Evidence::none(), NOW)
            .is_ok()
    );
    engine
        .swap_policy(load(&document(
            &[reads()],
            &[json!({ "name": "no", "from": "router", "to": "gateway", "actions": ["GET /v1/b"] })],
        )))
        .expect("swap");
    assert!(
        engine
            .authorize(&permit, &get("/v1/a"), &Evidence::none(), NOW)
            .is_ok()
    );
    let denial = engine
        .authorize(&permit, &get("/v1/b"), &Evidence::none(), NOW)
        .expect_err("forbidden now");
    assert_eq!(
        (denial.reason(), denial.rule()),
        (Reason::Forbidden, Some("no"))
    );
    engine.swap_policy(load(&document(&[], &[]))).expect("swap");
    let denial = engine
        .authorize(&permit, &get("/v1/a"), &Evidence::none(), NOW)
        .expect_err("no flow now");
    assert_eq!(denial.reason(), Reason::NoFlowPermitted);
    assert!(engine.renew_flow(&permit, NOW).is_err());
    assert_eq!(audit.taken(), 6);
}

#[test]
fn t5_a_change_of_what_proofs_rest_on_withdraws_every_permit() {
    let (engine, _) = engine(&document(&[reads()], &[]));
    let permit = permitted(&engine, &peer(ROUTER));
    engine.withdraw_flows();
    let denial = engine
        .authorize(&permit, &get("/v1/a"), &Evidence::none(), NOW)
        .expect_err("withdrawn");
    assert_eq!(denial.reason(), Reason::FlowWithdrawn);
    assert_eq!(
        engine
            .renew_flow(&permit, NOW)
            .expect_err("withdrawn")
            .reason(),
        Reason::FlowWithdrawn
    );
    assert!(
        engine
            .authorize(
                &permitted(&engine, &peer(ROUTER)),
                &get("/v1/a"),
                &Evidence::none(),
                NOW
            )
            .is_ok()
    );
}

#[test]
fn t5_a_permit_ends_with_the_proof_that_it_rests_on() {
    let (engine, _) = engine(&document(&[reads()], &[]));
    let until = NOW.saturating_add(Duration::from_secs(30));
    let permit = permitted(&engine, &peer_until(ROUTER, until));
    assert_eq!(permit.expires_at(), until);
    let action = engine
        .authorize(&permit, &get("/v1/a"), &Evidence::none(), NOW)
        .expect("in time");
    assert_eq!(action.expires_at(), until);
    assert!(engine.is_current(&action, NOW) && !engine.is_current(&action, until));
    let denial = engine
        .authorize(&permit, &get("/v1/a"), &Evidence::none(), until)
        .expect_err("at its end");
    assert_eq!(denial.reason(), Reason::IdentityExpired);
    let flow_again = engine.permit_flow(
        &Flow::ingress("gateway", 8443, at_home(), Some(&peer_until(ROUTER, until))),
        until,
    );
    assert_eq!(
        flow_again.expect_err("expired").reason(),
        Reason::IdentityExpired
    );
}

#[test]
fn t18_what_a_test_helper_made_is_worth_nothing_in_production() {
    let (engine, _) = engine(&document(&[reads()], &[]));
    let pretender = Peer::for_test(SpiffeId::parse(ROUTER).expect("id"));
    let flow = Flow::ingress("gateway", 8443, at_home(), Some(&pretender));
    assert_eq!(
        engine.permit_flow(&flow, NOW).expect_err("denied").reason(),
        Reason::IdentityUnproven
    );
    let for_test =
        Engine::for_test(load(&document(&[reads()], &[])), MemorySink::new(1)).expect("engine");
    assert!(for_test.permit_flow(&flow, NOW).is_ok());
}

/// Even where no rule reads a token: what comes with made-up claims is denied as a whole, and none of them is recorded.
#[test]
fn t18_claims_that_a_test_helper_made_are_worth_nothing_in_production() {
    let asks = json!({ "name": "alice", "from": "router", "to": "gateway", "actions": ["POST /v1/{id}"], "require": { "token": { "claims": { "tenant": "blue" } } } });
    let document = document(&[reads(), asks], &[]);
    let claims = Claims::for_test(json!({ "sub": "alice", "tenant": "blue" }), Timestamp::MAX);
    let evidence = Evidence::none().with_claims(&claims);
    let post = Action::request("POST", "/v1/a").expect("action");
    let (engine, audit) = engine(&document);
    let permit = permitted(&engine, &peer(ROUTER));
    for action in [get("/v1/a"), post] {
        let denial = engine.authorize(&permit, &action, &evidence, NOW);
        let denial = denial.expect_err("denied");
        assert_eq!(
            (denial.stage(), denial.reason()),
            (Stage::Action, Reason::EvidenceMissing)
        );
        let again = engine.authorize_again(&permit, || Ok(permit.clone()), &action, &evidence, NOW);
        assert_eq!(again.expect_err("denied").reason(), Reason::EvidenceMissing);
    }
    assert!(
        engine
            .authorize(&permit, &get("/v1/a"), &Evidence::none(), NOW)
            .is_ok()
    );
    assert!(audit.lines().iter().all(|line| !line.contains("alice")));

    let for_test = Engine::for_test(load(&document), MemorySink::new(1)).expect("engine");
    let permit = permitted(&for_test, &peer(ROUTER));
    let with = |claims| {
        let claims = Claims::for_test(claims, Timestamp::MAX);
        let evidence = Evidence::none().with_claims(&claims);
        for_test.authorize(&permit, &post, &evidence, NOW).is_ok()
    };
    assert!(with(json!({ "tenant": "blue" })));
    assert!(!with(json!({ "tenant": "red" })) && !with(json!("tenant")));
}

#[test]
fn t18_who_is_only_asserted_is_denied_unless_the_target_names_the_party() {
    let document = document(
        &[json!({ "from": "retriever", "to": ["store", "gateway"], "actions": ["any"] })],
        &[],
    );
    let (engine, audit) = engine(&document);
    #[expect(
        clippy::disallowed_methods,
        reason = "the test asserts a peer on purpose"
    )]
    let asserted = |by: &str| {
        Peer::assertion(
            Proof::Asserted {
                id: SpiffeId::parse(RETRIEVER).expect("id"),
                by: by.into(),
                leaf_sha256: None,
                expires_at: Timestamp::MAX,
            },
            "a proxy said so",
        )
    };
    let judge = |to: &'static str, port, by: &str| {
        engine
            .permit_flow(
                &Flow::ingress(to, port, at_home(), Some(&asserted(by))),
                NOW,
            )
            .map(drop)
            .map_err(|denial| denial.reason())
    };
    assert_eq!(judge("store", 6333, "front-proxy"), Ok(()));
    assert!(audit.lines()[0].contains("\"asserted_by\":\"front-proxy\""));
    assert_eq!(
        judge("store", 6333, "other-proxy"),
        Err(Reason::IdentityUnproven)
    );
    assert_eq!(
        judge("gateway", 8443, "front-proxy"),
        Err(Reason::IdentityUnproven)
    );
    // Nobody connects out on somebody's word.
    let target = asserted("front-proxy");
    assert_eq!(
        engine
            .permit_flow(&Flow::egress("retriever", 6333, &target), NOW)
            .expect_err("denied")
            .reason(),
        Reason::IdentityUnproven
    );
}

#[test]
fn egress_is_foreseen_without_a_permit_and_only_denials_are_recorded() {
    let (engine, audit) = engine(&document(&[reads()], &[]));
    assert!(
        engine
            .foresee_egress("router", "gateway", 8443, &get("/v1/a"), NOW)
            .is_ok()
    );
    assert_eq!(audit.taken(), 0);
    for (me, target, port, action, reason) in [
        (
            "router",
            "gateway",
            8443,
            get("/other"),
            Reason::NoActionPermitted,
        ),
        (
            "router",
            "gateway",
            1,
            get("/v1/a"),
            Reason::NoFlowPermitted,
        ),
        (
            "retriever",
            "gateway",
            8443,
            get("/v1/a"),
            Reason::NoFlowPermitted,
        ),
        (
            "router",
            "nobody",
            8443,
            get("/v1/a"),
            Reason::NoFlowPermitted,
        ),
    ] {
        assert_eq!(
            engine
                .foresee_egress(me, target, port, &action, NOW)
                .expect_err("denied")
                .reason(),
            reason
        );
    }
    assert_eq!(audit.taken(), 4);
    // Whoever answers has to be a workload of the policy.
    let denial = engine
        .permit_flow(&Flow::egress("router", 8443, &peer(STRANGER)), NOW)
        .expect_err("denied");
    assert_eq!(denial.reason(), Reason::NoFlowPermitted);
    assert!(
        engine
            .permit_flow(&Flow::egress("router", 6333, &peer(STORE)), NOW)
            .is_err()
    );
}
