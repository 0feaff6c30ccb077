//! What a service author expects of the crate, a test each.
//!
//! The third (a listener for `axum::serve`) is tested where it is built; so are the counters of the sixth and seventh.

use super::routed::{POLICY, ask, cart, shop};
use super::*;

use ztl_core::Reason;
use ztl_tower::{Peer, assert_denied, assert_permitted, test};

#[test]
fn expects_01_a_service_that_runs_in_forty_lines() {
    let main = include_str!("../../../examples/quickstart-axum/src/main.rs");
    let code = main
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    assert!(code.count() <= 40);
    assert!(main.contains("guard.serve"), "{main}");
}

#[tokio::test]
async fn expects_02_the_peer_is_typed_and_no_header_makes_one() {
    let guard = shop().await;
    let app = Router::new().route(
        "/open",
        axum::routing::get(async |peer: Peer| peer.id().to_string()),
    );
    let mut request = ask("/open");
    for name in ["x-forwarded-client-cert", "x-spiffe-id", "x-peer"] {
        put(&mut request, name, "URI=spiffe://prod.example/admin");
    }
    let answer = test::handshake(&guard, cart())
        .layer(app)
        .oneshot(request)
        .await
        .expect("answer");
    let body = axum::body::to_bytes(axum::body::Body::new(answer.into_body()), 64).await;
    assert_eq!(body.expect("body"), "spiffe://prod.example/cart");
}

#[tokio::test]
async fn expects_04_what_nobody_named_is_denied() {
    let guard = shop().await;
    let marker = Marker::default();
    let app = |peer| test::handshake(&guard, peer).layer(marker.app());
    let answer = app(cart()).oneshot(ask("/unnamed")).await.expect("answer");
    assert_denied!(answer, Reason::NoActionPermitted);
    let stranger = test::peer("spiffe://prod.example/stranger");
    let answer = app(stranger).oneshot(ask("/open")).await.expect("answer");
    assert_denied!(answer, Reason::NoFlowPermitted);
    let answer = test::public(&guard)
        .layer(marker.app())
        .oneshot(ask("/open"))
        .await
        .expect("answer");
    assert_ne!(answer.status(), StatusCode::OK);
    // An empty document permits nothing at all.
    let empty = "schema = 1\ntrust_domain = 'prod.example'\n\
                 [workloads]\nshop = { id = 'spiffe://prod.example/shop', ports = 8443 }\n";
    guard
        .swap_policy(Policy::from_toml(empty).expect("policy"))
        .expect("swap");
    let answer = app(cart()).oneshot(ask("/open")).await.expect("answer");
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(marker.calls(), 0);
}

