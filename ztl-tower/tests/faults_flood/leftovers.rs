//! What is left when the flood is over.
#![cfg(target_os = "linux")]

use super::*;

/// Most pages that a second equal round may add: 4 MiB where a page has 4 KiB.
const SLACK: usize = 1024;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("proc").count()
}

/// Pages of this process in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("proc");
    let pages = statm.split_whitespace().nth(1).expect("resident");
    pages.parse().expect("number")
}

/// Some of everything; at its end nothing is open.
async fn round(door: &Door, untrusted: &X509Svid) {
    let hello = client_hello();
    let mut held = Vec::new();
    for at in 0..200 {
        // Past its share it is turned away, be it before it knows that it is connected.
        let Ok(mut stream) = door.connect(hostile()).await else {
            continue;
        };
        if at % 2 == 0 {
            let _ = stream.write_all(&hello).await;
        }
        held.push(stream);
    }
    for _ in 0..30 {
        door.ask(honest()).await.expect("honest");
        let (to, from) = (door.address, address("127.0.0.4"));
        let answer = knock(to, Some(from), Some(untrusted), b"h2", get2("/v1/x")).await;
        assert!(answer.is_err());
    }
    drop(held);
    until("nothing is open", || door.guard.connections().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_descriptors_and_memory_return_to_where_they_were() {
    let door = Door::open(|builder| builder.max_unproved_per_prefix(100)).await;
    let untrusted = Mesh::new("").svid("/caller");
    // Caches, buffers and threads are there after the first.
    round(&door, &untrusted).await;
    let (files, before) = (descriptors(), resident());
    for _ in 0..2 {
        round(&door, &untrusted).await;
    }
    until("descriptors are back", || descriptors() <= files).await;
    let after = resident();
    println!("{files} descriptors; {before} pages before, {after} after");
    assert!(after <= before + SLACK, "{before} pages, then {after}");
}
