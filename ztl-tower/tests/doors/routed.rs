//! axum's router as a second witness, and routes held against rules.

use super::*;

use axum::body::Body;
use axum::extract::Path;
use axum::routing::{get, post};
use ztl_core::Reason;
use ztl_tower::{ActionPermit, Claims, Decision, Peer, assert_denied, assert_permitted, test};

pub(crate) const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"

[workloads]
cart = { id = "spiffe://prod.example/cart" }
shop = { id = "spiffe://prod.example/shop", ports = 8443 }

[[permit]]
name = "cart-reads"
from = "cart"
to = "shop"
actions = ["GET /v1/items/{id}", "GET /files/{*rest}", "GET /open"]
"#;

pub(crate) async fn shop() -> Guard {
    test::guard("shop", POLICY).await
}

pub(crate) fn cart() -> ztl_core::Peer {
    test::peer("spiffe://prod.example/cart")
}

pub(crate) fn ask(target: &str) -> Request<Body> {
    Request::get(target).body(Body::empty()).expect("request")
}

fn items() -> Router {
    let item = async |Path(id): Path<String>| id;
    Router::new().route("/items/{id}", get(item))
}

#[tokio::test]
async fn rule_49_the_layer_works_wherever_axum_takes_one() {
    let guard = shop().await;
    let judge = || guard.authorize();
    let v1 = |inner: Router| Router::new().nest("/v1", inner);
    let apps = [
        v1(items()),
        v1(items()).layer(judge()),
        v1(items()).route_layer(judge()),
        // Within a nested router the prefix is gone from the target; what axum matched says what was there.
        v1(items().layer(judge())),
        v1(items().route_layer(judge())).layer(judge()),
        Router::new().route(
            "/v1/items/{id}",
            get(async |Path(id): Path<String>| id).route_layer(judge()),
        ),
        Router::new().nest_service("/v1", items().layer(judge())),
    ];
    for (at, app) in apps.into_iter().enumerate() {
        let app = test::handshake(&guard, cart()).layer(app);
        let answer = app
            .clone()
            .oneshot(ask("/v1/items/a%20b"))
            .await
            .expect("answer");
        assert_permitted!(answer);
        assert_eq!(answer.status(), StatusCode::OK, "{at}");
        let body = axum::body::to_bytes(Body::new(answer.into_body()), 64).await;
        assert_eq!(body.expect("body"), "a b", "{at}");
        let answer = app.oneshot(ask("/v1/orders/7")).await.expect("answer");
        assert_denied!(answer, Reason::NoActionPermitted);
    }
}

#[tokio::test]
async fn rule_49_without_an_outer_judgement_a_nested_layer_sees_half_a_path_and_denies() {
    // A host that puts in the flow's permit and judges in a nested router alone.
    let guard = shop().await;
    let flow = Flow::ingress("shop", 8443, Arrival::unknown(), None);
    assert!(guard.engine().permit_flow(&flow, now()).is_err());
    let peer = cart();
    let flow = Flow::ingress("shop", 8443, Arrival::unknown(), Some(&peer));
    let permit = guard.engine().permit_flow(&flow, now()).expect("permit");
    let judge = || guard.authorize();
    let open = async || "open";
    let service = tower::service_fn(async |_: Request<Body>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::from("open")))
    });
    let apps = [
        Router::new().nest(
            "/v1",
            Router::new().route("/open", get(open)).layer(judge()),
        ),
        // axum says of none of these which path was matched.
        Router::new().nest("/v1", Router::new().fallback(open).layer(judge())),
        Router::new().nest_service("/v1", Router::new().fallback(open).layer(judge())),
        Router::new().nest_service("/v1", judge().layer(service)),
    ];
    for (at, app) in apps.into_iter().enumerate() {
        let mut request = ask("/v1/open");
        request.extensions_mut().insert(permit.clone());
        let host = "shop".parse().expect("host");
        request.headers_mut().insert("host", host);
        let answer = app.oneshot(request).await.expect("answer");
        // `GET /open` would be permitted.
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{at}");
    }
}

#[tokio::test]
async fn t19_what_is_rewritten_on_the_way_to_a_route_is_denied() {
    let guard = shop().await;
    let marker = Marker::default();
    let rewrite = |to: &'static str| {
        tower::util::MapRequestLayer::new(move |mut request: Request<Body>| {
            *request.uri_mut() = to.parse().expect("uri");
            request
        })
    };
    for to in ["/open", "/v1/items/8", "/v1/items/7?q", "/items/7/"] {
        // In front of the router, and of the layer.
        let inner = marker.app().layer(guard.authorize());
        let app = tower::ServiceBuilder::new()
            .layer(rewrite(to))
            .service(inner);
        let app = test::handshake(&guard, cart()).layer(app);
        let answer = app.oneshot(ask("/v1/items/7")).await.expect("answer");
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{to}");
    }
    // The router matched one route, and what is rewritten after it is another's.
    let route = get(async || "seven")
        .route_layer(guard.authorize())
        .route_layer(rewrite("/open"));
    let app = Router::new().route("/v1/items/{id}", route);
    let app = test::handshake(&guard, cart()).layer(app);
    let answer = app.oneshot(ask("/v1/items/7")).await.expect("answer");
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    // Within a nested router it is the same target, and asks for something else.
    for (name, value) in [("upgrade", "websocket"), ("authorization", "Bearer x")] {
        let adds = tower::util::MapRequestLayer::new(move |mut request: Request<Body>| {
            request
                .headers_mut()
                .insert(name, value.parse().expect("value"));
            request
        });
        let app = Router::new().nest("/v1", items().layer(guard.authorize()).layer(adds));
        let app = test::handshake(&guard, cart()).layer(app);
        let answer = app.oneshot(ask("/v1/items/7")).await.expect("answer");
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}");
    }
    assert_eq!(marker.calls(), 0);
}

