//! What a caller is told: each row of the table of answers, and how much of it can be switched off.

use super::*;

use axum::body::Body;
use ztl_core::Reason;
use ztl_tower::{Refused, assert_denied, assert_permitted, test};

const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"

[workloads]
cart = { id = "spiffe://prod.example/cart" }
shop = { id = "spiffe://prod.example/shop", ports = 8443, hosts = ["shop.example"] }

[issuers.corp]
issuer = "https://idp.example"
audience = "shop"

[[permit]]
name = "reads"
from = "cart"
to = "shop"
actions = ["GET,POST /v1/{*rest}", "grpc shop.Cart/*"]
[[permit]]
name = "writes"
from = "cart"
to = "shop"
actions = ["PUT /scoped"]
require = { token = { issuer = "corp", scopes = ["write", "admin"] } }
[[permit]]
name = "signs"
from = "cart"
to = "shop"
actions = ["PUT /strong"]
require = { token = { issuer = "corp" }, mfa = "phishing-resistant" }
"#;

struct Shop {
    guard: Guard,
    audit: Arc<MemorySink>,
    issuer: DevIssuer,
}

async fn shop(with: impl FnOnce(GuardBuilder) -> GuardBuilder) -> Shop {
    let issuer = DevIssuer::new("https://idp.example").expect("issuer");
    let tokens = verifier(&issuer, "shop");
    let audit = Arc::new(MemorySink::new(64));
    let builder = test::builder("shop", POLICY).audit(Arc::clone(&audit));
    let guard = with(builder.token_verifier(tokens))
        .build()
        .await
        .expect("guard");
    Shop {
        guard,
        audit,
        issuer,
    }
}

/// What came back.
#[derive(Debug)]
struct Told {
    response: http::Response<()>,
    body: String,
}

impl Told {
    fn field(&self, name: &str) -> &str {
        let field = self.response.headers().get(name);
        field.map_or("", |field| field.to_str().expect("text"))
    }

    fn id(&self) -> String {
        let refused = self.response.extensions().get::<Refused>();
        refused.expect("refused").denial().id().to_string()
    }
}

/// Takes longer than a step to find nothing.
async fn slow() -> StatusCode {
    tokio::time::sleep(Duration::from_millis(12)).await;
    StatusCode::NOT_FOUND
}

impl Shop {
    fn token(&self, acr: &str) -> String {
        let claims = json!({ "sub": "a", "aud": "shop", "exp": now().as_unix_secs() + 60, "scope": "read", "acr": acr });
        format!("Bearer {}", self.issuer.sign(claims).expect("token"))
    }

    async fn ask(&self, request: http::request::Builder) -> Told {
        let app = Router::new()
            .route("/v1/items", axum::routing::get(async || "items"))
            .route(
                "/v1/gone",
                axum::routing::get(async || (StatusCode::NOT_FOUND, "gone")),
            )
            .route("/v1/slow", axum::routing::get(slow))
            .route("/shop.Cart/{method}", axum::routing::post(unimplemented));
        let cart = test::peer("spiffe://prod.example/cart");
        let app = test::handshake(&self.guard, cart)
            .asking_for("shop")
            .layer(app);
        let request = request.body(Body::empty()).expect("request");
        let (parts, body) = app.oneshot(request).await.expect("answer").into_parts();
        let body = axum::body::to_bytes(Body::new(body), 4096)
            .await
            .expect("body");
        Told {
            response: http::Response::from_parts(parts, ()),
            body: String::from_utf8(body.to_vec()).expect("text"),
        }
    }
}

/// As tonic answers for a method that nobody serves.
async fn unimplemented() -> ([(&'static str, &'static str); 2], ()) {
    (
        [("content-type", "application/grpc"), ("grpc-status", "12")],
        (),
    )
}

const METADATA: &str = "https://shop.example/.well-known/oauth-protected-resource";

