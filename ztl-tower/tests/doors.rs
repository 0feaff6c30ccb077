//! Slow clients, the public door, zones on loopback, files that change, and hosts with a server of their own.

mod support;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use serde_json::json;
use support::{Marker, Mesh, get1, get2, knock, listener, listener_at, now, reasons, serve, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::Layer;
use tower::ServiceExt;
use ztl_authz::jwt::{DevIssuer, Issuer, Jwks, TokenVerifier};
use ztl_core::audit::MemorySink;
use ztl_core::policy::Policy;
use ztl_core::{Arrival, Flow};
use ztl_mtls::DevWebCa;
use ztl_tower::{Guard, PublicTls, Refused};

fn policy(port: u16, public: u16) -> String {
    format!(
        r#"
schema = 1
trust_domain = "prod.example"

[zones.inside]
trust = 3
networks = ["127.0.0.0/24"]
[zones.outside]
networks = ["127.0.9.0/24"]

[workloads.caller]
id = "spiffe://prod.example/caller"
zone = "inside"

[workloads.gateway]
id = "spiffe://prod.example/gateway"
zone = "inside"
ports = [{port}]
public_ports = [{public}]

[issuers.corp]
issuer = "https://idp.example"
audience = "gateway"

[[permit]]
name = "caller-reads"
from = "caller"
to = "gateway"
ports = {port}
actions = ["GET /v1/{{*rest}}"]

[[permit]]
name = "users-ask"
from = "public"
to = "gateway"
actions = ["GET /ask"]
require = {{ token = {{ issuer = "corp", scopes = ["ask"] }} }}

[[permit]]
name = "anyone-says-hello"
from = "public"
to = "gateway"
anonymous = true
actions = ["GET /hello"]
"#
    )
}

struct Running {
    mesh: Mesh,
    guard: Guard,
    audit: Arc<MemorySink>,
    marker: Marker,
    mutual: SocketAddr,
    public: SocketAddr,
    issuer: DevIssuer,
}

async fn running(handshake: Duration) -> Running {
    let ((mutual, mutual_at), (public, public_at)) = (listener().await, listener().await);
    let mesh = Mesh::new(&policy(mutual_at.port(), public_at.port()));
    let issuer = DevIssuer::new("https://idp.example").expect("issuer");
    let jwks = Jwks::from_json(issuer.jwks_json().as_bytes()).expect("jwks");
    let tokens = TokenVerifier::builder()
        .issuer(Issuer::access_tokens(
            "corp",
            "https://idp.example",
            "gateway",
            jwks,
        ))
        .build()
        .expect("verifier");
    let audit = Arc::new(MemorySink::new(1000));
    let guard = mesh
        .builder("gateway", "/gateway", &audit)
        .token_verifier(tokens)
        .handshake_timeout(handshake)
        .build()
        .await
        .expect("guard");
    let marker = Marker::default();
    serve(&guard, mutual, marker.app());
    let web = DevWebCa::new(now())
        .expect("authority")
        .issue(&["gateway.example"], now(), Duration::from_secs(3600))
        .expect("certificate");
    let tls = PublicTls::from_pem(web.cert_pem.as_bytes(), web.key_pem.as_bytes());
    {
        let (guard, app) = (guard.clone(), marker.app());
        tokio::spawn(async move {
            guard
                .serve_public_listener(public, tls, app)
                .await
                .unwrap_or_else(|error| panic!("{error}"))
        });
    }
    Running {
        mesh,
        guard,
        audit,
        marker,
        mutual: mutual_at,
        public: public_at,
        issuer,
    }
}

#[tokio::test]
async fn t35_clients_that_say_nothing_stall_nobody_and_are_let_go() {
    let run = running(Duration::from_secs(2)).await;
    let mut silent = Vec::new();
    for at in 0..200 {
        let mut stream = TcpStream::connect(run.mutual).await.expect("connect");
        if at % 2 == 0 {
            // The first bytes of a ClientHello that never ends.
            stream
                .write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01])
                .await
                .expect("write");
        }
        silent.push(stream);
    }
    let svid = run.mesh.svid("/caller");
    for _ in 0..5 {
        let response = tokio::time::timeout(
            Duration::from_millis(1500),
            knock(run.mutual, None, Some(&svid), b"h2", get2("/v1/x")),
        )
        .await;
        assert_eq!(
            response.expect("not stalled").expect("response").status(),
            StatusCode::OK
        );
    }
    for mut stream in silent {
        let end =
            tokio::time::timeout(support::PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "a silent client is let go at its deadline");
    }
    until("200 denials", || {
        reasons(&run.audit)
            .iter()
            .filter(|reason| *reason == "identity_unproven")
            .count()
            == 200
    })
    .await;
}

