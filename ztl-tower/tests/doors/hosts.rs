//! Hosts that accept connections themselves, Unix sockets, and several doors of one guard.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use ztl_tower::{Incoming, Listen, NotAccepted, Protect, RequestBody, ServeError};

use super::*;

pub(crate) fn open_policy(port: u16, public: u16, zone: &str) -> String {
    format!(
        r#"
schema = 1
trust_domain = "prod.example"
[zones.inside]
networks = ["127.0.0.0/24"]
[workloads.caller]
id = "spiffe://prod.example/caller"
[workloads.gateway]
id = "spiffe://prod.example/gateway"
ports = [{port}]
public_ports = [{public}]
[[permit]]
name = "caller-reads"
from = {zone}
to = "gateway"
ports = {port}
actions = ["GET /v1/{{*rest}}"]
[[permit]]
name = "anyone-says-hello"
from = "public"
to = "gateway"
ports = {public}
anonymous = true
actions = ["GET /hello"]
"#
    )
}

/// A request over any stream.
async fn ask(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    svid: &ztl_mtls::X509Svid,
    path: &str,
) -> Result<http::Response<hyper::body::Incoming>, String> {
    let config = Arc::new(support::raw_config(Some(svid), b"h2"));
    let name = rustls_pki_types::ServerName::try_from(support::HOST).expect("name");
    let stream = TlsConnector::from(config).connect(name, stream).await;
    let stream = stream.map_err(|error| support::chain(&error))?;
    let http = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = http.await.map_err(|error| support::chain(&error))?;
    tokio::spawn(connection);
    let request = get2(path).body(Empty::<Bytes>::new()).expect("request");
    let response = sender.send_request(request).await;
    response.map_err(|error| support::chain(&error))
}

pub(crate) async fn guarded(policy: &str) -> (Mesh, Guard, Arc<MemorySink>) {
    let mesh = Mesh::new(policy);
    let (guard, audit) = mesh.guard("gateway", "/gateway").await;
    (mesh, guard, audit)
}

/// A server that is not ours.
fn host(mut incoming: Incoming, protect: Protect<Router>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(accepted) = incoming.accept().await.expect("listener") {
            let service = TowerToHyperService::new(protect.on(&accepted));
            tokio::spawn(async move {
                let server = Builder::new(TokioExecutor::new());
                let _ = server
                    .serve_connection(TokioIo::new(accepted), service)
                    .await;
            });
        }
    })
}

/// An empty folder.
fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("ztl-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    folder
}

#[tokio::test]
async fn t1_a_server_of_ones_own_judges_each_request_and_ends_what_is_withdrawn() {
    let (listener, address) = listener().await;
    let (mesh, guard, audit) = guarded(&open_policy(address.port(), 1, "'caller'")).await;
    let marker = Marker::default();
    let incoming = guard.incoming_on(listener).expect("incoming");
    let server = host(incoming, guard.protect(marker.app()));
    let svid = mesh.svid("/caller");
    for (alpn, at) in [(&b"h2"[..], get2("/v1/x")), (b"http/1.1", get1("/v1/x"))] {
        let response = knock(address, None, Some(&svid), alpn, at).await;
        assert_eq!(response.expect("response").status(), StatusCode::OK);
    }
    assert_eq!(marker.calls(), 2);
    let response = knock(address, None, Some(&svid), b"h2", get2("/v2/x")).await;
    assert_eq!(response.expect("response").status(), StatusCode::FORBIDDEN);
    assert_eq!(marker.calls(), 2);
    let stranger = mesh.svid("/stranger");
    let refused = knock(address, None, Some(&stranger), b"h2", get2("/v1/x")).await;
    assert!(refused.is_err());
    // An open connection ends with what it rests on.
    let stream = support::raw_connect(address, None, Some(&svid), b"h2").await;
    let http = hyper::client::conn::http2::handshake(
        TokioExecutor::new(),
        TokioIo::new(stream.expect("connect")),
    );
    let (mut sender, connection) = http.await.expect("http");
    let open = tokio::spawn(connection);
    let request = get2("/v1/x").body(Empty::<Bytes>::new()).expect("request");
    let _ = sender.send_request(request).await.expect("response");
    guard.deny(ztl_mtls::Denied::Id(support::id("/caller")));
    let ended = tokio::time::timeout(Duration::from_millis(1500), open).await;
    assert!(ended.is_ok(), "within a second");
    assert_eq!(
        reasons(&audit).last().map(String::as_str),
        Some("identity_revoked")
    );
    guard.shutdown();
    let ended = tokio::time::timeout(support::PATIENCE, server).await;
    ended.expect("ends").expect("task");
}

