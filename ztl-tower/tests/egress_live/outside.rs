//! Hosts outside the mesh: named by a rule, proved by the Web PKI, and shown nothing of us (T27).

use super::*;
use axum::Router;
use axum::routing::any;
use hyper_util::service::TowerToHyperService;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use ztl_core::{Direction, WebHost};
use ztl_mtls::{DevWebCa, WebRoots};

pub(super) const OUTSIDE: &str = r#"
schema = 1
trust_domain = "prod.example"
[workloads.caller]
id = "spiffe://prod.example/caller"
[workloads.db]
id = "spiffe://prod.example/db"
ports = [8443]
[external.hub]
hosts = ["hub.example.org", "db.example.org"]
ports = [443, 8443]
networks = ["127.0.0.0/8"]
[external.elsewhere]
hosts = ["private.example.org"]
[[permit]]
name = "reads-the-hub"
from = "caller"
to = "external:hub"
ports = 443
actions = ["GET /v1/{*rest}"]
[[permit]]
name = "reads-elsewhere"
from = "caller"
to = "external:elsewhere"
actions = ["GET /v1/{*rest}"]
[[permit]]
name = "reads"
from = "caller"
to = "db"
actions = ["GET /v1/{*rest}"]
"#;

/// What a host got.
#[derive(Clone, Default)]
pub(super) struct Seen {
    pub(super) opened: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    pub(super) certificates: Arc<AtomicUsize>,
}

impl Seen {
    pub(super) fn asked(&self) -> usize {
        self.asked.lock().expect("lock").len()
    }
}

/// Asks for a certificate, and takes any or none.
#[derive(Debug)]
struct Asking(Arc<dyn ClientCertVerifier>, Arc<AtomicUsize>);

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: rustls_pki_types::UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// TLS with a certificate for these names, which would take a client's.
pub(super) fn acceptor(
    web: &DevWebCa,
    names: &[&str],
    alpn: &[&[u8]],
    seen: &Seen,
) -> tokio_rustls::TlsAcceptor {
    let issued = web
        .issue(names, now(), Duration::from_secs(3600))
        .expect("certificate");
    let chain = CertificateDer::pem_slice_iter(issued.cert_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .expect("chain");
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).expect("key");
    let provider = ztl_mtls::provider();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(web.root_pem().as_bytes()).expect("root"))
        .expect("root");
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .build()
        .expect("verifier");
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("versions")
        .with_client_cert_verifier(Arc::new(Asking(verifier, seen.certificates.clone())))
        .with_single_cert(chain, key)
        .expect("config");
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

/// An ordinary web server with a certificate for these names, which would take a client's.
pub(super) async fn host(web: &DevWebCa, names: &[&str], alpn: &[u8]) -> (SocketAddr, Seen) {
    let (listener, address) = listener().await;
    let seen = Seen::default();
    let acceptor = acceptor(web, names, &[alpn], &seen);
    let all = seen.clone();
    let app = Router::new().fallback(any(move |request: axum::extract::Request| {
        let asked = all.asked.clone();
        async move {
            let (parts, _) = request.into_parts();
            let target = parts.uri.to_string();
            let moved = parts.uri.path() == "/v1/moved";
            let endless = parts.uri.path().starts_with("/v1/endless");
            asked.lock().expect("lock").push((target, parts.headers));
            let status = if moved {
                StatusCode::FOUND
            } else {
                StatusCode::OK
            };
            let body = if endless {
                axum::body::Body::new(Endless(false))
            } else {
                axum::body::Body::from("hello")
            };
            (status, [("location", "https://db/v1/x")], body)
        }
    }));
    let opened = seen.opened.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            opened.fetch_add(1, Ordering::SeqCst);
            let (acceptor, app) = (acceptor.clone(), app.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let service = TowerToHyperService::new(app);
                    let served = auto::Builder::new(TokioExecutor::new());
                    drop(served.serve_connection(TokioIo::new(stream), service).await);
                }
            });
        }
    });
    (address, seen)
}

pub(super) fn roots(web: &DevWebCa) -> WebRoots {
    WebRoots::from_pem(web.root_pem().as_bytes()).expect("roots")
}

pub(super) async fn guard(
    mesh: &Mesh,
    web: Option<&DevWebCa>,
    hosts: &[(&str, SocketAddr)],
) -> (Guard, Arc<MemorySink>) {
    let audit = Arc::new(MemorySink::new(100));
    let mut builder = mesh.builder("caller", "/caller", &audit);
    for (name, address) in hosts {
        builder = builder.endpoint(name, *address);
    }
    if let Some(web) = web {
        builder = builder.web_roots(roots(web));
    }
    (builder.build().await.expect("guard"), audit)
}

