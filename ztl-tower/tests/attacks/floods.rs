//! Floods: much of what is little each. The connection ends, or the flood waits; memory does not grow with it, and others are
//! served (T34, T35).

use super::frames::*;
use super::*;

/// How long a flood runs where nobody ends it.
const FLOOD: Duration = Duration::from_millis(1500);
/// Most that a flood may move.
const MOST: usize = 1024 * 1024;
/// What all floods together may add to the memory of this process, which attacks itself: TLS and its buffers at both ends.
const GROWTH: usize = 64 * 1024 * 1024;

/// A name, the protocol, what goes first, and what comes then without end.
type Flood = (&'static str, &'static [u8], Vec<u8>, Vec<u8>, Ends);

/// How a flood ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// The server ends the connection.
    Cut,
    /// The server ends it, takes it or lets it wait, at no cost to others.
    Borne,
}

const TWO: &[u8] = b"h2";
const ONE: &[u8] = b"http/1.1";

fn fields(path: &str) -> Vec<u8> {
    literals(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "a"),
        (":path", path),
    ])
}

fn begin(more: Vec<u8>) -> Vec<u8> {
    [preface(), more].concat()
}

/// The same frame again and again.
fn times(count: usize, one: Vec<u8>) -> Vec<u8> {
    one.repeat(count)
}

/// Streams one after the other, as far as their numbers reach here.
fn streams(each: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    (0..20_000).flat_map(|at| each(at * 2 + 1)).collect()
}

#[rustfmt::skip]
fn floods() -> Vec<Flood> {
    use Ends::{Borne, Cut};
    let post = literals(&[(":method", "POST"), (":scheme", "https"), (":authority", "a"), (":path", "/echo")]);
    let reset = |stream| [frame(HEADERS, WHOLE, stream, &fields("/open")), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat();
    let malformed = |stream| frame(HEADERS, WHOLE, stream, &literals(&[(":method", "GET")]));
    vec![
        ("continuation", TWO, begin(frame(HEADERS, END_STREAM, 1, &fields("/open"))), times(1000, frame(CONTINUATION, 0, 1, &literals(&[("x", &"y".repeat(1000))]))), Cut),
        ("continuation-empty", TWO, begin(frame(HEADERS, END_STREAM, 1, &fields("/open"))), times(5000, frame(CONTINUATION, 0, 1, &[])), Cut),
        ("rapid-reset", TWO, begin(streams(reset)), vec![], Cut),
        ("made-you-reset", TWO, begin(streams(malformed)), vec![], Cut),
        ("settings", TWO, begin(vec![]), times(2000, frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])), Borne),
        ("settings-empty", TWO, begin(vec![]), times(2000, frame(SETTINGS, 0, 0, &[])), Borne),
        ("ping", TWO, begin(vec![]), times(2000, frame(PING, 0, 0, &[0; 8])), Borne),
        ("data-empty", TWO, begin(frame(HEADERS, END_HEADERS, 1, &post)), times(2000, frame(DATA, 0, 1, &[])), Borne),
        ("priority", TWO, begin(vec![]), times(2000, frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16])), Borne),
        ("window-update", TWO, begin(vec![]), times(2000, frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 0])), Cut),
        ("unknown-frames", TWO, begin(vec![]), times(2000, frame(0x42, 0, 0, &[0; 64])), Borne),
        ("requests-unread", TWO, begin(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])), streams(|stream| frame(HEADERS, WHOLE, stream, &fields("/open"))), Borne),
        ("hpack-bombs", TWO, begin(vec![]), (0..500).flat_map(|at: u32| frame(HEADERS, WHOLE, at * 2 + 1, &[fields("/open"), bomb(4000, 4000)].concat())).collect(), Borne),
        ("pipelined", ONE, vec![], b"GET /open HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100), Borne),
        ("pipelined-denied", ONE, vec![], b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100), Borne),
        ("chunks-of-one", ONE, b"POST /open HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), b"1\r\na\r\n".repeat(5000), Cut),
        ("chunk-extensions", ONE, b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), b"1;a=b\r\na\r\n".repeat(2000), Cut),
        ("empty-lines", ONE, vec![], b"\r\n".repeat(20_000), Cut),
        ("fields", ONE, b"GET /open HTTP/1.1\r\nHost: a\r\n".to_vec(), b"x: y\r\n".repeat(5000), Cut),
        ("trailers", ONE, b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n".to_vec(), b"x: y\r\n".repeat(5000), Cut),
    ]
}

/// Says it again and again, and hears nothing: nobody reads what comes back until the end.
async fn flood(door: Arc<Door>, (name, alpn, first, again, ends): Flood) -> Option<String> {
    let mut stream = door.connect(name, alpn).await;
    let mut moved = first.len();
    // Each of these bytes is work: they are real requests.
    let most = if name.starts_with("pipelined") {
        MOST / 16
    } else {
        MOST
    };
    let speaks = async {
        stream.write_all(&first).await?;
        while moved < most && !again.is_empty() {
            stream.write_all(&again).await?;
            moved += again.len();
        }
        stream.flush().await
    };
    let spoken = tokio::time::timeout(FLOOD, speaks).await;
    let mut answer = Vec::new();
    let quiet = if ends == Ends::Cut { PATIENCE } else { QUIET };
    let cut = matches!(spoken, Ok(Err(_))) || hear(&mut stream, &mut answer, quiet).await.is_ok();
    let _ = tokio::time::timeout(QUIET, stream.shutdown()).await;
    let ended = hear(&mut stream, &mut answer, PATIENCE).await;
    let shown = if alpn == TWO {
        said(&answer).last().cloned()
    } else {
        None
    };
    if !cut && ends == Ends::Cut {
        return Some(format!("{name}: it goes on after {moved} bytes, {shown:?}"));
    }
    ended
        .is_err()
        .then(|| format!("{name}: the connection does not end"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_t35_a_flood_of_frames_ends_or_waits_and_costs_others_nothing() {
    let _alone = MEASURED.write().await;
    let door = Door::open().await;
    let before = resident();
    attack(&door, floods(), flood).await;
    let grown = resident().saturating_sub(before);
    println!("{grown} bytes more");
    assert!(grown < GROWTH, "{grown} bytes more");
}

/// Sockets that are closed on one side, or on both without a word, at every point of a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_a_half_closed_socket_holds_nothing_and_opens_nothing() {
    let _shared = MEASURED.read().await;
    let door = Door::open().await;
    let request = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc";
    let frames = begin(frame(HEADERS, WHOLE, 1, &fields("/admin")));
    let honest = Honest::begin(&door);
    for (name, alpn, bytes) in [("one", ONE, &request[..]), ("two", TWO, &frames)] {
        for at in (0..bytes.len()).step_by(9) {
            let mut stream = door.connect(name, alpn).await;
            let _ = stream.write_all(&bytes[..at]).await;
            // Every other one leaves without close_notify: a plain FIN beneath TLS.
            let socket = if at % 2 == 0 {
                stream.shutdown().await
            } else {
                stream.get_mut().0.shutdown().await
            };
            let _ = socket;
            let ended = hear(&mut stream, &mut Vec::new(), PATIENCE).await;
            assert!(ended.is_ok(), "{name} at {at}");
        }
    }
    honest.was_served().await;
    door.marks.hold_only_what_is_permitted();
    assert!(door.marks_of("two").is_empty());
    support::until("all are gone", || door.guard.connections().is_empty()).await;
}
