//! The attacks of docs/threat-model.md that the engine closes, each cited.

mod support;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use support::{
    NOW, Question, RETRIEVER, ROUTER, SENSOR, STORE, STRANGER, document, load, peer, peer_until,
    try_load,
};
use ztl_core::audit::{AuditError, JsonLinesSink, MemorySink, Record, Sink};
use ztl_core::{
    Action, Arrival, Engine, EngineError, Evidence, Flow, FlowPermit, Peer, Proof, Reason,
    SpiffeId, Timestamp, TrustScore,
};

fn refusal(document: &Value) -> String {
    try_load(document).expect_err("refused").to_string()
}

fn reason(question: &Question, document: &Value) -> &'static str {
    question.ask(&load(document)).reason.code()
}

fn reads() -> Value {
    json!({ "name": "router-reads", "from": "router", "to": "gateway", "actions": ["GET /v1/{id}"] })
}

fn engine(document: &Value) -> (Engine, Arc<MemorySink>) {
    let audit = Arc::new(MemorySink::new(100));
    (
        Engine::new(load(document), Arc::clone(&audit)).expect("engine"),
        audit,
    )
}

fn at_home() -> Arrival {
    Arrival::from_addr("10.10.0.5".parse().expect("address"))
}

fn permitted(engine: &Engine, peer: &Peer) -> FlowPermit {
    engine
        .permit_flow(&Flow::ingress("gateway", 8443, at_home(), Some(peer)), NOW)
        .expect("permit")
}

