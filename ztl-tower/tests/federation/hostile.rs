//! Endpoints that prove themselves and then do what they should not: what is held stays, and nothing hangs or grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use ztl_core::audit::MemorySink;
use ztl_mtls::{DevWebCa, MAX_BUNDLE_BYTES};
use ztl_tower::{FederatedBundle, Guard, Refreshed};

use crate::endpoint::{Endpoint, Reply};
use crate::support::{Marker, Mesh, get1, knock, listener, now, serve, until};
use crate::{HOST, authority, by_web, document, guard, guard_at, policy, refused, svid};

async fn federated(reply: Reply, timeout: Duration) -> (Endpoint, Guard) {
    let web = DevWebCa::new(now()).expect("ca");
    let endpoint = Endpoint::web(&web, HOST, reply).await;
    let bundle = FederatedBundle::new(by_web(&endpoint, web.root_pem()))
        .address(endpoint.address)
        .fetch_timeout(timeout);
    let guard = guard(bundle).await;
    (endpoint, guard)
}

#[tokio::test]
async fn slow_endless_and_silent_answers_end_in_bounded_time_and_size() {
    let timeout = Duration::from_millis(300);
    let (endpoint, guard) = federated(Reply::Silent, timeout).await;
    for reply in [Reply::Silent, Reply::Stuck] {
        endpoint.reply(reply);
        let within = Duration::from_secs(5);
        let error = tokio::time::timeout(within, refused(&guard))
            .await
            .expect("in time");
        assert!(
            error.contains("did not answer whole within 300ms"),
            "{error}"
        );
    }
    until("no connection is left", || endpoint.open() == 0).await;

    let (endpoint, guard) = federated(Reply::Endless, crate::support::PATIENCE).await;
    let error = refused(&guard).await;
    assert!(error.contains("sent more than 1048576 bytes"), "{error}");
    until("no connection is left", || endpoint.open() == 0).await;
}

