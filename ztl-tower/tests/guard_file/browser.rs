//! `[browser]`

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use http::Request;
use tower::ServiceExt;
use ztl_tower::ServeError;
use ztl_tower::browser::Integrity;

use super::*;
use crate::support::heard::hear;

/// What is said of a boundary, on this thread.
#[derive(Clone, Default)]
struct Warned(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Warned {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut said = String::new();
        event.record(
            &mut |_: &tracing::field::Field, value: &dyn core::fmt::Debug| {
                said.push_str(&format!("{value:?} "));
            },
        );
        if said.contains("the boundary that the guard's file says is not in force") {
            self.0.lock().expect("events").push(said);
        }
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

const SAID: &str = "[browser]\nscript = ['self', 'https://cdn.example']\nstyle = 'self'\nform_action = 'self'\nscript_files = 'app.js'\n\
                    style_files = ['app.css']\nscript_nonce = true\nstyle_nonce = true\nallow_origins = 'https://admin.example'\n\
                    allow_other_clients = false\n";

#[tokio::test]
async fn the_boundary_of_the_file_is_handed_out_and_nothing_begins_without_it() {
    let mut place = Place::new("browser", "", "").await;
    let missing = place.refused("", SAID).await;
    assert!(
        missing.contains("`script_files` does not take `app.js`"),
        "{missing}"
    );
    let script = b"console.log('hello')";
    place.folder.write("app.js", "console.log('hello')");
    place.folder.write("app.css", "a {}");
    let listen = format!("{SAID}[[listen]]\naddress = '127.0.0.1:{}'\n", place.port);
    let guard = place.guard("", &listen).await;
    // It would be taken for in force.
    let app = Router::new();
    let refused = guard.run(app.clone()).await.expect_err("refused");
    assert!(matches!(refused, ServeError::NoBoundary), "{refused}");
    let web = place
        .web
        .issue(&["a.example"], now(), Duration::from_secs(60));
    let web = web.expect("certificate");
    let tls = ztl_tower::PublicTls::from_pem(web.cert_pem.as_bytes(), web.key_pem.as_bytes());
    let refused = guard.public_acceptor(1, &tls).map(drop);
    assert!(
        matches!(refused, Err(ServeError::NoBoundary)),
        "{refused:?}"
    );

    let here = place.listener.take().expect("a listener");
    let served = guard.serve_listener(here, app.clone());
    let refused = tokio::time::timeout(support::PATIENCE, served).await;
    let refused = refused.expect("an end").expect_err("refused");
    assert!(matches!(refused, ServeError::NoBoundary), "{refused}");

    let app = app.layer(guard.browser().expect("a boundary"));
    assert!(guard.public_acceptor(1, &tls).is_ok());
    let ask = async |method: &str, origin: &str| {
        let request = Request::builder()
            .method(method)
            .uri("https://a.example/")
            .header("host", "a.example")
            .header("origin", origin)
            .header("sec-fetch-site", "cross-site");
        let request = request.body(Body::empty()).expect("request");
        app.clone().oneshot(request).await.expect("response")
    };
    let response = ask("POST", "https://other.example").await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let policy = response.headers()["content-security-policy"].to_str();
    let policy = policy.expect("text").to_owned();
    let hash = Integrity::of(script).to_string();
    for part in [
        "default-src 'none'",
        "script-src 'self' https://cdn.example",
        &hash,
        "style-src 'self'",
        "form-action 'self'",
        "'nonce-",
    ] {
        assert!(policy.contains(part), "{part}: {policy}");
    }
    let allowed = ask("POST", "https://admin.example").await;
    assert_eq!(
        allowed.status(),
        StatusCode::NOT_FOUND,
        "no route, and no refusal"
    );

    // Nobody asks for what is not there.
    assert!(place.guard("", "").await.browser().is_none());
}

#[tokio::test]
async fn doors_that_cannot_refuse_say_once_that_the_boundary_is_nowhere() {
    let place = Place::new("unbounded", "", "").await;
    let said = "[browser]\nscript = 'self'\n";
    let warned = Warned::default();
    let _hears = hear(warned.clone());
    let count = || warned.0.lock().expect("events").len();

    let asked = async |app: Router| {
        let request = Request::get("/v1/x").body(Body::empty()).expect("request");
        let answer = app.oneshot(request).await.expect("response");
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "no flow is proved");
    };
    // The program may ask for it after the layer, and before the first request.
    let guard = place.guard("", said).await;
    let app = Router::new().layer(guard.authorize());
    let boundary = guard.browser().expect("a boundary");
    asked(app.layer(boundary)).await;
    assert_eq!(count(), 0);

    let guard = place.guard("", said).await;
    let app = Router::new().layer(guard.authorize());
    assert_eq!(count(), 0, "nobody asked yet");
    asked(app.clone()).await;
    asked(app).await;
    let events = warned.0.lock().expect("events").clone();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].contains("model-server"), "{events:?}");

    // A file without one lacks none.
    let guard = place.guard("", "").await;
    asked(Router::new().layer(guard.authorize())).await;
    assert_eq!(count(), 1);
}
