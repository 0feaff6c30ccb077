//! `[browser]`

use axum::Router;
use axum::body::Body;
use http::Request;
use tower::ServiceExt;
use ztl_tower::ServeError;
use ztl_tower::browser::Integrity;

use super::*;

const SAID: &str = "[browser]\nscript = ['self', 'https://cdn.example']\nstyle = 'self'\nform_action = 'self'\nscript_files = 'app.js'\n\
                    style_files = ['app.css']\nscript_nonce = true\nstyle_nonce = true\nallow_origins = 'https://admin.example'\n\
                    allow_other_clients = false\n";

#[tokio::test]
async fn the_boundary_of_the_file_is_handed_out_and_nothing_begins_without_it() {
    let place = Place::new("browser", "", "").await;
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