fn get(target: &'static str) -> Action<'static> {
    Action::request("GET", target).expect("action")
}

#[test]
fn t2_a_forbid_is_not_dodged_through_an_unknown_fact() {
    let all = json!({ "from": "any", "to": "gateway", "actions": ["any"] });
    let by_zone = document(
        &[all.clone()],
        &[json!({ "from": "zone:iot", "to": "gateway" })],
    );
    let mut open = by_zone.clone();
    open["workloads"]["gateway"]
        .as_object_mut()
        .expect("table")
        .remove("zone");
    // An undeclared workload from an address that nobody declared: it might be a thing.
    assert_eq!(
        reason(
            &Question::get(STRANGER, "gateway", 8443, "/").from_addr("192.0.2.1"),
            &open
        ),
        "forbidden"
    );
    assert_eq!(
        reason(
            &Question::get(STRANGER, "gateway", 8443, "/").from_addr("10.10.0.99"),
            &open
        ),
        "forbidden",
        "behind a relay"
    );
    assert_eq!(
        reason(
            &Question::get(STRANGER, "gateway", 8443, "/").from_addr("10.10.0.5"),
            &open
        ),
        "permitted"
    );
    // The unlabelled might be labelled.
    let by_label = document(
        &[all],
        &[json!({ "from": "label:tier=thing", "to": "gateway", "ports": 8443 })],
    );
    assert_eq!(
        reason(&Question::get(STRANGER, "gateway", 8443, "/"), &by_label),
        "forbidden"
    );
    assert_eq!(
        reason(&Question::get(ROUTER, "gateway", 8443, "/"), &by_label),
        "permitted"
    );
    let mut unstated = by_label.clone();
    unstated["workloads"]["router"]["labels"] = json!({ "team": "x" });
    assert!(refusal(&unstated).contains("does not state it"));
    let mut unplaced = document(&[], &[json!({ "from": "sensor", "to": "zone:production" })]);
    unplaced["workloads"]["router"]
        .as_object_mut()
        .expect("table")
        .remove("zone");
    assert!(refusal(&unplaced).contains("states none"));
}

#[test]
fn t2_a_workload_is_bound_to_its_zone_whatever_principal_matched() {
    let document = document(
        &[json!({ "from": ["any", "zone:iot"], "to": "gateway", "actions": ["any"] })],
        &[],
    );
    assert_eq!(
        reason(
            &Question::get(ROUTER, "gateway", 8443, "/").from_addr("10.20.0.5"),
            &document
        ),
        "zone_mismatch"
    );
    assert_eq!(
        reason(
            &Question::get(ROUTER, "gateway", 8443, "/").from_addr("192.0.2.1"),
            &document
        ),
        "zone_unknown"
    );
    let nowhere = Question {
        addr: None,
        ..Question::get(ROUTER, "gateway", 8443, "/")
    };
    assert_eq!(reason(&nowhere, &document), "zone_unknown");
}

#[test]
fn t3_in_a_permit_only_public_matches_who_proves_nothing() {
    let zone = document(
        &[
            json!({ "from": ["zone:production", "any", "label:tier=edge"], "to": "gateway", "ports": [443, 8443], "actions": ["any"] }),
        ],
        &[],
    );
    assert_eq!(
        reason(&Question::anonymous("gateway", 443, "/"), &zone),
        "no_flow_permitted"
    );
    assert_eq!(
        reason(&Question::anonymous("gateway", 8443, "/"), &zone),
        "identity_unproven"
    );
    let public = document(
        &[
            json!({ "from": "public", "to": "gateway", "anonymous": true, "actions": ["GET /hello"] }),
        ],
        &[],
    );
    assert_eq!(
        reason(&Question::anonymous("gateway", 443, "/hello"), &public),
        "permitted"
    );
    assert_eq!(
        reason(&Question::anonymous("gateway", 8443, "/hello"), &public),
        "identity_unproven"
    );
    assert_eq!(
        reason(&Question::get(ROUTER, "gateway", 443, "/hello"), &public),
        "no_flow_permitted",
        "`public` means nobody proved"
    );
    let open = document(
        &[json!({ "from": "public", "to": "gateway", "actions": ["any"] })],
        &[],
    );
    assert!(refusal(&open).contains("asks for no token"));
    let nowhere = document(
        &[json!({ "from": "public", "to": "router", "anonymous": true, "actions": ["any"] })],
        &[],
    );
    assert!(refusal(&nowhere).contains("no public port"));
}

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
fn t10_and_t11_an_assertion_is_proved_against_every_caller() {
    let never = |permits: &[Value], forbids: &[Value], never: Value| {
        let mut document = document(permits, forbids);
        document["never"] = json!([never]);
        try_load(&document)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let apart = json!({ "name": "apart", "from": "router", "to": "store" });
    assert_eq!(never(&[reads()], &[], apart.clone()), Ok(()));
    for from in [
        "router",
        "any",
        "spiffe://prod.example/agents/**",
        "label:tier=agent",
        "zone:production",
        "trust-domain:prod.example",
    ] {
        let error = never(
            &[json!({ "name": "wide", "from": from, "to": "store", "actions": ["any"] })],
            &[],
            apart.clone(),
        )
        .expect_err(from);
        assert!(
            error.contains("`wide`") && error.contains("`router`"),
            "{error}"
        );
    }
    let wide = json!({ "name": "wide", "from": "any", "to": "store", "actions": ["any"] });
    // Only a forbid of the whole flow counts as protection.
    assert_eq!(
        never(
            &[wide.clone()],
            &[json!({ "from": "router", "to": "store" })],
            apart.clone()
        ),
        Ok(())
    );
    for weak in [
        json!({ "from": "router", "to": "store", "when": "true" }),
        json!({ "from": "router", "to": "store", "mode": "shadow" }),
        json!({ "from": "router", "to": "store", "actions": ["any"] }),
    ] {
        assert!(never(&[wide.clone()], &[weak], apart.clone()).is_err());
    }
    // A requirement is no protection.
    let guarded = json!({ "from": "router", "to": "store", "actions": ["any"], "require": { "trust_score": 100 } });
    assert!(never(&[guarded], &[], apart.clone()).is_err());
    // T11: a workload can drop its SVID and come as `public`.
    let public = json!({ "name": "open", "from": "public", "to": "gateway", "anonymous": true, "actions": ["GET /x"] });
    assert!(
        never(
            &[public.clone()],
            &[],
            json!({ "from": "router", "to": "gateway" })
        )
        .is_err()
    );
    assert_eq!(
        never(
            &[public],
            &[],
            json!({ "from": "router", "to": "gateway", "ports": 8443 })
        ),
        Ok(())
    );
    // Actions narrow it.
    let only = |action: &str| json!({ "from": "router", "to": "gateway", "actions": [action] });
    assert!(never(&[reads()], &[], only("GET /v1/secret")).is_err());
    assert_eq!(never(&[reads()], &[], only("PUT /v1/{x}")), Ok(()));
    assert_eq!(never(&[reads()], &[], only("GET /v2/{x}")), Ok(()));
    assert!(
        never(
            &[reads()],
            &[],
            json!({ "from": "nobody", "to": "gateway" })
        )
        .is_err(),
        "an unknown name proves nothing"
    );
}

#[test]
fn t11_a_forbid_by_identity_is_not_dodged_by_dropping_it() {
    let public =
        json!({ "from": "public", "to": "gateway", "anonymous": true, "actions": ["GET /x"] });
    let error = refusal(&document(
        &[public.clone()],
        &[json!({ "name": "out", "from": "sensor", "to": "gateway" })],
    ));
    assert!(error.contains("can be dodged"), "{error}");
    for fine in [
        json!({ "from": ["sensor", "public"], "to": "gateway", "actions": ["GET /y"] }),
        json!({ "from": "sensor", "to": "gateway", "ports": 8443 }),
        json!({ "from": "zone:iot", "to": "gateway" }),
    ] {
        assert!(try_load(&document(&[public.clone()], &[fine])).is_ok());
    }
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

#[test]
fn law_6_a_permit_that_cannot_be_recorded_is_none() {
    struct Full;
    impl Sink for Full {
        fn record(&self, _: &Record<'_>) -> Result<(), AuditError> {
            Err(AuditError("no space left on device".into()))
        }
    }
    let engine = Engine::new(load(&document(&[reads()], &[])), Full).expect("engine");
    let flow = Flow::ingress("gateway", 8443, at_home(), None);
    assert_eq!(
        engine.permit_flow(&flow, NOW).expect_err("denied").reason(),
        Reason::IdentityUnproven,
        "a denial stays what it is"
    );
    let peer = peer(ROUTER);
    let flow = Flow::ingress("gateway", 8443, at_home(), Some(&peer));
    assert_eq!(
        engine.permit_flow(&flow, NOW).expect_err("denied").reason(),
        Reason::AuditUnavailable
    );
}

#[test]
fn law_7_a_record_holds_what_a_rule_could_read_and_no_secret() {
    let (engine, audit) = engine(&document(&[reads()], &[]));
    let permit = permitted(&engine, &peer(ROUTER));
    let question = Question {
        claims: Some(json!({ "iss": "i", "sub": "alice", "secret": "hunter2" })),
        headers: vec![("authorization", b"Bearer hunter2")],
        ..Question::get(ROUTER, "gateway", 8443, "/v1/a?key=hunter2")
    };
    let (claims, headers) = (question.claims(), ztl_core::HeaderPairs(&question.headers));
    let action = Action::request("GET", "/v1/a?key=hunter2").expect("action");
    assert!(
        engine
            .authorize(
                &permit,
                &action,
                &question.evidence(claims.as_ref(), &headers),
                NOW
            )
            .is_ok()
    );
    let line = &audit.lines()[1];
    assert!(
        !line.contains("hunter2") && !line.contains("alice"),
        "{line}"
    );
    let record: Value = serde_json::from_str(line).expect("json");
    for (key, value) in [
        ("verdict", "permit"),
        ("stage", "action"),
        ("reason", "permitted"),
        ("rule", "router-reads"),
        ("me", "gateway"),
        ("peer", ROUTER),
        ("addr", "10.10.0.5"),
        ("zone", "production"),
        ("action", "GET /v1/a"),
    ] {
        assert_eq!(record[key], value);
    }
}

#[test]
fn json_lines_are_whole_even_after_a_broken_one() {
    #[derive(Clone, Default)]
    struct Flaky(Arc<std::sync::Mutex<(Vec<u8>, usize)>>);
    impl std::io::Write for Flaky {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut state = self.0.lock().expect("lock");
            state.1 += 1;
            if state.1 == 2 {
                // Half a line, then a full disk.
                let half = bytes.len() / 2;
                state.0.extend_from_slice(&bytes[..half]);
                return Ok(half);
            }
            if state.1 == 3 {
                return Err(std::io::Error::other("no space left"));
            }
            state.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let out = Flaky::default();
    let engine = Engine::new(
        load(&document(&[reads()], &[])),
        JsonLinesSink::new(out.clone()),
    )
    .expect("engine");
    let (router, sensor) = (peer(ROUTER), peer(SENSOR));
    let ask = |peer| {
        engine
            .permit_flow(&Flow::ingress("gateway", 8443, at_home(), Some(peer)), NOW)
            .map(drop)
            .map_err(|denial| denial.reason().code())
    };
    assert_eq!(ask(&router), Ok(()));
    assert_eq!(ask(&router), Err("audit_unavailable"));
    assert_eq!(ask(&sensor), Err("zone_mismatch"));
    let text = String::from_utf8(out.0.lock().expect("lock").0.clone()).expect("text");
    let whole: Vec<_> = text
        .lines()
        .filter(|line| serde_json::from_str::<Value>(line).is_ok())
        .collect();
    assert_eq!((text.lines().count(), whole.len()), (3, 2), "{text}");
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
