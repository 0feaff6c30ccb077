//! A rotation of our own, and what is shown to operators.

use super::*;

#[tokio::test]
async fn law_8_a_rotation_of_our_own_ends_no_request_and_takes_no_new_one() {
    let db = Db::start().await;
    let mut two = db.two().await;
    let mut feed = two.send_request(ask("/feed")).await.expect("feed");
    feed.frame().await.expect("frame").expect("data");
    let one = TokioIo::new(db.connect(b"http/1.1").await);
    let (mut one, connection) = hyper::client::conn::http1::handshake(one)
        .await
        .expect("http");
    let closed = tokio::spawn(connection);
    let get = || get1("/v1/x").body(Empty::<Bytes>::new()).expect("request");
    let response = one.send_request(get()).await.expect("response");
    assert_eq!(response.headers().get("connection"), None);
    response.into_body().collect().await.expect("body");

    db.guard.swap_identity(db.mesh.svid("/db")).expect("swap");
    until("both drain", || {
        let all = db.guard.connections();
        all.iter().all(|one| one.state == ConnectionState::Draining)
    })
    .await;
    // HTTP/1.1 hears it with the next response, HTTP/2 by GOAWAY.
    let response = one.send_request(get()).await.expect("response");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["connection"], "close");
    response.into_body().collect().await.expect("body");
    tokio::time::timeout(support::PATIENCE, closed)
        .await
        .expect("closed")
        .expect("task")
        .ok();
    let refused = async { while two.send_request(ask("/v1/x")).await.is_ok() {} };
    tokio::time::timeout(support::PATIENCE, refused)
        .await
        .expect("GOAWAY");
    assert_eq!(db.running.count(), 1, "the feed runs on");
    drop(feed);
    until("nothing is open", || db.guard.connections().is_empty()).await;
}

#[tokio::test]
async fn law_8_what_drains_has_a_deadline() {
    let db = Db::with(|builder| builder.rotation_timeout(Duration::from_millis(200))).await;
    let mut two = db.two().await;
    let _feed = two.send_request(ask("/feed")).await.expect("feed");
    until("it runs", || db.running.count() == 1).await;
    let since = Instant::now();
    db.guard.swap_identity(db.mesh.svid("/db")).expect("swap");
    db.none_runs(since, "the feed").await;
}

#[tokio::test]
async fn an_operator_sees_who_is_connected() {
    let db = Db::start().await;
    let mut two = db.two().await;
    let feed = two.send_request(ask("/feed")).await.expect("feed");
    let all = db.guard.connections();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].peer, Some(support::id("/caller")));
    assert_eq!((all[0].requests, all[0].state), (1, ConnectionState::Open));
    assert!(all[0].until.is_some_and(|until| until > now()) && all[0].since <= now());
    drop(feed);
    until("it ends", || db.guard.connections()[0].requests == 0).await;
    assert!(Timestamp::EPOCH < all[0].since);
}
