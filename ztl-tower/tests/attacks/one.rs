//! HTTP/1.1: smuggling, targets with two readings, fields that say what they must not.

use super::*;

/// A name, what is sent (`¶` is CR LF), the statuses that come back, and what the handlers see.
type Case = (
    &'static str,
    String,
    &'static [u16],
    &'static [&'static str],
);

fn case(
    name: &'static str,
    send: impl Into<String>,
    answers: &'static [u16],
    marks: &'static [&'static str],
) -> Case {
    (name, send.into().replace('¶', "\r\n"), answers, marks)
}

/// One request that is honest but for its target.
fn target(name: &'static str, target: &str, answers: &'static [u16]) -> Case {
    case(
        name,
        format!("GET {target} HTTP/1.1¶Host: a¶Connection: close¶¶"),
        answers,
        &[],
    )
}

/// One permitted request that is honest but for a line of its header section.
fn line(
    name: &'static str,
    line: &str,
    answers: &'static [u16],
    marks: &'static [&'static str],
) -> Case {
    case(
        name,
        format!("GET /open HTTP/1.1¶Host: a¶{line}¶Connection: close¶¶"),
        answers,
        marks,
    )
}

/// A permitted request with a body, of which its framing tells the end, and a second request in it.
fn framed(
    name: &'static str,
    fields: &str,
    body: &str,
    answers: &'static [u16],
    marks: &'static [&'static str],
) -> Case {
    case(
        name,
        format!("POST /echo HTTP/1.1¶Host: a¶{fields}¶¶{body}"),
        answers,
        marks,
    )
}

