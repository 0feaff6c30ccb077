//! Law 8 in a host's own server: what runs ends with its request, whoever serves it.

use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio_rustls::TlsConnector;
use ztl_tower::RequestBody;

use super::hosts::{guarded, open_policy};
use super::*;

/// A body of these bytes again and again, as fast as it is read. Where there are none, nothing comes of it.
struct Endless(&'static [u8]);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        if self.0.is_empty() {
            return std::task::Poll::Pending;
        }
        let bytes = Bytes::from_static(self.0);
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(bytes))))
    }
}

/// A connection of the caller's that a host accepted: the client's end keeps it open.
async fn accepted(
    mesh: &Mesh,
    guard: &Guard,
) -> (
    tokio_rustls::client::TlsStream<tokio::io::DuplexStream>,
    ztl_tower::Accepted<tokio::io::DuplexStream>,
) {
    let acceptor = guard.acceptor(8443).expect("acceptor");
    let (client, accepted) = knocks(mesh, &acceptor).await;
    (client, accepted.expect("accepted"))
}

/// The caller shakes hands, and is accepted or not.
async fn knocks(
    mesh: &Mesh,
    acceptor: &ztl_tower::Acceptor,
) -> (
    tokio_rustls::client::TlsStream<tokio::io::DuplexStream>,
    Result<ztl_tower::Accepted<tokio::io::DuplexStream>, ztl_tower::NotAccepted>,
) {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let config = Arc::new(support::raw_config(Some(&mesh.svid("/caller")), b"h2"));
    let name = rustls_pki_types::ServerName::try_from(support::HOST).expect("name");
    let (client, accepted) = tokio::join!(
        TlsConnector::from(config).connect(name, far),
        acceptor.accept(near, None)
    );
    (client.expect("connect"), accepted)
}

#[tokio::test]
async fn law_6_a_peer_that_holds_its_share_is_told_so_and_recorded() {
    let mesh = Mesh::new(&open_policy(8443, 1, "'caller'"));
    let audit = Arc::new(MemorySink::new(100));
    let guard = mesh.builder("gateway", "/gateway", &audit);
    let guard = guard.max_connections_per_peer(1).build().await;
    let acceptor = guard.expect("guard").acceptor(8443).expect("acceptor");
    let (_client, first) = knocks(&mesh, &acceptor).await;
    let first = first.expect("accepted");
    let (_other, second) = knocks(&mesh, &acceptor).await;
    assert_eq!(second.err(), Some(ztl_tower::NotAccepted::Full));
    let recorded = support::reasons(&audit);
    assert_eq!(recorded, ["permitted", "permitted", "limit_exceeded"]);
    drop(first);
    let (_another, third) = knocks(&mesh, &acceptor).await;
    assert!(third.is_ok(), "its share is free again");
}

#[tokio::test]
async fn t35_an_answer_that_nobody_takes_ends_whoever_serves_it() {
    let mesh = Mesh::new(&open_policy(8443, 1, "'caller'"));
    let guard = mesh.builder("gateway", "/gateway", &Arc::new(MemorySink::new(100)));
    let guard = guard.idle_timeout(Duration::from_millis(300)).build().await;
    let guard = guard.expect("guard");
    let (mut client, accepted) = accepted(&mesh, &guard).await;
    let app = tower::service_fn(async |_: Request<RequestBody>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(Endless(&[b'x'; 4096])))
    });
    let protected = TowerToHyperService::new(guard.protect(app).on(&accepted));
    let http = hyper::server::conn::http1::Builder::new();
    let serves = tokio::spawn(http.serve_connection(TokioIo::new(accepted), protected));
    let asks = b"GET /v1/x HTTP/1.1\r\nhost: a\r\n\r\n";
    client.write_all(asks).await.expect("write");
    client.flush().await.expect("flush");
    let ended = tokio::time::timeout(support::PATIENCE, serves).await;
    let ended = ended.expect("in time").expect("a task");
    assert!(ended.is_err(), "cut");
    assert!(guard.connections().is_empty());
}

/// Tells that it runs, and how the body of its request ends.
fn listens(
    begun: tokio::sync::oneshot::Sender<()>,
) -> impl tower::Service<
    Request<RequestBody>,
    Response = http::Response<Empty<Bytes>>,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone {
    let begun = Arc::new(std::sync::Mutex::new(Some(begun)));
    tower::service_fn(move |request: Request<RequestBody>| {
        let begun = begun.lock().expect("lock").take();
        begun.expect("once").send(()).expect("told");
        async move {
            let heard = http_body_util::BodyExt::frame(&mut request.into_body()).await;
            let status = match heard {
                Some(Err(_)) => StatusCode::GONE,
                _ => StatusCode::OK,
            };
            let response = http::Response::builder().status(status);
            Ok(response.body(Empty::<Bytes>::new()).expect("response"))
        }
    })
}

#[tokio::test]
async fn law_8_a_body_ends_with_its_request_whoever_serves_it() {
    let (mesh, guard, _) = guarded(&open_policy(8443, 1, "'caller'")).await;
    let (_client, accepted) = accepted(&mesh, &guard).await;
    let (begun, begins) = tokio::sync::oneshot::channel();
    let app = listens(begun);
    let protected = guard.protect(app).on(&accepted);
    let request = get1("/v1/x").body(Endless(&[])).expect("request");
    let asked = tokio::spawn(protected.oneshot(request));
    begins.await.expect("it runs");
    guard.deny(ztl_mtls::Denied::Id(support::id("/caller")));
    let answer = tokio::time::timeout(Duration::from_millis(1500), asked).await;
    let answer = answer.expect("within a second").expect("task");
    assert_eq!(answer.expect("answer").status(), StatusCode::GONE);
}

/// A host that judges in front of what it protects: the request is the connection's all the same, and ends with its rule.
#[tokio::test]
async fn law_8_a_permit_of_nobodys_request_is_no_judgement_of_this_one() {
    let policy = open_policy(8443, 1, "'caller'");
    let (mesh, guard, _) = guarded(&policy).await;
    let (_client, accepted) = accepted(&mesh, &guard).await;
    let (begun, begins) = tokio::sync::oneshot::channel();
    let protected = guard.protect(listens(begun)).on(&accepted);
    let mut request = get1("/v1/x")
        .body(axum::body::Body::new(Endless(&[])))
        .expect("request");
    request.extensions_mut().insert(accepted.flow().clone());
    let asked = tokio::spawn(guard.authorize().layer(protected).oneshot(request));
    begins.await.expect("it runs");
    let other = policy.replace("GET /v1/{*rest}", "GET /v2/{*rest}");
    let other = ztl_core::policy::Policy::from_toml(&other).expect("policy");
    guard.swap_policy(other).expect("swap");
    let answer = tokio::time::timeout(Duration::from_millis(1500), asked).await;
    let answer = answer.expect("within a second").expect("task");
    assert_eq!(answer.expect("answer").status(), StatusCode::GONE);
}
