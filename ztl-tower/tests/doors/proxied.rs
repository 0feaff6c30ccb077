//! Whom a proxy passes on: read from that proxy alone, in that field alone, and taken away from everybody else (T12).

use super::*;

use axum::body::Body;
use ztl_core::Reason;
use ztl_tower::{assert_denied, assert_permitted, test};

const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"
trust_domain_aliases = ["old.example"]

[workloads.shop]
id = "spiffe://prod.example/shop"
ports = 8443
[workloads.front]
id = "spiffe://prod.example/front"
forwards = ["cart", "bad", "spiffe://prod.example/edge/**"]
forwards_in = "xfcc"
[workloads.hop]
id = "spiffe://prod.example/hop"
forwards = "any"
forwards_in = "forwarded"
[workloads.quiet]
id = "spiffe://prod.example/quiet"
forwards = "any"
[workloads.cart]
id = "spiffe://prod.example/cart"
[workloads.bad]
id = "spiffe://prod.example/bad"

[[permit]]
name = "through-proxies"
from = ["front", "hop", "quiet", "cart"]
to = "shop"
actions = ["GET /open"]
[[permit]]
name = "carts-through-proxies"
from = ["front", "hop", "quiet", "cart"]
subject = "cart"
to = "shop"
actions = ["GET /cart"]
[[permit]]
name = "by-field"
from = ["front", "quiet"]
to = "shop"
actions = ["GET /field"]
require = { headers = { x-forwarded-client-cert = ["x"] } }
[[forbid]]
name = "nothing-bad"
from = "bad"
to = "shop"
"#;

/// What the service saw of both fields.
fn app() -> Router {
    Router::new().fallback(async |headers: http::HeaderMap| {
        format!(
            "{} {}",
            // By whatever name CGI would take for it.
            (headers.keys()).any(|name| ztl_core::is_same_field(name.as_str().as_bytes(), XFCC)),
            headers.contains_key("forwarded")
        )
    })
}

struct Asked {
    guard: Guard,
}

impl Asked {
    async fn by(&self, peer: &str, path: &str, fields: &[(&str, &str)]) -> http::Response<Body> {
        let mut request = Request::get(path);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("request");
        let peer = test::peer(&format!("spiffe://prod.example/{peer}"));
        let app = test::handshake(&self.guard, peer).layer(app());
        app.oneshot(request).await.expect("answer").map(Body::new)
    }
}

async fn asked() -> Asked {
    let builder = test::builder("shop", POLICY).token_verifier(some_verifier("shop"));
    let guard = builder.build().await.expect("guard");
    Asked { guard }
}

const XFCC: &str = "x-forwarded-client-cert";

fn element(by: &str, client: &str) -> String {
    format!(
        "By=spiffe://prod.example/{by};Hash=00;Subject=\"CN=a,b\";URI=spiffe://prod.example/{client}"
    )
}

#[tokio::test]
async fn t12_a_named_proxy_passes_its_client_on() {
    let asked = asked().await;
    let cart = element("front", "cart");
    assert_permitted!(asked.by("front", "/cart", &[(XFCC, &cart)]).await);
    // Others wrote what stands before.
    let longer = format!("{},{cart}", element("x", "bad"));
    assert_permitted!(asked.by("front", "/cart", &[(XFCC, &longer)]).await);
    // Rule 28: the id in an alias is the same one's.
    let alias = cart.replace("URI=spiffe://prod.example", "URI=spiffe://old.example");
    assert_permitted!(asked.by("front", "/cart", &[(XFCC, &alias)]).await);
    // A forbidden workload does not come in through a proxy.
    let bad = element("front", "bad");
    let answer = asked.by("front", "/open", &[(XFCC, &bad)]).await;
    assert_denied!(answer, Reason::Forbidden, rule = "nothing-bad");
    // Without anybody passed on the proxy speaks for itself.
    assert_permitted!(asked.by("front", "/open", &[]).await);
    assert_denied!(
        asked.by("front", "/cart", &[]).await,
        Reason::EvidenceMissing
    );
    // RFC 7239, in the proxy's own field.
    let forwarded = "for=192.0.2.1;spiffe=\"spiffe://prod.example/cart\"";
    assert_permitted!(asked.by("hop", "/cart", &[("forwarded", forwarded)]).await);
    let lines = [
        ("forwarded", "spiffe=\"spiffe://prod.example/bad\""),
        ("forwarded", forwarded),
    ];
    assert_permitted!(asked.by("hop", "/cart", &lines).await);
}