#[rustfmt::skip]
fn framing() -> Vec<Case> {
    const CHUNKED: &str = "Transfer-Encoding: chunked";
    const ADMIN: &str = "GET /admin HTTP/1.1¶Host: a¶¶";
    vec![
        framed("honest", "Content-Length: 3¶Connection: close", "abc", &[200], &["POST /echo abc"]),
        framed("cl-te", "Content-Length: 6¶Transfer-Encoding: chunked", &format!("0¶¶{ADMIN}"), &[200], &["POST /echo"]),
        framed("te-cl", "Transfer-Encoding: chunked¶Content-Length: 4", &format!("20¶{ADMIN}¶0¶¶"), &[200], &["POST /echo GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"]),
        framed("te-identity", "Transfer-Encoding: identity¶Content-Length: 3", "abc", &[400], &[]),
        framed("te-te", "Transfer-Encoding: chunked¶Transfer-Encoding: identity", "0¶¶", &[400], &[]),
        framed("te-te-list", "Transfer-Encoding: chunked, identity", "0¶¶", &[400], &[]),
        framed("te-gzip-chunked", "Transfer-Encoding: gzip, chunked", "0¶¶", &[200], &["POST /echo"]),
        framed("te-xchunked", "Transfer-Encoding: xchunked", "0¶¶", &[400], &[]),
        framed("te-quoted", "Transfer-Encoding: \"chunked\"", "0¶¶", &[400], &[]),
        framed("te-case", "tRANSFER-eNCODING: cHuNkEd", &format!("0¶¶{ADMIN}"), &[200, 403], &["POST /echo"]),
        framed("te-tab", "Transfer-Encoding:\tchunked", &format!("0¶¶{ADMIN}"), &[200, 403], &["POST /echo"]),
        framed("te-vertical-tab", "Transfer-Encoding: \u{b}chunked", "0¶¶", &[400], &[]),
        framed("te-space-before-colon", "Transfer-Encoding : chunked¶Content-Length: 3", "abc", &[400], &[]),
        framed("te-folded", "Transfer-Encoding:¶ chunked", "0¶¶", &[400], &[]),
        framed("te-bare-lf", "X: y\nTransfer-Encoding: chunked¶Content-Length: 5", "0¶¶", &[200], &["POST /echo"]),
        framed("te-in-http-1.0", "x: y", "", &[200], &["POST /echo"]),
        framed("cl-twice-same", "Content-Length: 3¶Content-Length: 3¶Connection: close", "abc", &[200], &["POST /echo abc"]),
        framed("cl-twice-other", "Content-Length: 3¶Content-Length: 30", "abc", &[400], &[]),
        framed("cl-list", "Content-Length: 3, 3", "abc", &[400], &[]),
        framed("cl-plus", "Content-Length: +3", "abc", &[400], &[]),
        framed("cl-minus", "Content-Length: -3", "abc", &[400], &[]),
        framed("cl-hex", "Content-Length: 0x3", "abc", &[400], &[]),
        framed("cl-blank", "Content-Length: ", "abc", &[400], &[]),
        framed("cl-space", "Content-Length: 3 0", "abc", &[400], &[]),
        framed("cl-overflow", "Content-Length: 18446744073709551616", "abc", &[400], &[]),
        framed("cl-huge", "Content-Length: 18446744073709551615", "abc", &[431], &[]),
        framed("cl-short-of-body", "Content-Length: 3", &format!("abc{ADMIN}"), &[200, 403], &["POST /echo abc"]),
        framed("cl-beyond-body", "Content-Length: 300", ADMIN, &[200], &["POST /echo GET /admin HTTP/1.1\r\nHost: a\r\n\r\n !"]),
        framed("chunk-extension", CHUNKED, &format!("3;a=b¶abc¶0¶¶{ADMIN}"), &[200, 403], &["POST /echo abc"]),
        framed("chunk-extension-lf", CHUNKED, &format!("3;a=b\nabc¶0¶¶{ADMIN}"), &[200], &["POST /echo !"]),
        framed("chunk-extension-long", CHUNKED, &format!("3;{}¶abc¶0¶¶", "a".repeat(20_000)), &[200], &["POST /echo !"]),
        framed("chunk-size-sign", CHUNKED, "+3¶abc¶0¶¶", &[200], &["POST /echo !"]),
        framed("chunk-size-0x", CHUNKED, "0x3¶abc¶0¶¶", &[200], &["POST /echo !"]),
        framed("chunk-size-overflow", CHUNKED, "10000000000000003¶abc¶0¶¶", &[200], &["POST /echo !"]),
        framed("chunk-size-empty", CHUNKED, "¶abc¶0¶¶", &[200], &["POST /echo !"]),
        framed("chunk-size-lf", CHUNKED, "3\nabc¶0¶¶", &[200], &["POST /echo !"]),
        framed("chunk-without-end", CHUNKED, "3¶abcGET /admin HTTP/1.1¶Host: a¶¶", &[200], &["POST /echo abc !"]),
        framed("chunk-trailers", CHUNKED, "3¶abc¶0¶Host: b¶Authorization: Bearer x¶Content-Length: 9¶¶", &[200], &["POST /echo abc ~authorization~content-length~host"]),
        framed("chunk-trailers-long", CHUNKED, &format!("0¶X: {}¶¶", "a".repeat(40_000)), &[200], &["POST /echo !"]),
        framed("pipelined-in-body", "Content-Length: 32", ADMIN, &[200], &["POST /echo GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"]),
        case("pipelined-behind-a-denial", format!("POST /admin HTTP/1.1¶Host: a¶Content-Length: 31¶¶GET /open HTTP/1.1¶Host: a¶¶{ADMIN}"), &[403, 403], &[]),
        case("pipelined-permitted-denied", format!("GET /open HTTP/1.1¶Host: a¶¶{ADMIN}GET /open HTTP/1.1¶Host: a¶¶"), &[200, 403, 200], &["GET /open", "GET /open"]),
        case("get-with-body", format!("GET /open HTTP/1.1¶Host: a¶Content-Length: 32¶¶{ADMIN}"), &[200], &["GET /open GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"]),
        case("expect-continue-denied", "POST /admin HTTP/1.1¶Host: a¶Content-Length: 3¶Expect: 100-continue¶¶", &[403], &[]),
        case("expect-continue", "POST /echo HTTP/1.1¶Host: a¶Content-Length: 3¶Expect: 100-continue¶Connection: close¶¶abc", &[100, 200], &["POST /echo abc"]),
        case("expect-other", "POST /echo HTTP/1.1¶Host: a¶Content-Length: 3¶Expect: 200-maybe¶Connection: close¶¶abc", &[200], &["POST /echo abc"]),
        case("http-1.0-chunked", format!("POST /echo HTTP/1.0¶Host: a¶{CHUNKED}¶¶0¶¶"), &[400], &[]),
        case("http-1.0-keep-alive", format!("GET /open HTTP/1.0¶Connection: keep-alive¶¶{ADMIN}"), &[200, 403], &["GET /open"]),
        case("http-1.0-closes", format!("GET /open HTTP/1.0¶¶{ADMIN}"), &[200], &["GET /open"]),
        case("http-0.9", "GET /open¶", &[400], &[]),
        case("http-2.0-in-the-line", "GET /open HTTP/2.0¶Host: a¶¶", &[400], &[]),
        case("http-1.2", "GET /open HTTP/1.2¶Host: a¶¶", &[400], &[]),
        case("h2-preface", "PRI * HTTP/2.0¶¶SM¶¶", &[], &[]),
        case("tls-in-tls", "\u{16}\u{3}\u{1}\0\u{5}hello", &[400], &[]),
        case("half-a-request", "GET /open HTTP/1.1¶Host: a¶", &[], &[]),
    ]
}