pub(super) fn to(uri: &str) -> Request<Empty<Bytes>> {
    Request::get(uri).body(Empty::new()).expect("request")
}

pub(super) fn code(error: &EgressError) -> Option<&'static str> {
    error.denial().map(|denial| denial.reason().code())
}

#[tokio::test]
async fn t27_a_host_outside_is_called_only_where_a_permit_names_it() {
    for alpn in [&b"h2"[..], b"http/1.1"] {
        let (mesh, web) = (Mesh::new(OUTSIDE), DevWebCa::new(now()).expect("ca"));
        let (address, seen) = host(&web, &["hub.example.org"], alpn).await;
        let hosts = [("hub.example.org", address)];
        let (guard, audit) = guard(&mesh, Some(&web), &hosts).await;
        for (method, uri, reason) in [
            (
                "GET",
                "https://hub.example.org/admin",
                "no_action_permitted",
            ),
            (
                "POST",
                "https://hub.example.org/v1/x",
                "no_action_permitted",
            ),
            (
                "GET",
                "https://hub.example.org:8443/v1/x",
                "no_flow_permitted",
            ),
            (
                "GET",
                "https://hub.example.org:9443/v1/x",
                "no_flow_permitted",
            ),
            ("GET", "https://evil.example.org/v1/x", "no_flow_permitted"),
            (
                "GET",
                "https://sub.hub.example.org/v1/x",
                "no_flow_permitted",
            ),
        ] {
            let mut request = to(uri);
            *request.method_mut() = method.parse().expect("method");
            let error = ask(&guard, request).await.expect_err(uri);
            assert_eq!(code(&error), Some(reason), "{method} {uri}");
        }
        assert_eq!(seen.opened.load(Ordering::SeqCst), 0, "nothing was dialled");
        let denied = audit.lines();
        assert_eq!(denied.len(), 6);
        assert!(
            denied
                .iter()
                .all(|record| record.contains("\"direction\":\"egress\""))
        );
        assert!(
            denied[0].contains("\"host\":\"hub.example.org\""),
            "{}",
            denied[0]
        );

        let mut request = to("https://hub.example.org/v1/a");
        let evil = "evil.example.org".parse().expect("value");
        request.headers_mut().insert("host", evil);
        let error = ask(&guard, request).await;
        assert!(
            matches!(error, Err(EgressError::Ambiguous { .. })),
            "{error:?}"
        );
        let lines = audit.lines();
        let last = lines.last().expect("record");
        assert!(last.contains("\"host\":\"hub.example.org\""), "{last}");
        assert_eq!(seen.opened.load(Ordering::SeqCst), 0);

        let mut request = to("https://hub.example.org/v1/a?q=1");
        let headers = request.headers_mut();
        headers.insert(
            "x-forwarded-client-cert",
            "By=spiffe://x/y".parse().expect("value"),
        );
        let response = guard.client().request(request).await.expect("answered");
        assert_eq!(response.status(), StatusCode::OK);
        let proved = response.extensions().get::<WebHost>().expect("proved");
        assert_eq!(
            (proved.name(), proved.addr()),
            ("hub.example.org", Some(address.ip()))
        );
        assert!(response.extensions().get::<ztl_tower::Peer>().is_none());
        response.into_body().collect().await.expect("body");
        // A redirect is an answer like any other.
        let moved = ask(&guard, to("https://hub.example.org/v1/moved")).await;
        assert_eq!(moved.expect("answered"), StatusCode::FOUND);
        assert_eq!(seen.opened.load(Ordering::SeqCst), 1, "one connection");
        assert_eq!(
            seen.certificates.load(Ordering::SeqCst),
            0,
            "our SVID was not shown"
        );
        for (_, headers) in seen.asked.lock().expect("lock").iter() {
            assert!(!headers.contains_key("x-forwarded-client-cert"));
            assert!(!headers.contains_key("traceparent"));
            let host = headers.get("host").map(|host| host.to_str().expect("text"));
            assert!(
                host.is_none_or(|host| host == "hub.example.org"),
                "{host:?}"
            );
        }
        let records = audit.lines();
        let last = records.last().expect("record");
        for part in [
            "\"verdict\":\"permit\"",
            "\"rule\":\"reads-the-hub\"",
            "\"host\":\"hub.example.org\"",
            "\"addr\":\"127.0.0.1\"",
            "\"action\":\"GET /v1/moved\"",
        ] {
            assert!(last.contains(part), "{part} in {last}");
        }
        assert!(!last.contains("\"peer\""));
        let shown = guard.connections();
        let open = shown.iter().find(|one| one.direction == Direction::Egress);
        let open = open.expect("shown");
        assert_eq!(open.host.as_deref(), Some("hub.example.org"));
    }
}