#[tokio::test]
async fn t26_a_host_s_own_stream_has_no_zone_and_t35_counts_against_a_share() {
    let policy = open_policy(8443, 1, "'caller'").replace(
        "prod.example/caller\"",
        "prod.example/caller\"\nzone = \"inside\"",
    );
    let mesh = Mesh::new(&policy);
    let audit = Arc::new(MemorySink::new(100));
    let guard = mesh
        .builder("gateway", "/gateway", &audit)
        .max_unproved_per_prefix(1);
    let guard = guard.build().await.expect("guard");
    assert!(matches!(
        guard.acceptor(9000),
        Err(ServeError::UnlistedPort { port: 9000, .. })
    ));
    let acceptor = guard.acceptor(8443).expect("acceptor");
    let svid = mesh.svid("/caller");
    let (near, far) = tokio::io::duplex(16 * 1024);
    let inside = "127.0.0.7:5000".parse().expect("address");
    let (asked, accepted) = tokio::join!(ask(far, &svid, "/v1/x"), async {
        let accepted = acceptor.accept(near, Some(inside)).await.expect("accepted");
        assert_eq!(accepted.remote(), Some(inside));
        assert!(accepted.is_http2());
        let peer = accepted.peer().expect("peer");
        // Its flow is permitted, and raw bytes are not.
        let raw = accepted.into_raw().await.expect_err("denied");
        (peer, raw.reason().code())
    });
    assert!(asked.is_err());
    assert_eq!(accepted.0.id().to_string(), "spiffe://prod.example/caller");
    assert_eq!(accepted.1, "no_action_permitted");
    // From nowhere that is known, the workload is not where it has to be.
    let (near, far) = tokio::io::duplex(16 * 1024);
    let (_, refused) = tokio::join!(ask(far, &svid, "/v1/x"), acceptor.accept(near, None));
    assert_eq!(refused.expect_err("refused"), NotAccepted::Refused);
    assert_eq!(
        reasons(&audit).last().map(String::as_str),
        Some("zone_unknown")
    );
    // One that says nothing holds the share of its address.
    let (held, _silent) = tokio::io::duplex(1024);
    let silent = tokio::spawn({
        let acceptor = acceptor.clone();
        async move { acceptor.accept(held, Some(inside)).await.map(drop) }
    });
    until("it is known", || guard.connections().len() == 1).await;
    let (near, _far) = tokio::io::duplex(1024);
    let full = acceptor.accept(near, Some(inside)).await.map(drop);
    assert_eq!(full, Err(NotAccepted::Full));
    silent.abort();
    guard.shutdown();
    let (near, _far) = tokio::io::duplex(1024);
    let late = acceptor.accept(near, None).await.map(drop);
    assert_eq!(late, Err(NotAccepted::ShuttingDown));
}

#[tokio::test]
async fn t26_one_guard_serves_mesh_public_and_unix_under_one_policy() {
    let ((mesh_listener, mesh_at), (public_listener, public_at)) =
        (listener().await, listener().await);
    drop((mesh_listener, public_listener));
    let folder = folder("doors");
    let socket = folder.join("s");
    // One that a process left behind.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("socket"));
    let web = DevWebCa::new(now()).expect("authority");
    let web = web
        .issue(&["gateway.example"], now(), Duration::from_secs(3600))
        .expect("certificate");
    let (certificate, key) = (folder.join("c.pem"), folder.join("k.pem"));
    std::fs::write(&certificate, &*web.cert_pem).expect("write");
    std::fs::write(&key, &*web.key_pem).expect("write");
    let from = r#"["caller", "zone:inside"]"#;
    let mesh = Mesh::new(&open_policy(mesh_at.port(), public_at.port(), from));
    let audit = Arc::new(MemorySink::new(100));
    let guard = mesh
        .builder("gateway", "/gateway", &audit)
        .listener(Listen::mesh(mesh_at))
        .listener(Listen::public(public_at, &certificate, &key))
        .listener(Listen::unix(&socket, mesh_at.port()))
        .build()
        .await
        .expect("guard");
    let marker = Marker::default();
    let running = tokio::spawn({
        let (guard, app) = (guard.clone(), marker.app());
        async move { guard.run(app).await }
    });
    until("all are bound", || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    })
    .await;
    let (caller, other) = (mesh.svid("/caller"), mesh.svid("/other"));
    let unix = async |svid| {
        let stream = UnixStream::connect(&socket).await.expect("connect");
        ask(stream, svid, "/v1/x")
            .await
            .map(|response| response.status())
    };
    let mutual = async |svid, path| {
        let answer = knock(mesh_at, None, Some(svid), b"h2", get2(path)).await;
        answer.map(|response| response.status())
    };
    assert_eq!(mutual(&caller, "/v1/x").await, Ok(StatusCode::OK));
    assert_eq!(
        mutual(&other, "/v1/x").await,
        Ok(StatusCode::OK),
        "by its zone"
    );
    assert_eq!(
        mutual(&caller, "/hello").await,
        Ok(StatusCode::FORBIDDEN),
        "only in public"
    );
    assert_eq!(unix(&caller).await, Ok(StatusCode::OK));
    assert!(unix(&other).await.is_err(), "a Unix socket is in no zone");
    let hello = knock(public_at, None, None, b"h2", get2("/hello")).await;
    assert_eq!(hello.expect("response").status(), StatusCode::OK);
    let inner = knock(public_at, None, None, b"h2", get2("/v1/x")).await;
    assert_eq!(inner.expect("response").status(), StatusCode::FORBIDDEN);
    // A second service does not take the socket away.
    let taken = guard
        .serve_unix(&socket, mesh_at.port(), marker.app())
        .await;
    assert!(matches!(taken, Err(ServeError::Bind { .. })), "{taken:?}");
    guard.shutdown();
    let ended = tokio::time::timeout(support::PATIENCE, running).await;
    ended.expect("ends").expect("task").expect("in good order");
    assert!(!socket.exists(), "its file is removed");
    std::fs::remove_dir_all(&folder).expect("clean");
}

