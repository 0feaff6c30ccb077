//! The browser boundary: its rules 1 to 4, and the headers.

use super::*;
use ztl_tower::browser::{Browser, CrossSite, Csp, Integrity, Nonce};

async fn asked(boundary: &Browser, method: &str, fields: &[(&str, &str)]) -> Response<Body> {
    let app = Router::new().fallback(any(async |nonce: Option<axum::Extension<Nonce>>| {
        let nonce = nonce.map(|nonce| nonce.0.as_str().to_owned());
        (
            [("content-security-policy", "img-src 'none'")],
            nonce.unwrap_or_default(),
        )
    }));
    let app = app.layer(boundary.clone());
    let request = request(method, fields, Body::empty());
    app.oneshot(request).await.expect("response")
}

async fn refused(boundary: &Browser, method: &str, fields: &[(&str, &str)]) -> Option<CrossSite> {
    let response = asked(boundary, method, fields).await;
    let why = response.extensions().get::<CrossSite>().copied();
    assert_eq!(response.status() == StatusCode::FORBIDDEN, why.is_some());
    // What is refused carries the headers too.
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    why
}

#[tokio::test]
async fn what_another_site_asks_for_is_refused() {
    use CrossSite::{Ambiguous, Embedded, OtherOrigin, Unsaid};
    let plain = Browser::new(Csp::none());
    let site = |site: &'static str| ("sec-fetch-site", site);
    let origin = |origin: &'static str| ("origin", origin);
    let (navigate, document) = (
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    );
    for (method, fields, why) in [
        ("POST", &[site("same-origin")][..], None),
        ("POST", &[site("none")], None),
        (
            "POST",
            &[site("same-site"), origin("https://b")],
            Some(OtherOrigin),
        ),
        (
            "POST",
            &[site("cross-site"), origin("https://a")],
            Some(OtherOrigin),
        ),
        (
            "DELETE",
            &[site("cross-site"), navigate, document],
            Some(OtherOrigin),
        ),
        (
            "POST",
            &[site("same-origin"), site("same-origin")],
            Some(Ambiguous),
        ),
        ("GET", &[site("friendly")], Some(Ambiguous)),
        ("POST", &[origin("https://a")], None),
        ("POST", &[origin("https://A:443")], None),
        ("POST", &[origin("http://a")], Some(OtherOrigin)),
        ("POST", &[origin("https://a:444")], Some(OtherOrigin)),
        ("POST", &[origin("https://a.b")], Some(OtherOrigin)),
        ("POST", &[origin("null")], Some(OtherOrigin)),
        (
            "POST",
            &[origin("https://a"), origin("https://a")],
            Some(Ambiguous),
        ),
        ("POST", &[], Some(Unsaid)),
        ("QUERY", &[], Some(Unsaid)),
        ("GET", &[], None),
        ("GET", &[site("cross-site"), navigate, document], None),
        (
            "GET",
            &[site("cross-site"), navigate, ("sec-fetch-dest", "iframe")],
            Some(Embedded),
        ),
        (
            "GET",
            &[
                site("cross-site"),
                ("sec-fetch-mode", "no-cors"),
                ("sec-fetch-dest", "image"),
            ],
            Some(Embedded),
        ),
        ("GET", &[site("cross-site")], Some(Embedded)),
        // Another site's script that opens a WebSocket sends the cookies of ours.
        (
            "GET",
            &[site("cross-site"), ("upgrade", "websocket")],
            Some(OtherOrigin),
        ),
        (
            "GET",
            &[origin("https://b"), ("upgrade", "websocket")],
            Some(OtherOrigin),
        ),
        ("GET", &[("upgrade", "websocket")], Some(Unsaid)),
    ] {
        assert_eq!(
            refused(&plain, method, fields).await,
            why,
            "{method} {fields:?}"
        );
    }
    let allowing = plain.clone().allow_origin("https://b").expect("origin");
    let fields = [site("cross-site"), origin("https://b")];
    assert_eq!(refused(&allowing, "POST", &fields).await, None);
    let fields = [site("cross-site"), origin("https://c")];
    assert_eq!(refused(&allowing, "POST", &fields).await, Some(OtherOrigin));
    for none in ["https://b/path", "wss://b", "self", "b"] {
        assert!(allowing.clone().allow_origin(none).is_err(), "{none}");
    }
    let others = plain.allow_other_clients();
    assert_eq!(refused(&others, "POST", &[]).await, None);
    assert_eq!(
        refused(&others, "POST", &[origin("null")]).await,
        Some(OtherOrigin)
    );
}

#[tokio::test]
async fn a_response_allows_what_is_named_and_nothing_else() {
    let script = Integrity::of(b"alert(1)");
    let csp = Csp::none()
        .script("self")
        .expect("self")
        .script_hash(&script);
    let csp = csp
        .connect("wss://feed.example:8443")
        .expect("origin")
        .script_nonce();
    let boundary = Browser::new(csp);
    let (one, two) = (
        asked(&boundary, "GET", &[]).await,
        asked(&boundary, "GET", &[]).await,
    );
    let policies = one.headers().get_all("content-security-policy").iter();
    let policies: Vec<_> = policies
        .map(|it| it.to_str().expect("text").to_owned())
        .collect();
    let [own, ours] = &policies[..] else {
        panic!("{policies:?}");
    };
    assert_eq!(own, "img-src 'none'", "a browser keeps to both");
    let headers = one.headers().clone();
    let nonce = |response: Response<Body>| async {
        let body = response
            .into_body()
            .collect()
            .await
            .expect("body")
            .to_bytes();
        String::from_utf8(body.into()).expect("text")
    };
    let (one, two) = (nonce(one).await, nonce(two).await);
    assert!(one.len() == 24 && one != two);
    assert_eq!(
        *ours,
        format!(
            "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; connect-src wss://feed.example:8443; form-action 'none'; script-src 'self' '{script}' 'nonce-{one}'; worker-src 'none'"
        )
    );
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(headers[name], value);
    }
    assert!(
        headers["permissions-policy"]
            .to_str()
            .expect("text")
            .contains("camera=()")
    );
    // The example of Subresource Integrity §3.1.
    assert_eq!(
        Integrity::of(b"alert('Hello, world.');").to_string(),
        "sha384-H8BRh8j48O9oYatfu5AZzq6A9RINhZO5H16dQZngK7T62em8MUt1FLm52t+eX6xO"
    );
    for source in [
        "",
        "*",
        "unsafe-inline",
        "'self'",
        "https:",
        "data:",
        "http://a",
        "https://*.a",
        "https://a/b",
        "https://a b",
        "https://a;b",
        "https://a:0",
        "https://A",
    ] {
        assert!(Csp::none().script(source).is_err(), "{source}");
    }
}