#[tokio::test]
async fn a_zone_is_where_the_connection_comes_from() {
    let run = running(Duration::from_secs(5)).await;
    let svid = run.mesh.svid("/caller");
    let inside: IpAddr = "127.0.0.7".parse().expect("address");
    let outside: IpAddr = "127.0.9.7".parse().expect("address");
    let nowhere: IpAddr = "127.0.5.7".parse().expect("address");
    assert!(
        knock(
            run.mutual,
            Some(inside),
            Some(&svid),
            b"http/1.1",
            get1("/v1/x")
        )
        .await
        .is_ok()
    );
    for (from, reason) in [(outside, "zone_mismatch"), (nowhere, "zone_unknown")] {
        let refused = knock(
            run.mutual,
            Some(from),
            Some(&svid),
            b"http/1.1",
            get1("/v1/x"),
        )
        .await
        .expect_err("refused");
        assert!(refused.contains("AccessDenied"), "{refused}");
        assert_eq!(reasons(&run.audit).last().map(String::as_str), Some(reason));
    }
    assert_eq!(run.marker.calls(), 1);
}

#[tokio::test]
async fn the_public_door_asks_for_the_users_token() {
    let run = running(Duration::from_secs(5)).await;
    let seconds = now().as_unix_secs();
    let sign = |claims: serde_json::Value| run.issuer.sign(claims).expect("token");
    let good =
        sign(json!({ "sub": "alice", "aud": "gateway", "exp": seconds + 60, "scope": "ask" }));
    let narrow =
        sign(json!({ "sub": "alice", "aud": "gateway", "exp": seconds + 60, "scope": "other" }));
    let late =
        sign(json!({ "sub": "alice", "aud": "gateway", "exp": seconds - 60, "scope": "ask" }));
    let elsewhere =
        sign(json!({ "sub": "alice", "aud": "other", "exp": seconds + 60, "scope": "ask" }));
    let stranger = DevIssuer::new("https://idp.example")
        .expect("issuer")
        .sign(json!({ "sub": "alice", "aud": "gateway", "exp": seconds + 60, "scope": "ask" }))
        .expect("token");
    let ask = async |token: Option<&str>| {
        let mut request = get1("/ask");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = knock(run.public, None, None, b"http/1.1", request)
            .await
            .expect("response");
        let challenge = response
            .headers()
            .get("www-authenticate")
            .map(|value| value.to_str().expect("text").to_owned());
        (response.status().as_u16(), challenge)
    };
    assert_eq!(ask(Some(&good)).await, (200, None));
    assert_eq!(ask(None).await, (401, Some("Bearer".into())));
    for bad in [&late, &elsewhere, &stranger, "rubbish", ""] {
        assert_eq!(
            ask(Some(bad)).await,
            (401, Some("Bearer error=\"invalid_token\"".into())),
            "{bad}"
        );
    }
    assert_eq!(
        ask(Some(&narrow)).await,
        (403, Some("Bearer error=\"insufficient_scope\"".into()))
    );
    assert_eq!(run.marker.calls(), 1);
    // Two credentials are none (T16).
    let twice = get1("/ask")
        .header("authorization", format!("Bearer {good}"))
        .header("authorization", "Bearer x");
    assert_eq!(
        knock(run.public, None, None, b"http/1.1", twice)
            .await
            .expect("response")
            .status(),
        401
    );
    // What needs no token needs none, and nothing else is there.
    assert_eq!(
        knock(run.public, None, None, b"h2", get2("/hello"))
            .await
            .expect("response")
            .status(),
        200
    );
    assert_eq!(
        knock(run.public, None, None, b"h2", get2("/v1/x"))
            .await
            .expect("response")
            .status(),
        403
    );
}