#[tokio::test]
async fn t27_whoever_is_not_proved_for_exactly_this_name_gets_no_byte() {
    let mesh = Mesh::new(OUTSIDE);
    let (web, stranger) = (
        DevWebCa::new(now()).expect("ca"),
        DevWebCa::new(now()).expect("ca"),
    );
    let name = "hub.example.org";
    let (other, wrong_name) = host(&web, &["other.example.org", "127.0.0.1"], b"h2").await;
    let (wild, too_wide) = host(&web, &["*.hub.example.org"], b"h2").await;
    let (foreign, wrong_root) = host(&stranger, &[name], b"h2").await;
    let workload = Target::start(&mesh, "/db", b"h2").await;
    for address in [other, wild, foreign, workload.address] {
        let (guard, _) = guard(&mesh, Some(&web), &[(name, address)]).await;
        let error = ask(&guard, to("https://hub.example.org/v1/x")).await;
        assert!(
            matches!(error, Err(EgressError::Unproven { .. })),
            "{error:?}"
        );
    }
    for seen in [wrong_name, too_wide, wrong_root] {
        assert_eq!((seen.opened.load(Ordering::SeqCst), seen.asked()), (1, 0));
    }
    assert!(workload.got.lock().expect("lock").is_empty());
    // And no roots prove nobody.
    let (right, seen) = host(&web, &[name], b"h2").await;
    let (guard, _) = guard(&mesh, None, &[(name, right)]).await;
    let error = ask(&guard, to("https://hub.example.org/v1/x")).await;
    assert!(error.is_err_and(|error| error.to_string().contains("web_roots_file")));
    assert_eq!(seen.asked(), 0);
}

#[tokio::test]
async fn t27_an_address_that_the_policy_does_not_let_it_have_is_not_dialled() {
    let (mesh, web) = (Mesh::new(OUTSIDE), DevWebCa::new(now()).expect("ca"));
    let (address, seen) = host(&web, &["private.example.org"], b"h2").await;
    let (guard, audit) = guard(&mesh, Some(&web), &[("private.example.org", address)]).await;
    let error = ask(&guard, to("https://private.example.org/v1/x")).await;
    let error = error.expect_err("refused");
    assert!(matches!(error, EgressError::Address { .. }), "{error}");
    assert_eq!(seen.opened.load(Ordering::SeqCst), 0);
    let records = audit.lines();
    let [record] = records.as_slice() else {
        panic!("one record: {records:?}");
    };
    assert_eq!(code(&error), Some("no_flow_permitted"));
    assert!(record.contains("\"host\":\"private.example.org\"") && record.contains("127.0.0.1"));
}

#[tokio::test]
async fn law_8_a_connection_outside_ends_with_what_it_rests_on() {
    let (mesh, web) = (Mesh::new(OUTSIDE), DevWebCa::new(now()).expect("ca"));
    let (address, seen) = host(&web, &["hub.example.org"], b"h2").await;
    let target = Target::start(&mesh, "/db", b"h2").await;
    let hosts = [("hub.example.org", address), ("db", target.address)];
    let narrowed = OUTSIDE.replace("127.0.0.0/8", "10.0.0.0/8");
    let moved = "to = \"external:hub\"\nports = 443";
    let without = OUTSIDE.replace(moved, "to = \"db\"\nports = 8443");
    for changed in [without, narrowed] {
        let before = seen.opened.load(Ordering::SeqCst);
        let (guard, _) = guard(&mesh, Some(&web), &hosts).await;
        let out = || ask(&guard, to("https://hub.example.org/v1/x"));
        assert_eq!(out().await.expect("answered"), StatusCode::OK);
        // A workload of the same address, port and first label is called by its SVID, on a connection of its own.
        assert_eq!(
            ask(&guard, get("/v1/x")).await.expect("answered"),
            StatusCode::OK
        );
        assert_eq!(seen.opened.load(Ordering::SeqCst), before + 1);
        let swapped = Policy::from_toml(&changed).unwrap_or_else(|error| panic!("{error}"));
        guard.swap_policy(swapped).expect("swapped");
        let error = out().await.expect_err("denied");
        assert!(
            matches!(error, EgressError::Denied(_) | EgressError::Address { .. }),
            "{error}"
        );
        until("the connection is cut", || {
            let open = guard.connections();
            open.iter().all(|one| one.host.is_none())
        })
        .await;
        assert_eq!(seen.opened.load(Ordering::SeqCst), before + 1);
        assert_eq!(
            ask(&guard, get("/v1/x")).await.expect("answered"),
            StatusCode::OK
        );
    }
}