#[tokio::test]
async fn rule_50_each_refusal_has_its_status() {
    let shop = shop(|builder| builder.resource_metadata(&METADATA.parse().expect("uri"))).await;
    let metadata = format!("resource_metadata=\"{METADATA}\"");
    let (weak, put) = (shop.token("0"), |path: &str| Request::put(path));
    let bearer = |path: &str, token: &str| put(path).header("authorization", token);
    let rows = [
        // 400: two readings.
        (Request::get("/v1//items"), 400, String::new()),
        (
            Request::get("https://shop/v1/items").header("host", "other"),
            400,
            String::new(),
        ),
        // 421: another host than that of the connection, or than those listed.
        (
            Request::get("/v1/items").header("host", "other"),
            421,
            String::new(),
        ),
        (
            Request::get("/v1/items").header("host", "shop.example"),
            421,
            String::new(),
        ),
        // 401: no token, a bad one, a weak login (RFC 6750 §3, RFC 9470 §3, RFC 9728 §5.1).
        (put("/scoped"), 401, format!("Bearer {metadata}")),
        (
            bearer("/scoped", "Bearer x"),
            401,
            format!("Bearer error=\"invalid_token\", {metadata}"),
        ),
        (
            bearer("/strong", &weak),
            401,
            format!(
                "Bearer error=\"insufficient_user_authentication\", acr_values=\"phrh phr\", {metadata}"
            ),
        ),
        // 403: a scope is lacking, all of them told at once; or simply not permitted.
        (
            bearer("/scoped", &weak),
            403,
            format!("Bearer error=\"insufficient_scope\", scope=\"write admin\", {metadata}"),
        ),
        (Request::delete("/v1/items"), 403, String::new()),
    ];
    for (request, status, challenge) in rows {
        let told = shop.ask(request).await;
        let at = format!("{status} {challenge}");
        assert_eq!(told.response.status().as_u16(), status, "{at}");
        assert_eq!(told.field("www-authenticate"), challenge, "{at}");
        assert_eq!(
            told.field("content-type"),
            "application/problem+json",
            "{at}"
        );
        assert_eq!(told.field("cache-control"), "no-store", "{at}");
        let problem: serde_json::Value = serde_json::from_str(&told.body).expect("json");
        assert_eq!(problem["status"], status, "{at}");
        assert_eq!(problem["decision"], told.id(), "{at}");
        assert_eq!(
            problem.as_object().expect("object").len(),
            4,
            "T30, law 7: {problem}"
        );
        // The id finds the record, as `ztl explain --id` does.
        let id = format!("\"id\":\"{}\"", told.id());
        assert!(
            shop.audit.lines().iter().any(|line| line.contains(&id)),
            "{at}"
        );
    }
}

#[tokio::test]
async fn a_grpc_caller_is_told_a_grpc_status() {
    let shop = shop(|builder| builder).await;
    let grpc = |request: http::request::Builder| request.header("content-type", "application/grpc");
    let bad = "Bearer x";
    for (request, status) in [
        (Request::post("/v1//items"), "3"),
        (Request::post("/v1/items").header("host", "other"), "3"),
        (Request::put("/scoped").header("authorization", bad), "16"),
        (Request::post("/other.Cart/Add"), "7"),
    ] {
        let told = shop.ask(grpc(request)).await;
        assert_eq!(told.response.status(), StatusCode::OK);
        assert_eq!(told.field("content-type"), "application/grpc");
        assert_eq!(told.field("grpc-status"), status);
        assert_eq!(
            told.field("grpc-message"),
            format!("denied, decision {}", told.id())
        );
        assert_eq!(told.body, "");
    }
}

#[tokio::test]
async fn the_problem_document_can_be_switched_off() {
    let shop = shop(GuardBuilder::refusals_without_bodies).await;
    let told = shop.ask(Request::delete("/v1/items")).await;
    assert_eq!((told.response.status().as_u16(), &*told.body), (403, ""));
    assert_eq!(told.field("content-type"), "");
    // Outer layers still know.
    assert!(!told.id().is_empty());
    let grpc = Request::post("/other.Cart/Add").header("content-type", "application/grpc");
    let told = shop.ask(grpc).await;
    assert_eq!(
        (told.field("grpc-status"), told.field("grpc-message")),
        ("7", "")
    );
}

