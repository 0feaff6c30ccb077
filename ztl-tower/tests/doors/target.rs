//! What a request asks for: its host, its method, its upgrade, its fields one by one, its trailers.

use super::*;

use axum::body::Body;
use http_body_util::BodyExt;
use ztl_core::Reason;
use ztl_tower::{assert_denied, assert_permitted, test};

#[tokio::test]
async fn t21_over_the_wire_a_host_that_the_handshake_did_not_name_is_misdirected() {
    let run = running(Duration::from_secs(5)).await;
    let svid = run.mesh.svid("/caller");
    // The handshake of these clients names `a`.
    for (alpn, request) in [
        (&b"h2"[..], Request::get("https://other/v1/x")),
        (b"http/1.1", Request::get("/v1/x").header("host", "other")),
        (
            b"http/1.1",
            Request::get("/v1/x").header("host", "127.0.0.1"),
        ),
    ] {
        let answer = knock(run.mutual, None, Some(&svid), alpn, request)
            .await
            .expect("answer");
        assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST);
    }
    assert_eq!(
        reasons(&run.audit)
            .iter()
            .filter(|it| *it == "misdirected")
            .count(),
        3
    );
    let good = Request::get("/v1/x").header("host", "A.:1");
    let answer = knock(run.mutual, None, Some(&svid), b"http/1.1", good)
        .await
        .expect("answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(run.marker.calls(), 1);
}

const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"
[workloads]
cart = { id = "spiffe://prod.example/cart" }
shop = { id = "spiffe://prod.example/shop", ports = 8443 }
[[permit]]
name = "reads"
from = "cart"
to = "shop"
actions = ["GET /get", "GET,HEAD /both", "GET /chat", "websocket /ws", "upgrade:h2c /up", "any"]
[[permit]]
name = "roles"
from = "cart"
to = "shop"
actions = ["HEAD /role"]
require = { headers = { x-role = ["reader", "writer"] } }
[[forbid]]
name = "no-secrets"
from = "cart"
to = "shop"
actions = ["GET /secret", "grpc shop.Cart/Drop"]
"#;

#[tokio::test]
async fn rules_44_45_t20_a_method_or_an_upgrade_is_what_a_rule_names_or_nothing() {
    let guard = test::guard("shop", POLICY).await;
    let marker = Marker::default();
    let app = test::handshake(&guard, test::peer("spiffe://prod.example/cart")).layer(marker.app());
    let mut served = 0;
    for (method, path, upgrade, outcome) in [
        ("GET", "/get", "", None),
        ("HEAD", "/both", "", None),
        // HEAD has to be named beside `any` too, and a forbid of GET covers it.
        ("HEAD", "/get", "", Some(Reason::NoActionPermitted)),
        ("HEAD", "/secret", "", Some(Reason::Forbidden)),
        ("GET", "/chat", "websocket", Some(Reason::NoActionPermitted)),
        ("GET", "/ws", "WebSocket", None),
        ("POST", "/ws", "websocket", Some(Reason::NoActionPermitted)),
        ("GET", "/up", "h2c", None),
        ("GET", "/up", "tls", Some(Reason::NoActionPermitted)),
        ("GET", "/secret", "websocket", Some(Reason::Forbidden)),
        // `any` names methods that a rule can name alone.
        ("TRACE", "/get", "", Some(Reason::NoActionPermitted)),
        ("get", "/get", "", Some(Reason::PathAmbiguous)),
        ("CONNECT", "shop:443", "", Some(Reason::PathAmbiguous)),
        // T20: the method in another dress.
        ("PUT", "/shop.Cart/Drop", "", Some(Reason::Forbidden)),
    ] {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "shop");
        if method == "CONNECT" {
            request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", path);
        }
        if !upgrade.is_empty() {
            request = request
                .header("connection", "upgrade")
                .header("upgrade", upgrade);
        }
        let request = request.body(Body::empty()).expect("request");
        let answer = app.clone().oneshot(request).await.expect("answer");
        match outcome {
            None => {
                assert_permitted!(answer);
                served += 1;
            }
            Some(reason) => assert_denied!(answer, reason),
        }
        assert_eq!(marker.calls(), served, "{method} {path} {upgrade}");
    }
}

