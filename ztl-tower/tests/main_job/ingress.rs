//! The door: who gets in, and who does not.

use super::*;

#[tokio::test]
async fn a_named_caller_is_served_over_both_protocols() {
    let run = running().await;
    let svid = run.mesh.svid("/retriever");
    let one = knock(
        run.address,
        None,
        Some(&svid),
        b"http/1.1",
        get1("/v1/models/llama"),
    )
    .await
    .expect("h1");
    let two = knock(
        run.address,
        None,
        Some(&svid),
        b"h2",
        get2("/v1/models/llama"),
    )
    .await
    .expect("h2");
    for response in [one, two] {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.body(),
            "spiffe://prod.example/retriever /v1/models/llama"
        );
    }
    assert_eq!(run.marker.calls(), 2);
    assert_eq!(
        reasons(&run.audit),
        ["permitted"; 4],
        "one record for each flow and each action"
    );
}

#[tokio::test]
async fn what_no_rule_names_is_denied_and_the_wire_says_nothing_of_why() {
    let run = running().await;
    let svid = run.mesh.svid("/retriever");
    for (alpn, request) in [
        (&b"http/1.1"[..], get1("/v1/models/llama").method("PUT")),
        (b"h2", get2("/v1/models/llama").method("DELETE")),
        (b"http/1.1", get1("/")),
        // Rule 45: HEAD is permitted only where it is named, though axum serves it from GET.
        (b"h2", get2("/v1/models/llama").method("HEAD")),
    ] {
        let response = knock(run.address, None, Some(&svid), alpn, request)
            .await
            .expect("response");
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert!(!response.headers().contains_key("www-authenticate"));
        let body = String::from_utf8(response.body().to_vec()).expect("text");
        assert!(
            !body.contains("no_action_permitted") && !body.contains("retriever"),
            "{body}"
        );
        if !body.is_empty() {
            assert_eq!(
                response.headers()["content-type"],
                "application/problem+json"
            );
            let problem: serde_json::Value = serde_json::from_str(&body).expect("json");
            let id = problem["decision"].as_str().expect("id").to_owned();
            assert!(
                run.audit
                    .lines()
                    .iter()
                    .any(|line| line.contains(&id) && line.contains("no_action_permitted"))
            );
        }
    }
    assert_eq!(run.marker.calls(), 0);
}

#[tokio::test]
async fn rules_46_to_48_a_path_with_two_readings_is_refused_on_an_edge_that_exists() {
    let run = running().await;
    let svid = run.mesh.svid("/retriever");
    for path in [
        "/v1/models/%2e%2e/admin",
        "/v1/models/../admin",
        "/v1//models/x",
        "/v1/models/x%2fy",
        "/v1/models/x;y",
        "/v1/models/%00",
    ] {
        let one = knock(run.address, None, Some(&svid), b"http/1.1", get1(path))
            .await
            .expect("h1");
        let two = knock(run.address, None, Some(&svid), b"h2", get2(path))
            .await
            .expect("h2");
        assert_eq!(
            (one.status(), two.status()),
            (StatusCode::BAD_REQUEST, StatusCode::BAD_REQUEST),
            "{path}"
        );
    }
    assert_eq!(run.marker.calls(), 0);
    assert_eq!(
        reasons(&run.audit)
            .iter()
            .filter(|reason| *reason == "path_ambiguous")
            .count(),
        12
    );
}

#[tokio::test]
async fn rule_39_a_proved_caller_without_a_flow_is_refused_within_the_handshake() {
    let run = running().await;
    let router = run.mesh.svid("/router");
    for (alpn, request) in [
        (&b"http/1.1"[..], get1("/v1/models/llama")),
        (b"h2", get2("/v1/models/llama")),
    ] {
        let refused = knock(run.address, None, Some(&router), alpn, request)
            .await
            .expect_err("refused");
        assert!(refused.contains("AccessDenied"), "{refused}");
    }
    assert_eq!(run.marker.calls(), 0);
    assert_eq!(reasons(&run.audit), ["no_flow_permitted"; 2]);
}

#[tokio::test]
async fn law_1_who_proves_nothing_gets_nowhere() {
    let run = running().await;
    let other = Mesh::new("");
    let expired = run.mesh.svid_at(
        "/retriever",
        ztl_core::Timestamp::from_unix_secs(now().as_unix_secs() - 100_000),
    );
    let foreign = DevCa::new(
        ztl_core::TrustDomain::parse("evil.example").expect("domain"),
        now(),
    )
    .expect("authority");
    let impostor = foreign
        .issue(
            &ztl_core::SpiffeId::parse("spiffe://evil.example/retriever").expect("id"),
            now(),
            std::time::Duration::from_secs(60),
            &ztl_mtls::provider(),
        )
        .expect("svid")
        .svid;
    let stranger = other.svid("/retriever");
    for (svid, alert) in [
        (None, "CertificateRequired"),
        (Some(&expired), "Certificate"),
        (Some(&stranger), ""),
        (Some(&impostor), ""),
    ] {
        let refused = knock(
            run.address,
            None,
            svid,
            b"http/1.1",
            get1("/v1/models/llama"),
        )
        .await
        .expect_err("refused");
        assert!(refused.contains(alert), "{refused}");
    }
    until("four records", || reasons(&run.audit).len() == 4).await;
    assert_eq!(
        reasons(&run.audit),
        [
            "identity_unproven",
            "identity_expired",
            "identity_unproven",
            "identity_unproven"
        ]
    );
    assert_eq!(run.marker.calls(), 0);
}