#[tokio::test]
async fn expects_05_the_template_is_matched_and_what_has_two_readings_is_refused() {
    let guard = shop().await;
    let app = Router::new().route("/v1/items/{id}", axum::routing::get(async || "item"));
    let app = test::handshake(&guard, cart()).layer(app.layer(guard.authorize()));
    for (path, status) in [
        ("/v1/items/7?x=/../y", 200),
        ("/v1/items/a%2fb", 400),
        ("/v1/items/%2e%2e", 400),
        ("/v1//items/7", 400),
        ("/v1/items/7;a", 400),
        ("/v1/items/7/", 403),
    ] {
        let answer = app.clone().oneshot(ask(path)).await.expect("answer");
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}

const RULES: &str = r#"
[[forbid]]
name = "nothing-secret"
from = "cart"
to = "shop"
actions = ["GET /v1/items/secret"]
[[forbid]]
name = "soon-closed"
mode = "shadow"
from = "cart"
to = "shop"
actions = ["GET /open"]
"#;

#[tokio::test]
async fn expects_06_a_denial_says_its_reason_and_its_rule_to_outer_layers() {
    let guard = test::guard("shop", &format!("{POLICY}{RULES}")).await;
    let app = test::handshake(&guard, cart()).layer(Marker::default().app());
    let answer = app.oneshot(ask("/v1/items/secret")).await.expect("answer");
    assert_denied!(answer, Reason::Forbidden, rule = "nothing-secret");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn expects_07_a_rule_in_shadow_is_recorded_and_changes_nothing() {
    let audit = Arc::new(MemorySink::new(16));
    let builder = test::builder("shop", &format!("{POLICY}{RULES}"));
    let guard = builder
        .audit(Arc::clone(&audit))
        .build()
        .await
        .expect("guard");
    let app = test::handshake(&guard, cart()).layer(Marker::default().app());
    assert_permitted!(app.oneshot(ask("/open")).await.expect("answer"));
    let last: serde_json::Value =
        serde_json::from_str(audit.lines().last().expect("a record")).expect("json");
    assert_eq!(last["verdict"], "permit");
    assert_eq!(
        last["shadow"],
        json!([{ "rule": "soon-closed", "would": "deny" }])
    );
}

#[tokio::test]
async fn expects_08_another_policy_holds_at_once_and_a_bad_one_changes_nothing() {
    let guard = shop().await;
    let app = test::handshake(&guard, cart()).layer(Marker::default().app());
    assert_permitted!(app.clone().oneshot(ask("/open")).await.expect("answer"));
    assert!(Policy::from_toml("schema = 1").is_err());
    assert!(guard.swap_identity(Mesh::new("").svid("/other")).is_err());
    assert_permitted!(app.clone().oneshot(ask("/open")).await.expect("answer"));
    let narrower = POLICY.replace(", \"GET /open\"", "");
    guard
        .swap_policy(Policy::from_toml(&narrower).expect("policy"))
        .expect("swap");
    let answer = app.oneshot(ask("/open")).await.expect("answer");
    assert_denied!(answer, Reason::NoActionPermitted);
}

#[tokio::test]
async fn expects_09_a_shutdown_closes_idle_connections_at_once() {
    let (listener, at) = listener().await;
    let mesh = Mesh::new(&policy(at.port(), 1));
    let audit = Arc::new(MemorySink::new(100));
    let builder = mesh.builder("gateway", "/gateway", &audit);
    let builder = builder.token_verifier(some_verifier("gateway"));
    let guard = builder.build().await.expect("guard");
    let served = guard.clone();
    let serving = tokio::spawn(async move { served.serve_listener(listener, Router::new()).await });
    let svid = mesh.svid("/caller");
    let mut idle = support::raw_connect(at, None, Some(&svid), b"http/1.1")
        .await
        .expect("stream");
    until("the connection is open", || {
        guard.connections().iter().any(|one| one.peer.is_some())
    })
    .await;
    let began = tokio::time::Instant::now();
    guard.shutdown();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(support::PATIENCE, idle.read_to_end(&mut rest)).await;
    assert!(ended.is_ok() && rest.is_empty(), "{ended:?}");
    serving.await.expect("task").expect("served");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "not the drain's deadline"
    );
}

#[tokio::test]
async fn expects_10_no_provider_of_the_process_is_set() {
    let guard = shop().await;
    let app = test::handshake(&guard, cart()).layer(Marker::default().app());
    assert_permitted!(app.oneshot(ask("/open")).await.expect("answer"));
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[tokio::test]
async fn expects_11_a_policy_and_a_service_are_tested_without_sockets() {
    let guard = shop().await;
    let app = test::handshake(&guard, cart()).layer(Marker::default().app());
    assert_permitted!(app.clone().oneshot(ask("/open")).await.expect("answer"));
    assert_denied!(
        app.oneshot(ask("/v1/items")).await.expect("answer"),
        Reason::NoActionPermitted
    );
    // T18: a guard that is not for tests takes no such peer.
    let (real, _) = Mesh::new(POLICY).guard("shop", "/shop").await;
    let app = test::handshake(&real, cart()).layer(Marker::default().app());
    let answer = app.oneshot(ask("/open")).await.expect("answer");
    assert_denied!(answer, Reason::IdentityUnproven);
}

#[tokio::test]
async fn expects_12_an_svid_of_another_authority_proves_nobody() {
    let run = running(Duration::from_secs(5)).await;
    let forged = Mesh::new("").svid("/caller");
    let answer = knock(run.mutual, None, Some(&forged), b"http/1.1", get1("/v1/x")).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(run.marker.calls(), 0);
}

#[tokio::test]
async fn expects_13_a_call_goes_to_a_workload_of_the_policy_or_nowhere() {
    let guard = shop().await;
    for target in [
        "https://example.com/x",
        "https://nobody/x",
        "http://cart/x",
        "https://cart/x",
    ] {
        let request = Request::get(target)
            .body(Empty::<Bytes>::new())
            .expect("request");
        let answer = guard.client().oneshot(request).await;
        assert!(answer.is_err(), "{target}");
    }
}

#[test]
fn expects_14_a_small_crate_without_unsafe_code() {
    assert_eq!(env!("CARGO_PKG_RUST_VERSION"), "1.95");
    let workspace = include_str!("../../../Cargo.toml");
    assert!(workspace.contains("unsafe_code = \"forbid\""));
    let own = include_str!("../../Cargo.toml");
    assert!(own.contains("[lints]\nworkspace = true"));
    let default = own.lines().find(|line| line.starts_with("default = "));
    let opt_in = [
        "\"axum\"",
        "jwt",
        "cel",
        "rego",
        "opa",
        "metrics",
        "test-util",
    ];
    let default = default.expect("default features");
    assert!(
        opt_in.iter().all(|feature| !default.contains(feature)),
        "{default}"
    );
}

#[test]
fn expects_15_the_front_page_says_what_it_does_not_do() {
    let page = include_str!("../../README.md");
    assert!(page.contains("## What it does not do"));
}

fn put(request: &mut Request<axum::body::Body>, name: &'static str, value: &'static str) {
    let value = http::HeaderValue::from_static(value);
    request.headers_mut().insert(name, value);
}
