//! Hosts with a server of their own.

use super::*;

#[tokio::test]
async fn t1_a_layer_denies_what_carries_no_flow_permit() {
    let run = running(Duration::from_secs(5)).await;
    let marker = Marker::default();
    let app = run.guard.authorize().layer(marker.app());
    let response = app
        .clone()
        .oneshot(
            Request::get("/v1/x")
                .body(axum::body::Body::empty())
                .expect("request"),
        )
        .await
        .expect("response");
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        response
            .extensions()
            .get::<Refused>()
            .expect("refused")
            .denial()
            .reason()
            .code(),
        "not_judged"
    );
    assert_eq!(marker.calls(), 0);
    assert_eq!(reasons(&run.audit), ["not_judged"]);
}

#[tokio::test]
async fn t19_a_request_that_was_rewritten_after_it_was_judged_is_denied() {
    let run = running(Duration::from_secs(5)).await;
    // A host that gives the permit itself, judges, rewrites the target, and judges again within.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test stands for the verifier"
    )]
    let peer = ztl_core::Peer::assertion(
        ztl_core::Proof::X509 {
            id: support::id("/caller"),
            leaf_sha256: [0; 32],
            serial: Box::new([1]),
            not_after: ztl_core::Timestamp::MAX,
        },
        "test",
    );
    let arrival = Arrival::from_addr("127.0.0.1".parse().expect("address"));
    let flow = run
        .guard
        .engine()
        .permit_flow(
            &Flow::ingress("gateway", run.mutual.port(), arrival, Some(&peer)),
            now(),
        )
        .expect("permit");
    let marker = Marker::default();
    let inner = run.guard.authorize().layer(marker.app());
    let rewriting = tower::service_fn(move |mut request: Request<axum::body::Body>| {
        if request.uri().path() == "/v1/old" {
            *request.uri_mut() = "/v1/new".parse().expect("uri");
        }
        inner.clone().oneshot(request)
    });
    let app = run.guard.authorize().layer(rewriting);
    let ask = async |path: &str| {
        let mut request = Request::get(path)
            .body(axum::body::Body::empty())
            .expect("request");
        request.extensions_mut().insert(flow.clone());
        app.clone().oneshot(request).await.expect("response")
    };
    assert_eq!(ask("/v1/x").await.status(), StatusCode::OK);
    let taken = run.audit.taken();
    assert_eq!(ask("/v1/x").await.status(), StatusCode::OK);
    assert_eq!(
        run.audit.taken(),
        taken + 1,
        "the second layer needs no second decision"
    );
    let denied = ask("/v1/old").await;
    assert_eq!(denied.status(), StatusCode::FORBIDDEN);
    assert_eq!(marker.calls(), 2);
}

#[tokio::test]
async fn a_rule_that_asks_for_a_token_needs_a_verifier_at_build_time() {
    let (_, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port(), 1));
    let error = mesh
        .builder("gateway", "/gateway", &Arc::new(MemorySink::new(1)))
        .build()
        .await
        .expect_err("refused");
    assert!(error.to_string().contains("token_verifier"), "{error}");
}
