//! Slow clients, zones, and the public door.

use super::*;

#[tokio::test]
async fn t35_clients_that_say_nothing_stall_nobody_and_are_let_go() {
    let run = running(Duration::from_secs(6)).await;
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
            Duration::from_secs(4),
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
        (
            403,
            Some("Bearer error=\"insufficient_scope\", scope=\"ask\"".into())
        )
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
