//! Raw bytes to hosts outside the mesh: under the bounds of requests to them (T27), and judged while they are open (law 8).

use super::outside::{Seen, acceptor, code, guard};
use super::*;
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use ztl_core::Direction;
use ztl_mtls::DevWebCa;
use ztl_tower::HostStream;

const OUTSIDE: &str = r#"
schema = 1
trust_domain = "prod.example"
[workloads.caller]
id = "spiffe://prod.example/caller"
[workloads.db]
id = "spiffe://prod.example/db"
ports = [8443]
[external.feed]
hosts = ["feed.example.org"]
ports = [8883]
networks = ["127.0.0.0/8"]
[external.hub]
hosts = ["hub.example.org"]
ports = [443, 8443]
networks = ["127.0.0.0/8"]
[external.elsewhere]
hosts = ["private.example.org"]
[[permit]]
name = "streams-the-feed"
from = "caller"
to = "external:feed"
actions = ["connect"]
[[permit]]
name = "reads-the-hub"
from = "caller"
to = "external:hub"
actions = ["GET /v1/{*rest}", "any"]
[[permit]]
name = "streams-elsewhere"
from = "caller"
to = "external:elsewhere"
actions = ["connect"]
"#;

/// A host that sends back what it got, and counts it.
async fn echo(web: &DevWebCa, names: &[&str]) -> (SocketAddr, Seen, Arc<AtomicUsize>) {
    let (listener, address) = listener().await;
    let (seen, got) = (Seen::default(), Arc::new(AtomicUsize::new(0)));
    let acceptor = acceptor(web, names, &[], &seen);
    let (opened, all) = (seen.opened.clone(), got.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            opened.fetch_add(1, Ordering::SeqCst);
            let (acceptor, got) = (acceptor.clone(), all.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut bytes = [0; 64];
                while let Ok(many @ 1..) = stream.read(&mut bytes).await {
                    got.fetch_add(many, Ordering::SeqCst);
                    if stream.write_all(&bytes[..many]).await.is_err() {
                        return;
                    }
                    let _ = stream.flush().await;
                }
                let _ = stream.shutdown().await;
            });
        }
    });
    (address, seen, got)
}

async fn says(stream: &mut HostStream, text: &[u8]) {
    stream.write_all(text).await.expect("write");
    stream.flush().await.expect("flush");
    let mut heard = vec![0; text.len()];
    let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut heard)).await;
    read.expect("in time").expect("read");
    assert_eq!(heard, text);
}

#[tokio::test]
async fn t27_raw_bytes_leave_only_where_a_permit_names_the_host_and_connect() {
    let (mesh, web) = (Mesh::new(OUTSIDE), DevWebCa::new(now()).expect("ca"));
    let (address, seen, got) = echo(&web, &["feed.example.org", "hub.example.org"]).await;
    let hosts = [("feed.example.org", address), ("hub.example.org", address)];
    let (guard, audit) = guard(&mesh, Some(&web), &hosts).await;
    for (host, reason) in [
        // Requests are permitted there, and no raw bytes.
        ("hub.example.org:443", Some("no_action_permitted")),
        ("hub.example.org:8883", Some("no_flow_permitted")),
        ("feed.example.org:443", Some("no_flow_permitted")),
        ("evil.example.org", Some("no_flow_permitted")),
        ("sub.feed.example.org:8883", Some("no_flow_permitted")),
        // Without a port it is 443.
        ("hub.example.org", Some("no_action_permitted")),
        ("feed.example.org", Some("no_flow_permitted")),
        // A workload is no host.
        ("db", None),
        ("feed.example.org:0", None),
        ("127.0.0.1:8883", None),
    ] {
        let error = guard.connect_host(host).await.expect_err(host);
        assert_eq!(code(&error), reason, "{host}: {error}");
    }
    let error = guard.connect("feed.example.org:8883").await;
    let error = error.expect_err("a host").to_string();
    assert!(error.contains("`connect_host`"), "{error}");
    assert_eq!(seen.opened.load(Ordering::SeqCst), 0, "nothing was dialled");
    let denied = audit.lines();
    assert_eq!(denied.len(), 7, "{denied:?}");
    for part in [
        "\"host\":\"hub.example.org\"",
        "\"action\":\"connect\"",
        "egress",
    ] {
        assert!(denied[0].contains(part), "{part} in {}", denied[0]);
    }

    let mut stream = guard
        .connect_host("feed.example.org:8883")
        .await
        .expect("stream");
    assert_eq!(
        (stream.host().name(), stream.host().addr()),
        ("feed.example.org", Some(address.ip()))
    );
    says(&mut stream, b"ping").await;
    assert_eq!(got.load(Ordering::SeqCst), 4);
    let certificates = seen.certificates.load(Ordering::SeqCst);
    assert_eq!(certificates, 0, "our SVID was not shown");
    let records = audit.lines();
    let (flow, action) = (&records[records.len() - 2], &records[records.len() - 1]);
    for part in [
        "\"verdict\":\"permit\"",
        "\"rule\":\"streams-the-feed\"",
        "\"host\":\"feed.example.org\"",
        "\"addr\":\"127.0.0.1\"",
    ] {
        assert!(
            flow.contains(part) && action.contains(part),
            "{part} in {flow} {action}"
        );
    }
    assert!(action.contains("\"action\":\"connect\"") && !flow.contains("connect\""));
    let shown = guard.connections();
    let open = shown.iter().find(|one| one.direction == Direction::Egress);
    let open = open.expect("shown");
    assert_eq!(
        (open.host.as_deref(), open.port),
        (Some("feed.example.org"), 8883)
    );
    assert!(open.peer.is_none());
    stream.shutdown().await.expect("close_notify");
    assert_eq!(stream.read(&mut [0; 8]).await.expect("end"), 0);
    drop(stream);
    until("it is gone", || guard.connections().is_empty()).await;
}