/// The path of a WebSocket whose service also answers plain requests there.
#[tokio::test]
async fn t20_who_may_open_a_websocket_is_not_served_the_page_of_the_same_path() {
    let guard = test::guard("shop", POLICY).await;
    let caller = test::handshake(&guard, test::peer("spiffe://prod.example/cart"));
    let app = |status: StatusCode| {
        let answers = move || async move { (status, "the page") };
        caller.layer(Router::new().fallback(answers))
    };
    let ask = |path: &str, upgrade: &'static str| {
        Request::get(path)
            .header("host", "shop")
            .header("connection", "Upgrade")
            .header("upgrade", upgrade)
            .body(Body::empty())
            .expect("request")
    };
    for status in [StatusCode::OK, StatusCode::NO_CONTENT] {
        let answer = app(status).oneshot(ask("/ws", "WebSocket")).await;
        assert_denied!(answer.expect("answer"), Reason::NotJudged);
    }
    // That it opens none, or that it does.
    for status in [
        StatusCode::SWITCHING_PROTOCOLS,
        StatusCode::NOT_FOUND,
        StatusCode::FOUND,
    ] {
        let answer = app(status).oneshot(ask("/ws", "websocket")).await;
        assert_eq!(answer.expect("answer").status(), status);
    }
    // Whoever offers another protocol takes a plain answer as well.
    let answer = app(StatusCode::OK).oneshot(ask("/up", "h2c")).await;
    assert_permitted!(answer.expect("answer"));
    // RFC 8441: this is how one is opened.
    let mut extended = Request::builder().method("CONNECT").uri("https://shop/ws");
    let opens = hyper::ext::Protocol::from_static("websocket");
    extended.extensions_mut().expect("extensions").insert(opens);
    let extended = extended.version(http::Version::HTTP_2).body(Body::empty());
    let answer = app(StatusCode::OK)
        .oneshot(extended.expect("request"))
        .await;
    assert_permitted!(answer.expect("answer"));
}

#[tokio::test]
async fn rule_43_each_value_of_a_repeated_field_has_to_be_among_those_of_the_rule() {
    let guard = test::guard("shop", POLICY).await;
    let app = test::handshake(&guard, test::peer("spiffe://prod.example/cart"))
        .layer(Marker::default().app());
    for (values, permitted) in [
        (&["reader"][..], true),
        (&["reader", "writer"], true),
        (&["reader", "root"], false),
        (&["root", "reader"], false),
        // A list in one line is one value.
        (&["reader, writer"], false),
        (&["Reader"], false),
        (&[], false),
    ] {
        let mut request = Request::head("/role");
        for value in values {
            request = request.header("X-Role", *value);
        }
        let request = request.body(Body::empty()).expect("request");
        let answer = app.clone().oneshot(request).await.expect("answer");
        assert_eq!(answer.status().is_success(), permitted, "{values:?}");
    }
}

/// A body that ends in one trailer field of so many bytes.
fn with_trailer(bytes: usize) -> Frames {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-sum", "s".repeat(bytes).parse().expect("value"));
    let data = http_body::Frame::data(Bytes::from_static(b"data"));
    Frames(vec![http_body::Frame::trailers(trailers), data])
}

/// Frames, the last first.
struct Frames(Vec<http_body::Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(self.0.pop().map(Ok))
    }
}

#[tokio::test]
async fn trailers_are_bounded_and_no_rule_reads_them() {
    let (listener, at) = listener().await;
    let mesh = Mesh::new(&super::policy(at.port(), 1));
    let audit = Arc::new(MemorySink::new(100));
    let builder = mesh.builder("gateway", "/gateway", &audit);
    let builder = builder.token_verifier(some_verifier("gateway"));
    let guard = builder.build().await.expect("guard");
    // What the service got of the trailers.
    let app = Router::new().fallback(async |request: axum::extract::Request| {
        match request.into_body().collect().await {
            Ok(body) => body
                .trailers()
                .map_or(0, |all| all.get("x-sum").map_or(0, |sum| sum.len()))
                .to_string(),
            Err(_) => "broken".to_owned(),
        }
    });
    serve(&guard, listener, app);
    let svid = mesh.svid("/caller");
    for alpn in [&b"h2"[..], b"http/1.1"] {
        for (bytes, whole) in [(1000, true), (64 * 1024, false)] {
            let stream = support::raw_connect(at, None, Some(&svid), alpn)
                .await
                .expect("stream");
            let request = match alpn {
                b"h2" => Request::get("https://a/v1/x"),
                _ => Request::get("/v1/x")
                    .header("host", support::HOST)
                    .header("trailer", "x-sum")
                    .header("transfer-encoding", "chunked"),
            };
            let request = request.body(with_trailer(bytes)).expect("request");
            let answer =
                tokio::time::timeout(support::PATIENCE, support::raw_request(stream, request))
                    .await
                    .expect("in time");
            let body = answer.map(|answer| answer.into_body());
            let is_whole = body.as_ref().is_ok_and(|body| *body == bytes.to_string());
            assert_eq!(
                is_whole,
                whole,
                "{} {bytes}: {body:?}",
                String::from_utf8_lossy(alpn)
            );
        }
    }
}
