//! What handlers of axum are given beside the judgement, and what is answered where they take what is not there.

use std::sync::Mutex;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use ztl_tower::{Claims, Peer, test};

use super::*;

const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"
[workloads]
cart = { id = "spiffe://prod.example/cart" }
shop = { id = "spiffe://prod.example/shop", ports = 8443, public_ports = 8444 }
[[permit]]
from = "cart"
to = "shop"
actions = ["GET /{*rest}"]
[[permit]]
from = "public"
to = "shop"
anonymous = true
actions = ["GET,HEAD /{*rest}", "grpc shop.Cart/*"]
"#;

fn app() -> Router {
    Router::new()
        .route("/claims", get(async |_: Claims| ""))
        .route("/peer", get(async |_: Peer| ""))
        .route("/shop.Cart/Claims", post(async |_: Claims| ""))
}

/// Status, challenge, kind of content and content of what an anonymous caller is told.
async fn told(guard: &Guard, request: http::request::Builder) -> (u16, [String; 4]) {
    let app = test::public(guard).layer(app());
    let request = request.body(Body::empty()).expect("request");
    let answer = app.oneshot(request).await.expect("answer");
    let field = |name: &str| {
        let field = answer.headers().get(name);
        field.map_or("", |it| it.to_str().expect("text")).to_owned()
    };
    let fields = ["www-authenticate", "content-type", "grpc-status"].map(field);
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(Body::new(answer.into_body()), 4096);
    let body = String::from_utf8(body.await.expect("body").to_vec()).expect("text");
    let [challenge, kind, grpc] = fields;
    (status, [challenge, kind, grpc, body])
}

#[tokio::test]
async fn law_7_what_a_handler_lacks_is_refused_as_everything_else_is() {
    let metadata = "https://shop.example/metadata".parse().expect("uri");
    let audit = Arc::new(MemorySink::new(64));
    let builder = || test::builder("shop", POLICY).audit(Arc::clone(&audit));
    let guard = builder().resource_metadata(&metadata).build();
    let guard = guard.await.expect("a guard");
    let challenge = "Bearer resource_metadata=\"https://shop.example/metadata\"";

    let (status, [says, kind, _, body]) = told(&guard, Request::get("/claims")).await;
    assert_eq!((status, &*says), (401, challenge));
    assert_eq!(kind, "application/problem+json");
    let problem: serde_json::Value = serde_json::from_str(&body).expect("json");
    assert_eq!(problem["status"], 401);
    let id = problem["decision"].as_str().expect("a decision");
    let lines = audit.lines();
    assert!(lines.iter().any(|line| line.contains(id)), "it is recorded");

    let (status, [says, kind, _, body]) = told(&guard, Request::get("/peer")).await;
    assert_eq!(
        (status, &*says, &*kind),
        (403, "", "application/problem+json")
    );
    assert!(body.contains("\"decision\""), "{body}");
    let (status, [says, _, _, body]) = told(&guard, Request::head("/claims")).await;
    assert_eq!((status, &*says, &*body), (401, challenge, ""));
    let grpc = Request::post("/shop.Cart/Claims").header("content-type", "application/grpc");
    let (status, [says, kind, grpc, _]) = told(&guard, grpc).await;
    assert_eq!((status, &*kind, &*grpc), (200, "application/grpc", "16"));
    assert_eq!(says, challenge);

    let guard = builder().refusals_without_bodies().build();
    let guard = guard.await.expect("a guard");
    let (status, [says, kind, _, body]) = told(&guard, Request::get("/claims")).await;
    assert_eq!((status, &*says, &*kind, &*body), (401, "Bearer", "", ""));
}

#[tokio::test]
async fn rule_50_a_handler_that_lacks_a_peer_is_as_one_that_is_not_there() {
    let guard = test::builder("shop", POLICY).uniform_refusals().build();
    let guard = guard.await.expect("a guard");
    let alike = |(status, [says, kind, grpc, body]): (u16, [String; 4])| {
        let mut problem: serde_json::Value = serde_json::from_str(&body).expect("json");
        problem["decision"].take();
        (status, says, kind, grpc, problem)
    };
    let lacks = alike(told(&guard, Request::get("/peer")).await);
    assert_eq!(lacks.0, 404);
    assert_eq!(lacks, alike(told(&guard, Request::get("/nothing")).await));
}

