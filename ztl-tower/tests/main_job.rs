//! Two workloads, one policy, real mutual TLS: who is named gets in, everybody else does not.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use support::{Marker, Mesh, get1, get2, knock, listener, now, reasons, serve, until};
use ztl_core::audit::MemorySink;
use ztl_mtls::DevCa;
use ztl_tower::{EgressError, Guard};

fn policy(port: u16) -> String {
    format!(
        r#"
schema = 1
trust_domain = "prod.example"

[workloads.retriever]
id = "spiffe://prod.example/retriever"

[workloads.router]
id = "spiffe://prod.example/router"

[workloads.model-server]
id = "spiffe://prod.example/model-server"
ports = [{port}]

[[permit]]
name = "retriever-infers"
from = "retriever"
to = "model-server"
actions = ["POST /v1/models/{{model}}/infer", "GET /v1/models/{{model}}"]
"#
    )
}

struct Running {
    mesh: Mesh,
    guard: Guard,
    audit: Arc<MemorySink>,
    marker: Marker,
    address: SocketAddr,
}

async fn running() -> Running {
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port()));
    let (guard, audit) = mesh.guard("model-server", "/model-server").await;
    let marker = Marker::default();
    serve(&guard, listener, marker.app());
    Running {
        mesh,
        guard,
        audit,
        marker,
        address,
    }
}

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

#[tokio::test]
async fn egress_names_a_workload_and_proves_it() {
    let run = running().await;
    let audit = Arc::new(MemorySink::new(100));
    let retriever = run
        .mesh
        .builder("retriever", "/retriever", &audit)
        .endpoint("model-server", run.address)
        .build()
        .await
        .expect("guard");
    let client = retriever.client();
    for _ in 0..3 {
        let request = Request::post("https://model-server/v1/models/llama/infer")
            .body(Empty::<Bytes>::new())
            .expect("request");
        let response = client.request(request).await.expect("response");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response
                .extensions()
                .get::<ztl_tower::Peer>()
                .expect("peer")
                .id()
                .path(),
            "/model-server"
        );
        response.into_body().collect().await.expect("body");
    }
    assert_eq!(run.marker.calls(), 3);
    let flows = run
        .audit
        .lines()
        .iter()
        .filter(|line| line.contains("\"stage\":\"flow\""))
        .count();
    assert_eq!(flows, 1, "the connection is kept");
}

#[tokio::test]
async fn egress_refuses_before_a_byte_leaves() {
    let run = running().await;
    let audit = Arc::new(MemorySink::new(100));
    let retriever = run
        .mesh
        .builder("retriever", "/retriever", &audit)
        .endpoint("model-server", run.address)
        .build()
        .await
        .expect("guard");
    for (method, uri, reason) in [
        (
            "PUT",
            "https://model-server/v1/models/llama",
            "no_action_permitted",
        ),
        ("POST", "https://router/v1/route", "no_flow_permitted"),
        ("POST", "https://nobody/", "no_flow_permitted"),
        (
            "GET",
            "https://model-server/v1/models/%2e%2e",
            "path_ambiguous",
        ),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .body(Empty::<Bytes>::new())
            .expect("request");
        let error = match retriever.client().request(request).await {
            Err(EgressError::Port { .. }) if uri.contains("router") => continue,
            Err(error) => error,
            Ok(response) => panic!("{uri}: {}", response.status()),
        };
        assert_eq!(
            error.denial().expect("a denial of our own").reason().code(),
            reason,
            "{uri}"
        );
    }
    assert_eq!(run.audit.taken(), 0, "the target was not even dialled");
    assert_eq!(run.marker.calls(), 0);
}

#[tokio::test]
async fn egress_takes_nobody_else_for_the_target() {
    let run = running().await;
    // Somebody with a real SVID of the mesh answers at the model server's address.
    let (listener, address) = listener().await;
    let mesh = Mesh {
        policy: policy(address.port()),
        authority: run.mesh.authority,
    };
    let text = mesh.policy.replace(
        "id = \"spiffe://prod.example/router\"",
        &format!(
            "id = \"spiffe://prod.example/router\"\nports = [{}]",
            address.port()
        ),
    );
    let audit = Arc::new(MemorySink::new(100));
    let impostor = mesh
        .builder("router", "/router", &audit)
        .policy(ztl_core::policy::Policy::from_toml(&text).expect("policy"))
        .build()
        .await
        .expect("guard");
    serve(&impostor, listener, Marker::default().app());
    let retriever = mesh
        .builder("retriever", "/retriever", &Arc::new(MemorySink::new(9)))
        .endpoint("model-server", address)
        .build()
        .await
        .expect("guard");
    let request = Request::post("https://model-server/v1/models/llama/infer")
        .body(Empty::<Bytes>::new())
        .expect("request");
    let error = retriever
        .client()
        .request(request)
        .await
        .expect_err("refused");
    assert!(matches!(error, EgressError::Unproven { .. }), "{error}");
}

#[tokio::test]
async fn egress_reports_a_refusal_at_the_targets_door() {
    let run = running().await;
    // The caller's own policy is out of date and permits what the target's does not.
    let generous = run
        .mesh
        .policy
        .replace("from = \"retriever\"", "from = [\"retriever\", \"router\"]");
    let audit = Arc::new(MemorySink::new(100));
    let router = run
        .mesh
        .builder("router", "/router", &audit)
        .policy(ztl_core::policy::Policy::from_toml(&generous).expect("policy"))
        .endpoint("model-server", run.address)
        .build()
        .await
        .expect("guard");
    let request = Request::post("https://model-server/v1/models/llama/infer")
        .body(Empty::<Bytes>::new())
        .expect("request");
    let error = router.client().request(request).await.expect_err("refused");
    assert!(
        matches!(error, EgressError::FlowRefused { .. }),
        "{error:?}"
    );
    assert_eq!(run.marker.calls(), 0);
}

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