#[rustfmt::skip]
fn lines() -> Vec<Case> {
    let many = |count: usize| (0..count).map(|at| format!("x-{at}: y")).collect::<Vec<_>>().join("¶");
    vec![
        case("bare-lf", "GET /open HTTP/1.1\nHost: a\nConnection: close\n\n", &[200], &["GET /open"]),
        line("bare-cr-in-a-value", "X: y\rHost: b", &[400], &[]),
        line("bare-cr-then-admin", "X: y\rGET /admin HTTP/1.1", &[400], &[]),
        line("obs-fold", "X: y¶ Host: b", &[400], &[]),
        line("space-before-colon", "X : y", &[400], &[]),
        line("space-before-name", " X: y", &[400], &[]),
        line("no-colon", "X", &[400], &[]),
        line("empty-name", ": y", &[400], &[]),
        line("nul-in-a-value", "X: y\0z", &[400], &[]),
        line("nul-in-a-name", "X\0: y", &[400], &[]),
        line("control-in-a-value", "X: \u{1}", &[400], &[]),
        line("delete-in-a-value", "X: \u{7f}", &[400], &[]),
        line("long-line", &format!("X: {}", "a".repeat(80_000)), &[431], &[]),
        line("100-fields", &many(98), &[200], &["GET /open"]),
        line("101-fields", &many(99), &[431], &[]),
        line("host-twice", "Host: a", &[400], &[]),
        line("host-twice-other", "hOST: b", &[400], &[]),
        line("upgrade-h2c", "Connection: Upgrade, HTTP2-Settings¶Upgrade: h2c¶HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", &[403], &[]),
        line("upgrade-websocket", "Connection: Upgrade¶Upgrade: websocket¶Sec-WebSocket-Version: 13", &[403], &[]),
        line("upgrade-twice", "Connection: Upgrade¶Upgrade: h2c¶Upgrade: websocket", &[400], &[]),
        line("upgrade-empty", "Connection: Upgrade¶Upgrade:", &[403], &[]),
        line("upgrade-h2c-unlisted", "Upgrade: h2c¶HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", &[400], &[]),
        line("upgrade-websocket-unlisted", "Connection: keep-alive¶Upgrade: websocket¶Sec-WebSocket-Version: 13", &[400], &[]),
        line("upgrade-empty-unlisted", "Upgrade:", &[400], &[]),
        line("connection-names-upgrade", "Connection: Upgrade", &[200], &["GET /open"]),
        line("connection-names-host", "Connection: host, authorization¶Authorization: Bearer x", &[200], &["GET /open auth=\"Bearer x\""]),
        line("method-override", "X-HTTP-Method-Override: POST", &[400], &[]),
        line("method-override-short", "X-HTTP-Method: POST", &[400], &[]),
        line("method-override-old", "X-Method-Override: POST", &[400], &[]),
        line("method-override-cgi", "X_HTTP_Method-Override: POST", &[400], &[]),
        line("target-override", "X-Original-URL: /admin", &[400], &[]),
        line("target-override-iis", "X-Rewrite-URL: /admin", &[400], &[]),
        case("host-missing", "GET /open HTTP/1.1¶Connection: close¶¶", &[400], &[]),
        case("host-empty", "GET /open HTTP/1.1¶Host:¶Connection: close¶¶", &[400], &[]),
        case("host-userinfo", "GET /open HTTP/1.1¶Host: u@a¶Connection: close¶¶", &[400], &[]),
        case("host-with-path", "GET /open HTTP/1.1¶Host: a/admin¶Connection: close¶¶", &[400], &[]),
        case("host-with-space", "GET /open HTTP/1.1¶Host: a b¶Connection: close¶¶", &[400], &[]),
        case("host-list", "GET /open HTTP/1.1¶Host: a, b¶Connection: close¶¶", &[400], &[]),
        case("host-bad-port", "GET /open HTTP/1.1¶Host: a:99999999¶Connection: close¶¶", &[400], &[]),
        case("lower-case-method", "get /open HTTP/1.1¶Host: a¶Connection: close¶¶", &[400], &[]),
        case("mixed-case-method", "GeT /open HTTP/1.1¶Host: a¶Connection: close¶¶", &[400], &[]),
        case("trace", "TRACE /open HTTP/1.1¶Host: a¶Connection: close¶¶", &[403], &[]),
        case("head", "HEAD /open HTTP/1.1¶Host: a¶Connection: close¶¶", &[403], &[]),
        case("unknown-method", "GETS /open HTTP/1.1¶Host: a¶Connection: close¶¶", &[403], &[]),
        case("method-with-nul", "GE\0T /open HTTP/1.1¶Host: a¶Connection: close¶¶", &[400], &[]),
        case("connect", "CONNECT a:443 HTTP/1.1¶Host: a:443¶Connection: close¶¶", &[400], &[]),
        case("connect-path", "CONNECT /open HTTP/1.1¶Host: a¶Connection: close¶¶", &[403], &[]),
        case("options-asterisk", "OPTIONS * HTTP/1.1¶Host: a¶Connection: close¶¶", &[400], &[]),
        case("line-with-tab", "GET\t/open\tHTTP/1.1¶Host: a¶Connection: close¶¶", &[400], &[]),
        case("line-with-two-blanks", "GET  /open HTTP/1.1¶Host: a¶Connection: close¶¶", &[400], &[]),
        case("empty-lines-first", "¶¶GET /open HTTP/1.1¶Host: a¶Connection: close¶¶", &[200], &["GET /open"]),
        case("endless-line", "a".repeat(40_000), &[431], &[]),
    ]
}