#[tokio::test]
async fn t3_an_svid_on_the_public_door_proves_nothing_and_the_mesh_door_takes_no_token() {
    let run = running(Duration::from_secs(5)).await;
    let token = run.issuer.sign(json!({ "sub": "a", "aud": "gateway", "exp": now().as_unix_secs() + 60, "scope": "ask" })).expect("token");
    let svid = run.mesh.svid("/caller");
    // The public listener does not even ask for a certificate.
    assert_eq!(
        knock(run.public, None, Some(&svid), b"h2", get2("/v1/x"))
            .await
            .expect("response")
            .status(),
        403
    );
    let refused = knock(
        run.mutual,
        None,
        None,
        b"http/1.1",
        get1("/ask").header("authorization", format!("Bearer {token}")),
    )
    .await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn t1_a_layer_denies_what_carries_no_flow_permit() {
    let run = running(Duration::from_secs(5)).await;
    let marker = Marker::default();
    let app = run.guard.authorize().layer(marker.app());
    let response = app
        .clone()
        .oneshot(
            Request::get("/v1/x")
                .body(axum::body::Body::empty())
                .expect("request"),
        )
        .await
        .expect("response");
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        response
            .extensions()
            .get::<Refused>()
            .expect("refused")
            .denial()
            .reason()
            .code(),
        "not_judged"
    );
    assert_eq!(marker.calls(), 0);
    assert_eq!(reasons(&run.audit), ["not_judged"]);
}

#[tokio::test]
async fn t19_a_request_that_was_rewritten_after_it_was_judged_is_denied() {
    let run = running(Duration::from_secs(5)).await;
    // A host that gives the permit itself, judges, rewrites the target, and judges again within.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test stands for the verifier"
    )]
    let peer = ztl_core::Peer::assertion(
        ztl_core::Proof::X509 {
            id: support::id("/caller"),
            leaf_sha256: [0; 32],
            serial: Box::new([1]),
            not_after: ztl_core::Timestamp::MAX,
        },
        "test",
    );
    let arrival = Arrival::from_addr("127.0.0.1".parse().expect("address"));
    let flow = run
        .guard
        .engine()
        .permit_flow(
            &Flow::ingress("gateway", run.mutual.port(), arrival, Some(&peer)),
            now(),
        )
        .expect("permit");
    let marker = Marker::default();
    let inner = run.guard.authorize().layer(marker.app());
    let rewriting = tower::service_fn(move |mut request: Request<axum::body::Body>| {
        if request.uri().path() == "/v1/old" {
            *request.uri_mut() = "/v1/new".parse().expect("uri");
        }
        inner.clone().oneshot(request)
    });
    let app = run.guard.authorize().layer(rewriting);
    let ask = async |path: &str| {
        let mut request = Request::get(path)
            .body(axum::body::Body::empty())
            .expect("request");
        request.extensions_mut().insert(flow.clone());
        app.clone().oneshot(request).await.expect("response")
    };
    assert_eq!(ask("/v1/x").await.status(), StatusCode::OK);
    let taken = run.audit.taken();
    assert_eq!(ask("/v1/x").await.status(), StatusCode::OK);
    assert_eq!(
        run.audit.taken(),
        taken + 1,
        "the second layer needs no second decision"
    );
    let denied = ask("/v1/old").await;
    assert_eq!(denied.status(), StatusCode::FORBIDDEN);
    assert_eq!(marker.calls(), 2);
}

