//! Clients that prove what they must and then ask nothing, or too much.

use http_body_util::BodyExt;

use super::*;

async fn door(limits: impl FnOnce(GuardBuilder) -> GuardBuilder) -> (Mesh, Guard, SocketAddr) {
    door_to(Marker::default().app(), limits).await
}

async fn door_to(
    app: Router,
    limits: impl FnOnce(GuardBuilder) -> GuardBuilder,
) -> (Mesh, Guard, SocketAddr) {
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port(), 1).replace(
        "name = \"users-ask\"",
        "name = \"users-ask\"\nmode = \"off\"",
    ));
    let audit = Arc::new(MemorySink::new(100));
    let guard = limits(mesh.builder("gateway", "/gateway", &audit))
        .build()
        .await
        .expect("guard");
    serve(&guard, listener, app);
    (mesh, guard, address)
}

#[tokio::test]
async fn t35_a_connection_that_asks_nothing_keeps_no_slot() {
    let limits = |builder: GuardBuilder| {
        builder
            .header_timeout(Duration::from_millis(200))
            .max_connections(2)
    };
    let (mesh, _guard, address) = door(limits).await;
    let svid = mesh.svid("/caller");
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for (alpn, bytes) in [
        (&b"h2"[..], &b""[..]),
        (b"http/1.1", b""),
        (b"h2", preface),
        (b"http/1.1", b"GET /v1/x HTTP/1.1\r\nhost: a\r\n"),
    ] {
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut stream = support::raw_connect(address, None, Some(&svid), alpn)
                .await
                .expect("connect");
            stream.write_all(bytes).await.expect("write");
            stream.flush().await.expect("flush");
            held.push(stream);
        }
        let response = knock(address, None, Some(&svid), b"http/1.1", get1("/v1/x")).await;
        assert_eq!(response.expect("response").status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn t35_a_connection_that_asks_nothing_more_is_let_go() {
    let (mesh, _guard, address) =
        door(|builder| builder.idle_timeout(Duration::from_millis(200))).await;
    let svid = mesh.svid("/caller");
    let stream = support::raw_connect(address, None, Some(&svid), b"h2")
        .await
        .expect("connect");
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .expect("http");
    let open = tokio::spawn(connection);
    let request = get2("/v1/x").body(Empty::<Bytes>::new()).expect("request");
    let response = sender.send_request(request).await.expect("response");
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().collect().await.expect("body");
    let ended = tokio::time::timeout(support::PATIENCE, open).await;
    assert!(
        ended.is_ok(),
        "an idle connection ends, the client's own end still open"
    );
    assert!(sender.is_closed());
}

#[tokio::test]
async fn t35_the_header_section_of_http_1_1_is_bounded() {
    let (mesh, _guard, address) = door(|builder| builder).await;
    let svid = mesh.svid("/caller");
    for (each, status) in [(200, 200), (600, 431)] {
        let mut request = get1("/v1/x");
        for at in 0..90 {
            request = request.header(format!("x-{at}"), "y".repeat(each));
        }
        let response = knock(address, None, Some(&svid), b"http/1.1", request).await;
        match response {
            Ok(response) => assert_eq!(response.status().as_u16(), status),
            // The rest of what it sent was not read: the answer may be lost to the reset.
            Err(error) => assert_ne!(status, 200, "{error}"),
        }
    }
}

#[tokio::test]
async fn t35_a_client_hello_without_more_holds_no_computing_slot() {
    let (mesh, _guard, address) = door(|builder| builder.max_handshakes(1)).await;
    let svid = mesh.svid("/caller");
    let mut held = Vec::new();
    for _ in 0..4 {
        let config = Arc::new(support::raw_config(None, b"h2"));
        let name = rustls_pki_types::ServerName::try_from("x.example").expect("name");
        let mut client = rustls::ClientConnection::new(config, name).expect("client");
        let mut hello = Vec::new();
        client.write_tls(&mut hello).expect("hello");
        let mut stream = TcpStream::connect(address).await.expect("connect");
        stream.write_all(&hello).await.expect("write");
        // The server's flight is here: it waits for ours.
        stream.read_u8().await.expect("flight");
        held.push(stream);
    }
    let knocked = tokio::time::timeout(
        Duration::from_secs(5),
        knock(address, None, Some(&svid), b"h2", get2("/v1/x")),
    )
    .await;
    let response = knocked.expect("not stalled").expect("response");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(held.len(), 4);
}

#[tokio::test]
async fn law_8_what_changes_in_the_engine_itself_reaches_open_connections() {
    for withdraw in [true, false] {
        let (mesh, guard, address) = door(|builder| builder).await;
        let svid = mesh.svid("/caller");
        let stream = support::raw_connect(address, None, Some(&svid), b"h2")
            .await
            .expect("connect");
        let (mut sender, connection) = hyper::client::conn::http2::handshake(
            hyper_util::rt::TokioExecutor::new(),
            hyper_util::rt::TokioIo::new(stream),
        )
        .await
        .expect("http");
        let open = tokio::spawn(connection);
        let request = get2("/v1/x").body(Empty::<Bytes>::new()).expect("request");
        let response = sender.send_request(request).await.expect("response");
        assert_eq!(response.status(), StatusCode::OK);
        if withdraw {
            guard.engine().withdraw_flows();
        } else {
            let none = mesh.policy.replace(
                "name = \"caller-reads\"",
                "name = \"caller-reads\"\nmode = \"off\"",
            );
            guard
                .engine()
                .swap_policy(Policy::from_toml(&none).expect("policy"))
                .expect("swap");
        }
        if withdraw {
            // Proved and permitted again: nothing is wrong with the peer.
            let request = get2("/v1/x").body(Empty::<Bytes>::new()).expect("request");
            let response = sender.send_request(request).await.expect("response");
            assert_eq!(response.status(), StatusCode::OK);
            continue;
        }
        let ended = tokio::time::timeout(support::PATIENCE, open).await;
        assert!(ended.is_ok(), "the policy permits it no more");
    }
}

const ASK: &[u8] = b"GET /v1/x HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn an_answer_that_is_read_late_is_whole() {
    // More than the kernel keeps for both ends, in one piece.
    const MANY: usize = 48 * 1024 * 1024;
    let app = Router::new().route("/v1/x", axum::routing::get(async || vec![b'x'; MANY]));
    let short = |builder: GuardBuilder| builder.header_timeout(Duration::from_millis(200));
    let (mesh, _guard, address) = door_to(app, short).await;
    let svid = mesh.svid("/caller");
    let connected = support::raw_connect(address, None, Some(&svid), b"http/1.1").await;
    let mut stream = connected.expect("connect");
    stream.write_all(ASK).await.expect("write");
    stream.flush().await.expect("flush");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (mut buffer, mut read) = (vec![0; 1 << 20], 0);
    while read < MANY {
        let some = tokio::time::timeout(support::PATIENCE, stream.read(&mut buffer)).await;
        let some = some.expect("in time").expect("read");
        assert_ne!(some, 0, "cut after {read} bytes");
        read += some;
    }
}

#[tokio::test]
async fn t35_what_a_service_keeps_of_a_request_keeps_no_slot() {
    let (keep, mut kept) = tokio::sync::mpsc::unbounded_channel();
    let app = Router::new().fallback(async move |request: Request<axum::body::Body>| {
        keep.send(request).expect("kept");
        "hello"
    });
    let short = |builder: GuardBuilder| builder.header_timeout(Duration::from_millis(300));
    let (mesh, _guard, address) = door_to(app, short).await;
    let svid = mesh.svid("/caller");
    let connected = support::raw_connect(address, None, Some(&svid), b"http/1.1").await;
    let mut stream = connected.expect("connect");
    stream.write_all(ASK).await.expect("write");
    stream.flush().await.expect("flush");
    let mut answer = Vec::new();
    let ends = tokio::time::timeout(support::PATIENCE, stream.read_to_end(&mut answer));
    ends.await.expect("it ends").expect("in good order");
    assert!(answer.ends_with(b"hello"), "{answer:?}");
    kept.recv()
        .await
        .expect("a request, with all that it holds");
}

#[tokio::test]
async fn t35_half_of_a_second_header_section_keeps_no_slot() {
    let short = |builder: GuardBuilder| builder.header_timeout(Duration::from_millis(300));
    let (mesh, _guard, address) = door(short).await;
    let svid = mesh.svid("/caller");
    let connected = support::raw_connect(address, None, Some(&svid), b"http/1.1").await;
    let mut stream = connected.expect("connect");
    stream.write_all(ASK).await.expect("write");
    stream.flush().await.expect("flush");
    let mut buffer = [0; 4096];
    assert_ne!(stream.read(&mut buffer).await.expect("answer"), 0);
    let half = ASK.get(..20).expect("half");
    let begin = tokio::time::Instant::now();
    let ends = async {
        for byte in half.iter().chain(&[b'a'; 10_000]) {
            if stream.write_all(&[*byte]).await.is_err() || stream.flush().await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it may go on for ever");
    };
    tokio::time::timeout(support::PATIENCE, ends)
        .await
        .expect("it ends");
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn t35_limits_that_read_as_none_are_none() {
    let limits = |builder: GuardBuilder| {
        builder
            .max_connections(usize::MAX)
            .max_handshakes(usize::MAX)
            .drain_timeout(Duration::MAX)
            .idle_timeout(Duration::from_millis(100))
    };
    let (mesh, _guard, address) = door(limits).await;
    let svid = mesh.svid("/caller");
    let stream = support::raw_connect(address, None, Some(&svid), b"h2").await;
    let io = hyper_util::rt::TokioIo::new(stream.expect("connect"));
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut asks, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .expect("http");
    let ends = tokio::spawn(connection);
    let request = get2("/v1/x").body(Empty::<Bytes>::new()).expect("request");
    let answer = asks.send_request(request).await.expect("answer");
    assert_eq!(answer.status(), StatusCode::OK);
    drop(answer);
    // What is idle ends in good order, and by no panic.
    let ended = tokio::time::timeout(support::PATIENCE, ends).await;
    ended.expect("in time").expect("ended").expect("a GOAWAY");
}
