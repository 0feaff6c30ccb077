//! How connections come to an end: on a signal, by their age; looked at on the wire.

use http_body_util::BodyExt;
use tokio::sync::oneshot;

use super::*;

async fn door(limits: impl FnOnce(GuardBuilder) -> GuardBuilder) -> (Mesh, Guard, SocketAddr) {
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port(), 1).replace(
        "name = \"users-ask\"",
        "name = \"users-ask\"\nmode = \"off\"",
    ));
    let audit = Arc::new(MemorySink::new(100));
    let guard = limits(mesh.builder("gateway", "/gateway", &audit));
    let guard = guard.build().await.expect("guard");
    let slow = axum::routing::get(async || {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        "late"
    });
    let app = Router::new().route("/v1/slow", slow);
    serve(&guard, listener, app.merge(Marker::default().app()));
    (mesh, guard, address)
}

const SLOW: &[u8] = b"GET /v1/slow HTTP/1.1\r\nhost: a\r\n\r\n";
const ASK: &[u8] = b"GET /v1/x HTTP/1.1\r\nhost: a\r\n\r\n";

/// Reads a response of HTTP/1.1 whose end is this.
async fn response(stream: &mut support::RawStream, end: &str) -> String {
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).ends_with(end) {
        let read = tokio::time::timeout(support::PATIENCE, stream.read_buf(&mut heard)).await;
        assert_ne!(read.expect("in time").expect("read"), 0, "{heard:?}");
    }
    String::from_utf8(heard).expect("text")
}

/// That a stream ends with TLS's `close_notify`, which without it is an error.
#[track_caller]
fn closes<'a>(
    stream: &'a mut support::RawStream,
    within: Duration,
) -> impl Future<Output = ()> + 'a {
    let from = std::panic::Location::caller();
    async move {
        let end = tokio::time::timeout(within, stream.read_to_end(&mut Vec::new())).await;
        let end = end.unwrap_or_else(|_| panic!("it goes on: {from}"));
        assert!(end.is_ok(), "with close_notify: {from}: {end:?}");
    }
}

#[tokio::test]
async fn t35_what_is_idle_at_a_shutdown_ends_at_once_with_close_notify_and_what_runs_finishes() {
    let (mesh, guard, address) = door(|builder| builder).await;
    let svid = mesh.svid("/caller");
    let connect = async |alpn: &[u8]| {
        let stream = support::raw_connect(address, None, Some(&svid), alpn).await;
        stream.expect("connect")
    };
    let mut idle = connect(b"http/1.1").await;
    idle.write_all(ASK).await.expect("write");
    response(&mut idle, "/v1/x").await;
    let mut silent = connect(b"http/1.1").await;
    let mut silent2 = connect(b"h2").await;
    let mut busy = connect(b"http/1.1").await;
    busy.write_all(SLOW).await.expect("write");
    until("it runs", || {
        let open = guard.connections();
        let handshake = ztl_tower::ConnectionState::Handshake;
        open.iter().any(|one| one.requests == 1) && open.iter().all(|one| one.state != handshake)
    })
    .await;
    let (stop, told) = oneshot::channel();
    guard.shutdown_on(async {
        let _: Result<(), _> = told.await;
    });
    stop.send(()).expect("told");
    let at_once = Duration::from_millis(1000);
    closes(&mut idle, at_once).await;
    closes(&mut silent, at_once).await;
    closes(&mut silent2, at_once).await;
    let late = response(&mut busy, "late").await;
    assert!(late.contains("connection: close"), "{late}");
    closes(&mut busy, at_once).await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn law_8_a_connection_that_has_lasted_long_enough_takes_no_more_requests() {
    let age = |builder: GuardBuilder| builder.max_connection_age(Duration::from_millis(200));
    let (mesh, guard, address) = door(age).await;
    let svid = mesh.svid("/caller");
    // What is idle ends at once.
    let stream = support::raw_connect(address, None, Some(&svid), b"http/1.1").await;
    let mut one = stream.expect("connect");
    one.write_all(ASK).await.expect("write");
    let first = response(&mut one, "/v1/x").await;
    assert!(!first.contains("connection: close"), "{first}");
    // HTTP/2 with a GOAWAY, and what runs finishes.
    let stream = support::raw_connect(address, None, Some(&svid), b"h2").await;
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream.expect("connect")),
    )
    .await
    .expect("http");
    let open = tokio::spawn(connection);
    let request = get2("/v1/slow")
        .body(Empty::<Bytes>::new())
        .expect("request");
    let running = sender.send_request(request).await.expect("response");
    let body = running.into_body().collect().await.expect("body");
    assert_eq!(body.to_bytes(), "late");
    until("both drain", || {
        let open = guard.connections();
        open.iter()
            .all(|one| one.state != ztl_tower::ConnectionState::Open)
    })
    .await;
    let ended = tokio::time::timeout(support::PATIENCE, open).await;
    ended.expect("ends").expect("task").expect("no error");
    closes(&mut one, Duration::from_secs(1)).await;
    // HTTP/1.1 is told with the response that is on its way.
    let stream = support::raw_connect(address, None, Some(&svid), b"http/1.1").await;
    let mut busy = stream.expect("connect");
    busy.write_all(SLOW).await.expect("write");
    let last = response(&mut busy, "late").await;
    assert!(last.contains("connection: close"), "{last}");
    closes(&mut busy, Duration::from_secs(1)).await;
}
