//! Lost trust, revocation and expiry, with everything in flight.

use super::*;

/// Begins a feed that is not read, one that is read, an upload, and a WebSocket on each version of HTTP.
pub(super) async fn everything(db: &Db) -> Vec<Box<dyn std::any::Any + Send>> {
    let mut held: Vec<Box<dyn std::any::Any + Send>> = Vec::new();
    for path in ["/feed?fast", "/feed"] {
        let mut stream = db.connect(b"http/1.1").await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("write");
        stream.flush().await.expect("flush");
        held.push(Box::new(stream));
        let mut two = db.two().await;
        // The response is held, and not read.
        held.push(Box::new(two.send_request(ask(path)).await.expect("feed")));
        held.push(Box::new(two));
    }
    held.push(Box::new(websocket(db).await));
    held.push(Box::new(extended_connect(db).await));
    until("all run", || db.running.count() == 6).await;
    held
}

async fn websocket(db: &Db) -> support::RawStream {
    let mut stream = db.connect(b"http/1.1").await;
    let request =
        b"GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    stream.write_all(request).await.expect("write");
    stream.flush().await.expect("flush");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("answer"));
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    stream.write_u8(b'a').await.expect("write");
    stream.flush().await.expect("flush");
    assert_eq!(stream.read_u8().await.expect("echo"), b'a');
    stream
}

async fn extended_connect(db: &Db) -> (Two, TokioIo<hyper::upgrade::Upgraded>) {
    let mut two = db.two().await;
    // Its settings say that it takes extended CONNECT.
    assert_eq!(status(&mut two, "/v1/x").await, StatusCode::OK);
    let mut request = ask("/chat");
    *request.method_mut() = http::Method::CONNECT;
    let protocol = hyper::ext::Protocol::from_static("websocket");
    request.extensions_mut().insert(protocol);
    let response = two.send_request(request).await.expect("response");
    assert_eq!(response.status(), StatusCode::OK);
    let mut stream = TokioIo::new(hyper::upgrade::on(response).await.expect("upgrade"));
    stream.write_u8(b'a').await.expect("write");
    assert_eq!(stream.read_u8().await.expect("echo"), b'a');
    (two, stream)
}

/// Something that takes the peer's proof away.
type Change = fn(&Db);

const CHANGES: [(&str, Change); 4] = [
    ("flow_withdrawn", |db| {
        db.guard.swap_bundles(db.other_bundle());
    }),
    ("identity_revoked", |db| {
        db.guard.deny(Denied::Id(support::id("/caller")));
    }),
    ("identity_expired", |db| {
        db.ahead.store(2 * 3600 * 1000, Ordering::SeqCst);
    }),
    ("forbidden", |db| {
        let forbid = "[[forbid]]\nname = 'no'\nfrom = 'caller'\nto = 'db'\n";
        let policy = format!("{}{forbid}", db.mesh.policy);
        let policy = Policy::from_toml(&policy).expect("policy");
        db.guard.swap_policy(policy).expect("swap");
    }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t14_law_8_whatever_is_in_flight_ends_within_a_second_under_its_reason() {
    for (reason, change) in CHANGES {
        let db = Db::start().await;
        let held = everything(&db).await;
        let since = Instant::now();
        change(&db);
        db.none_runs(since, reason).await;
        until("nothing is open", || db.guard.connections().is_empty()).await;
        let recorded = reasons(&db.audit);
        assert!(recorded.iter().any(|found| found == reason), "{recorded:?}");
        assert!(
            recorded
                .iter()
                .all(|found| found == reason || found == "permitted"),
            "{recorded:?}"
        );
        drop(held);
    }
}

#[tokio::test]
async fn rule_27_who_is_still_proved_lives_on_and_no_request_fails() {
    let db = Db::start().await;
    let mut two = db.two().await;
    let mut socket = websocket(&db).await;

    for round in 0..50 {
        let mine = db.mesh.authority.bundle();
        let other = ztl_core::TrustDomain::parse("other.example").expect("domain");
        let set = match round % 2 {
            0 => BundleSet::new([mine]),
            _ => BundleSet::new([mine, ztl_mtls::TrustBundle::empty(other)]),
        };
        db.guard.swap_bundles(set.expect("set"));
        if round % 3 == 0 {
            db.guard.deny(Denied::Id(support::id("/somebody-else")));
        }
        // At once, before anything could be swept.
        assert_eq!(status(&mut two, "/v1/x").await, StatusCode::OK);
        socket.write_u8(b'b').await.expect("write");
        socket.flush().await.expect("flush");
        assert_eq!(socket.read_u8().await.expect("echo"), b'b');
    }

    assert!(
        reasons(&db.audit)
            .iter()
            .all(|reason| reason == "permitted")
    );
    assert_eq!(db.guard.connections().len(), 2);
}

#[tokio::test]
async fn t5_a_request_after_a_change_is_judged_by_what_is_in_force() {
    let db = Db::start().await;
    let mut two = db.two().await;
    assert_eq!(status(&mut two, "/v1/x").await, StatusCode::OK);
    db.guard.swap_bundles(db.other_bundle());
    // Whichever is first, the request or the sweep: it is not let in.
    let answer = two.send_request(ask("/v1/x")).await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == StatusCode::FORBIDDEN));
}
