//! The profile `https_web`: the endpoint's host is proved by the Web PKI (Federation §5.2.1).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use ztl_core::audit::MemorySink;
use ztl_core::policy::Policy;
use ztl_mtls::DevWebCa;
use ztl_mtls::source::{BundleEndpoint, WebRoots};
use ztl_tower::{FederatedBundle, Guard, PublicTls, Refreshed};

use crate::endpoint::{Endpoint, Reply, redirect};
use crate::support::{Marker, get1, knock, listener, now, serve, until};
use crate::{HOST, authority, by_web, document, guard, guard_at, refused, svid};

#[tokio::test]
async fn before_the_first_bundle_nobody_is_proved_and_then_it_is_fetched_by_itself() {
    let web = DevWebCa::new(now()).expect("authority");
    let partner = authority("partner.example");
    let endpoint = Endpoint::web(&web, HOST, Reply::Silent).await;
    let federated =
        FederatedBundle::new(by_web(&endpoint, web.root_pem())).address(endpoint.address);
    let federated = federated.fetch_timeout(Duration::from_secs(2));
    let (listener, address) = listener().await;
    let guard = guard_at(address.port(), federated).await;
    let marker = Marker::default();
    serve(&guard, listener, marker.app());
    let asker = svid(&partner, "/asker");
    let ask = || knock(address, None, Some(&asker), b"http/1.1", get1("/v1/models"));
    assert!(ask().await.is_err());
    assert_eq!(marker.calls(), 0);
    until("the first fetch is under way", || endpoint.open() == 1).await;

    endpoint.reply(Reply::Document(document(&partner, 1)));
    // The fetch that hangs is given up after its time; this one waits for it.
    let refreshed = guard.refresh_bundle("partner.example").await;
    assert_eq!(refreshed.expect("refreshed"), Refreshed::Changed);
    assert_eq!(ask().await.expect("answered").status(), StatusCode::OK);
}

#[tokio::test]
async fn t24_what_is_in_force_is_told_as_such_though_it_could_not_be_stored() {
    let web = DevWebCa::new(now()).expect("authority");
    let (old, new) = (authority("partner.example"), authority("partner.example"));
    let endpoint = Endpoint::web(&web, HOST, Reply::Document(document(&old, 1))).await;
    let nowhere = format!("ztl-tower-no-such-folder-{}", std::process::id());
    let federated = FederatedBundle::new(by_web(&endpoint, web.root_pem()))
        .state_file(std::env::temp_dir().join(nowhere).join("state.json"))
        .address(endpoint.address);
    let (listener, address) = listener().await;
    let guard = guard_at(address.port(), federated).await;
    serve(&guard, listener, Marker::default().app());
    let ask = |who| async move {
        let answered = knock(address, None, Some(&who), b"http/1.1", get1("/v1/models")).await;
        answered.ok().map(|response| response.status())
    };
    let first = guard.refresh_bundle("partner.example").await;
    first.expect("taken, by this or by the guard itself");
    assert_eq!(ask(svid(&old, "/asker")).await, Some(StatusCode::OK));

    // Whoever withdraws an authority must not be told that it is trusted still.
    endpoint.reply(Reply::Document(document(&new, 2)));
    let refreshed = guard.refresh_bundle("partner.example").await;
    assert_eq!(refreshed.expect("taken"), Refreshed::Changed);
    assert_eq!(ask(svid(&old, "/asker")).await, None);
    assert_eq!(ask(svid(&new, "/asker")).await, Some(StatusCode::OK));
}

#[tokio::test]
async fn rule_24_host_and_root_must_be_right() {
    let (web, stranger) = (
        DevWebCa::new(now()).expect("ca"),
        DevWebCa::new(now()).expect("ca"),
    );
    let partner = authority("partner.example");
    let body = || Reply::Document(document(&partner, 1));
    let spiffe = Endpoint::spiffe(&partner, "/bundle-endpoint", body()).await;
    for endpoint in [
        Endpoint::web(&stranger, HOST, body()).await,
        Endpoint::web(&web, "other.partner.example", body()).await,
        spiffe,
    ] {
        let federated =
            FederatedBundle::new(by_web(&endpoint, web.root_pem())).address(endpoint.address);
        let error = refused(&guard(federated).await).await;
        assert!(error.contains("is not proved"), "{error}");
        assert!(endpoint.asked().is_empty());
    }
}

