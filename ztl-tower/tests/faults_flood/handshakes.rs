//! Handshakes that are never finished, and such that are and prove nobody we trust.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

#[derive(Default)]
struct Count {
    done: AtomicBool,
    begun: AtomicUsize,
    refused: AtomicUsize,
    asked: AtomicUsize,
    failed: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_in_a_flood_of_handshakes_the_honest_ones_succeed() {
    let door = Arc::new(Door::open(|builder| builder.max_unproved_per_prefix(64)).await);
    let seconds = number("ZTL_FAULT_SECONDS", 3);
    let count = Arc::new(Count::default());
    let hello: Arc<[u8]> = client_hello().into();
    let mut tasks = tokio::task::JoinSet::new();

    for _ in 0..2 {
        let (door, count, hello) = (Arc::clone(&door), Arc::clone(&count), Arc::clone(&hello));
        tasks.spawn(async move {
            let mut open = VecDeque::new();
            while !count.done.load(Ordering::SeqCst) {
                // Turned away at once or not: the next one follows.
                let Ok(mut stream) = door.connect(hostile()).await else {
                    continue;
                };
                let _ = stream.write_all(&hello).await;
                count.begun.fetch_add(1, Ordering::SeqCst);
                open.push_back(stream);
                if open.len() > 40 {
                    open.pop_front();
                }
            }
        });
    }
    for _ in 0..2 {
        let (door, count) = (Arc::clone(&door), Arc::clone(&count));
        tasks.spawn(async move {
            let untrusted = Mesh::new("").svid("/caller");
            while !count.done.load(Ordering::SeqCst) {
                let (to, from) = (door.address, Some(hostile()));
                let answer = knock(to, from, Some(&untrusted), b"http/1.1", get1("/v1/x")).await;
                assert!(answer.is_err(), "somebody else got in: {answer:?}");
                count.refused.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    for _ in 0..2 {
        let (door, count) = (Arc::clone(&door), Arc::clone(&count));
        tasks.spawn(async move {
            while !count.done.load(Ordering::SeqCst) {
                let answer = door.ask(honest()).await;
                count.asked.fetch_add(1, Ordering::SeqCst);
                if let Err(why) = answer {
                    count.failed.fetch_add(1, Ordering::SeqCst);
                    println!("an honest handshake failed: {why}");
                }
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(
        u64::try_from(seconds).expect("seconds"),
    ))
    .await;
    count.done.store(true, Ordering::SeqCst);
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a task");
    }

    let [begun, refused, asked, failed] =
        [&count.begun, &count.refused, &count.asked, &count.failed]
            .map(|count| count.load(Ordering::SeqCst));
    let succeeded = asked - failed;
    println!(
        "{succeeded} of {asked} honest handshakes beside {begun} never finished and {refused} of nobody"
    );
    assert!(
        begun > 50 && refused > 5 && asked > 5,
        "{begun} {refused} {asked}"
    );
    assert!(
        succeeded * 100 >= asked * 99,
        "{succeeded} of {asked} honest handshakes"
    );
    assert_eq!(door.marker.calls(), succeeded);
}
