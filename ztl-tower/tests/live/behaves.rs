//! A caller that behaves otherwise while its requests run.

use ztl_authz::trust::{Behaviour, Measure, Signals};

use super::*;

/// A database whose streams ask of their callers, of which there are two, to be calm.
async fn asks_to_be_calm() -> Db {
    // Parts of a window of 75 s, so that no signal ends while a test runs.
    let behaviour = Behaviour::new(Duration::from_secs(600), 1000);
    let signals = Signals::none().with("calm", behaviour.measure(Measure::Calm));
    let db = Db::with(|builder| builder.signals(signals).behaviour(behaviour)).await;
    put_in_force(&db, "[\"caller\", \"other\"]");
    db
}

/// Its policy, where these may call.
fn put_in_force(db: &Db, callers: &str) {
    let streams = "\"websocket /chat\"]";
    let asks = format!("{streams}\nrequire = {{ trust_score = 60 }}");
    let other = "[trust]\nbase = 0\n[trust.signals.calm]\nweight = 100\nmax_age = \"10m\"\n\
                 [workloads.other]\nid = \"spiffe://prod.example/other\"\n[workloads.db]";
    let policy = db.mesh.policy.replace(streams, &asks);
    let policy = policy.replace("[workloads.db]", other);
    let policy = policy.replace("from = \"caller\"", &format!("from = {callers}"));
    let policy = Policy::from_toml(&policy).unwrap_or_else(|error| panic!("{error}"));
    db.guard.swap_policy(policy).expect("swap");
}

async fn two_of(db: &Db, caller: &str) -> Two {
    let svid = db.mesh.svid(caller);
    let connected = raw_connect(db.address, None, Some(&svid), b"h2").await;
    let io = TokioIo::new(connected.expect("connect"));
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("http");
    tokio::spawn(connection);
    sender
}

/// Asks for something first, so that it is known.
async fn feed(two: &mut Two) -> http::Response<hyper::body::Incoming> {
    assert_eq!(status(two, "/v1/x").await, StatusCode::OK);
    let mut feed = two.send_request(ask("/feed")).await.expect("feed");
    assert_eq!(feed.status(), StatusCode::OK);
    feed.frame().await.expect("frame").expect("data");
    feed
}

/// How often a feed of this caller was judged, and permitted.
fn judged(db: &Db, caller: &str) -> usize {
    let peer = format!("\"peer\":\"spiffe://prod.example{caller}\"");
    let lines = db.audit.lines();
    let feeds = lines
        .iter()
        .filter(|line| line.contains("\"rule\":\"streams\""));
    feeds.filter(|line| line.contains(&peer)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_a_stream_is_cut_when_its_caller_no_longer_behaves_and_those_of_others_are_not_judged()
 {
    let db = asks_to_be_calm().await;
    let (mut bad, mut good) = (two_of(&db, "/caller").await, two_of(&db, "/other").await);
    let mut feeds = vec![feed(&mut bad).await, feed(&mut bad).await];
    let _fed = feed(&mut good).await;
    assert_eq!(db.running.count(), 3);
    // Its own beginning is looked at, once, and may have been judged by that.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let of_good = judged(&db, "/other");
    assert!((1..4).contains(&of_good), "{of_good}");

    let since = Instant::now();
    for _ in 0..12 {
        assert_eq!(status(&mut bad, "/nothing").await, StatusCode::FORBIDDEN);
    }
    until("those of one are cut", || db.running.count() == 1).await;
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    for feed in &mut feeds {
        assert!(!matches!(feed.frame().await, Some(Ok(_))));
    }
    assert_eq!(status(&mut bad, "/feed").await, StatusCode::FORBIDDEN);
    assert_eq!(
        status(&mut bad, "/v1/x").await,
        StatusCode::OK,
        "what asks for no score goes on, on the same connection"
    );
    let recorded = reasons(&db.audit);
    let unmet = recorded.iter().filter(|it| *it == "requirement_unmet");
    assert_eq!(
        unmet.count(),
        3,
        "each stream, and the request: {recorded:?}"
    );

    // Nobody else did anything.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(judged(&db, "/other"), of_good, "nobody asked for it");
    assert_eq!(db.running.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_streams_does_not_fall_because_they_are_judged_again() {
    let db = asks_to_be_calm().await;
    let mut two = two_of(&db, "/caller").await;
    let mut feeds = Vec::new();
    for _ in 0..40 {
        feeds.push(feed(&mut two).await);
    }
    for round in 0..4 {
        // Each has another score now, and each is judged again.
        let before = judged(&db, "/caller");
        for at in 0..8 {
            let path = format!("/v1/{round}-{at}");
            assert_eq!(status(&mut two, &path).await, StatusCode::OK);
        }
        until("all are judged", || judged(&db, "/caller") >= before + 40).await;
    }
    let still = judged(&db, "/caller");
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert_eq!(judged(&db, "/caller"), still, "which asks for nothing");
    assert_eq!(db.running.count(), 40);
    drop(feeds);
}

/// Connections that end because the policy changed were not asked for by anybody, however many there were (law 8).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_nor_because_its_connections_are_ended_by_a_policy() {
    let db = asks_to_be_calm().await;
    let mut open = Vec::new();
    for _ in 0..20 {
        let mut two = two_of(&db, "/caller").await;
        assert_eq!(status(&mut two, "/v1/x").await, StatusCode::OK);
        open.push(two);
    }
    put_in_force(&db, "\"other\"");
    until("all have ended", || db.guard.connections().is_empty()).await;
    let lines = db.audit.lines();
    let ended = lines
        .iter()
        .filter(|line| line.contains("\"reason\":\"no_flow_permitted\""));
    let ended: Vec<_> = ended.collect();
    assert_eq!(ended.len(), 20, "{ended:?}");
    let again = |line: &&&String| line.contains("\"again\":true");
    assert_eq!(ended.iter().filter(again).count(), 20, "{ended:?}");

    put_in_force(&db, "[\"caller\", \"other\"]");
    // It asks for a score of 60, as one who was never denied has.
    let mut two = two_of(&db, "/caller").await;
    let _fed = feed(&mut two).await;
    assert_eq!(db.running.count(), 1);
}