#[tokio::test]
async fn law_1_an_endpoint_that_hangs_keeps_no_bundle_past_its_age() {
    let web = DevWebCa::new(now()).expect("ca");
    let partner = authority("partner.example");
    let endpoint = Endpoint::web(&web, HOST, Reply::Document(document(&partner, 1))).await;
    let from = by_web(&endpoint, web.root_pem()).max_age(Duration::from_secs(2));
    let bundle = FederatedBundle::new(from)
        .address(endpoint.address)
        .fetch_timeout(Duration::from_secs(60));
    let (listener, address) = listener().await;
    let guard = guard_at(address.port(), bundle).await;
    serve(&guard, listener, Marker::default().app());
    let asker = svid(&partner, "/asker");
    let ask = || knock(address, None, Some(&asker), b"http/1.1", get1("/v1/models"));
    let taken = guard.refresh_bundle("partner.example").await;
    taken.expect("taken, by this or by the guard itself");
    endpoint.reply(Reply::Silent);
    assert_eq!(ask().await.expect("answered").status(), StatusCode::OK);
    until("a fetch hangs", || endpoint.open() == 1).await;
    // Whoever waits for the endpoint as well puts nothing off.
    let too = guard.clone();
    let waits = tokio::spawn(async move { too.refresh_bundle("partner.example").await.is_err() });
    let end = tokio::time::Instant::now() + Duration::from_secs(5);
    while ask().await.is_ok() {
        assert!(tokio::time::Instant::now() < end, "it is trusted still");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    waits.abort();
}

#[tokio::test]
async fn law_1_a_bundle_that_nobody_keeps_proves_nobody() {
    let web = DevWebCa::new(now()).expect("ca");
    let partner = authority("partner.example");
    let endpoint = Endpoint::web(&web, HOST, Reply::Document(document(&partner, 1))).await;
    let second = Duration::from_secs(1);
    let from = by_web(&endpoint, web.root_pem()).refresh_between(second, second);
    let bundle = FederatedBundle::new(from).address(endpoint.address);
    let (listener, address) = listener().await;
    let broken = Arc::new(AtomicBool::new(false));
    let breaks = Arc::clone(&broken);
    let clock = move || {
        assert!(!breaks.load(Ordering::SeqCst), "the host's clock panics");
        now()
    };
    let audit = Arc::new(MemorySink::new(100));
    let guard = Mesh::new(&policy(address.port()))
        .builder("model-server", "/model-server", &audit)
        .clock(clock)
        .federated_bundle(bundle)
        .build()
        .await
        .expect("guard");
    serve(&guard, listener, Marker::default().app());
    let asker = svid(&partner, "/asker");
    let ask = || knock(address, None, Some(&asker), b"http/1.1", get1("/v1/models"));
    let taken = guard.refresh_bundle("partner.example").await;
    taken.expect("taken, by this or by the guard itself");
    assert_eq!(ask().await.expect("answered").status(), StatusCode::OK);

    // The next fetch is due within the time.
    broken.store(true, Ordering::SeqCst);
    tokio::time::sleep(2 * second).await;
    broken.store(false, Ordering::SeqCst);
    assert!(ask().await.is_err(), "nobody would notice its end");
    let error = refused(&guard).await;
    assert!(error.contains("nobody keeps the bundle"), "{error}");
    assert!(ask().await.is_err());
}

#[tokio::test]
async fn whatever_is_no_bundle_is_refused_and_the_last_good_one_stays() {
    let partner = authority("partner.example");
    let good = document(&partner, 5);
    let (endpoint, guard) = federated(Reply::Document(good.clone()), Duration::from_secs(10)).await;
    let first = guard.refresh_bundle("partner.example").await;
    assert!(first.is_ok(), "{first:?}");
    let raw = |head: &str| Reply::Raw(format!("{head}\r\n\r\n"));
    let whole = |body: String| Reply::Document(body);
    let key = |inside: &str| whole(format!(r#"{{"keys":[{{{inside}}}],"spiffe_sequence":6}}"#));
    let padded = format!("{good}{}", " ".repeat(MAX_BUNDLE_BYTES));
    let length = padded.len();
    for (reply, why) in [
        (whole(document(&partner, 4)), "has the sequence 4"),
        (
            whole(document(&authority("partner.example"), 5)),
            "other keys",
        ),
        (whole(good.replacen('{', r#"{"keys":[],"#, 1)), "name twice"),
        (
            whole(format!(r#"{{"trust_domains":{{"prod.example":{good}}}}}"#)),
            "no list `keys`",
        ),
        (
            whole(r#"{"keys":[],"spiffe_sequence":18446744073709551616}"#.to_owned()),
            "spiffe_sequence",
        ),
        (
            whole(r#"{"keys":[],"spiffe_refresh_hint":-1}"#.to_owned()),
            "spiffe_refresh_hint",
        ),
        (
            key(r#""use":"jwt-svid","kty":"RSA","n":"AQ","e":"AQAB""#),
            "no `kid`",
        ),
        (
            key(r#""use":"x509-svid","kty":"RSA","n":"AQ","e":"AQAB","x5c":["junk"]"#),
            "`x5c`",
        ),
        (
            whole("<html>sign in</html>".to_owned()),
            "not one JSON object",
        ),
        (whole(String::new()), "not one JSON object"),
        (whole(padded), "sent more than 1048576 bytes"),
        (raw("HTTP/1.1 204 No Content"), "answered 204"),
        (raw("HTTP/1.1 304 Not Modified"), "answered 304"),
        (
            raw("HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic\r\ncontent-length: 0"),
            "answered 401",
        ),
        (raw("HTTP/1.1 500 x\r\ncontent-length: 0"), "answered 500"),
        (raw("HTTP/1.1 302 x\r\ncontent-length: 0"), "answered 302"),
        (
            raw(&format!("HTTP/1.1 200 OK\r\ncontent-length: {length}")),
            "",
        ),
        (
            raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\ncontent-length: 8"),
            "",
        ),
        (
            raw(&format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(200))),
            "broke off",
        ),
        (
            raw(&format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(100_000))),
            "broke off",
        ),
        (raw("SSH-2.0-OpenSSH_9"), "broke off"),
        (Reply::Raw(String::new()), "broke off"),
    ] {
        endpoint.reply(reply);
        let error = refused(&guard).await;
        assert!(error.contains(why), "{why}: {error}");
    }
    endpoint.reply(Reply::Document(good));
    let same = guard.refresh_bundle("partner.example").await;
    assert_eq!(
        same.expect("refreshed"),
        Refreshed::Unchanged,
        "the last good one stayed"
    );
}

#[tokio::test]
async fn a_body_that_is_compressed_or_chunked_is_read_as_it_says() {
    let partner = authority("partner.example");
    let body = document(&partner, 1);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let (endpoint, guard) = federated(Reply::Raw(chunked), Duration::from_secs(10)).await;
    let refreshed = guard.refresh_bundle("partner.example").await;
    assert!(refreshed.is_ok(), "{refreshed:?}");
    // No encoding was asked for, and none is undone.
    let gzip = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\u{1f}abc";
    endpoint.reply(Reply::Raw(gzip.to_owned()));
    assert!(refused(&guard).await.contains("not one JSON object"));
}
