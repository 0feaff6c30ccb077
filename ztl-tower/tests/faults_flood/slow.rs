//! Clients that send a byte now and then.

use super::*;

const DEADLINE: Duration = Duration::from_millis(500);
/// What the machine may be late.
const LATE: Duration = Duration::from_secs(3);
const PACE: Duration = Duration::from_millis(20);

/// Sends byte after byte, slowly and for ever, until the other end closes; tells how long that took.
async fn dribble<S>(mut stream: S, bytes: &[u8]) -> Duration
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let since = Instant::now();
    let mut ticks = tokio::time::interval(PACE);
    let mut bytes = bytes.iter().chain(std::iter::repeat(&b'a'));
    let mut space = [0; 1024];
    let ends = async {
        loop {
            tokio::select! {
                read = stream.read(&mut space) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
                _ = ticks.tick() => {
                    let byte = *bytes.next().expect("endless");
                    if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    tokio::time::timeout(support::PATIENCE, ends)
        .await
        .expect("it is let go");
    since.elapsed()
}

fn at_its_deadline(took: Duration, what: &str) {
    assert!(took < DEADLINE + LATE, "{what}: {took:?}");
    // The clock of a connection starts when it is accepted or proved, which may be a little before ours.
    assert!(took > DEADLINE / 2, "{what}: {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_a_client_hello_byte_by_byte_is_let_go_at_the_deadline() {
    let door = Door::open(|builder| builder.handshake_timeout(DEADLINE)).await;
    let hello = client_hello();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let stream = door.connect(hostile()).await.expect("connect");
        let hello = hello.clone();
        tasks.spawn(async move { dribble(stream, &hello).await });
    }
    door.ask(honest()).await.expect("honest");
    while let Some(took) = tasks.join_next().await {
        at_its_deadline(took.expect("task"), "ClientHello");
    }
    until("nothing is open", || door.guard.connections().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_a_header_section_byte_by_byte_is_let_go_at_the_deadline() {
    let door = Door::open(|builder| builder.header_timeout(DEADLINE)).await;
    let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let head: &[u8] = b"GET /v1/x HTTP/1.1\r\nhost: a\r\nx-slow: ";
    for (alpn, bytes) in [(&b"h2"[..], preface), (b"http/1.1", head)] {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let stream = raw_connect(door.address, Some(hostile()), Some(&door.svid), alpn).await;
            let stream = stream.expect("connect");
            tasks.spawn(async move { dribble(stream, bytes).await });
        }
        door.ask(honest()).await.expect("honest");
        while let Some(took) = tasks.join_next().await {
            at_its_deadline(took.expect("task"), "header section");
        }
    }
    until("nothing is open", || door.guard.connections().is_empty()).await;
    assert_eq!(door.marker.calls(), 2, "only who was honest got in");
}