#[tokio::test]
async fn t12_what_cannot_be_read_or_may_not_be_passed_on_is_denied() {
    let asked = asked().await;
    let twice = element("front", "cart");
    for fields in [
        // Not the proxy's own words: its `By` is somebody else.
        vec![(XFCC, element("other", "cart"))],
        vec![(XFCC, "URI=spiffe://prod.example/cart".to_owned())],
        vec![(XFCC, "By=spiffe://prod.example/front;Hash=00".to_owned())],
        vec![(XFCC, "nonsense".to_owned())],
        vec![(XFCC, String::new())],
        vec![(XFCC, twice.clone()), (XFCC, twice)],
        // Not among its `forwards`.
        vec![(XFCC, element("front", "shop"))],
        vec![(XFCC, element("front", "front"))],
        // A proxy behind a proxy would hide whom it speaks for.
        vec![(XFCC, element("front", "hop"))],
    ] {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        let answer = asked.by("front", "/open", &fields).await;
        assert_denied!(answer, Reason::ForwardedUntrusted);
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn t12_nobody_else_s_field_is_read_or_handed_on() {
    let asked = asked().await;
    let forged = element("front", "cart");
    let forwarded = "spiffe=\"spiffe://prod.example/cart\"";
    let cgi = [
        ("x_forwarded_client_cert", &*forged),
        ("x-forwarded_client-cert", &*forged),
    ];
    for peer in ["cart", "quiet", "front", "hop"] {
        let answer = asked.by(peer, "/open", &cgi).await;
        let body = axum::body::to_bytes(answer.into_body(), 64)
            .await
            .expect("body");
        assert_eq!(body, "false false", "{peer}");
    }
    let fields = [(XFCC, &*forged), ("forwarded", forwarded)];
    for (peer, seen) in [
        ("cart", "false false"),
        ("quiet", "false false"),
        ("front", "true false"),
        ("hop", "false true"),
    ] {
        let answer = asked.by(peer, "/open", &fields).await;
        assert_permitted!(answer);
        let body = axum::body::to_bytes(answer.into_body(), 64)
            .await
            .expect("body");
        assert_eq!(body, seen, "{peer}");
    }
    // `forwards` alone names no field.
    let answer = asked.by("quiet", "/cart", &fields).await;
    assert_denied!(answer, Reason::EvidenceMissing);
    // Nor does a rule see such a field of somebody who does not pass ids on in it.
    let answer = asked.by("quiet", "/field", &[(XFCC, "x")]).await;
    assert_denied!(answer, Reason::EvidenceMissing);
}

#[tokio::test]
async fn law_8_t12_a_request_of_a_client_that_is_forbidden_meanwhile_is_cut() {
    let (listener, at) = listener().await;
    let mesh = Mesh::new(&POLICY.replace("8443", &at.port().to_string()));
    let audit = Arc::new(MemorySink::new(100));
    let builder = mesh.builder("shop", "/shop", &audit);
    let guard = builder
        .token_verifier(some_verifier("shop"))
        .build()
        .await
        .expect("guard");
    let marker = Marker::default();
    let begun = marker.clone();
    let app = Router::new().fallback(async move || {
        let _ = begun.app().oneshot(Request::new(Body::empty())).await;
        std::future::pending::<()>().await;
    });
    serve(&guard, listener, app);
    let svid = mesh.svid("/front");
    for (field, cut) in [(XFCC, "forbidden"), ("x-other", "")] {
        let request = Request::get("https://a/open").header(field, element("front", "cart"));
        let asked = knock(at, None, Some(&svid), b"h2", request);
        let mut asked = std::pin::pin!(asked);
        let before = marker.calls();
        tokio::select! {
            answer = &mut asked => panic!("{answer:?}"),
            () = until("the handler runs", || marker.calls() > before) => {}
        }
        // The client is forbidden; the proxy is not.
        let forbids = mesh
            .policy
            .replace("from = \"bad\"", "from = [\"bad\", \"cart\"]");
        guard
            .swap_policy(Policy::from_toml(&forbids).expect("policy"))
            .expect("swap");
        if cut.is_empty() {
            let answer = tokio::time::timeout(Duration::from_millis(1500), &mut asked).await;
            assert!(answer.is_err(), "it speaks for itself: {answer:?}");
        } else {
            assert!(asked.await.is_err());
            assert!(reasons(&audit).iter().any(|reason| reason == cut));
        }
        guard.swap_policy(mesh.load()).expect("swap");
    }
}
