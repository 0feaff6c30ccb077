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
                .header("host", "a")
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
            leaf_sha256: [0; 32].into(),
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
            .header("host", "a")
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

/// A caller whom the test vouches for.
#[expect(
    clippy::disallowed_methods,
    reason = "the test stands for the verifier"
)]
fn vouched(path: &str) -> ztl_core::Peer {
    ztl_core::Peer::assertion(
        ztl_core::Proof::X509 {
            id: support::id(path),
            leaf_sha256: [0; 32].into(),
            serial: Box::new([1]),
            not_after: ztl_core::Timestamp::MAX,
        },
        "test",
    )
}

#[tokio::test]
async fn t19_nothing_that_was_judged_may_change_before_the_inner_layer() {
    let run = running(Duration::from_secs(5)).await;
    let arrival = Arrival::from_addr("127.0.0.1".parse().expect("address"));
    let peer = vouched("/caller");
    let flow = run
        .guard
        .engine()
        .permit_flow(
            &Flow::ingress("gateway", run.mutual.port(), arrival, Some(&peer)),
            now(),
        )
        .expect("permit");
    let marker = Marker::default();
    let ask = async |change: fn(&Guard, &mut Request<axum::body::Body>)| {
        let inner = run.guard.authorize().layer(marker.app());
        let guard = run.guard.clone();
        let changing = tower::service_fn(move |mut request: Request<axum::body::Body>| {
            change(&guard, &mut request);
            inner.clone().oneshot(request)
        });
        let mut request = Request::get("/v1/x")
            .header("host", "a")
            .body(axum::body::Body::empty())
            .expect("request");
        request.extensions_mut().insert(flow.clone());
        let app = run.guard.authorize().layer(changing);
        app.oneshot(request)
            .await
            .expect("response")
            .status()
            .as_u16()
    };
    assert_eq!(ask(|_, _| ()).await, 200);
    assert_eq!(ask(|_, r| put(r, "upgrade", "websocket")).await, 403);
    assert_eq!(ask(|_, r| put(r, "authorization", "Bearer x")).await, 403);
    assert_eq!(
        ask(|_, r| put(r, "x-http-method-override", "DELETE")).await,
        400
    );
    assert_eq!(ask(|_, r| put(r, "x-original-url", "/v2/x")).await, 400);
    assert_eq!(
        ask(|_, r| drop(r.extensions_mut().remove::<ActionPermit>())).await,
        403
    );
    assert_eq!(marker.calls(), 1);
    // The flow's permit is within the action's, so that neither is there without the other.
    let whole = |_: &Guard, r: &mut Request<axum::body::Body>| {
        assert!(r.extensions().get::<ztl_core::FlowPermit>().is_none());
        let flow = r.extensions().get().map(ActionPermit::flow);
        assert_eq!(flow.map(ztl_core::FlowPermit::rule), Some("caller-reads"));
    };
    assert_eq!(ask(whole).await, 200);
    assert_eq!(marker.calls(), 2);
    // With another flow's permit in between it is judged anew, on that one.
    let taken = run.audit.taken();
    let on_another = |guard: &Guard, r: &mut Request<axum::body::Body>| {
        let flow = r.extensions().get().map(ActionPermit::flow);
        let (port, arrival) = flow.map(|flow| (flow.port(), flow.arrival())).expect("it");
        let peer = vouched("/caller");
        let flow = Flow::ingress("gateway", port, arrival, Some(&peer));
        let another = guard.engine().permit_flow(&flow, now()).expect("permit");
        r.extensions_mut().insert(another);
    };
    assert_eq!(ask(on_another).await, 200);
    assert_eq!(
        run.audit.taken(),
        taken + 3,
        "the other flow, and each judgement"
    );
    assert_eq!(marker.calls(), 3);
    // T5: withdrawn in between.
    assert_eq!(ask(|guard, _| guard.engine().withdraw_flows()).await, 403);
    assert_eq!(
        reasons(&run.audit).last().map(String::as_str),
        Some("flow_withdrawn")
    );
    assert_eq!(marker.calls(), 3);
}

