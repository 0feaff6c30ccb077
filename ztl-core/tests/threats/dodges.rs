//! Ways around a forbid or an assertion that were tried, and are closed.

use super::*;

fn never(permits: &[Value], forbids: &[Value], never: Value) -> Result<(), String> {
    let mut document = document(permits, forbids);
    document["never"] = json!([never]);
    try_load(&document)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn any_to(to: &str) -> Value {
    json!({ "from": "any", "to": to, "ports": "1-65535", "actions": ["any"] })
}

#[test]
fn rule_7_a_condition_that_cannot_read_the_path_forbids() {
    let forbid = |actions: Value| {
        load(&document(
            &[any_to("gateway")],
            &[
                json!({ "from": "router", "to": "gateway", "actions": actions, "when": "name-is-admin" }),
            ],
        ))
    };
    let policy = forbid(json!(["DELETE /users/{name}"]));
    let ask = |target| {
        Question::get(ROUTER, "gateway", 8443, target)
            .method("DELETE")
            .ask(&policy)
            .reason
            .code()
    };
    assert_eq!(ask("/users/admin"), "forbidden");
    assert_eq!(ask("/users/alice"), "permitted");
    // Covered in a looser view only, so that its parameters cannot be told.
    assert_eq!(ask("/users/admin/"), "forbidden");
    // Every pattern that covers is asked, not the first alone.
    let policy = forbid(json!(["GET /{other}/{thing}", "GET /{name}/secret"]));
    assert_eq!(
        Question::get(ROUTER, "gateway", 8443, "/admin/secret")
            .ask(&policy)
            .reason
            .code(),
        "forbidden"
    );
}

#[test]
fn a_permits_condition_is_asked_with_the_parameters_of_the_pattern_that_permits() {
    let policy = load(&document(
        &[
            json!({ "from": "router", "to": "gateway", "actions": ["GET /t/{name}/{doc}", "HEAD /t/{doc}/{name}"], "require": { "when": "name-is-admin" } }),
        ],
        &[],
    ));
    let ask = |method, target| {
        Question::get(ROUTER, "gateway", 8443, target)
            .method(method)
            .ask(&policy)
            .reason
            .code()
    };
    assert_eq!(ask("GET", "/t/admin/x"), "permitted");
    assert_eq!(ask("HEAD", "/t/admin/x"), "objected");
    assert_eq!(ask("HEAD", "/t/x/admin"), "permitted");
}

#[test]
fn t13_an_assertion_speaks_of_aliases_too() {
    let permits = [any_to("store")];
    for assertion in [
        json!({ "from": "router", "to": "spiffe://old.example/data/store" }),
        json!({ "from": "spiffe://old.example/agents/router", "to": "store" }),
        json!({ "from": "trust-domain:old.example", "to": "store" }),
    ] {
        assert!(
            never(&permits, &[], assertion.clone()).is_err(),
            "{assertion}"
        );
    }
    let nobody = never(
        &permits,
        &[],
        json!({ "from": "any", "to": "spiffe://prod.example/typo" }),
    );
    assert!(
        nobody
            .expect_err("refused")
            .contains("no declared workload")
    );
}

#[test]
fn t13_an_id_that_does_not_fit_after_its_alias_is_mapped_is_nobody() {
    let mut document = document(
        &[any_to("gateway")],
        &[json!({ "from": "trust-domain:prod.example", "to": "gateway" })],
    );
    document["trust_domain_aliases"] = json!(["a"]);
    let policy = load(&document);
    let long = format!("spiffe://a/{}", "b".repeat(2037));
    let stranger = peer(&long);
    let input =
        ztl_core::policy::Input::new(Flow::ingress("gateway", 8443, at_home(), Some(&stranger)));
    let decision = ztl_core::policy::decide(&policy, &input, NOW);
    assert_eq!(decision.reason, Reason::IdentityUnproven);
}

#[test]
fn t10_an_assertion_is_proved_against_strangers_places_ports_and_dresses() {
    let store = any_to("store");
    // A workload of a trust domain that the document does not name.
    let forbid = json!({ "from": "trust-domain:prod.example", "to": "store" });
    assert!(
        never(
            std::slice::from_ref(&store),
            &[forbid],
            json!({ "from": "any", "to": "store" })
        )
        .is_err()
    );
    // A zone within the zone.
    let vault = json!({ "from": "zone:vault", "to": "store", "actions": ["any"] });
    assert!(
        never(
            &[vault],
            &[],
            json!({ "from": "zone:production", "to": "store" })
        )
        .is_err()
    );
    // A port inside a range whose ends are forbidden.
    let wide = json!({ "from": "any", "to": "store", "ports": "6000-7000", "actions": ["any"] });
    let ends = json!({ "from": "any", "to": "store", "ports": [6333, 6400, 6410] });
    assert!(
        never(
            &[wide],
            &[ends],
            json!({ "from": "any", "to": "store", "ports": "6400-6410" })
        )
        .is_err()
    );
    // What a forbid of the same text would cover.
    let permit = |action: &str| [json!({ "from": "router", "to": "gateway", "actions": [action] })];
    for (permitted, asserted) in [
        ("connect", "GET /secret"),
        ("HEAD /secret", "GET /secret"),
        ("GET /secret/", "GET /secret"),
        ("HEAD /secret", "any"),
        ("GET /S/M", "grpc S/M"),
        ("websocket /secret", "GET /secret"),
    ] {
        let assertion = json!({ "from": "router", "to": "gateway", "actions": [asserted] });
        assert!(
            never(&permit(permitted), &[], assertion).is_err(),
            "{permitted} {asserted}"
        );
    }
    for (permitted, asserted) in [
        ("GET /open", "GET /secret"),
        ("PUT /secret", "GET /secret"),
        ("any", "connect"),
        ("grpc S/M", "grpc S/N"),
    ] {
        let assertion = json!({ "from": "router", "to": "gateway", "actions": [asserted] });
        assert_eq!(
            never(&permit(permitted), &[], assertion),
            Ok(()),
            "{permitted} {asserted}"
        );
    }
}

#[test]
fn t19_a_grpc_forbid_covers_its_path_with_a_slash_more() {
    let policy = load(&document(
        &[any_to("gateway")],
        &[json!({ "from": "router", "to": "gateway", "actions": ["grpc S/M"] })],
    ));
    assert_eq!(
        Question::get(ROUTER, "gateway", 8443, "/S/M/")
            .method("POST")
            .ask(&policy)
            .reason
            .code(),
        "forbidden"
    );
}

#[test]
fn t5_a_renewed_permit_rests_on_what_the_old_one_did() {
    let (engine, _) = engine(&document(&[reads()], &[]));
    let engine = Arc::new(engine);
    let router = peer(ROUTER);
    for _ in 0..200 {
        let permit = permitted(&engine, &router);
        engine
            .swap_policy(load(&document(&[reads()], &[])))
            .expect("swap");
        let withdrawing = {
            let engine = Arc::clone(&engine);
            std::thread::spawn(move || engine.withdraw_flows())
        };
        let renewed = engine.renew_flow(&permit, NOW);
        withdrawing.join().expect("thread");
        if let Ok(renewed) = renewed {
            let denial = engine
                .authorize(&renewed, &get("/v1/a"), &Evidence::none(), NOW)
                .expect_err("withdrawn");
            assert_eq!(denial.reason(), Reason::FlowWithdrawn);
        }
    }
}

#[test]
fn t23_one_wrong_reading_of_the_clock_is_denied_and_forgotten() {
    let (engine, _) = engine(&document(&[reads()], &[]));
    let router = peer(ROUTER);
    let ask = |now| {
        engine
            .permit_flow(
                &Flow::ingress("gateway", 8443, at_home(), Some(&router)),
                now,
            )
            .map(drop)
            .map_err(|denial| denial.reason())
    };
    assert_eq!(ask(Timestamp::EPOCH), Err(Reason::ClockUntrusted));
    assert_eq!(ask(NOW), Ok(()));
    let far = NOW.saturating_add(Duration::from_secs(400 * 24 * 3600));
    assert_eq!(ask(far), Err(Reason::ClockUntrusted));
    assert_eq!(ask(NOW), Ok(()), "one glitch shuts nothing");
    // A machine that slept for a year: the second reading agrees with the first.
    assert_eq!(ask(far), Err(Reason::ClockUntrusted));
    assert_eq!(ask(far.saturating_add(Duration::from_millis(5))), Ok(()));
    assert_eq!(ask(NOW), Err(Reason::ClockUntrusted));
}
