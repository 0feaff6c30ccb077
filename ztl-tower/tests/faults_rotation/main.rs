//! Everything rotates all the while: who is honest fails never, who is not gets in never.
//!
//! A few seconds long; `ZTL_FAULT_SECONDS=60` makes it a minute.

#![cfg(test)]

mod load;

#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use support::{Marker, Mesh, get1, get2, knock, listener, serve};
use ztl_core::audit::MemorySink;
use ztl_mtls::{BundleSet, Denied, TrustBundle};
use ztl_tower::Guard;

fn policy(port: u16) -> String {
    format!(
        "schema = 1\ntrust_domain = \"prod.example\"\n\
         [workloads.caller]\nid = \"spiffe://prod.example/caller\"\n\
         [workloads.thief]\nid = \"spiffe://prod.example/thief\"\n\
         [workloads.db]\nid = \"spiffe://prod.example/db\"\nports = [{port}]\n\
         [[permit]]\nname = \"reads\"\nfrom = [\"caller\", \"thief\"]\nto = \"db\"\nactions = [\"GET /v1/{{*rest}}\"]\n"
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a test runs is no input of a decision"
)]
fn seconds() -> u64 {
    let text = std::env::var("ZTL_FAULT_SECONDS").unwrap_or_default();
    text.parse().unwrap_or(4)
}

#[derive(Default)]
struct Count {
    done: AtomicBool,
    asked: AtomicUsize,
    refused: AtomicUsize,
    rotated: AtomicUsize,
}

impl Count {
    fn runs(&self) -> bool {
        !self.done.load(Ordering::SeqCst)
    }
}

async fn once(guard: &Guard, round: usize) -> Result<(), String> {
    let request = Request::get(format!("https://db/v1/{round}"))
        .body(Empty::<Bytes>::new())
        .expect("request");
    let response = guard.client().request(request).await;
    let response = response.map_err(|error| support::chain(&error))?;
    if response.status() != StatusCode::OK {
        return Err(format!("{}", response.status()));
    }
    let body = response.into_body().collect().await;
    body.map(drop).map_err(|error| support::chain(&error))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_27_and_30_rotation_every_50_ms_loses_no_honest_request_and_lets_nobody_else_in() {
    let (listener, address) = listener().await;
    let mesh = Arc::new(Mesh::new(&policy(address.port())));
    let (db, _) = mesh.guard("db", "/db").await;
    let marker = Marker::default();
    serve(&db, listener, marker.app());
    let audit = Arc::new(MemorySink::new(1000));
    let caller = mesh
        .builder("caller", "/caller", &audit)
        .endpoint("db", address)
        .build()
        .await
        .expect("guard");
    db.deny(Denied::Id(support::id("/thief")));
    let count = Arc::new(Count::default());
    let mut tasks = tokio::task::JoinSet::new();

    for _ in 0..3 {
        let (caller, count) = (caller.clone(), Arc::clone(&count));
        tasks.spawn(async move {
            while count.runs() {
                let round = count.asked.fetch_add(1, Ordering::SeqCst);
                once(&caller, round)
                    .await
                    .unwrap_or_else(|error| panic!("request {round}: {error}"));
            }
        });
    }
    {
        // New connections all the while, beside the kept ones.
        let (mesh, count) = (Arc::clone(&mesh), Arc::clone(&count));
        tasks.spawn(async move {
            let svid = mesh.svid("/caller");
            while count.runs() {
                for (alpn, request) in [(&b"h2"[..], get2("/v1/x")), (b"http/1.1", get1("/v1/x"))] {
                    count.asked.fetch_add(1, Ordering::SeqCst);
                    let answer = knock(address, None, Some(&svid), alpn, request).await;
                    let answer = answer.unwrap_or_else(|error| panic!("a new connection: {error}"));
                    assert_eq!(answer.status(), StatusCode::OK);
                }
            }
        });
    }
    {
        let (mesh, count) = (Arc::clone(&mesh), Arc::clone(&count));
        tasks.spawn(async move {
            let past = support::now().as_unix_millis() - 2 * 3600 * 1000;
            let past = ztl_core::Timestamp::from_unix_millis(past);
            let liars = [
                Mesh::new("").svid("/caller"),
                mesh.svid("/thief"),
                mesh.svid_at("/caller", past),
            ];
            while count.runs() {
                for svid in &liars {
                    let answer =
                        knock(address, None, Some(svid), b"http/1.1", get1("/v1/liar")).await;
                    assert!(answer.is_err(), "somebody else got in: {answer:?}");
                    count.refused.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
    }
    {
        let (mesh, count) = (Arc::clone(&mesh), Arc::clone(&count));
        let (db, caller) = (db.clone(), caller.clone());
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            while count.runs() {
                ticks.tick().await;
                let round = count.rotated.fetch_add(1, Ordering::SeqCst);
                db.swap_identity(mesh.svid("/db")).expect("db");
                caller.swap_identity(mesh.svid("/caller")).expect("caller");
                let other = format!("round-{round}.example");
                let other = ztl_core::TrustDomain::parse(&other).expect("domain");
                let set = BundleSet::new([mesh.authority.bundle(), TrustBundle::empty(other)]);
                let set = set.expect("set");
                db.swap_bundles(set.clone());
                caller.swap_bundles(set);
                db.deny(Denied::Id(support::id(&format!("/round-{round}"))));
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(seconds())).await;
    count.done.store(true, Ordering::SeqCst);
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a task");
    }
    let all =
        [&count.asked, &count.refused, &count.rotated].map(|count| count.load(Ordering::SeqCst));
    println!(
        "{} requests, {} refused, {} rotations",
        all[0], all[1], all[2]
    );
    assert!(all.iter().all(|count| *count > 3), "{all:?}");
    assert!(marker.calls() >= all[0], "{} of {}", marker.calls(), all[0]);
}
