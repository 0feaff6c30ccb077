//! Documents and clocks that go back: T6, T23.

use super::support::CORP;
use super::*;

#[test]
fn t6_an_old_or_cut_document_is_not_taken() {
    let mut current = document(&[reads()], &[]);
    current["serial"] = 7.into();
    let (engine, _) = engine(&current);
    let mut old = current.clone();
    old["serial"] = 6.into();
    assert_eq!(
        engine.swap_policy(load(&old)),
        Err(EngineError::SerialWentBack {
            current: 7,
            offered: Some(6)
        })
    );
    assert!(
        engine.swap_policy(load(&document(&[], &[]))).is_err(),
        "a document without serial after one with it"
    );
    assert!(engine.swap_policy(load(&current)).is_ok());
    let mut cut = current;
    cut["end"] = json!({ "rules": 2 });
    assert!(refusal(&cut).contains('2'));
}

#[test]
fn t23_a_clock_that_went_back_is_not_trusted() {
    let (engine, _) = engine(&document(&[reads()], &[]));
    let permit = permitted(&engine, &peer(ROUTER));
    let back = NOW.saturating_sub(ztl_core::CLOCK_SKEW);
    assert!(
        engine
            .authorize(&permit, &get("/v1/a"), &Evidence::none(), back)
            .is_ok(),
        "within the skew"
    );
    for now in [
        back.saturating_sub(Duration::from_millis(1)),
        Timestamp::EPOCH,
    ] {
        assert_eq!(
            engine
                .authorize(&permit, &get("/v1/a"), &Evidence::none(), now)
                .expect_err("denied")
                .reason(),
            Reason::ClockUntrusted
        );
        let router = peer(ROUTER);
        let flow = Flow::ingress("gateway", 8443, at_home(), Some(&router));
        assert_eq!(
            engine.permit_flow(&flow, now).expect_err("denied").reason(),
            Reason::ClockUntrusted
        );
    }
}

#[test]
fn t23_evidence_from_the_future_is_missing_and_old_evidence_is_stale() {
    let policy = load(&document(
        &[
            json!({ "from": "router", "to": "gateway", "actions": ["any"], "require": { "trust_score": 10 } }),
        ],
        &[],
    ));
    let with = |observed: Timestamp, expires: Timestamp| {
        let peer = peer(ROUTER);
        let score = TrustScore::new(90, observed, expires).expect("score");
        let input =
            ztl_core::policy::Input::new(Flow::ingress("gateway", 8443, at_home(), Some(&peer)))
                .with_action(Action::request("GET", "/"))
                .with_evidence(Evidence::none().with_trust_score(score));
        ztl_core::policy::decide(&policy, &input, NOW).reason
    };
    let hour = Duration::from_secs(3600);
    assert_eq!(with(NOW, NOW.saturating_add(hour)), Reason::Permitted);
    assert_eq!(
        with(NOW.saturating_add(hour), Timestamp::MAX),
        Reason::EvidenceMissing
    );
    assert_eq!(with(NOW.saturating_sub(hour), NOW), Reason::EvidenceStale);
}

/// What a request rests on that a forbid let pass, each with what it reads.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test stands for the verifier of tokens"
)]
fn law_8_t15_a_permit_ends_with_what_a_forbid_stood_aside_for() {
    let hour = Duration::from_secs(3600);
    let (half, whole) = (NOW.saturating_add(hour / 2), NOW.saturating_add(hour));
    let claims = json!({ "iss": CORP, "sub": "alice" });
    let claims = claims.as_object().expect("object").clone();
    let claims = ztl_core::Claims::assertion(claims, half, "test");
    let score = TrustScore::new(90, NOW, whole).expect("a score");
    let evidence = Evidence::none()
        .with_claims(&claims)
        .with_trust_score(score);
    let minute = NOW.saturating_add(ztl_core::authorizer::CLOCK_HOLDS);
    for (forbid, until) in [
        (json!({}), Timestamp::MAX),
        (json!({ "when": "false" }), Timestamp::MAX),
        (json!({ "when": "not-token" }), half),
        (json!({ "when": "not-score" }), whole),
        (json!({ "subject": "user:corp/mallory" }), half),
        (json!({ "actors": "user:corp/mallory" }), half),
        (
            json!({ "subject": "user:corp/mallory", "when": "true" }),
            half,
        ),
        (json!({ "when": "soon" }), minute),
        (
            json!({ "when": "soon", "actions": ["DELETE /v1/a"] }),
            Timestamp::MAX,
        ),
        (json!({ "when": "soon", "to": "router" }), Timestamp::MAX),
    ] {
        let mut rule = json!({ "from": "any", "to": "gateway" });
        let forbids = forbid.as_object().expect("object");
        rule.as_object_mut()
            .expect("object")
            .extend(forbids.clone());
        let forbids = if forbids.is_empty() {
            vec![]
        } else {
            vec![rule]
        };
        let (engine, _) = engine(&document(&[reads()], &forbids));
        let flow = permitted(&engine, &peer(ROUTER));
        let permit = engine.authorize(&flow, &get("/v1/a"), &evidence, NOW);
        let permit = permit.unwrap_or_else(|denial| panic!("{forbid}: {denial}"));
        assert_eq!(permit.expires_at(), until, "{forbid}");
    }
    // A permit that goes by the clock, too.
    let mut soon = reads();
    soon["require"] = json!({ "when": "soon" });
    let (engine, _) = engine(&document(&[soon], &[]));
    let flow = permitted(&engine, &peer(ROUTER));
    let later = NOW.saturating_add(hour);
    let permit = engine.authorize(&flow, &get("/v1/a"), &evidence, later);
    let ends = permit.map(|permit| permit.expires_at());
    assert_eq!(
        ends.ok(),
        Some(later.saturating_add(ztl_core::authorizer::CLOCK_HOLDS))
    );
}
