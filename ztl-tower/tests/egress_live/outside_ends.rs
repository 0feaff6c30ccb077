//! What ends a connection to a host outside the mesh beside its flow: our own SVID is gone (rule 30).

use std::io::ErrorKind;

use tokio::io::AsyncReadExt;
use ztl_mtls::DevWebCa;
use ztl_tower::ConnectionState;

use super::outside::{OUTSIDE, host, roots, to};
use super::*;

const NAME: &str = "hub.example.org";

#[tokio::test]
async fn rule_30_whoever_has_no_svid_asks_no_host_over_a_connection_that_is_kept() {
    for alpn in [&b"h2"[..], b"http/1.1"] {
        let (mesh, web) = (Mesh::new(OUTSIDE), DevWebCa::new(now()).expect("ca"));
        let (address, seen) = host(&web, &[NAME], alpn).await;
        let (guard, _) = outside::guard(&mesh, Some(&web), &[(NAME, address)]).await;
        let out = || ask(&guard, to("https://hub.example.org/v1/x"));
        assert_eq!(out().await.expect("answered"), StatusCode::OK);

        guard.withdraw_identity("its source is gone");
        let error = out().await.expect_err("we are nobody");
        assert!(matches!(error, EgressError::NoIdentity(_)), "{error}");
        assert_eq!(seen.asked(), 1);
        until("the connection takes no more", || {
            let open = guard.connections();
            open.iter().all(|one| one.state != ConnectionState::Open)
        })
        .await;

        guard.swap_identity(mesh.svid("/caller")).expect("swapped");
        assert_eq!(out().await.expect("answered"), StatusCode::OK);
        assert_eq!(seen.asked(), 2);
    }
}

#[tokio::test]
async fn rule_30_what_runs_outside_ends_in_time_where_our_svid_is_withdrawn() {
    let connects = OUTSIDE.replace(
        "actions = [\"GET /v1/{*rest}\"]",
        "actions = [\"GET /v1/{*rest}\", \"connect\"]",
    );
    let (mesh, web) = (Mesh::new(&connects), DevWebCa::new(now()).expect("ca"));
    let (address, _) = host(&web, &[NAME], b"h2").await;
    let audit = Arc::new(MemorySink::new(100));
    let guard = mesh
        .builder("caller", "/caller", &audit)
        .endpoint(NAME, address)
        .web_roots(roots(&web))
        .rotation_timeout(Duration::from_millis(100))
        .build()
        .await
        .expect("guard");
    let request = to("https://hub.example.org/v1/endless");
    let mut body = guard.client().request(request).await.expect("answered");
    body.frame().await.expect("a frame").expect("data");
    let mut stream = guard.connect_host(NAME).await.expect("stream");

    // A rotation is no withdrawal: nothing of ours is shown there.
    guard.swap_identity(mesh.svid("/caller")).expect("swapped");
    let next = tokio::time::timeout(Duration::from_secs(2), body.frame()).await;
    assert!(next.is_err(), "it runs on: {next:?}");

    guard.withdraw_identity("its source is gone");
    let next = tokio::time::timeout(PATIENCE, body.frame()).await;
    next.expect("in time").expect("an end").expect_err("cut");
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 8])).await;
    let error = read.expect("in time").expect_err("cut");
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
}
