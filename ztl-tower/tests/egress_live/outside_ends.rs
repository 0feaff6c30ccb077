//! What ends a connection to a host outside the mesh beside its flow: our own SVID is gone (rule 30), or what was asked for on it is no
//! longer permitted (law 8).

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

/// Asks for a body that does not end, and reads its first frame.
async fn endless(guard: &Guard, path: &str) -> Incoming {
    let request = to(&format!("https://{NAME}{path}"));
    let response = guard.client().request(request).await.expect("answered");
    let mut body = response.into_body();
    body.frame().await.expect("a frame").expect("data");
    body
}

/// Whether it goes on: for a second and more, nothing cuts it.
async fn runs_on(body: &mut Incoming) -> bool {
    let next = tokio::time::timeout(Duration::from_millis(1500), body.frame()).await;
    next.is_err()
}

fn swap(guard: &Guard, text: &str) {
    let policy = Policy::from_toml(text).unwrap_or_else(|error| panic!("{error}"));
    guard.swap_policy(policy).expect("swapped");
}

#[tokio::test]
async fn law_8_an_exchange_outside_ends_where_its_action_is_no_longer_permitted() {
    let forbid = "[[forbid]]\nfrom = \"caller\"\nto = \"external:hub\"\n";
    for alpn in [&b"h2"[..], b"http/1.1"] {
        let (mesh, web) = (Mesh::new(OUTSIDE), DevWebCa::new(now()).expect("ca"));
        let (address, _) = host(&web, &[NAME], alpn).await;
        let (guard, audit) = outside::guard(&mesh, Some(&web), &[(NAME, address)]).await;
        // What is over on a connection that carries one request at a time runs no longer.
        let over = ask(&guard, to("https://hub.example.org/v1/over")).await;
        assert_eq!(over.expect("answered"), StatusCode::OK);
        let mut body = endless(&guard, "/v1/endless").await;
        let others = format!("{OUTSIDE}{forbid}actions = [\"GET /v1/other\"]\n");
        swap(&guard, &others);
        assert!(runs_on(&mut body).await, "another action is forbidden");
        if alpn == b"http/1.1" {
            swap(
                &guard,
                &format!("{OUTSIDE}{forbid}actions = [\"GET /v1/over\"]\n"),
            );
            assert!(runs_on(&mut body).await, "what is over is forbidden");
        }

        let judged = audit.lines().len();
        swap(
            &guard,
            &format!("{OUTSIDE}{forbid}actions = [\"GET /v1/endless\"]\n"),
        );
        let next = tokio::time::timeout(PATIENCE, body.frame()).await;
        next.expect("in time").expect("an end").expect_err("cut");
        let records = audit.lines();
        let denied = records.iter().skip(judged).find(|record| {
            ["\"forbidden\"", "\"again\"", "GET /v1/endless"]
                .iter()
                .all(|part| record.contains(part))
        });
        assert!(denied.is_some(), "{records:?}");
        let again = ask(&guard, to("https://hub.example.org/v1/x")).await;
        assert_eq!(again.expect("answered"), StatusCode::OK);
    }
}

#[tokio::test]
async fn law_8_no_more_is_asked_for_on_a_connection_outside_than_is_judged_again() {
    let (mesh, web) = (Mesh::new(OUTSIDE), DevWebCa::new(now()).expect("ca"));
    let (address, seen) = host(&web, &[NAME], b"h2").await;
    let (guard, _) = outside::guard(&mesh, Some(&web), &[(NAME, address)]).await;
    let mut first = endless(&guard, "/v1/endless").await;
    // The 64 targets that it carries are asked for once: then another carries what is asked for again.
    for opened in [1, 2] {
        for number in 0..63 {
            let uri = format!("https://{NAME}/v1/{number}?q={number}");
            assert_eq!(
                ask(&guard, to(&uri)).await.expect("answered"),
                StatusCode::OK
            );
        }
        assert_eq!(seen.opened.load(Ordering::SeqCst), opened);
    }
    swap(&guard, &format!("{OUTSIDE}# the same\n"));
    assert!(runs_on(&mut first).await, "all of it is permitted still");
    let forbid = "[[forbid]]\nfrom = \"caller\"\nto = \"external:hub\"\n";
    swap(
        &guard,
        &format!("{OUTSIDE}{forbid}actions = [\"GET /v1/endless\"]\n"),
    );
    let next = tokio::time::timeout(PATIENCE, first.frame()).await;
    next.expect("in time").expect("an end").expect_err("cut");
}
