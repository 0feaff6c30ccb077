//! Revocation lists that name one certificate of two.

use ztl_mtls::X509Svid;

use super::revoking::{list, list_until, set};
use super::*;

async fn connect(db: &Db, svid: &X509Svid) -> Two {
    let stream = raw_connect(db.address, None, Some(svid), b"h2").await;
    let io = TokioIo::new(stream.expect("connect"));
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("http");
    tokio::spawn(connection);
    sender
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t14_t25_a_revocation_list_ends_the_connection_it_names_and_no_other() {
    let db = Db::start().await;
    let (good, bad) = (db.mesh.svid("/caller"), db.mesh.svid("/caller"));
    let (mut kept, mut cut) = (connect(&db, &good).await, connect(&db, &bad).await);
    let mut feeds = Vec::new();
    for two in [&mut kept, &mut cut] {
        let mut feed = two.send_request(ask("/feed")).await.expect("feed");
        feed.frame().await.expect("frame").expect("data");
        feeds.push(feed);
    }
    // A list that names nobody ends nothing.
    db.guard
        .swap_crls(set(&db.mesh.authority, &list(&db.mesh.authority, &[])));
    assert_eq!(status(&mut kept, "/v1/x").await, StatusCode::OK);
    assert_eq!(status(&mut cut, "/v1/x").await, StatusCode::OK);
    assert_eq!(db.running.count(), 2);

    let since = Instant::now();
    db.guard
        .swap_crls(set(&db.mesh.authority, &list(&db.mesh.authority, &[&bad])));
    until("one is cut", || db.running.count() == 1).await;
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    assert!(cut.send_request(ask("/v1/x")).await.is_err());
    assert_eq!(status(&mut kept, "/v1/x").await, StatusCode::OK);
    assert_eq!(db.running.count(), 1, "the honest feed runs on");
    until("one is open", || db.guard.connections().len() == 1).await;
    let recorded = reasons(&db.audit);
    let denied: Vec<_> = recorded
        .iter()
        .filter(|reason| *reason != "permitted")
        .collect();
    assert_eq!(denied, ["identity_revoked"], "{recorded:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t14_a_revocation_list_that_is_overdue_ends_what_is_open_by_time_alone() {
    let db = Db::start().await;
    let authority = &db.mesh.authority;
    let soon = now().saturating_add(Duration::from_secs(30 * 60));
    let due = list_until(authority, &[], soon);
    db.guard.swap_crls(set(authority, &due));
    let held = super::trust::everything(&db).await;
    // Nobody's SVID ends before an hour is over, and nothing changes.
    let since = Instant::now();
    db.ahead.store(31 * 60 * 1000, Ordering::SeqCst);
    db.none_runs(since, "overdue").await;
    until("nothing is open", || db.guard.connections().is_empty()).await;
    let recorded = reasons(&db.audit);
    let denied: Vec<_> = (recorded.iter())
        .filter(|reason| *reason != "permitted")
        .collect();
    assert!(!denied.is_empty(), "{recorded:?}");
    assert!(
        denied.iter().all(|reason| *reason == "identity_revoked"),
        "{denied:?}"
    );
    drop(held);
}
