//! A running request whose action is no longer permitted, beside others that are.

use super::*;

impl Db {
    /// Takes the streaming actions away; the flow and the reading stay.
    fn without_streams(&self) {
        let less = self.mesh.policy.replace(
            "\"GET /feed\", \"POST /upload\", \"websocket /chat\"",
            "\"GET /other\"",
        );
        let less = Policy::from_toml(&less).expect("policy");
        self.guard.swap_policy(less).expect("swap");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_a_request_that_is_no_longer_authorized_is_cut_alone() {
    let db = Db::start().await;
    let mut two = db.two().await;
    let mut unread = two.send_request(ask("/feed?fast")).await.expect("feed");
    let mut silent = two.send_request(ask("/feed")).await.expect("feed");
    let first = silent.frame().await.expect("frame").expect("data");
    assert_eq!(first.into_data().expect("data"), "xxxx");
    // The handler has given the body of the request to a task of its own.
    let (mut sender, body) = tokio::io::duplex(64);
    let stream = tokio_stream(body);
    let upload = Request::post("https://a/upload")
        .body(axum::body::Body::new(stream))
        .expect("request");
    let uploading = two.send_request(upload).await.expect("upload");
    sender.write_all(b"some").await.expect("write");
    until("all run", || db.running.count() == 4).await;

    let since = Instant::now();
    db.without_streams();
    db.none_runs(since, "the streams are cut").await;
    assert!(!matches!(silent.frame().await, Some(Ok(_))));
    // What lay in the window may still be read, and then no more.
    while let Some(Ok(_)) = unread.frame().await {}
    drop(uploading);
    assert_eq!(
        status(&mut two, "/v1/x").await,
        StatusCode::OK,
        "the connection lives on"
    );
    assert_eq!(db.guard.connections().len(), 1);
    let recorded = reasons(&db.audit);
    let denied = recorded
        .iter()
        .filter(|reason| *reason == "no_action_permitted");
    assert_eq!(denied.count(), 3, "{recorded:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t21_what_asked_for_a_host_that_is_listed_no_longer_is_cut() {
    let db = Db::start().await;
    let name = "id = \"spiffe://prod.example/db\"";
    let listing = |hosts: &str| {
        let listed = (db.mesh.policy).replace(name, &format!("{name}\nhosts = [{hosts}]"));
        let listed = Policy::from_toml(&listed).expect("policy");
        db.guard.swap_policy(listed).expect("swap");
    };
    // One by the name of its handshake, one by its address, as it says.
    let mut named = db.two().await;
    let _named = named.send_request(ask("/feed")).await.expect("feed");
    let (svid, none) = (db.mesh.svid("/caller"), db.address.ip().into());
    let plain = support::raw_connect_as(db.address, None, none, Some(&svid), b"http/1.1");
    let mut plain = plain.await.expect("connect");
    let feed = b"GET /feed HTTP/1.1\r\nhost: b.example:8443\r\n\r\n";
    plain.write_all(feed).await.expect("write");
    plain.flush().await.expect("flush");
    until("both run", || db.running.count() == 2).await;
    listing("'a', 'b.example'");
    assert_eq!(status(&mut named, "/v1/x").await, StatusCode::OK);
    tokio::time::sleep(AT_ONCE).await;
    assert_eq!(db.running.count(), 2, "both are listed");
    listing("'b.example'");
    until("the one is cut", || db.running.count() == 1).await;
    let since = Instant::now();
    listing("'c.example'");
    db.none_runs(since, "and so is the other").await;
    let recorded = reasons(&db.audit);
    let misdirected = recorded.iter().filter(|reason| *reason == "misdirected");
    assert_eq!(misdirected.count(), 2, "{recorded:?}");
}

/// Everything runs on one thread, so that what a panic left behind on it would be everybody's.
#[tokio::test]
async fn law_8_a_handler_that_panics_leaves_nothing_to_other_requests() {
    let db = Db::start().await;
    let mut mallory = db.two().await;
    assert!(mallory.send_request(ask("/v1/bug")).await.is_err());
    let mut alice = db.two().await;
    let mut feed = alice.send_request(ask("/feed")).await.expect("feed");
    let first = feed.frame().await.expect("frame").expect("data");
    assert_eq!(first.into_data().expect("data"), "xxxx");
    drop(mallory);
    until("one is left", || db.guard.connections().len() == 1).await;
    let mut bob = db.two().await;
    for _ in 0..4 {
        assert_eq!(status(&mut bob, "/v1/x").await, StatusCode::OK);
    }
    assert_eq!(db.running.count(), 1, "her feed runs on");
    let since = Instant::now();
    db.without_streams();
    db.none_runs(since, "and is cut when it is hers to be cut")
        .await;
    assert_eq!(status(&mut alice, "/v1/x").await, StatusCode::OK);
}

/// A body from what is written at the other end.
fn tokio_stream(stream: tokio::io::DuplexStream) -> Piped {
    Piped(stream)
}

struct Piped(tokio::io::DuplexStream);

impl http_body::Body for Piped {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        let mut space = [0; 64];
        let mut read = tokio::io::ReadBuf::new(&mut space);
        let polled = tokio::io::AsyncRead::poll_read(Pin::new(&mut self.0), cx, &mut read);
        polled
            .map_ok(|()| Bytes::copy_from_slice(read.filled()))
            .map(|bytes| match bytes {
                Ok(bytes) if bytes.is_empty() => None,
                Ok(bytes) => Some(Ok(http_body::Frame::data(bytes))),
                Err(error) => Some(Err(error)),
            })
    }
}

#[tokio::test]
async fn t19_an_upgrade_that_is_no_longer_authorized_ends_with_its_connection() {
    let db = Db::start().await;
    let mut stream = db.connect(b"http/1.1").await;
    let request =
        b"GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    stream.write_all(request).await.expect("write");
    stream.flush().await.expect("flush");
    until("it runs", || db.running.count() == 1).await;
    let since = Instant::now();
    db.without_streams();
    db.none_runs(since, "the upgrade").await;
}
