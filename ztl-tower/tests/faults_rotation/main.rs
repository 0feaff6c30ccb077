//! Everything rotates all the while: who is honest fails never, who is not gets in never.
//!
//! A few seconds long; `ZTL_FAULT_SECONDS=60` makes it a minute.

#![cfg(test)]

mod load;
mod world;

#[path = "../support/folder.rs"]
mod folder;
#[path = "../support/crl.rs"]
mod revoking;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use support::{Marker, Mesh, get1, get2, knock, listener, serve, until};
use tokio::sync::Mutex;
use world::{Kept, World};
use ztl_core::audit::MemorySink;
use ztl_core::policy::Policy;
use ztl_mtls::{BundleSet, Denied, TrustBundle, X509Svid};
use ztl_tower::Guard;

#[expect(
    clippy::disallowed_methods,
    reason = "how long a test runs is no input of a decision"
)]
fn seconds() -> u64 {
    let text = std::env::var("ZTL_FAULT_SECONDS").unwrap_or_default();
    text.parse().unwrap_or(4)
}

/// One test at a time: each has the machine, and what is measured of this process, to itself.
static ALONE: Mutex<()> = Mutex::const_new(());

#[derive(Default)]
struct Count {
    done: AtomicBool,
    asked: AtomicUsize,
    refused: [AtomicUsize; 5],
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

/// Who is not to get in: of an authority that nobody ever trusted, denied, over, revoked, and of one that is trusted no more.
fn liars(world: &World) -> Vec<X509Svid> {
    let mesh = &world.current().authority.mesh;
    let past = support::now().as_unix_millis() - 2 * 3600 * 1000;
    let past = ztl_core::Timestamp::from_unix_millis(past);
    let mut liars = vec![
        Mesh::new("").svid("/caller"),
        mesh.svid("/thief"),
        mesh.svid_at("/caller", past),
        world.current().authority.revoked.clone(),
    ];
    liars.extend(world.withdrawn().map(|gone| gone.mesh.svid("/caller")));
    liars
}

/// New connections all the while, and requests on kept ones, and liars, while everything rotates.
async fn rotates(from: Kept) {
    let _alone = ALONE.lock().await;
    let world = Arc::new(World::begin(from).await);
    let count = Arc::new(Count::default());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (world, count) = (Arc::clone(&world), Arc::clone(&count));
        tasks.spawn(async move {
            while count.runs() {
                let _honest = world.current();
                let round = count.asked.fetch_add(1, Ordering::SeqCst);
                once(&world.caller, round)
                    .await
                    .unwrap_or_else(|error| panic!("request {round}: {error}"));
            }
        });
    }
    {
        let (world, count) = (Arc::clone(&world), Arc::clone(&count));
        tasks.spawn(async move {
            while count.runs() {
                let honest = world.current();
                let svid = honest.authority.mesh.svid("/caller");
                for (alpn, request) in [(&b"h2"[..], get2("/v1/x")), (b"http/1.1", get1("/v1/x"))] {
                    count.asked.fetch_add(1, Ordering::SeqCst);
                    let answer = knock(world.address, None, Some(&svid), alpn, request).await;
                    let answer = answer.unwrap_or_else(|error| panic!("a new connection: {error}"));
                    assert_eq!(answer.status(), StatusCode::OK);
                }
            }
        });
    }
    {
        let (world, count) = (Arc::clone(&world), Arc::clone(&count));
        tasks.spawn(async move {
            while count.runs() {
                for (kind, svid) in liars(&world).iter().enumerate() {
                    let request = get1("/v1/liar");
                    let answer = knock(world.address, None, Some(svid), b"http/1.1", request).await;
                    assert!(answer.is_err(), "liar {kind} got in: {answer:?}");
                    count.refused[kind].fetch_add(1, Ordering::SeqCst);
                }
            }
        });
    }
    let rotation = {
        let (world, count) = (Arc::clone(&world), Arc::clone(&count));
        tokio::spawn(async move { world.rotate(|| count.runs()).await })
    };
    tokio::time::sleep(Duration::from_secs(seconds())).await;
    until("each of them has tried", || {
        let tried = count
            .refused
            .iter()
            .map(|count| count.load(Ordering::SeqCst));
        tried.min() > Some(0)
    })
    .await;
    count.done.store(true, Ordering::SeqCst);
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a task");
    }
    let [rounds, withdrawn] = rotation.await.expect("the rotation");
    let asked = count.asked.load(Ordering::SeqCst);
    let refused = count
        .refused
        .each_ref()
        .map(|count| count.load(Ordering::SeqCst));
    println!(
        "{asked} requests, {rounds} rotations, {withdrawn} authorities withdrawn, refused: {refused:?}"
    );
    assert!(
        asked > 3 && rounds > 3 && withdrawn > 0,
        "{asked} {rounds} {withdrawn}"
    );
    assert!(refused.iter().all(|count| *count > 0), "{refused:?}");
    assert!(
        world.marker.calls() >= asked,
        "{} of {asked}",
        world.marker.calls()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_27_and_30_rotation_every_50_ms_loses_no_honest_request_and_lets_nobody_else_in() {
    rotates(Kept::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_27_and_30_nor_does_it_where_what_rotates_are_files() {
    rotates(Kept::Files).await;
}