#[tokio::test]
async fn rule_24_a_redirect_leads_only_to_a_proved_host_over_https() {
    let web = DevWebCa::new(now()).expect("ca");
    let partner = authority("partner.example");
    let body = || Reply::Document(document(&partner, 1));
    let elsewhere = Endpoint::web(&web, "127.0.0.1", body()).await;
    let unproved = Endpoint::web(&web, "not-this-host.example", body()).await;
    let endpoint = Endpoint::web(&web, HOST, body()).await;
    let make = || by_web(&endpoint, web.root_pem());
    let guard = guard(FederatedBundle::new(make()).address(endpoint.address)).await;
    let at = |endpoint: &Endpoint| endpoint.address.port();
    for (location, why) in [
        (
            format!("http://127.0.0.1:{}/", at(&elsewhere)),
            "does not begin with `https://`",
        ),
        (
            format!("https://u:p@127.0.0.1:{}/", at(&elsewhere)),
            "has user information",
        ),
        (
            format!("https://127.0.0.1:{}/", at(&unproved)),
            "is not proved",
        ),
        ("/bundle.json".to_owned(), "more than 3 times"),
        ("bundle.json".to_owned(), "not an absolute URL"),
        ("file:///etc/passwd".to_owned(), "not an absolute URL"),
        (String::new(), "not an absolute URL"),
    ] {
        endpoint.reply(redirect(302, &location));
        let error = refused(&guard).await;
        assert!(error.contains(why), "{location}: {error}");
    }
    assert!(elsewhere.asked().is_empty() && unproved.asked().is_empty());
    for status in [301, 302, 303, 307, 308] {
        endpoint.reply(redirect(
            status,
            &format!("https://127.0.0.1:{}/b", at(&elsewhere)),
        ));
        let refreshed = guard.refresh_bundle("partner.example").await;
        assert!(refreshed.is_ok(), "{status}: {refreshed:?}");
    }
    assert_eq!(elsewhere.asked().len(), 5);

    let strict = FederatedBundle::new(make().refuse_redirects()).address(endpoint.address);
    let error = refused(&crate::guard(strict).await).await;
    assert!(error.contains("redirects are refused"), "{error}");
    // Two places at once are none.
    endpoint.reply(Reply::Raw(
        "HTTP/1.1 302 x\r\nlocation: /a\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n".to_owned(),
    ));
    assert!(refused(&guard).await.contains("answered 302"));
}

const PUBLISHER: &str = r#"
schema = 1
trust_domain = "partner.example"

[workloads.bundles]
id = "spiffe://partner.example/bundles"
public_ports = [PORT]

[[permit]]
name = "anyone-fetches-the-bundle"
from = "public"
to = "bundles"
anonymous = true
actions = ["GET /bundle.json"]
"#;

#[tokio::test]
async fn both_ends_are_ztl() {
    let web = DevWebCa::new(now()).expect("authority");
    let partner = authority("partner.example");
    let (public, at) = listener().await;
    let policy = PUBLISHER.replace("PORT", &at.port().to_string());
    let publisher = Guard::builder("bundles")
        .policy(Policy::from_toml(&policy).expect("policy"))
        .identity(svid(&partner, "/bundles"))
        .bundle(partner.bundle())
        .allow_dev_authority()
        .audit(Arc::new(MemorySink::new(100)))
        .build()
        .await
        .expect("publisher");
    let published = Arc::new(Mutex::new(document(&partner, 1)));
    let body = Arc::clone(&published);
    let app = Router::new().route(
        "/bundle.json",
        get(|| async move {
            let document = body.lock().expect("document").clone();
            ([("content-type", "application/json")], document)
        }),
    );
    let issued = web.issue(&[HOST], now(), Duration::from_secs(3600));
    let issued = issued.expect("certificate");
    let tls = PublicTls::from_pem(issued.cert_pem.as_bytes(), issued.key_pem.as_bytes());
    let serving = publisher.clone();
    tokio::spawn(async move { serving.serve_public_listener(public, tls, app).await });

    let roots = WebRoots::from_pem(web.root_pem().as_bytes()).expect("roots");
    let url = format!("https://{HOST}:{}/bundle.json", at.port());
    let endpoint = BundleEndpoint::https_web("partner.example", &url, roots).expect("endpoint");
    let guard = guard(FederatedBundle::new(endpoint).address(at)).await;
    for (document, expected) in [
        (document(&partner, 2), None),
        (document(&partner, 3), Some(Refreshed::Unchanged)),
        (
            document(&authority("partner.example"), 4),
            Some(Refreshed::Changed),
        ),
    ] {
        *published.lock().expect("document") = document;
        let refreshed = guard.refresh_bundle("partner.example").await;
        let refreshed = refreshed.expect("refreshed");
        assert!(expected.is_none_or(|expected| expected == refreshed));
    }
    publisher.shutdown();
}