#[tokio::test]
async fn law_8_what_is_kept_of_a_request_that_is_over_is_no_leave_to_ask_again() {
    let ((listening, address), (_, public)) = (listener().await, listener().await);
    let mesh = Mesh::new(&policy(address.port(), public.port()));
    let audit = Arc::new(MemorySink::new(100));
    let builder = mesh.builder("gateway", "/gateway", &audit);
    let guard = builder.token_verifier(some_verifier("gateway")).build();
    let guard = guard.await.expect("guard");
    let marker = Marker::default();
    let within = guard.authorize().layer(marker.app());
    let (keep, mut kept) = tokio::sync::mpsc::unbounded_channel();
    let asks = within.clone();
    // While it runs it may, and nothing is decided again.
    let handler = async move |request: Request<axum::body::Body>| {
        let (parts, _) = request.into_parts();
        let again = Request::from_parts(parts.clone(), axum::body::Body::empty());
        let status = asks.oneshot(again).await.expect("response").status();
        keep.send(parts).expect("kept");
        status
    };
    serve(&guard, listening, Router::new().fallback(handler));
    let svid = mesh.svid("/caller");
    for protocol in [b"h2".as_slice(), b"http/1.1"] {
        let request = if protocol == b"h2" {
            get2("/v1/x")
        } else {
            get1("/v1/x")
        };
        let answer = knock(address, None, Some(&svid), protocol, request).await;
        assert_eq!(answer.expect("response").status(), StatusCode::OK);
        let parts = kept.recv().await.expect("parts");
        until("it is over", || guard.connections().is_empty()).await;
        let (taken, calls) = (audit.taken(), marker.calls());
        let again = Request::from_parts(parts, axum::body::Body::empty());
        let answer = within.clone().oneshot(again).await.expect("response");
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert_eq!((audit.taken(), marker.calls()), (taken + 1, calls));
        assert_eq!(
            reasons(&audit).last().map(String::as_str),
            Some("not_judged")
        );
        // Law 6: whoever asked stands in the record.
        let last = audit.lines().last().cloned().expect("a record");
        assert!(last.contains("spiffe://prod.example/caller"), "{last}");
    }
}

fn put(request: &mut Request<axum::body::Body>, name: &'static str, value: &'static str) {
    request
        .headers_mut()
        .insert(name, http::HeaderValue::from_static(value));
}

#[tokio::test]
async fn t1_a_permit_of_another_direction_or_workload_lets_nobody_in() {
    let mesh = Mesh::new(
        r#"
schema = 1
trust_domain = "prod.example"
[workloads]
caller = { id = "spiffe://prod.example/caller", ports = [8443] }
gateway = { id = "spiffe://prod.example/gateway", ports = [8443] }
[[permit]]
name = "both-ways"
from = ["caller", "gateway"]
to = ["gateway", "caller"]
actions = ["GET /v1/{*rest}"]
"#,
    );
    let (guard, _) = mesh.guard("gateway", "/gateway").await;
    let (caller, gateway) = (vouched("/caller"), vouched("/gateway"));
    let arrival = Arrival::from_addr("127.0.0.1".parse().expect("address"));
    let marker = Marker::default();
    let ask = async |flow: Flow<'_>| {
        let permit = guard.engine().permit_flow(&flow, now()).expect("permit");
        let mut request = Request::get("/v1/x")
            .header("host", "a")
            .body(axum::body::Body::empty())
            .expect("request");
        request.extensions_mut().insert(permit);
        let app = guard.authorize().layer(marker.app());
        app.oneshot(request).await.expect("response").status()
    };
    let egress = Flow::egress("gateway", 8443, &caller);
    assert_eq!(ask(egress).await, StatusCode::FORBIDDEN);
    let others = Flow::ingress("caller", 8443, arrival, Some(&gateway));
    assert_eq!(ask(others).await, StatusCode::FORBIDDEN);
    let ours = Flow::ingress("gateway", 8443, arrival, Some(&caller));
    assert_eq!(ask(ours).await, StatusCode::OK);
    assert_eq!(marker.calls(), 1);
}
