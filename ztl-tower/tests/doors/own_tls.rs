//! A host with TLS of its own, as docs/hyper.md shows it.

use std::error::Error;
use std::sync::OnceLock;

use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio_rustls::TlsAcceptor;
use ztl_core::Peer;
use ztl_mtls::{BundleSet, Refused, ServerConfigs};

use super::hosts::open_policy;
use super::*;

const PAGE: &str = include_str!("../../../docs/hyper.md");

// The page's.
/// One connection. `configs` are the listener's.
async fn connection(
    guard: Guard,
    configs: Arc<ServerConfigs>,
    app: Router,
    stream: TcpStream,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let from = Arrival::from_addr(stream.peer_addr()?.ip());
    let port = stream.local_addr()?.port();
    let permitted = Arc::new(OnceLock::new());
    let (judge, permits) = (guard.clone(), Arc::clone(&permitted));
    // Asked when the caller has proved chain and key, before the handshake ends.
    let may_connect = move |peer: Peer| {
        let flow = Flow::ingress(judge.name(), port, from, Some(&peer));
        let permit = judge.engine().permit_flow(&flow, now());
        let permit = permit.map_err(|_| Refused)?;
        permits.set(permit).map_err(|_| Refused)
    };
    let lent = configs.lend(guard.client_verifier(Arc::new(may_connect)))?;
    let handshake = TlsAcceptor::from(lent.config()).accept(stream);
    let stream = tokio::time::timeout(Duration::from_secs(10), handshake).await??;
    drop(lent); // until here it proves this caller
    let permit = permitted.get().cloned().ok_or("nobody was proved")?;
    let service = guard.authorize().layer(app);
    let service = service.map_request(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(permit.clone());
        request
    });
    let service = TowerToHyperService::new(service);
    let server = Builder::new(TokioExecutor::new());
    server.serve_connection(TokioIo::new(stream), service).await
}
// Until here.

#[test]
fn the_page_shows_this() {
    let shown = include_str!("own_tls.rs").split("// The page's.\n").nth(1);
    let shown = shown.and_then(|rest| rest.split("\n// Until here.").next());
    assert!(PAGE.contains(shown.expect("it")));
}

#[tokio::test]
async fn t1_a_host_with_tls_of_its_own_serves_who_is_proved_and_permitted() {
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&open_policy(address.port(), 1, "'caller'"));
    let (guard, audit) = mesh.guard("gateway", "/gateway").await;
    let marker = Marker::default();
    let configs = Arc::new(guard.server_configs(&[b"http/1.1"]));
    let (serving, app) = (guard.clone(), marker.app());
    let accepting = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(
                serving.clone(),
                Arc::clone(&configs),
                app.clone(),
                stream,
            ));
        }
    });
    let ask = async |path: &str, svid: Option<&str>| {
        let svid = svid.map(|path| mesh.svid(path));
        let got = knock(address, None, svid.as_ref(), b"http/1.1", get1(path)).await;
        got.map(|response| response.status().as_u16())
    };
    assert_eq!(ask("/v1/x", Some("/caller")).await, Ok(200));
    assert_eq!(ask("/v2/x", Some("/caller")).await, Ok(403));
    assert_eq!(marker.calls(), 1);
    // Who has no edge hears so in the handshake, and so does nobody.
    assert!(ask("/v1/x", Some("/other")).await.is_err());
    assert!(ask("/v1/x", None).await.is_err());
    let recorded = ["permitted", "permitted", "permitted", "no_action_permitted"];
    assert_eq!(reasons(&audit)[..4], recorded);
    assert_eq!(reasons(&audit)[4..], ["no_flow_permitted"]);

    // What the guard takes holds here too: its SVID,
    let svid = mesh.svid("/gateway");
    let leaf = svid.chain()[0].clone();
    guard.swap_identity(svid).expect("taken");
    let svid = mesh.svid("/caller");
    let stream = support::raw_connect(address, None, Some(&svid), b"http/1.1");
    let stream = stream.await.expect("connect");
    let shown = stream.get_ref().1.peer_certificates().expect("a chain");
    assert_eq!(shown[0], leaf);
    // and its bundles. A connection goes on; what it was proved by does not.
    let other = Mesh::new(&mesh.policy).authority;
    let svid = mesh.svid("/caller");
    let stream = support::raw_connect(address, None, Some(&svid), b"http/1.1");
    let io = TokioIo::new(stream.await.expect("connect"));
    let (mut sender, open) = hyper::client::conn::http1::handshake(io).await.expect("it");
    tokio::spawn(open);
    for status in [200, 403] {
        let request = get1("/v1/x").body(Empty::<Bytes>::new()).expect("request");
        let response = sender.send_request(request).await.expect("response");
        assert_eq!(response.status().as_u16(), status);
        guard.swap_bundles(BundleSet::new([other.bundle()]).expect("bundles"));
    }
    assert_eq!(
        reasons(&audit).last().map(String::as_str),
        Some("flow_withdrawn")
    );
    assert_eq!(marker.calls(), 2);
    assert!(ask("/v1/x", Some("/caller")).await.is_err());
    accepting.abort();
}
