//! Facts that are missing or dropped: T2, T3, T10, T11.

use super::*;

#[test]
fn t2_a_forbid_is_not_dodged_through_an_unknown_fact() {
    let all = json!({ "from": "any", "to": "gateway", "actions": ["any"] });
    let by_zone = document(
        std::slice::from_ref(&all),
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
            &Question::get(STRANGER, "gateway", 8443, "/").at("192.0.2.1"),
            &open
        ),
        "forbidden"
    );
    assert_eq!(
        reason(
            &Question::get(STRANGER, "gateway", 8443, "/").at("10.10.0.99"),
            &open
        ),
        "forbidden",
        "behind a relay"
    );
    assert_eq!(
        reason(
            &Question::get(STRANGER, "gateway", 8443, "/").at("10.10.0.5"),
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
fn t2_an_assertion_is_not_dodged_through_a_fact_that_is_not_stated() {
    let asserting = |from: &str, to: &str| {
        let mut document = document(&[], &[]);
        document["never"] = json!([{ "from": from, "to": to }]);
        document
    };
    let without = |mut document: Value, workload: &str, fact: &str| {
        let workload = &mut document["workloads"][workload];
        workload.as_object_mut().expect("table").remove(fact);
        document
    };
    for (from, to, fact, said) in [
        (
            "sensor",
            "zone:vault",
            "zone",
            "speaks of a zone, and the workload `gateway` states none",
        ),
        (
            "sensor",
            "label:tier=data",
            "labels",
            "speaks of the label `tier`, and the workload `gateway` states none",
        ),
        (
            "label:tier=thing",
            "store",
            "labels",
            "speaks of the label `tier`, and the workload `gateway` states none",
        ),
    ] {
        let whole = asserting(from, to);
        assert!(try_load(&whole).is_ok(), "{from} to {to}");
        let refused = refusal(&without(whole, "gateway", fact));
        assert!(refused.contains(said), "{refused}");
        // Where it speaks of neither, nobody has to state anything.
        assert!(try_load(&without(asserting("sensor", "store"), "gateway", fact)).is_ok());
    }
}

#[test]
fn a_forbid_by_an_issuer_that_nobody_declares_is_refused() {
    let by = |issuer: &str, effect: &str| {
        let rule = json!({ "from": "any", "to": "gateway", "subject": format!("issuer:{issuer}"), "actions": ["any"] });
        match effect {
            "forbid" => document(&[], &[rule]),
            _ => document(&[rule], &[]),
        }
    };
    assert!(try_load(&by("corp", "forbid")).is_ok());
    let refused = refusal(&by("crop", "forbid"));
    assert!(
        refused.contains("there is no issuer `crop`") && refused.contains("`corp`"),
        "{refused}"
    );
    for name in ["Corp", "my_idp", "corp.", "login.example"] {
        let refused = refusal(&by(name, "forbid"));
        assert!(refused.contains("there is no issuer"), "{refused}");
    }
    // The `iss` itself, which is a URI.
    assert!(try_load(&by("https://login.example", "forbid")).is_ok());
    // A permit by it holds for nobody, which a lint says.
    assert!(try_load(&by("crop", "permit")).is_ok());
}

#[test]
fn t2_a_workload_is_bound_to_its_zone_whatever_principal_matched() {
    let document = document(
        &[json!({ "from": ["any", "zone:iot"], "to": "gateway", "actions": ["any"] })],
        &[],
    );
    assert_eq!(
        reason(
            &Question::get(ROUTER, "gateway", 8443, "/").at("10.20.0.5"),
            &document
        ),
        "zone_mismatch"
    );
    assert_eq!(
        reason(
            &Question::get(ROUTER, "gateway", 8443, "/").at("192.0.2.1"),
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
            std::slice::from_ref(&wide),
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
        assert!(never(std::slice::from_ref(&wide), &[weak], apart.clone()).is_err());
    }
    // A requirement is no protection.
    let guarded = json!({ "from": "router", "to": "store", "actions": ["any"], "require": { "trust_score": 100 } });
    assert!(never(&[guarded], &[], apart.clone()).is_err());
    // T11: a workload can drop its SVID and come as `public`.
    let public = json!({ "name": "open", "from": "public", "to": "gateway", "anonymous": true, "actions": ["GET /x"] });
    assert!(
        never(
            std::slice::from_ref(&public),
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
        std::slice::from_ref(&public),
        &[json!({ "name": "out", "from": "sensor", "to": "gateway" })],
    ));
    assert!(error.contains("can be dodged"), "{error}");
    for fine in [
        json!({ "from": ["sensor", "public"], "to": "gateway", "actions": ["GET /y"] }),
        json!({ "from": "sensor", "to": "gateway", "ports": 8443 }),
        json!({ "from": "zone:iot", "to": "gateway" }),
    ] {
        assert!(try_load(&document(std::slice::from_ref(&public), &[fine])).is_ok());
    }
}

#[test]
fn t7_posture_and_context_are_there_and_fresh_or_a_permit_does_not_hold() {
    let said = |from: Timestamp, until: Timestamp| Attributes::new(Map::new(), from, until);
    let ahead = NOW.saturating_add(std::time::Duration::from_secs(61));
    let cases = [
        (None, "evidence_missing"),
        (Some(said(NOW, Timestamp::MAX)), "permitted"),
        (Some(said(Timestamp::EPOCH, NOW)), "evidence_stale"),
        (Some(said(ahead, Timestamp::MAX)), "evidence_missing"),
    ];
    let question = Question::get(ROUTER, "gateway", 8443, "/v1/a");
    for reads in ["posture", "context"] {
        let rule = json!({ "from": "router", "to": "gateway", "actions": ["any"], "require": { "when": reads } });
        let permit = load(&document(&[rule], &[]));
        let open = json!({ "from": "router", "to": "gateway", "actions": ["any"] });
        let forbid = json!({ "from": "router", "to": "gateway", "when": reads });
        let forbid = load(&document(&[open], &[forbid]));
        for (attributes, expected) in &cases {
            let caller = peer(ROUTER);
            let flow = Flow::ingress("gateway", 8443, question.arrival(), Some(&caller));
            let mut evidence = Evidence::none();
            // The other of the two is no help.
            (evidence.posture, evidence.context) = match reads {
                "posture" => (attributes.as_ref(), None),
                _ => (None, attributes.as_ref()),
            };
            let input = Input::new(flow)
                .with_action(question.named().expect("an action"))
                .with_evidence(evidence);
            for policy in [&permit, &forbid] {
                let meant =
                    ztl_core::policy::reference::decide(policy.document(), &loader(), &input, NOW);
                assert_eq!(decide(policy, &input, NOW), meant);
            }
            assert_eq!(decide(&permit, &input, NOW).reason.code(), *expected);
            // It is true where it can be asked, so the forbid fires either way.
            assert_eq!(decide(&forbid, &input, NOW).reason.code(), "forbidden");
        }
    }
}

#[test]
fn t7_a_condition_is_told_whether_it_stands_in_a_permit() {
    let permit = json!({ "from": "router", "to": "gateway", "actions": ["GET /a/{x}/{y}", "GET /b/{y}"], "require": { "when": "in-a-forbid" } });
    let refused = refusal(&document(&[permit], &[]));
    assert!(
        refused.contains("`in-a-forbid` is no condition"),
        "{refused}"
    );
    assert!(
        refused.contains("the paths have [\"x\", \"y\"]"),
        "{refused}"
    );
    let forbid = json!({ "from": "router", "to": "gateway", "when": "in-a-forbid" });
    load(&document(&[], &[forbid]));
}

#[test]
fn an_error_within_a_condition_stands_where_the_document_writes_it() {
    let head = "schema = 1\ntrust_domain = 'prod.example'\n[workloads.a]\nid = 'spiffe://prod.example/a'\nports = [1]\n[[forbid]]\nname = 'f'\nfrom = 'any'\nto = 'a'\n";
    let place = |when: &str| {
        let text = format!("{head}when = {when}\n");
        let error = loader().load(&text, Format::Toml).expect_err("refused");
        let one = error.diagnostics()[0].clone();
        (one.line, one.column, one.to_string())
    };
    let (line, column, shown) = place("'all bad'");
    assert_eq!((line, column), (10, 13));
    assert!(
        shown.contains("\n10 | when = 'all bad'\n   |             ^^^"),
        "{shown}"
    );
    // A text over lines is one too; where escapes stand between, the whole is meant.
    assert_eq!(place("'''\nall\n bad'''").0, 12);
    let (line, column, _) = place("\"all\\u0020bad\"");
    assert_eq!((line, column), (10, 8));
}
