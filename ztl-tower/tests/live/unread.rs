//! Clients that ask for a stream, and take nothing of it.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_an_answer_without_an_end_that_nobody_takes_keeps_no_slot() {
    let idle = Duration::from_millis(400);
    let limits = |builder: GuardBuilder| builder.idle_timeout(idle).max_connections(2);
    let db = Db::with(limits).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = db.connect(b"http/1.1").await;
        let request = b"GET /feed?fast HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(request).await.expect("write");
        stream.flush().await.expect("flush");
        held.push(stream);
    }
    until("they run", || db.running.begun.load(Ordering::SeqCst) == 2).await;
    until("they are let go", || db.guard.connections().is_empty()).await;
    until("nothing runs", || db.running.count() == 0).await;
    assert_eq!(held.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_an_end_that_is_taken_now_and_then_goes_on() {
    let idle = Duration::from_millis(400);
    let db = Db::with(|builder| builder.idle_timeout(idle)).await;
    let mut stream = db.connect(b"http/1.1").await;
    let request = b"GET /feed?fast HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.write_all(request).await.expect("write");
    stream.flush().await.expect("flush");
    let mut buffer = vec![0; 16 * 1024 * 1024];
    let begun = Instant::now();
    while begun.elapsed() < 5 * idle {
        tokio::time::sleep(idle / 4).await;
        let read = stream.read_exact(&mut buffer).await;
        assert!(read.is_ok(), "{:?}: {read:?}", begun.elapsed());
    }
    assert_eq!(db.running.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_says_nothing_for_long_waits_for_no_client() {
    let idle = Duration::from_millis(200);
    let limits = |builder: GuardBuilder| builder.idle_timeout(idle).header_timeout(idle);
    let db = Db::with(limits).await;
    let mut stream = db.connect(b"http/1.1").await;
    stream
        .write_all(b"GET /feed HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("write");
    stream.flush().await.expect("flush");
    until("it runs", || db.running.count() == 1).await;
    tokio::time::sleep(8 * idle).await;
    assert_eq!(db.running.count(), 1);
    assert_eq!(db.guard.connections().len(), 1);
}
