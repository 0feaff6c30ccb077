//! What changes while connections are open, and what is refused before any is.

use super::*;

#[tokio::test]
async fn t22_a_guard_is_built_with_its_own_svid_and_listens_on_its_own_ports() {
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port()));
    let audit = Arc::new(MemorySink::new(10));
    let error = mesh
        .builder("model-server", "/router", &audit)
        .build()
        .await
        .expect_err("refused");
    assert!(
        error.to_string().contains("`spiffe://prod.example/router`"),
        "{error}"
    );
    let error = mesh
        .builder("nobody", "/router", &audit)
        .build()
        .await
        .expect_err("refused");
    assert!(
        error.to_string().contains("no workload `nobody`"),
        "{error}"
    );
    let guard = mesh
        .builder("router", "/router", &audit)
        .build()
        .await
        .expect("guard");
    let error = guard
        .serve_listener(listener, Marker::default().app())
        .await
        .expect_err("refused");
    assert!(error.to_string().contains("does not list port"), "{error}");
    assert!(guard.swap_identity(mesh.svid("/retriever")).is_err());
    assert!(guard.swap_identity(mesh.svid("/router")).is_ok());
}

#[tokio::test]
async fn t28_the_development_authority_has_to_be_allowed() {
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port()));
    let audit = Arc::new(MemorySink::new(10));
    let guard = Guard::builder("model-server")
        .policy(mesh.load())
        .identity(mesh.svid("/model-server"))
        .bundle(mesh.authority.bundle())
        .audit(Arc::clone(&audit))
        .build()
        .await
        .expect("guard");
    let marker = Marker::default();
    serve(&guard, listener, marker.app());
    let refused = knock(
        address,
        None,
        Some(&mesh.svid("/retriever")),
        b"http/1.1",
        get1("/v1/models/llama"),
    )
    .await;
    assert!(refused.is_err());
    until("a record", || reasons(&audit) == ["identity_unproven"]).await;
}

#[tokio::test]
async fn a_policy_change_reaches_the_next_request_and_ends_connections_that_lost_their_flow() {
    let run = running().await;
    let svid = run.mesh.svid("/retriever");
    let stream = support::raw_connect(run.address, None, Some(&svid), b"http/1.1")
        .await
        .expect("connect");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream))
            .await
            .expect("http");
    let open = tokio::spawn(connection);
    let request = || {
        get1("/v1/models/llama")
            .body(Empty::<Bytes>::new())
            .expect("request")
    };
    assert_eq!(
        sender
            .send_request(request())
            .await
            .expect("first")
            .status(),
        StatusCode::OK
    );
    // The action goes, the flow stays.
    let less = run.mesh.policy.replace(", \"GET /v1/models/{model}\"", "");
    run.guard
        .swap_policy(ztl_core::policy::Policy::from_toml(&less).expect("policy"))
        .expect("swap");
    sender.ready().await.expect("open");
    assert_eq!(
        sender
            .send_request(request())
            .await
            .expect("second")
            .status(),
        StatusCode::FORBIDDEN
    );
    // The flow goes.
    let none = run
        .mesh
        .policy
        .replace("from = \"retriever\"", "from = \"router\"");
    run.guard
        .swap_policy(ztl_core::policy::Policy::from_toml(&none).expect("policy"))
        .expect("swap");
    tokio::time::timeout(support::PATIENCE, open)
        .await
        .expect("ended")
        .expect("task")
        .ok();
    assert!(sender.is_closed());
}

#[tokio::test]
async fn t5_a_change_of_bundles_withdraws_what_was_proved_by_the_earlier_ones() {
    let run = running().await;
    let svid = run.mesh.svid("/retriever");
    let stream = support::raw_connect(run.address, None, Some(&svid), b"h2")
        .await
        .expect("connect");
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .expect("http");
    let open = tokio::spawn(connection);
    let request = get2("/v1/models/llama")
        .body(Empty::<Bytes>::new())
        .expect("request");
    assert_eq!(
        sender.send_request(request).await.expect("first").status(),
        StatusCode::OK
    );
    let other = Mesh::new("");
    run.guard
        .swap_bundles(ztl_mtls::BundleSet::new([other.authority.bundle()]).expect("set"));
    tokio::time::timeout(support::PATIENCE, open)
        .await
        .expect("ended")
        .expect("task")
        .ok();
    assert!(
        knock(
            run.address,
            None,
            Some(&svid),
            b"h2",
            get2("/v1/models/llama")
        )
        .await
        .is_err(),
        "its authority is no longer trusted"
    );
}

#[tokio::test]
async fn shutdown_ends_the_listener_and_finishes_what_runs() {
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port()));
    let (guard, _) = mesh.guard("model-server", "/model-server").await;
    let serving = {
        let (guard, app) = (guard.clone(), Marker::default().app());
        tokio::spawn(async move { guard.serve_listener(listener, app).await })
    };
    let svid = mesh.svid("/retriever");
    let response = knock(
        address,
        None,
        Some(&svid),
        b"http/1.1",
        get1("/v1/models/llama"),
    )
    .await
    .expect("response");
    assert_eq!(response.status(), StatusCode::OK);
    guard.shutdown();
    tokio::time::timeout(support::PATIENCE, serving)
        .await
        .expect("ended")
        .expect("task")
        .expect("served");
    assert!(
        knock(
            address,
            None,
            Some(&svid),
            b"http/1.1",
            get1("/v1/models/llama")
        )
        .await
        .is_err()
    );
}
