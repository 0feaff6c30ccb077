//! Requests that do not end: so many on a connection, and so many of a peer (T35).

use super::frames::*;
use super::*;

/// The stream of the request at this place, from 0.
fn stream(at: u32) -> u32 {
    at * 2 + 1
}

/// A request whose body never comes.
fn request(at: u32) -> Vec<u8> {
    let fields = literals(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "a"),
        (":path", "/echo"),
    ]);
    frame(HEADERS, END_HEADERS, stream(at), &fields)
}

/// Reads until that many answers are there, whatever they are.
async fn answers(stream: &mut RawStream, count: usize) -> Vec<String> {
    let (mut answer, mut some) = (Vec::new(), [0; 4096]);
    while said(&answer).len() < count {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut some)).await;
        let read = read.expect("in time").expect("read");
        assert_ne!(read, 0, "the connection ends");
        answer.extend_from_slice(&some[..read]);
    }
    said(&answer)
}

impl Door {
    /// So many of them on one connection, and what is said to the one that is too many.
    async fn begins(&self, name: &str, count: u32) -> (RawStream, Vec<String>) {
        let mut stream = self.connect(name, b"h2").await;
        let all: Vec<u8> = (0..count).flat_map(request).collect();
        let bytes = [preface(), all].concat();
        stream.write_all(&bytes).await.expect("write");
        stream.flush().await.expect("flush");
        let answer = answers(&mut stream, 1).await;
        (stream, answer)
    }

    async fn asks(&self, name: &str) -> StatusCode {
        let svid = self.mesh.svid(&format!("/attacker/{name}"));
        let answer = knock(self.address, None, Some(&svid), b"http/1.1", get1("/open"));
        answer.await.expect("an answer").status()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_one_stream_too_many_on_a_connection_is_refused_and_the_others_run_on() {
    let _shared = MEASURED.read().await;
    let door = Door::open().await;
    let (mut held, answer) = door.begins("streams", 257).await;
    // REFUSED_STREAM (RFC 9113 §7): it was not processed, and may be sent again.
    assert_eq!(answer, [format!("{}:rst 7", stream(256))]);
    support::until("256 run", || door.marks_of("streams").len() == 256).await;
    let running = |door: &Door| {
        door.guard
            .connections()
            .iter()
            .map(|it| it.requests)
            .sum::<usize>()
    };
    assert_eq!(running(&door), 256);
    // One ends, and there is room for another.
    let end = frame(DATA, END_STREAM, stream(0), &[]);
    held.write_all(&end).await.expect("write");
    held.flush().await.expect("flush");
    assert_eq!(answers(&mut held, 1).await, ["1:200"]);
    held.write_all(&request(257)).await.expect("write");
    held.flush().await.expect("flush");
    support::until("one more runs", || door.marks_of("streams").len() == 257).await;
    assert_eq!(door.asks("other").await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_a_peer_has_so_many_requests_running_on_all_its_connections() {
    let _shared = MEASURED.read().await;
    let door = Door::with(|builder| builder.max_requests_per_peer(3)).await;
    let (held, answer) = door.begins("greedy", 4).await;
    // Whichever was the last to begin.
    assert!(answer[0].ends_with(":429"), "{answer:?}");
    support::until("three run", || door.marks_of("greedy").len() == 3).await;
    // On another connection it is one too many as well, and for nobody else.
    for _ in 0..3 {
        assert_eq!(door.asks("greedy").await, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(door.asks("other").await, StatusCode::OK);
    }
    assert_eq!(
        door.marks_of("greedy").len(),
        3,
        "the service saw none of them"
    );
    let recorded = support::reasons(&door.audit);
    let denied = recorded.iter().filter(|reason| *reason != "permitted");
    assert_eq!(denied.collect::<Vec<_>>(), ["limit_exceeded"; 4]);
    drop(held);
    support::until("they end", || door.guard.connections().is_empty()).await;
    assert_eq!(door.asks("greedy").await, StatusCode::OK);
}