#[tokio::test]
async fn t1_axum_s_own_server_is_protected_and_ends_with_the_guard() {
    let (listener, address) = listener().await;
    let (mesh, guard, _) = guarded(&open_policy(address.port(), 1, "'caller'")).await;
    let (incoming, marker) = (
        guard.incoming_on(listener).expect("incoming"),
        Marker::default(),
    );
    let served = axum::serve(incoming, guard.protect(marker.app()));
    let ends = served.with_graceful_shutdown(guard.shutting_down());
    let server = tokio::spawn(ends.into_future());
    let svid = mesh.svid("/caller");
    for (path, status) in [("/v1/x", 200), ("/v2/x", 403)] {
        let response = knock(address, None, Some(&svid), b"h2", get2(path)).await;
        assert_eq!(response.expect("response").status().as_u16(), status);
    }
    assert_eq!(marker.calls(), 1);
    guard.shutdown();
    let ended = tokio::time::timeout(support::PATIENCE, server).await;
    ended.expect("ends").expect("task").expect("in good order");
}

#[tokio::test]
async fn t1_a_server_that_nobody_protected_serves_nobody() {
    let (listener, address) = listener().await;
    let (mesh, guard, _) = guarded(&open_policy(address.port(), 1, "'caller'")).await;
    let (incoming, marker) = (
        guard.incoming_on(listener).expect("incoming"),
        Marker::default(),
    );
    // It compiles: the router is forgotten to be given to `protect`.
    let served = axum::serve(incoming, marker.app());
    let ends = served.with_graceful_shutdown(guard.shutting_down());
    let server = tokio::spawn(ends.into_future());
    let svid = mesh.svid("/caller");
    for (alpn, at) in [(&b"h2"[..], get2("/v1/x")), (b"http/1.1", get1("/v1/x"))] {
        let refused = knock(address, None, Some(&svid), alpn, at).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    assert_eq!(marker.calls(), 0);
    guard.shutdown();
    let ended = tokio::time::timeout(support::PATIENCE, server).await;
    ended.expect("ends").expect("task").expect("in good order");
}

#[tokio::test]
async fn t1_a_guard_serves_nobody_whom_another_let_in() {
    let (listener, address) = listener().await;
    let (mesh, guard, _) = guarded(&open_policy(address.port(), 1, "'caller'")).await;
    let (other, _) = mesh.guard("gateway", "/gateway").await;
    let marker = Marker::default();
    let incoming = guard.incoming_on(listener).expect("incoming");
    let server = host(incoming, other.protect(marker.app()));
    let svid = mesh.svid("/caller");
    let refused = knock(address, None, Some(&svid), b"h2", get2("/v1/x")).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(marker.calls(), 0);
    server.abort();
}

#[tokio::test]
async fn t35_a_connection_of_a_host_s_own_server_that_is_not_used_ends() {
    for asks in [false, true] {
        let (listener, address) = listener().await;
        let mesh = Mesh::new(&open_policy(address.port(), 1, "'caller'"));
        let short = Duration::from_millis(200);
        let guard = mesh
            .builder("gateway", "/gateway", &Arc::new(MemorySink::new(100)))
            .header_timeout(if asks { support::PATIENCE } else { short })
            .idle_timeout(short)
            .drain_timeout(short);
        let guard = guard.build().await.expect("guard");
        let incoming = guard.incoming_on(listener).expect("incoming");
        let server = host(incoming, guard.protect(Marker::default().app()));
        let svid = mesh.svid("/caller");
        let stream = support::raw_connect(address, None, Some(&svid), b"http/1.1").await;
        let mut stream = stream.expect("connect");
        if asks {
            let ask = b"GET /v1/x HTTP/1.1\r\nhost: a\r\n\r\n";
            stream.write_all(ask).await.expect("write");
        }
        let all = async { while matches!(stream.read(&mut [0; 256]).await, Ok(1..)) {} };
        let ended = tokio::time::timeout(support::PATIENCE / 2, all).await;
        assert!(ended.is_ok(), "asked: {asks}");
        until("its place is free", || guard.connections().is_empty()).await;
        server.abort();
    }
}

#[tokio::test]
async fn a_socket_that_a_successor_bound_is_not_removed() {
    let (_mesh, guard, _) = guarded(&open_policy(8443, 1, "'caller'")).await;
    let folder = folder("successor");
    let socket = folder.join("s");
    let listens = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
    let served = tokio::spawn({
        let (guard, socket) = (guard.clone(), socket.clone());
        async move {
            let app = Marker::default().app();
            guard.serve_unix(socket, 8443, app).await
        }
    });
    until("it is bound", listens).await;
    std::fs::remove_file(&socket).expect("remove");
    let _successor = std::os::unix::net::UnixListener::bind(&socket).expect("bind");
    guard.shutdown();
    let ended = tokio::time::timeout(support::PATIENCE, served).await;
    ended.expect("ends").expect("task").expect("in good order");
    assert!(listens(), "its file is there");
    std::fs::remove_dir_all(&folder).expect("clean");
}

#[test]
fn t6_a_public_listener_s_certificate_is_a_regular_file_of_bounded_size() {
    let folder = folder("certificate");
    let large = folder.join("large.pem");
    let file = std::fs::File::create(&large).expect("file");
    file.set_len(8 * 1024 * 1024).expect("length");
    for (path, why) in [
        (large.as_path(), "more than"),
        (std::path::Path::new("/dev/null"), "not a regular file"),
    ] {
        let refused = PublicTls::from_pem_files(path, path).expect_err("refused");
        assert!(refused.to_string().contains(why), "{refused}");
    }
    std::fs::remove_dir_all(&folder).expect("clean");
}

/// A router that cannot always be cloned.
struct Fragile(Router, Arc<std::sync::atomic::AtomicBool>);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(!self.1.load(std::sync::atomic::Ordering::SeqCst), "broken");
        Self(self.0.clone(), Arc::clone(&self.1))
    }
}