/// Which callers a handler was told of.
type Seen = Arc<Mutex<Vec<Option<SocketAddr>>>>;

fn notes(seen: &Seen) -> Router {
    let seen = Arc::clone(seen);
    let handler = async move |info: Option<axum::Extension<ConnectInfo<SocketAddr>>>| {
        let from = info.map(|axum::Extension(ConnectInfo(from))| from);
        seen.lock().expect("lock").push(from);
    };
    Router::new().route("/seen", get(handler)).route(
        "/taken",
        get(async |ConnectInfo(from): ConnectInfo<SocketAddr>| from.to_string()),
    )
}

#[tokio::test]
async fn handlers_are_told_the_address_of_their_caller_and_serving_can_be_spawned() {
    let (listener, address) = listener().await;
    let policy = POLICY.replace("8443", &address.port().to_string());
    let mesh = Mesh::new(&policy);
    let (guard, _audit) = mesh.guard("shop", "/shop").await;
    let seen = Seen::default();
    // Borrows nothing of the guard.
    let serving = tokio::spawn(guard.serve_listener(listener, notes(&seen)));
    let cart = mesh.svid("/cart");
    for alpn in ["h2", "http/1.1"] {
        let stream = support::raw_connect(address, None, Some(&cart), alpn.as_bytes());
        let stream = stream.await.expect("connect");
        let from = stream.get_ref().0.local_addr().expect("address");
        let request = match alpn {
            "h2" => get2("/taken"),
            _ => get1("/taken").header("x-forwarded-for", "192.0.2.1"),
        };
        let request = request.body(Empty::<Bytes>::new()).expect("request");
        let answer = support::raw_request(stream, request).await.expect("answer");
        assert_eq!(answer.status().as_u16(), 200, "{alpn}");
        assert_eq!(answer.into_body(), from.to_string().as_bytes(), "{alpn}");
    }
    guard.shutdown();
    serving.await.expect("no panic").expect("in good order");

    // An address that a `String` holds is kept by what is served, and one that is borrowed is no hindrance to waiting in place.
    let again = format!("127.0.0.1:{}", address.port());
    let spawned = tokio::spawn(guard.serve(again.clone(), notes(&seen)));
    spawned.await.expect("no panic").expect("it is over");
    guard
        .serve(&*again, notes(&seen))
        .await
        .expect("it is over");
    let run = tokio::spawn(guard.run(notes(&seen)));
    run.await.expect("no panic").expect_err("no listener");
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_tells_of_no_address() {
    let mesh = Mesh::new(POLICY);
    let (guard, _audit) = mesh.guard("shop", "/shop").await;
    let folder = folder::Folder::new("connect-info");
    let socket = folder.0.join("socket");
    let seen = Seen::default();
    let serving = {
        // A path that is borrowed for the call alone.
        let path = socket.clone();
        tokio::spawn(guard.serve_unix(path.as_path(), 8443, notes(&seen)))
    };
    until("it is bound", || socket.exists()).await;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(support::raw_config(
        Some(&mesh.svid("/cart")),
        b"http/1.1",
    )));
    let stream = tokio::net::UnixStream::connect(&socket).await.expect("it");
    let name = rustls_pki_types::ServerName::try_from(support::HOST).expect("name");
    let stream = connector.connect(name, stream).await.expect("handshake");
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, open) = hyper::client::conn::http1::handshake(io).await.expect("it");
    tokio::spawn(open);
    let request = get1("/seen").body(Empty::<Bytes>::new()).expect("request");
    let answer = sender.send_request(request).await.expect("answer");
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(*seen.lock().expect("lock"), [None]);
    guard.shutdown();
    drop(sender);
    serving.await.expect("no panic").expect("in good order");
}