#[tokio::test]
async fn t27_whoever_is_not_proved_for_exactly_this_name_gets_no_raw_byte() {
    let mesh = Mesh::new(OUTSIDE);
    let (web, stranger) = (
        DevWebCa::new(now()).expect("ca"),
        DevWebCa::new(now()).expect("ca"),
    );
    let (name, feed) = ("feed.example.org", "feed.example.org:8883");
    let other = echo(&web, &["other.example.org", "127.0.0.1"]).await;
    let wild = echo(&web, &["*.feed.example.org"]).await;
    let foreign = echo(&stranger, &[name]).await;
    for (address, seen, got) in [other, wild, foreign] {
        let (guard, _) = guard(&mesh, Some(&web), &[(name, address)]).await;
        let error = guard.connect_host(feed).await.expect_err("unproved");
        assert!(matches!(error, EgressError::Unproven { .. }), "{error}");
        assert_eq!(seen.opened.load(Ordering::SeqCst), 1);
        assert_eq!(got.load(Ordering::SeqCst), 0);
        until("nothing is left", || guard.connections().is_empty()).await;
    }
    // A workload that shows its SVID is no host, and no roots prove nobody.
    let workload = Target::start(&mesh, "/db", b"h2").await;
    let right = echo(&web, &[name]).await;
    for (roots, address) in [(Some(&web), workload.address), (None, right.0)] {
        let (guard, _) = guard(&mesh, roots, &[(name, address)]).await;
        let error = guard.connect_host(feed).await.expect_err("unproved");
        assert!(matches!(error, EgressError::Unproven { .. }), "{error}");
    }
    assert_eq!(right.2.load(Ordering::SeqCst), 0);
    // Nor is an address dialled that the policy does not let it have.
    let private = "private.example.org";
    let (address, seen, _) = echo(&web, &[private]).await;
    let (guard, audit) = guard(&mesh, Some(&web), &[(private, address)]).await;
    let error = guard.connect_host(private).await.expect_err("refused");
    assert!(matches!(error, EgressError::Address { .. }), "{error}");
    assert_eq!(seen.opened.load(Ordering::SeqCst), 0);
    assert_eq!(audit.lines().len(), 1);
}

#[tokio::test]
async fn law_8_a_raw_stream_outside_ends_with_what_it_rests_on() {
    let (mesh, web) = (Mesh::new(OUTSIDE), DevWebCa::new(now()).expect("ca"));
    let (address, _, got) = echo(&web, &["feed.example.org"]).await;
    let hosts = [("feed.example.org", address)];
    let streams = "to = \"external:feed\"\nactions = [\"connect\"]";
    let forbid = "[[forbid]]\nfrom = \"caller\"\nto = \"any\"\n";
    for (changed, lives) in [
        (format!("{OUTSIDE}# the same\n"), true),
        (
            OUTSIDE.replace(
                streams,
                "to = \"external:elsewhere\"\nactions = [\"connect\"]",
            ),
            false,
        ),
        // The flow alone is left.
        (
            OUTSIDE.replace(streams, "to = \"external:feed\"\nactions = [\"GET /a\"]"),
            false,
        ),
        (OUTSIDE.replace("127.0.0.0/8", "10.0.0.0/8"), false),
        (
            OUTSIDE.replace("feed.example.org", "moved.example.org"),
            false,
        ),
        (format!("{OUTSIDE}{forbid}"), false),
        // In raw bytes anything could be asked (T20).
        (format!("{OUTSIDE}{forbid}actions = [\"GET /a\"]\n"), false),
    ] {
        let (guard, audit) = guard(&mesh, Some(&web), &hosts).await;
        let mut stream = guard
            .connect_host("feed.example.org:8883")
            .await
            .expect("stream");
        says(&mut stream, b"ping").await;
        let judged = audit.lines().len();
        let before = got.load(Ordering::SeqCst);
        let swapped = Policy::from_toml(&changed).unwrap_or_else(|error| panic!("{error}"));
        guard.swap_policy(swapped).expect("swapped");
        if lives {
            until("both are judged again", || {
                audit.lines().len() >= judged + 2
            })
            .await;
            says(&mut stream, b"pong").await;
            continue;
        }
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 8])).await;
        let error = read.expect("within a second").expect_err("cut");
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{changed}");
        assert!(stream.write_all(b"more").await.is_err());
        drop(stream);
        until("it is gone", || guard.connections().is_empty()).await;
        assert_eq!(got.load(Ordering::SeqCst), before);
        assert!(guard.connect_host("feed.example.org:8883").await.is_err());
    }
}
