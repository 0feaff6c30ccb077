//! The audit: laws 6 and 7.

use super::*;

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
                &question.evidence(claims.as_ref(), &headers, None),
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
    assert_eq!((text.lines().count(), whole.len()), (4, 3), "{text}");
}

#[test]
fn law_6_what_was_asked_for_on_a_permit_that_is_good_no_more_stands_in_the_record() {
    let until = NOW.saturating_add(Duration::from_secs(30));
    let back = NOW.saturating_sub(Duration::from_secs(3600));
    let action = get("/v1/a");
    for (now, withdrawn, reason) in [
        (NOW, true, Reason::FlowWithdrawn),
        (until, false, Reason::IdentityExpired),
        (back, false, Reason::ClockUntrusted),
    ] {
        let (engine, audit) = engine(&document(&[reads()], &[]));
        let permit = permitted(&engine, &peer_until(ROUTER, until));
        if withdrawn {
            engine.withdraw_flows();
        }
        let none = Evidence::none();
        let again = || Ok(permit.clone());
        let denials = [
            engine
                .authorize(&permit, &action, &none, now)
                .expect_err("authorize"),
            engine
                .authorize_or_renew(&permit, again, &action, &none, now)
                .expect_err("renewed"),
            engine
                .renew_flow_for(&permit, &action, now)
                .expect_err("for an action"),
            engine.renew_flow(&permit, now).expect_err("for none"),
        ];
        let asked = json!("GET /v1/a");
        let said = [&asked, &asked, &asked, &Value::Null];
        let lines = audit.lines();
        let lines = lines.iter().skip(1);
        assert_eq!(lines.len(), denials.len());
        for ((line, denial), said) in lines.zip(denials).zip(said) {
            let record: Value = serde_json::from_str(line).expect("json");
            assert_eq!(denial.reason(), reason);
            assert_eq!(record["reason"], reason.code());
            assert_eq!(record["id"], denial.id().to_string());
            assert_eq!(&record["action"], said, "{line}");
        }
    }
}
