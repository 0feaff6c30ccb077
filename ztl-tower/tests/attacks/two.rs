//! HTTP/2: requests that are none, and frames in no order.

use super::frames::*;
use super::*;

/// A name, what is sent behind the preface, what comes back, and what the handlers see.
type Case = (
    &'static str,
    Vec<u8>,
    &'static [&'static str],
    &'static [&'static str],
);
type Fields<'a> = &'a [(&'a str, &'a str)];

/// `GET` of this path.
fn get(path: &str) -> Vec<(&str, &str)> {
    vec![
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "a"),
        (":path", path),
    ]
}

/// A header section of whatever fields, the whole request.
fn ask(fields: Fields<'_>) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, &literals(fields))
}

/// A request of these fields.
fn of(name: &'static str, fields: Fields<'_>, answers: &'static [&'static str]) -> Case {
    (name, ask(fields), answers, &[])
}

/// `GET` of a path.
fn path(name: &'static str, path: &str, answers: &'static [&'static str]) -> Case {
    of(name, &get(path), answers)
}

/// `GET /open` with one more field.
fn with(
    name: &'static str,
    field: &str,
    value: &str,
    answers: &'static [&'static str],
    marks: &'static [&'static str],
) -> Case {
    let mut fields = get("/open");
    fields.push((field, value));
    (name, ask(&fields), answers, marks)
}

/// `POST /echo`, whose body is to come, with these fields.
fn post(fields: Fields<'_>) -> Vec<u8> {
    let all = [
        &[
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "a"),
            (":path", "/echo"),
        ],
        fields,
    ]
    .concat();
    frame(HEADERS, END_HEADERS, 1, &literals(&all))
}

fn data(text: &str, flags: u8) -> Vec<u8> {
    frame(DATA, flags, 1, text.as_bytes())
}

/// A permitted request, behind what should have ended the connection.
fn open(stream: u32) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, &literals(&get("/open")))
}

const NOTHING: &[&str] = &[];
/// RFC 9113 §8.1.1: a malformed request is a stream error of type PROTOCOL_ERROR.
const MALFORMED: &[&str] = &["1:rst 1"];
const AMBIGUOUS: &[&str] = &["1:400"];
const DENIED: &[&str] = &["1:403"];
const SERVED: &[&str] = &["1:200"];
/// PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR (RFC 9113 §7); h2 says the first where it could say another.
const PROTOCOL: &[&str] = &["goaway 1"];
const FLOW: &[&str] = &["goaway 3"];
const SIZE: &[&str] = &["goaway 6"];