#[tokio::test]
async fn routes_added_later_and_fallbacks_are_covered() {
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port(), 1));
    let audit = Arc::new(MemorySink::new(10));
    let text = mesh.policy.replace(
        "[[permit]]\nname = \"users-ask\"",
        "[[permit]]\nmode = \"off\"\nname = \"users-ask\"",
    );
    let guard = mesh
        .builder("gateway", "/gateway", &audit)
        .policy(Policy::from_toml(&text).expect("policy"))
        .build()
        .await
        .expect("guard");
    let reached = Marker::default();
    let app = Router::new()
        .route("/v1/x", axum::routing::get(|| async { "x" }))
        .merge(reached.app());
    serve(&guard, listener, app);
    let svid = mesh.svid("/caller");
    assert_eq!(
        knock(address, None, Some(&svid), b"h2", get2("/v1/x"))
            .await
            .expect("response")
            .status(),
        200
    );
    assert_eq!(
        knock(address, None, Some(&svid), b"h2", get2("/fallback"))
            .await
            .expect("response")
            .status(),
        403
    );
    assert_eq!(reached.calls(), 0);
}

#[tokio::test]
async fn a_rule_that_asks_for_a_token_needs_a_verifier_at_build_time() {
    let (_, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port(), 1));
    let error = mesh
        .builder("gateway", "/gateway", &Arc::new(MemorySink::new(1)))
        .build()
        .await
        .expect_err("refused");
    assert!(error.to_string().contains("token_verifier"), "{error}");
}

#[tokio::test]
async fn files_are_read_again_and_a_bad_one_changes_nothing() {
    let folder = std::env::temp_dir().join(format!(
        "ztl-tower-{}-{}",
        std::process::id(),
        now().as_unix_millis()
    ));
    std::fs::create_dir_all(&folder).expect("folder");
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port(), 1).replace(
        "name = \"users-ask\"",
        "name = \"users-ask\"\nmode = \"off\"",
    ));
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        // As operators do it: beside the old one, then in its place.
        let new = folder.join(format!("{name}.new"));
        std::fs::write(&new, text).expect("write");
        #[cfg(unix)]
        std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("mode");
        std::fs::rename(&new, &path).expect("rename");
        path
    };
    let issued = mesh
        .authority
        .issue(
            &support::id("/gateway"),
            now(),
            Duration::from_secs(3600),
            &ztl_mtls::provider(),
        )
        .expect("svid");
    let (certificate, key) = (
        write("svid.pem", &issued.cert_pem),
        write("svid.key", &issued.key_pem),
    );
    let bundle = write("bundle.pem", mesh.authority.bundle_pem());
    let document = write("policy.toml", &mesh.policy);
    let guard = Guard::builder("gateway")
        .policy_file(&document)
        .identity_files(&certificate, &key)
        .bundle_file("prod.example", &bundle)
        .allow_dev_authority()
        .audit(MemorySink::new(10))
        .reload_every(Duration::from_millis(10))
        .build()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    serve(&guard, listener, Marker::default().app());
    let svid = mesh.svid("/caller");
    let ask = async |path: &str| {
        knock(address, None, Some(&svid), b"h2", get2(path))
            .await
            .map(|response| response.status().as_u16())
    };
    assert_eq!(ask("/v1/x").await, Ok(200));
    assert_eq!(ask("/v2/x").await, Ok(403));
    // Another document.
    let revision = guard.engine().policy().revision();
    write(
        "policy.toml",
        &mesh.policy.replace("/v1/{*rest}", "/v2/{*rest}"),
    );
    until("the new policy", || {
        guard.engine().policy().revision() != revision
    })
    .await;
    assert_eq!((ask("/v1/x").await, ask("/v2/x").await), (Ok(403), Ok(200)));
    // A bad one, an unreadable one, one that others may write: the last good one stays.
    let good = guard.engine().policy().revision();
    for bad in ["schema = 1\nunknown = 2\n", "", "\u{0}"] {
        write("policy.toml", bad);
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(guard.engine().policy().revision(), good);
    }
    std::fs::remove_file(&document).expect("remove");
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(
        (ask("/v2/x").await, guard.engine().policy().revision()),
        (Ok(200), good)
    );
    // T6: others may write it.
    #[cfg(unix)]
    {
        write("policy.toml", &mesh.policy);
        std::fs::set_permissions(
            &document,
            std::os::unix::fs::PermissionsExt::from_mode(0o666),
        )
        .expect("mode");
        // The change was renamed into place with mode 0600 and may have been taken by then.
        tokio::time::sleep(Duration::from_millis(60)).await;
        let settled = guard.engine().policy().revision();
        std::fs::write(&document, mesh.policy.replace("/v1/{*rest}", "/v3/{*rest}"))
            .expect("write");
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(guard.engine().policy().revision(), settled);
    }
    // Another authority: what the old one proved is over, what the new one proves is good.
    let other = Mesh::new(&mesh.policy);
    write("bundle.pem", other.authority.bundle_pem());
    let theirs = other.svid("/caller");
    let deadline = tokio::time::Instant::now() + support::PATIENCE;
    while knock(address, None, Some(&theirs), b"h2", get2("/v1/x"))
        .await
        .is_err()
    {
        assert!(tokio::time::Instant::now() < deadline, "the new bundle");
    }
    assert!(ask("/v1/x").await.is_err());
    std::fs::remove_dir_all(&folder).expect("remove");
}