#[tokio::test]
async fn rule_49_wildcards_and_fallbacks() {
    let guard = shop().await;
    let app = Router::new()
        .route("/files/{*rest}", get(async |Path(rest): Path<String>| rest))
        .fallback(async || (StatusCode::IM_A_TEAPOT, "fallback"))
        .layer(guard.authorize());
    let app = test::handshake(&guard, cart()).layer(app);
    for (path, status) in [
        ("/files/a/b%20c", 200),
        ("/open", 418),
        ("/files/a//b", 400),
        ("/files/a/%2e%2e/b", 400),
        ("/files", 403),
    ] {
        let answer = app.clone().oneshot(ask(path)).await.expect("answer");
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn a_layer_within_finds_the_permit_and_decides_nothing_again() {
    let audit = Arc::new(MemorySink::new(16));
    let guard = test::builder("shop", POLICY)
        .audit(Arc::clone(&audit))
        .build()
        .await
        .expect("guard");
    let app = Router::new()
        .nest("/v1", items().layer(guard.authorize()))
        .layer(guard.authorize());
    let app = test::handshake(&guard, cart()).layer(app);
    assert_permitted!(app.oneshot(ask("/v1/items/7")).await.expect("answer"));
    assert_eq!(
        reasons(&audit),
        ["permitted", "permitted"],
        "the flow and the action"
    );
}

#[tokio::test]
async fn extractors_give_what_was_judged_and_refuse_where_nothing_was() {
    let guard = shop().await;
    let audited =
        async |peer: Peer, permit: ActionPermit, decision: Decision, claims: Option<Claims>| {
            assert_eq!(permit.id(), decision.id());
            format!("{} {} {}", peer.id(), decision.rule(), claims.is_some())
        };
    let app = Router::new().route("/open", get(audited));
    let judged = test::handshake(&guard, cart()).layer(app);
    let answer = judged.oneshot(ask("/open")).await.expect("answer");
    let body = axum::body::to_bytes(Body::new(answer.into_body()), 128).await;
    assert_eq!(
        body.expect("body"),
        "spiffe://prod.example/cart cart-reads false"
    );
    // Law 1: a handler behind no layer at all is the service's own fault.
    let bare = Router::new()
        .route("/permit", get(async |_: ActionPermit| ()))
        .route("/decision", get(async |_: Decision| ()))
        .route("/claims", get(async |_: Claims| ()))
        .route("/peer", get(async |_: Peer| ()));
    for path in ["/permit", "/decision", "/claims", "/peer"] {
        let answer = bare.clone().oneshot(ask(path)).await.expect("answer");
        assert_eq!(answer.status().as_u16(), 500, "{path}");
    }
}

#[tokio::test]
async fn routes_and_rules_are_held_against_each_other() {
    let guard = shop().await;
    let complete = ["GET /v1/items/{item}", "GET /files/{*path}", "GET /open"];
    assert!(guard.check_routes(&complete).expect("routes").is_complete());
    let check = guard
        .check_routes(&[
            "GET /v1/items/{id}",
            "POST /v1/items",
            "grpc shop.Cart/Add",
            "websocket /open",
        ])
        .expect("routes");
    assert_eq!(check.unreached.len(), 3, "{check}");
    let idle: Vec<_> = check
        .idle
        .iter()
        .map(|one| one.action.to_string())
        .collect();
    assert_eq!(idle, ["GET /files/{*rest}", "GET /open"]);
    assert!(check.idle.iter().all(|one| &*one.rule == "cart-reads"));
    let error = guard.check_routes(&["FETCH /x"]).expect_err("a method");
    assert!(error.to_string().contains("`FETCH /x`"), "{error}");
}

#[tokio::test]
async fn a_router_that_records_its_routes_serves_them() {
    let guard = shop().await;
    let item = async |Path(id): Path<String>| id;
    let router = ztl_tower::axum::Router::new()
        .on("GET /v1/items/{id:int}", item)
        .and_then(|router| router.on("GET /open", async || "open"))
        .and_then(|router| router.on("websocket /watch", async || "watch"))
        .and_then(|router| router.on("grpc shop.Cart/Add", async || "add"))
        .expect("routes")
        .map(|router| router.fallback(post(async || "else")));
    assert_eq!(router.routes().len(), 4);
    let check = router.check(&guard).to_string();
    assert_eq!(
        check,
        "no rule permits the route `websocket /watch`\nno rule permits the route `grpc shop.Cart/Add`\n\
         no route serves `GET /files/{*rest}` of the rule `cart-reads`\n"
    );
    for action in ["any", "connect", "GET v1"] {
        let error = ztl_tower::axum::Router::<()>::new().on(action, async || ());
        assert!(error.is_err(), "{action}");
    }
    let app = router.into_inner();
    for (method, path, status) in [
        ("GET", "/v1/items/7", 200),
        ("HEAD", "/open", 200),
        ("PUT", "/open", 405),
        ("POST", "/shop.Cart/Add", 200),
        ("GET", "/watch", 200),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty());
        let answer = app
            .clone()
            .oneshot(request.expect("request"))
            .await
            .expect("answer");
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
    }
}