impl tower::Service<Request<RequestBody>> for Fragile {
    type Response = axum::response::Response;
    type Error = std::convert::Infallible;
    type Future = <Router as tower::Service<Request<RequestBody>>>::Future;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        tower::Service::<Request<RequestBody>>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        tower::Service::call(&mut self.0, request)
    }
}

#[tokio::test]
async fn a_listener_that_panics_ends_the_others_and_is_not_taken_for_a_good_end() {
    let (listener, address) = listener().await;
    drop(listener);
    let mesh = Mesh::new(&open_policy(address.port(), 1, "'caller'"));
    let folder = folder("panics");
    let guard = mesh
        .builder("gateway", "/gateway", &Arc::new(MemorySink::new(100)))
        .listener(Listen::mesh(address))
        .listener(Listen::unix(folder.join("s"), address.port()));
    let guard = guard.build().await.expect("guard");
    let breaks = Arc::default();
    let app = Fragile(Marker::default().app(), Arc::clone(&breaks));
    let running = tokio::spawn(async move { guard.run(app).await });
    let connects = || std::net::TcpStream::connect(address).is_ok();
    until("it listens", connects).await;
    breaks.store(true, std::sync::atomic::Ordering::SeqCst);
    let _ = TcpStream::connect(address).await.expect("connect");
    let ended = tokio::time::timeout(support::PATIENCE, running).await;
    assert!(ended.expect("all end").expect_err("a panic").is_panic());
    std::fs::remove_dir_all(&folder).expect("clean");
}