#[tokio::test]
async fn a_certificate_and_a_key_that_do_not_belong_together_are_refused_by_name() {
    let mesh = Mesh::new(&policy(1, 2));
    let issue = |path: &str| {
        mesh.authority
            .issue(
                &support::id(path),
                now(),
                Duration::from_secs(60),
                &ztl_mtls::provider(),
            )
            .expect("svid")
    };
    let error = ztl_mtls::X509Svid::from_pem(
        issue("/gateway").cert_pem.as_bytes(),
        issue("/caller").key_pem.as_bytes(),
        &ztl_mtls::provider(),
    )
    .expect_err("refused");
    let text = support::chain(&error);
    assert!(text.contains("spiffe://prod.example/gateway"), "{text}");
}

#[tokio::test]
async fn t23_an_open_connection_ends_when_its_proof_expires() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let ((listener, address), start) = (
        listener_at("127.0.0.1".parse().expect("address")).await,
        now(),
    );
    let mesh = Mesh::new(&policy(address.port(), 1).replace(
        "name = \"users-ask\"",
        "name = \"users-ask\"\nmode = \"off\"",
    ));
    let clock = Arc::new(AtomicU64::new(start.as_unix_millis()));
    let audit = Arc::new(MemorySink::new(10));
    let guard = {
        let clock = Arc::clone(&clock);
        let read = move || ztl_core::Timestamp::from_unix_millis(clock.load(Ordering::SeqCst));
        mesh.builder("gateway", "/gateway", &audit)
            .clock(read)
            .build()
            .await
            .expect("guard")
    };
    serve(&guard, listener, Marker::default().app());
    let svid = mesh.svid("/caller");
    let stream = support::raw_connect(address, None, Some(&svid), b"http/1.1")
        .await
        .expect("connect");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream))
            .await
            .expect("http");
    let open = tokio::spawn(connection);
    let request = get1("/v1/x").body(Empty::<Bytes>::new()).expect("request");
    assert_eq!(
        sender.send_request(request).await.expect("first").status(),
        StatusCode::OK
    );
    clock.store(start.as_unix_millis() + 3_601_000, Ordering::SeqCst);
    let ended = tokio::time::timeout(Duration::from_millis(1900), open).await;
    assert!(
        ended.is_ok(),
        "within a second of the wall clock, and a little"
    );
    assert_eq!(
        reasons(&audit).last().map(String::as_str),
        Some("identity_expired")
    );
}
