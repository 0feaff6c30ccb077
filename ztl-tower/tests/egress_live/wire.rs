//! What goes over an egress connection, and what is said of it.

use super::*;

#[tokio::test]
async fn t20_what_would_be_judged_as_an_upgrade_is_not_sent_at_all() {
    for alpn in [&b"h2"[..], b"http/1.1"] {
        let mesh = Mesh::new(POLICY);
        let target = Target::start(&mesh, "/db", alpn).await;
        let audit = Arc::new(MemorySink::new(100));
        let guard = caller(&mesh, &target, &audit).build().await.expect("guard");
        // The policy permits `websocket /ws`, and not `GET /ws`.
        let mut field = get("/ws");
        field
            .headers_mut()
            .insert("upgrade", "websocket".parse().expect("value"));
        let mut extended = get("/ws");
        *extended.method_mut() = Method::CONNECT;
        extended
            .extensions_mut()
            .insert(hyper::ext::Protocol::from_static("websocket"));
        let mut connect = get("/v1/x");
        *connect.method_mut() = Method::CONNECT;
        for request in [field, extended, connect] {
            let error = ask(&guard, request).await.expect_err("refused");
            assert!(matches!(error, EgressError::Upgrade { .. }), "{error}");
            assert!(
                error
                    .to_string()
                    .starts_with("upgrades are not sent by this client: "),
                "{error}"
            );
        }
        let error = ask(&guard, get("/ws")).await.expect_err("denied");
        assert!(error.denial().is_some(), "{error}");
        assert_eq!(target.opened(), 0, "not even dialled");
    }
}

#[tokio::test]
async fn rfc_9110_7_6_1_fields_of_one_connection_are_not_passed_on() {
    for alpn in [&b"h2"[..], b"http/1.1"] {
        let mesh = Mesh::new(POLICY);
        let target = Target::start(&mesh, "/db", alpn).await;
        let audit = Arc::new(MemorySink::new(100));
        let guard = caller(&mesh, &target, &audit).build().await.expect("guard");
        let client = guard.client();
        let request = |length: &str, body: &'static str| {
            Request::post("https://db/v1/x")
                .header("connection", "x-a, keep-alive")
                .header("x-a", "1")
                .header("x-b", "1")
                .header("keep-alive", "timeout=5")
                .header("transfer-encoding", "chunked")
                .header("content-length", length)
                .header("te", "trailers")
                .header("trailer", "x-t")
                .header("proxy-authorization", "s3cret")
                .header("proxy-connection", "keep-alive")
                // T12: who is no proxy of the policy passes nobody on.
                .header("forwarded", "spiffe=\"spiffe://prod.example/a\"")
                .header("x-forwarded-client-cert", "URI=spiffe://prod.example/a")
                .header("authorization", "Bearer t")
                .body(http_body_util::Full::new(Bytes::from_static(
                    body.as_bytes(),
                )))
                .expect("request")
        };
        // More is announced than is sent, less, and both in one breath: the body that is sent is what counts.
        for (length, body) in [("5", "no"), ("2", "hello"), ("0", "GET /v1/y")] {
            let asked = client.request(request(length, body));
            let response = tokio::time::timeout(PATIENCE, asked)
                .await
                .expect("in time");
            let response = response.expect("response");
            assert_eq!(response.status(), StatusCode::OK);
            response.into_body().collect().await.expect("body");
            let got = target.got.lock().expect("lock").pop().expect("a request");
            assert_eq!((got.method, &*got.body), (Method::POST, body.as_bytes()));
            let shown = format!("{:?}", got.headers);
            let mut names: Vec<_> = got.headers.keys().map(http::HeaderName::as_str).collect();
            names.sort_unstable();
            if alpn == b"h2" {
                assert_eq!(
                    names,
                    [
                        "authorization",
                        "content-length",
                        "te",
                        "traceparent",
                        "x-b"
                    ],
                    "{shown}"
                );
                assert_eq!(got.headers["te"], "trailers", "gRPC asks for it");
                assert_eq!(got.target, "https://db/v1/x");
            } else {
                assert_eq!(
                    names,
                    [
                        "authorization",
                        "content-length",
                        "host",
                        "traceparent",
                        "x-b"
                    ],
                    "{shown}"
                );
                assert_eq!(got.target, "/v1/x");
            }
            assert_eq!(got.headers["content-length"], body.len().to_string());
        }
        assert_eq!(target.opened(), 1, "the connection stays in step");
    }
}

#[tokio::test]
async fn t30_an_error_shows_of_a_uri_its_scheme_and_host() {
    let mesh = Mesh::new(POLICY);
    let audit = Arc::new(MemorySink::new(100));
    let guard = mesh.builder("caller", "/caller", &audit).build().await;
    let guard = guard.expect("guard");
    for (uri, shown) in [
        ("https://user:s3cret@db/v1/x?token=abc", "`https://db` "),
        ("http://db:8443/v1/s3cret?token=abc", "`http://db` "),
        (
            "https://DB.example/v1/s3cret?token=abc",
            "`https://DB.example` ",
        ),
        ("/v1/s3cret?token=abc", "`(no host)` "),
        ("s3cret:443", "`s3cret` "),
    ] {
        let request = Request::get(uri).body(Empty::new()).expect("request");
        let error = ask(&guard, request).await.expect_err("refused");
        let text = format!("{error} {error:?}");
        assert!(error.to_string().starts_with(shown), "{error}");
        for hidden in ["user:", "s3cret@", "/v1/s3cret", "token", "abc"] {
            assert!(!text.contains(hidden), "{uri}: {text}");
        }
    }
}

#[tokio::test]
async fn t16_an_ambiguous_request_is_recorded_as_egress() {
    let mesh = Mesh::new(POLICY);
    let audit = Arc::new(MemorySink::new(100));
    let guard = mesh.builder("caller", "/caller", &audit).build().await;
    let error = ask(&guard.expect("guard"), get("/v1/../x"))
        .await
        .expect_err("refused");
    assert!(matches!(error, EgressError::Ambiguous { .. }), "{error}");
    let lines = audit.lines();
    let record: serde_json::Value =
        serde_json::from_str(lines.last().expect("a record")).expect("json");
    assert_eq!(record["direction"], "egress");
    assert_eq!(record["reason"], "path_ambiguous");
    assert_eq!(record["port"], 8443);
}