#[rustfmt::skip]
fn targets() -> Vec<Case> {
    vec![
        target("admin", "/admin", &[403]),
        target("absolute-other-host", "https://b/open", &[400]),
        target("absolute-admin", "https://a/admin", &[403]),
        target("absolute-userinfo", "https://u@a/open", &[400]),
        target("authority-form", "a:443", &[400]),
        target("asterisk", "*", &[400]),
        target("no-slash", "open", &[400]),
        target("query-is-no-path", "/admin?/open", &[403]),
        // The `http` crate cuts a fragment off before anybody sees it: rule, router and handler see the same path without.
        case("fragment", "GET /open#/admin HTTP/1.1¶Host: a¶Connection: close¶¶", &[200], &["GET /open"]),
        target("fragment-behind-admin", "/admin#/open", &[403]),
        target("two-slashes", "//admin", &[400]),
        target("two-slashes-within", "/open//", &[400]),
        target("dot", "/./admin", &[400]),
        target("dot-dot", "/open/../admin", &[400]),
        target("dot-dot-escaped", "/open/%2e%2e/admin", &[400]),
        target("dot-dot-twice-escaped", "/open/%252e%252e/admin", &[400]),
        target("dot-dot-semicolon", "/open/..;/admin", &[400]),
        target("slash-escaped", "/open%2f..%2fadmin", &[400]),
        target("backslash", "/open\\..\\admin", &[400]),
        target("backslash-escaped", "/open%5c..%5cadmin", &[400]),
        target("semicolon", "/admin;x=/open", &[400]),
        target("nul-escaped", "/open%00", &[400]),
        target("letter-escaped", "/%61dmin", &[400]),
        target("letter-escaped-open", "/%6fpen", &[400]),
        target("overlong-utf8", "/%C0%AE%C0%AE/admin", &[400]),
        target("bad-escape", "/open%zz", &[400]),
        target("upper-case", "/ADMIN", &[403]),
        target("trailing-slash", "/open/", &[403]),
        target("trailing-dot", "/open.", &[403]),
        target("long", &format!("/{}", "a".repeat(9000)), &[400]),
    ]
}

/// The statuses in what came back.
fn statuses(answer: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answer);
    let heads = text.split("HTTP/1.").skip(1);
    heads
        .map(|head| {
            head.get(2..5)
                .expect("three digits")
                .parse()
                .expect("a status")
        })
        .collect()
}

async fn ask(door: Arc<Door>, (name, send, answers, marks): Case) -> Option<String> {
    let answer = door.speak(name, b"http/1.1", send.as_bytes()).await;
    let statuses = statuses(&answer);
    let seen = door.marks_until(name, marks).await;
    (statuses != answers || !matches(&seen, marks))
        .then(|| format!("{name}: {statuses:?} for {answers:?}, {seen:?} for {marks:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_t19_http_1_1_has_one_reading_of_framing_fields_and_targets_or_none() {
    let _shared = MEASURED.read().await;
    let door = Door::open().await;
    let cases = [framing(), lines(), targets()].concat();
    attack(&door, cases, ask).await;
}
