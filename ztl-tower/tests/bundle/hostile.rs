//! Servers that do what they should not: what is in force stays, requests go on, and nothing hangs or grows.

use super::*;
use crate::support::until;

/// A server whose bundle is in force.
async fn held(timeout: Duration) -> (Server, Service) {
    let server = Server::start().await;
    server.publish(pack::signed("1", &pack::open(true), SECRET), "\"one\"");
    let service = Service::with(server.pull(), |bundle| bundle.fetch_timeout(timeout)).await;
    (server, service.expect("guard"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_delays_no_request() {
    let (server, service) = held(Duration::from_millis(300)).await;
    for reply in [Reply::Silent, Reply::Stuck] {
        server.reply(reply);
        let (refused, status) = tokio::join!(service.refused(), service.ask());
        assert!(
            refused.contains("did not come whole within 300ms"),
            "{refused}"
        );
        assert_eq!(status, StatusCode::OK);
    }
    until("no connection is left", || server.0.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_sends_100_mb_is_left_after_a_fraction() {
    let (server, service) = held(support::PATIENCE).await;
    server.reply(Reply::Endless);
    let (refused, status) = tokio::join!(service.refused(), service.ask());
    assert!(
        refused.contains("sent more than 16777216 bytes"),
        "{refused}"
    );
    assert_eq!(status, StatusCode::OK);
    until("no connection is left", || server.0.open() == 0).await;
    // What was on its way in the buffers of two sockets, at most.
    assert!(server.0.sent() < 40_000_000, "{}", server.0.sent());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule57_whatever_is_no_answer_is_refused_and_the_last_good_bundle_stays() {
    let (server, service) = held(Duration::from_secs(10)).await;
    let raw = |head: &str| Reply::Raw(format!("{head}\r\ncontent-length: 0\r\n\r\n"));
    for (reply, why) in [
        // It leads elsewhere.
        (
            raw("HTTP/1.1 302 x\r\nlocation: /elsewhere"),
            "answer is 302",
        ),
        (
            raw("HTTP/1.1 307 x\r\nlocation: https://evil.example/bundle"),
            "answer is 307",
        ),
        (
            raw("HTTP/1.1 301 x\r\nlocation: http://169.254.169.254/"),
            "answer is 301",
        ),
        (raw("HTTP/1.1 204 No Content"), "answer is 204"),
        (raw("HTTP/1.1 401 x"), "answer is 401"),
        (raw("HTTP/1.1 500 x"), "answer is 500"),
        (raw("HTTP/1.1 200 OK"), "gzip"),
        // It dies.
        (Reply::Raw(String::new()), "broke off"),
        (Reply::Raw("HTTP/1.1 200 OK\r\n".to_owned()), "broke off"),
        (
            Reply::Raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_owned()),
            "broke off",
        ),
        (Reply::Raw("SSH-2.0-x\r\n".to_owned()), "broke off"),
        (
            raw(&format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(20_000))),
            "broke off",
        ),
    ] {
        server.reply(reply);
        let refused = service.refused().await;
        assert!(refused.contains(why), "{why}: {refused}");
        assert_eq!(service.revision().as_deref(), Some("1"));
    }
    assert_eq!(service.ask().await, StatusCode::OK);
    assert_eq!(service.engine.taken(), 1);
    server.publish(pack::signed("2", &pack::open(false), SECRET), "\"two\"");
    assert_eq!(service.refresh().await, OpaBundleRefreshed::Changed);
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
}