#[rustfmt::skip]
fn pseudo() -> Vec<Case> {
    const OPEN: &[&str] = &["GET /open"];
    vec![
        ("honest", ask(&get("/open")), SERVED, OPEN),
        path("admin", "/admin", DENIED),
        of("path-twice", &[get("/open"), vec![(":path", "/admin")]].concat(), MALFORMED),
        of("method-twice", &[get("/open"), vec![(":method", "POST")]].concat(), MALFORMED),
        of("authority-twice", &[get("/open"), vec![(":authority", "b")]].concat(), MALFORMED),
        of("path-missing", &get("/open")[..3], MALFORMED),
        of("method-missing", &get("/open")[1..], MALFORMED),
        of("scheme-missing", &[(":method", "GET"), (":authority", "a"), (":path", "/open")], MALFORMED),
        of("scheme-bad", &[(":method", "GET"), (":scheme", "ht tps"), (":authority", "a"), (":path", "/open")], MALFORMED),
        of("nothing-at-all", &[], MALFORMED),
        of("pseudo-after-regular", &[(":method", "GET"), (":scheme", "https"), (":authority", "a"), ("x", "y"), (":path", "/admin")], MALFORMED),
        of("pseudo-unknown", &[get("/open"), vec![(":admin", "1")]].concat(), PROTOCOL),
        of("pseudo-of-responses", &[get("/open"), vec![(":status", "200")]].concat(), MALFORMED),
        path("path-empty", "", MALFORMED),
        path("path-no-slash", "open", MALFORMED),
        path("path-asterisk", "*", AMBIGUOUS),
        path("path-space", "/open /admin", MALFORMED),
        // The `http` crate cuts a fragment off before anybody sees it: rule, router and handler see the same path without.
        ("path-fragment", ask(&get("/open#/admin")), SERVED, OPEN),
        path("path-fragment-behind-admin", "/admin#/open", DENIED),
        path("path-crlf", "/open\r\nx: y", MALFORMED),
        path("path-request-line", "/open HTTP/1.1\r\nHost: a\r\n\r\nGET /admin", MALFORMED),
        path("path-nul", "/open\0", MALFORMED),
        path("path-absolute", "https://a/admin", MALFORMED),
        path("path-two-slashes", "//admin", AMBIGUOUS),
        path("path-dot-dot", "/open/../admin", AMBIGUOUS),
        path("path-escaped", "/%61dmin", AMBIGUOUS),
        path("path-slash-escaped", "/open%2f..%2fadmin", AMBIGUOUS),
        path("path-semicolon", "/admin;/open", AMBIGUOUS),
        of("authority-userinfo", &[(":method", "GET"), (":scheme", "https"), (":authority", "u@a"), (":path", "/open")], AMBIGUOUS),
        of("authority-with-path", &[(":method", "GET"), (":scheme", "https"), (":authority", "a/admin"), (":path", "/open")], MALFORMED),
        of("authority-crlf", &[(":method", "GET"), (":scheme", "https"), (":authority", "a\r\nx: y"), (":path", "/open")], MALFORMED),
        of("method-lower-case", &[(":method", "get"), (":scheme", "https"), (":authority", "a"), (":path", "/open")], AMBIGUOUS),
        of("method-trace", &[(":method", "TRACE"), (":scheme", "https"), (":authority", "a"), (":path", "/open")], DENIED),
        of("method-head", &[(":method", "HEAD"), (":scheme", "https"), (":authority", "a"), (":path", "/open")], DENIED),
        of("method-crlf", &[(":method", "GET /admin\r\n"), (":scheme", "https"), (":authority", "a"), (":path", "/open")], PROTOCOL),
        of("connect", &[(":method", "CONNECT"), (":authority", "a:443")], AMBIGUOUS),
        of("connect-with-path", &[(":method", "CONNECT"), (":scheme", "https"), (":authority", "a"), (":path", "/open")], MALFORMED),
        of("connect-extended", &[(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", "a"), (":path", "/open")], DENIED),
        of("protocol-of-a-get", &[get("/open"), vec![(":protocol", "websocket")]].concat(), MALFORMED),
        with("host-same", "host", "a", SERVED, OPEN),
        with("host-other", "host", "b", AMBIGUOUS, &[]),
        of("host-twice", &[get("/open"), vec![("host", "a"), ("host", "a")]].concat(), AMBIGUOUS),
        of("host-userinfo", &[get("/open"), vec![("host", "u@a")]].concat(), AMBIGUOUS),
    ]
}

#[rustfmt::skip]
fn fields() -> Vec<Case> {
    const OPEN: &[&str] = &["GET /open"];
    let body = |fields: Fields<'_>, text: &str| [post(fields), data(text, END_STREAM)].concat();
    let trailers = |fields: Fields<'_>| [post(&[]), data("abc", 0), frame(HEADERS, WHOLE, 1, &literals(fields))].concat();
    vec![
        with("name-upper-case", "X-Admin", "1", PROTOCOL, &[]),
        with("name-empty", "", "1", PROTOCOL, &[]),
        with("name-space", "x y", "1", PROTOCOL, &[]),
        with("name-colon", "x:y", "1", PROTOCOL, &[]),
        with("name-crlf", "x\r\ny", "1", PROTOCOL, &[]),
        with("value-crlf", "x", "1\r\nhost: b", PROTOCOL, &[]),
        with("value-nul", "x", "1\0", PROTOCOL, &[]),
        with("connection", "connection", "close", MALFORMED, &[]),
        with("keep-alive", "keep-alive", "1", MALFORMED, &[]),
        with("proxy-connection", "proxy-connection", "keep-alive", MALFORMED, &[]),
        with("transfer-encoding", "transfer-encoding", "chunked", MALFORMED, &[]),
        with("upgrade", "upgrade", "websocket", MALFORMED, &[]),
        with("te-gzip", "te", "gzip", MALFORMED, &[]),
        with("te-trailers", "te", "trailers", SERVED, OPEN),
        with("method-override", "x-http-method-override", "POST", AMBIGUOUS, &[]),
        with("method-override-cgi", "x_http_method_override", "POST", AMBIGUOUS, &[]),
        with("target-override", "x-original-url", "/admin", AMBIGUOUS, &[]),
        with("length-of-nothing", "content-length", "3", MALFORMED, &[]),
        with("expect", "expect", "100-continue", SERVED, OPEN),
        ("length-less", body(&[("content-length", "3")], "abcdef"), MALFORMED, &["?POST /echo"]),
        ("length-more", body(&[("content-length", "6")], "abc"), MALFORMED, &["?POST /echo"]),
        ("length-no-number", body(&[("content-length", "x")], "abc"), MALFORMED, &[]),
        ("length-twice", body(&[("content-length", "3"), ("content-length", "6")], "abc"), MALFORMED, &["?POST /echo"]),
        ("honest-body", body(&[("content-length", "3")], "abc"), SERVED, &["POST /echo abc"]),
        ("trailers", trailers(&[("host", "b"), ("authorization", "Bearer x")]), SERVED, &["POST /echo abc ~authorization~host"]),
        ("trailers-pseudo", trailers(&[(":path", "/admin"), ("x", "y")]), SERVED, &["POST /echo abc ~x"]),
        ("trailers-and-no-end", [post(&[]), frame(HEADERS, END_HEADERS, 1, &literals(&[("x", "y")]))].concat(), MALFORMED, &["?POST /echo"]),
        ("fields-over-the-bound", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[literals(&get("/open")), bomb(4000, 12)].concat()), &["1:431"], &[]),
        ("hpack-bomb", frame(HEADERS, WHOLE, 1, &[literals(&get("/open")), bomb(4000, 12_000)].concat()), &["goaway 11"], &[]),
        ("hpack-bad-index", frame(HEADERS, WHOLE, 1, &[0xff, 0xff, 0x7f]), PROTOCOL, &[]),
        ("hpack-index-zero", frame(HEADERS, WHOLE, 1, &[0x80]), PROTOCOL, &[]),
        ("hpack-table-too-large", frame(HEADERS, WHOLE, 1, &[&[0x3f, 0xe1, 0xff, 0x03], literals(&get("/open")).as_slice()].concat()), PROTOCOL, &[]),
        ("hpack-update-at-the-end", frame(HEADERS, WHOLE, 1, &[literals(&get("/open")).as_slice(), &[0x20]].concat()), PROTOCOL, &[]),
        ("hpack-cut-off", frame(HEADERS, WHOLE, 1, &literals(&get("/open"))[..20]), PROTOCOL, &[]),
        ("hpack-endless-integer", frame(HEADERS, WHOLE, 1, &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), PROTOCOL, &[]),
        ("hpack-bad-huffman", frame(HEADERS, WHOLE, 1, &[0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00]), PROTOCOL, &[]),
    ]
}

#[rustfmt::skip]
fn order() -> Vec<Case> {
    let then_open = |bytes: Vec<u8>| [bytes, open(3)].concat();
    let settings = |id: u8, value: u32| then_open(frame(SETTINGS, 0, 0, &[&[0, id], value.to_be_bytes().as_slice()].concat()));
    let section = literals(&get("/open"));
    vec![
        ("data-on-no-stream", then_open(frame(DATA, 0, 0, b"abc")), PROTOCOL, &[]),
        ("data-on-an-idle-stream", then_open(frame(DATA, 0, 1, b"abc")), PROTOCOL, &[]),
        ("headers-on-no-stream", frame(HEADERS, WHOLE, 0, &section), PROTOCOL, &[]),
        ("headers-on-an-even-stream", then_open(frame(HEADERS, WHOLE, 2, &section)), PROTOCOL, &[]),
        ("headers-on-a-lower-stream", [open(3), open(1)].concat(), PROTOCOL, &["?GET /open"]),
        ("data-after-the-end", [ask(&get("/open")), data("abc", 0)].concat(), PROTOCOL, &["?GET /open"]),
        ("headers-after-the-end", [ask(&get("/open")), open(1)].concat(), PROTOCOL, &["?GET /open"]),
        ("reset-mid-body", [post(&[]), data("abc", 0), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]), open(3)].concat(), &["3:200"], &["?POST /echo", "GET /open"]),
        ("data-after-a-reset", [post(&[]), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]), data("abc", 0)].concat(), &["1:rst 5"], &["?POST /echo"]),
        ("reset-of-an-idle-stream", then_open(frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])), PROTOCOL, &[]),
        ("reset-of-no-stream", then_open(frame(RST_STREAM, 0, 0, &[0, 0, 0, 8])), PROTOCOL, &[]),
        ("reset-too-short", then_open([ask(&get("/open")), frame(RST_STREAM, 0, 1, &[0])].concat()), PROTOCOL, &["?GET /open"]),
        ("window-by-nothing", then_open(frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 0])), PROTOCOL, &[]),
        ("window-overflow", then_open([frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])].concat()), FLOW, &[]),
        ("window-overflow-of-a-stream", [post(&[]), frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0xff, 0xff])].concat(), &["1:rst 3"], &["?POST /echo"]),
        ("window-of-an-idle-stream", then_open(frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])), PROTOCOL, &[]),
        ("settings-window-overflow", settings(4, 0x8000_0000), PROTOCOL, &[]),
        ("settings-frame-too-small", settings(5, 100), PROTOCOL, &[]),
        ("settings-frame-too-large", settings(5, 0x0100_0000), PROTOCOL, &[]),
        ("settings-push-2", settings(2, 2), PROTOCOL, &[]),
        ("settings-unknown", settings(0x99, 7), &["3:200"], &["GET /open"]),
        ("settings-on-a-stream", then_open(frame(SETTINGS, 0, 1, &[])), PROTOCOL, &[]),
        ("settings-of-five-bytes", then_open(frame(SETTINGS, 0, 0, &[0; 5])), PROTOCOL, &[]),
        ("settings-ack-with-more", then_open(frame(SETTINGS, ACK, 0, &[0; 6])), PROTOCOL, &[]),
        ("ping-of-seven-bytes", then_open(frame(PING, 0, 0, &[0; 7])), PROTOCOL, &[]),
        ("ping-on-a-stream", then_open(frame(PING, 0, 1, &[0; 8])), PROTOCOL, &[]),
        ("push-promise", then_open(frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2], section.as_slice()].concat())), PROTOCOL, &[]),
        ("priority-of-itself", then_open(frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 16])), &["1:rst 1", "3:200"], &["GET /open"]),
        ("priority-of-four-bytes", then_open(frame(PRIORITY, 0, 1, &[0; 4])), PROTOCOL, &[]),
        ("frame-too-large", then_open(frame(DATA, 0, 1, &[0; 16_385])), SIZE, &[]),
        ("frame-unknown", then_open(frame(0x42, 0xff, 1, b"?")), &["3:200"], &["GET /open"]),
        ("continuation-of-nothing", then_open(frame(CONTINUATION, END_HEADERS, 1, &section)), PROTOCOL, &[]),
        ("continuation-elsewhere", [frame(HEADERS, END_STREAM, 1, &section), frame(CONTINUATION, END_HEADERS, 3, &[])].concat(), PROTOCOL, &[]),
        ("headers-cut-by-data", [frame(HEADERS, 0, 1, &section), data("abc", END_STREAM)].concat(), PROTOCOL, &[]),
        ("headers-cut-by-headers", [frame(HEADERS, END_STREAM, 1, &section), open(3)].concat(), PROTOCOL, &[]),
        ("continuation-splits-a-path", [frame(HEADERS, END_STREAM, 1, &section[..section.len() - 2]), frame(CONTINUATION, END_HEADERS, 1, &section[section.len() - 2..])].concat(), SERVED, &["GET /open"]),
        ("padding-beyond-the-frame", then_open(frame(DATA, PADDED, 1, &[9, 1])), PROTOCOL, &[]),
        ("padded-headers-beyond", then_open(frame(HEADERS, WHOLE | PADDED, 1, &[200, 1])), PROTOCOL, &[]),
        ("half-a-frame", frame(HEADERS, WHOLE, 1, &section)[..12].to_vec(), NOTHING, &[]),
        ("half-a-header-section", frame(HEADERS, END_STREAM, 1, &section), NOTHING, &[]),
        ("half-a-body", [post(&[]), data("abc", 0)].concat(), NOTHING, &["POST /echo abc !"]),
        ("goaway-and-then-a-request", then_open(frame(GOAWAY, 0, 0, &[0; 8])), &["3:200"], &["GET /open"]),
        ("http-1-within", b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), SIZE, &[]),
    ]
}

