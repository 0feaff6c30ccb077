//! Clients of one address that say nothing.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_silent_clients_of_one_address_lock_nobody_else_out() {
    let clients = number("ZTL_FAULT_CLIENTS", 400);
    let share = clients / 4;
    // Without shares they would hold every slot twice over.
    let door = Door::open(|builder| {
        builder
            .max_connections(clients / 2)
            .max_unproved_per_prefix(share)
            .handshake_timeout(Duration::from_secs(120))
    })
    .await;
    let mut silent = Vec::new();
    for at in 0..clients {
        match door.connect(hostile()).await {
            Ok(stream) => silent.push(stream),
            // It was turned away before it knew that it was connected.
            Err(error) => assert!(at >= share, "client {at}: {error}"),
        }
    }
    until("their share is full", || door.unproved() == share).await;
    for _ in 0..20 {
        door.ask(honest()).await.expect("honest");
        door.ask(address("127.0.0.3")).await.expect("honest");
    }
    assert_eq!(door.marker.calls(), 40);
    assert_eq!(door.unproved(), share, "no more than their share");
    // Those that came past the share are closed, and those within it are not: they have until their deadline.
    for turned_away in &mut silent[share..] {
        assert!(is_closed(turned_away).await);
    }
    assert_eq!(door.unproved(), share);
    // A client of that address is turned away as well, until the silent ones are gone.
    assert!(door.ask(hostile()).await.is_err());
    drop(silent);
    until("they are gone", || door.unproved() == 0).await;
    door.ask(hostile()).await.expect("one of theirs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_who_is_proved_counts_no_longer_against_its_address() {
    let door = Door::open(|builder| builder.max_unproved_per_prefix(2)).await;
    let mut held = Vec::new();
    for count in 1..=8 {
        let stream = raw_connect(door.address, Some(honest()), Some(&door.svid), b"h2").await;
        held.push(stream.expect("connect"));
        until("it is proved", || {
            door.guard.connections().len() == count && door.unproved() == 0
        })
        .await;
    }
    door.ask(honest()).await.expect("honest");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_one_peer_cannot_hold_every_connection() {
    let door = Door::open(|builder| builder.max_connections_per_peer(3)).await;
    let mut held = Vec::new();
    for count in 1..=3 {
        let stream = raw_connect(door.address, None, Some(&door.svid), b"h2").await;
        held.push(stream.expect("connect"));
        until("it is open", || {
            door.guard.connections().len() == count && door.unproved() == 0
        })
        .await;
    }
    // The address does not matter: the peer is the same.
    for from in [honest(), hostile()] {
        assert!(door.ask(from).await.is_err(), "past its share");
    }
    assert_eq!(door.marker.calls(), 0);
    let other = door.mesh.svid("/other");
    let answer = knock(door.address, None, Some(&other), b"h2", get2("/v1/x")).await;
    assert_eq!(answer.expect("another peer").status(), StatusCode::OK);
    held.pop();
    until("one is gone", || door.guard.connections().len() == 2).await;
    door.ask(honest()).await.expect("a share is free again");
}
