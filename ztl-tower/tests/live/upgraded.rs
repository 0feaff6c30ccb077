//! Streams that were upgraded, at a shutdown.

use super::*;

/// A service that listens until it is shut down, and a stream that was upgraded on it.
async fn upgraded(
    drain: Duration,
) -> (
    Guard,
    tokio::task::JoinHandle<Result<(), ztl_tower::ServeError>>,
    support::RawStream,
) {
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port()));
    let guard = mesh.builder("db", "/db", &Arc::new(MemorySink::new(100)));
    let guard = guard.drain_timeout(drain).build().await.expect("guard");
    let (serving, app) = (guard.clone(), app(&Running::default()));
    let serves = tokio::spawn(async move { serving.serve_listener(listener, app).await });
    let svid = mesh.svid("/caller");
    let stream = raw_connect(address, None, Some(&svid), b"http/1.1").await;
    let mut stream = stream.expect("connect");
    let request =
        b"GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    stream.write_all(request).await.expect("write");
    stream.flush().await.expect("flush");
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut heard).await.expect("read"), 0);
    }
    assert!(heard.starts_with(b"HTTP/1.1 101 "), "{heard:?}");
    (guard, serves, stream)
}

async fn echoes(stream: &mut support::RawStream) {
    stream.write_all(b"x").await.expect("write");
    stream.flush().await.expect("flush");
    assert_eq!(stream.read_u8().await.expect("echo"), b'x');
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_what_was_upgraded_is_drained_at_a_shutdown_as_what_was_not() {
    let (guard, serves, mut stream) = upgraded(Duration::from_secs(60)).await;
    echoes(&mut stream).await;
    guard.shutdown();
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        echoes(&mut stream).await;
        assert!(!serves.is_finished(), "it is still drained");
    }
    drop(stream);
    let ended = tokio::time::timeout(support::PATIENCE, serves).await;
    ended.expect("in time").expect("a task").expect("served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_what_was_upgraded_holds_no_shutdown_up_beyond_the_drain_timeout() {
    let drain = Duration::from_millis(300);
    let (guard, serves, mut stream) = upgraded(drain).await;
    let since = Instant::now();
    guard.shutdown();
    let ended = tokio::time::timeout(support::PATIENCE, serves).await;
    ended.expect("in time").expect("a task").expect("served");
    let took = since.elapsed();
    assert!((drain..drain + 2 * AT_ONCE).contains(&took), "{took:?}");
    let read = stream.read(&mut [0]).await;
    assert!(matches!(read, Err(_) | Ok(0)), "{read:?}");
}