async fn one(door: Arc<Door>, (name, send, answers, marks): Case) -> Option<String> {
    let sent = [preface(), send].concat();
    let mut answer = said(&door.speak(name, b"h2", &sent).await);
    let seen = door.marks_until(name, marks).await;
    // Where a request was permitted before the error, its answer may come before or not at all; a connection that ends in peace
    // says so.
    answer.retain(|said| {
        said != "goaway 0"
            && (answers.contains(&&**said)
                || !marks.contains(&"?GET /open")
                || said != "1:200" && said != "3:200")
    });
    (answer != answers || !matches(&seen, marks))
        .then(|| format!("{name}: {answer:?} for {answers:?}, {seen:?} for {marks:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_t19_http_2_has_one_reading_of_requests_and_frames_or_none() {
    let _shared = MEASURED.read().await;
    let door = Door::open().await;
    let cases = [pseudo(), fields(), order()].concat();
    attack(&door, cases, one).await;
}

/// HTTP/1.1, or nothing at all, where ALPN said HTTP/2: how a request is ended depends on how it is carried (law 8).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc_9113_3_2_alpn_says_what_is_spoken_and_no_first_byte() {
    let _shared = MEASURED.read().await;
    let door = Door::open().await;
    for (name, sent) in [
        ("http-1", &b"GET /open HTTP/1.1\r\nHost: a\r\n\r\n"[..]),
        ("half-a-preface", b"PRI * HTTP/2.0\r\n\r\nSM"),
        ("another-preface", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"),
    ] {
        let answer = said(&door.speak(name, b"h2", sent).await);
        assert!(
            !answer.iter().any(|said| said.contains(':')),
            "{name}: {answer:?}"
        );
        assert!(door.marks_of(name).is_empty(), "{name}");
    }
}
