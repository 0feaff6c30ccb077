//! A small mesh on loopback: an authority, a policy, guards, and clients that are not ztl.
#![allow(dead_code, reason = "each test file uses another part")]

pub(crate) mod heard;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use ztl_core::audit::MemorySink;
use ztl_core::policy::Policy;
use ztl_core::{SpiffeId, Timestamp, TrustDomain};
use ztl_mtls::{DevCa, X509Svid};
use ztl_tower::{Guard, GuardBuilder, Peer};

/// How long anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[expect(
    clippy::disallowed_methods,
    reason = "the tests stand for an enforcement point"
)]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("clock");
    Timestamp::from_unix_millis(u64::try_from(since.as_millis()).expect("millis"))
}

pub(crate) fn id(path: &str) -> SpiffeId {
    SpiffeId::parse(&format!("spiffe://prod.example{path}")).expect("id")
}

/// A free address on 127.0.0.1, and the listener that holds it.
pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    listener_at(Ipv4Addr::LOCALHOST.into()).await
}

pub(crate) async fn listener_at(ip: IpAddr) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((ip, 0)).await.expect("bind");
    let address = listener.local_addr().expect("address");
    (listener, address)
}

pub(crate) struct Mesh {
    pub(crate) authority: DevCa,
    pub(crate) policy: String,
}

impl Mesh {
    pub(crate) fn new(policy: &str) -> Self {
        let domain = TrustDomain::parse("prod.example").expect("domain");
        Self {
            authority: DevCa::new(domain, now()).expect("authority"),
            policy: policy.to_owned(),
        }
    }

    pub(crate) fn svid(&self, path: &str) -> X509Svid {
        self.svid_at(path, now())
    }

    /// An SVID that was issued at another time, good for an hour.
    pub(crate) fn svid_at(&self, path: &str, at: Timestamp) -> X509Svid {
        self.authority
            .issue(
                &id(path),
                at,
                Duration::from_secs(3600),
                &ztl_mtls::provider(),
            )
            .expect("svid")
            .svid
    }

    pub(crate) fn load(&self) -> Policy {
        Policy::from_toml(&self.policy).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn builder(&self, name: &str, path: &str, audit: &Arc<MemorySink>) -> GuardBuilder {
        Guard::builder(name)
            .policy(self.load())
            .identity(self.svid(path))
            .bundle(self.authority.bundle())
            .allow_dev_authority()
            .audit(Arc::clone(audit))
    }

    pub(crate) async fn guard(&self, name: &str, path: &str) -> (Guard, Arc<MemorySink>) {
        let audit = Arc::new(MemorySink::new(1000));
        let guard = self
            .builder(name, path, &audit)
            .build()
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        (guard, audit)
    }
}

/// A service that counts its calls and says who called, and the path that it saw.
#[derive(Clone, Default)]
pub(crate) struct Marker(Arc<AtomicUsize>);

impl Marker {
    pub(crate) fn calls(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn app(&self) -> Router {
        let marker = self.clone();
        Router::new().fallback(any(
            move |peer: Option<PeerOrNobody>, request: axum::extract::Request| {
                let marker = marker.clone();
                async move {
                    marker.0.fetch_add(1, Ordering::SeqCst);
                    let who = peer.map_or_else(
                        || "nobody".to_owned(),
                        |PeerOrNobody(peer)| peer.id().to_string(),
                    );
                    let said = format!("{who} {}", request.uri().path());
                    let opens = request
                        .headers()
                        .get("upgrade")
                        .is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"websocket"));
                    let status = match opens {
                        true => http::StatusCode::SWITCHING_PROTOCOLS,
                        false => http::StatusCode::OK,
                    };
                    (status, said)
                }
            },
        ))
    }
}

pub(crate) struct PeerOrNobody(pub(crate) Peer);

impl<S: Sync> axum::extract::OptionalFromRequestParts<S> for PeerOrNobody {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Peer>().cloned().map(PeerOrNobody))
    }
}

/// Runs a mesh listener in the background.
pub(crate) fn serve(guard: &Guard, listener: TcpListener, app: Router) {
    let guard = guard.clone();
    tokio::spawn(async move {
        guard
            .serve_listener(listener, app)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    });
}

/// A client of nobody's making: it believes any server.
#[derive(Debug)]
struct Gullible(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

pub(crate) fn raw_config(svid: Option<&X509Svid>, alpn: &[u8]) -> ClientConfig {
    let provider = ztl_mtls::provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible(provider)));
    let mut config = match svid {
        Some(svid) => {
            builder.with_client_cert_resolver(Arc::new(ztl_mtls::IdentitySource::new(svid.clone())))
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

pub(crate) type RawStream = tokio_rustls::client::TlsStream<TcpStream>;

/// The server name that these clients ask for, and so the host of their requests (T21).
pub(crate) const HOST: &str = "a";

/// Connects from an address and shakes hands. In TLS 1.3 this returns before the server has judged the client.
pub(crate) async fn raw_connect(
    to: SocketAddr,
    from: Option<IpAddr>,
    svid: Option<&X509Svid>,
    alpn: &[u8],
) -> std::io::Result<RawStream> {
    let name = ServerName::try_from(HOST).expect("name");
    raw_connect_as(to, from, name, svid, alpn).await
}

/// The same by another server name; none is sent of an address.
pub(crate) async fn raw_connect_as(
    to: SocketAddr,
    from: Option<IpAddr>,
    name: ServerName<'static>,
    svid: Option<&X509Svid>,
    alpn: &[u8],
) -> std::io::Result<RawStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let stream = tokio::time::timeout(PATIENCE, socket.connect(to))
        .await
        .map_err(std::io::Error::other)??;
    let connector = TlsConnector::from(Arc::new(raw_config(svid, alpn)));
    tokio::time::timeout(PATIENCE, connector.connect(name, stream))
        .await
        .map_err(std::io::Error::other)?
}

/// One request over a stream, as HTTP/1.1 or HTTP/2, whichever was agreed on.
pub(crate) async fn raw_request<B>(
    stream: RawStream,
    request: Request<B>,
) -> hyper::Result<Response<Bytes>>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = TokioIo::new(stream);
    let response = if two {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    };
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(parts, body))
}

/// What an attacker gets: a status, or how the connection ended.
pub(crate) async fn knock(
    to: SocketAddr,
    from: Option<IpAddr>,
    svid: Option<&X509Svid>,
    alpn: &[u8],
    request: http::request::Builder,
) -> Result<Response<Bytes>, String> {
    let request = request.body(Empty::<Bytes>::new()).expect("request");
    let attempt = async {
        let stream = raw_connect(to, from, svid, alpn)
            .await
            .map_err(|error| chain(&error))?;
        raw_request(stream, request)
            .await
            .map_err(|error| chain(&error))
    };
    tokio::time::timeout(PATIENCE, attempt)
        .await
        .expect("in time")
}

/// An error and all its causes.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// For `http/1.1` a request needs a Host field and the origin form.
pub(crate) fn get1(path: &str) -> http::request::Builder {
    Request::get(path).header("host", HOST)
}

pub(crate) fn get2(path: &str) -> http::request::Builder {
    Request::get(format!("https://{HOST}{path}"))
}

/// The reasons in an audit log, oldest first.
pub(crate) fn reasons(audit: &MemorySink) -> Vec<String> {
    audit
        .lines()
        .iter()
        .map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).expect("json");
            record["reason"].as_str().expect("reason").to_owned()
        })
        .collect()
}

/// Waits until a condition holds, in bounded time.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