#[tokio::test]
async fn rule_50_uniform_refusals_look_like_routes_that_are_not_there() {
    let shop = shop(GuardBuilder::uniform_refusals).await;
    let shape = |told: &Told| {
        let id = told.body.rsplit('"').nth(1).expect("an id").to_owned();
        let fields: Vec<_> = told
            .response
            .headers()
            .keys()
            .map(ToString::to_string)
            .collect();
        (told.response.status(), told.body.replace(&id, "ID"), fields)
    };
    let denied = shop.ask(Request::delete("/v1/items")).await;
    assert_denied!(denied.response, Reason::NoActionPermitted);
    let hidden = shape(&denied);
    assert_eq!(hidden.0, StatusCode::NOT_FOUND);
    // No route, and a route without the method.
    for request in [Request::get("/v1/nothing"), Request::post("/v1/items")] {
        let told = shop.ask(request).await;
        assert_permitted!(told.response);
        assert_eq!(shape(&told), hidden);
    }
    // A handler's own answer with content is its own; what a caller can mend is still said.
    assert_eq!(shop.ask(Request::get("/v1/gone")).await.body, "gone");
    assert_eq!(shop.ask(Request::get("/v1/items")).await.body, "items");
    let unauthorized = shop.ask(Request::put("/scoped")).await;
    assert_eq!(unauthorized.response.status(), StatusCode::UNAUTHORIZED);
    // gRPC: a method that is not implemented.
    let grpc = |path: &str| Request::post(path).header("content-type", "application/grpc");
    let known = shop.ask(grpc("/shop.Cart/None")).await;
    let other = shop.ask(grpc("/other.Cart/Add")).await;
    for told in [&known, &other] {
        assert_eq!(told.field("grpc-status"), "12");
        assert!(told.field("grpc-message").starts_with("denied, decision "));
    }
    assert_eq!(
        known.response.headers().keys().collect::<Vec<_>>(),
        other.response.headers().keys().collect::<Vec<_>>()
    );
}

/// Both go out at the end of a step of 10 ms that their request began, however long it took to find out; nothing else waits.
#[tokio::test]
async fn rule_50_uniform_refusals_take_as_long_as_routes_that_are_not_there() {
    let uniform = shop(GuardBuilder::uniform_refusals).await;
    let grpc = |path: &str| Request::post(path).header("content-type", "application/grpc");
    for (request, status, least) in [
        (Request::delete("/v1/items"), 404, 10),
        (Request::get("/v1/nothing"), 404, 10),
        (Request::post("/v1/items"), 404, 10),
        (grpc("/shop.Cart/None"), 200, 10),
        (grpc("/other.Cart/Add"), 200, 10),
        (Request::get("/v1/slow"), 404, 20),
    ] {
        let asked = format!("{request:?}");
        let since = tokio::time::Instant::now();
        let told = uniform.ask(request).await.response.status();
        assert_eq!(told.as_u16(), status, "{asked}");
        assert!(since.elapsed() >= Duration::from_millis(least), "{asked}");
    }
    for (request, status) in [
        (Request::get("/v1/items"), 200),
        (Request::get("/v1/gone"), 404),
        (Request::put("/scoped"), 401),
    ] {
        let asked = format!("{request:?}");
        assert_eq!(at_once(&uniform, request).await, Some(status), "{asked}");
    }
    let other = shop(|builder| builder).await;
    let denied = at_once(&other, Request::delete("/v1/items")).await;
    assert_eq!(denied, Some(403));
}

/// A layer in another holds by the clock of that one, or what the inner one hides would go out later than what the outer one does.
#[tokio::test]
async fn rule_50_layers_in_each_other_hold_by_one_clock() {
    let shop = shop(GuardBuilder::uniform_refusals).await;
    // Between both something takes a while, as a judgement on other threads does.
    let late = async |request: axum::extract::Request, next: axum::middleware::Next| {
        tokio::time::sleep(Duration::from_millis(6)).await;
        next.run(request).await
    };
    let inner = Router::new().layer(shop.guard.authorize());
    let inner = inner.layer(axum::middleware::from_fn(late));
    let cart = test::peer("spiffe://prod.example/cart");
    let layer = test::handshake(&shop.guard, cart).asking_for("shop");
    let app = layer.layer(inner);
    // By a clock of its own the inner one would hold for 10 of 16 ms, however idle the machine is.
    for _ in 0..50 {
        let since = tokio::time::Instant::now();
        let request = Request::get("/v1/nothing").body(Body::empty());
        let told = app.clone().oneshot(request.expect("request")).await;
        let told = told.expect("answer");
        assert_permitted!(told);
        assert_eq!(told.status(), StatusCode::NOT_FOUND);
        let took = since.elapsed();
        assert!(took >= Duration::from_millis(10), "{took:?}");
        if took < Duration::from_millis(16) {
            return;
        }
    }
    panic!("each took as long as by two clocks");
}

/// The status of an answer that waits for nothing.
async fn at_once(shop: &Shop, request: http::request::Builder) -> Option<u16> {
    let told = tokio::time::timeout(Duration::ZERO, shop.ask(request)).await;
    told.ok().map(|told| told.response.status().as_u16())
}
