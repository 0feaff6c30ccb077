//! Signals that are polled over HTTP: while the source answers, while it does not, and from when on they are gone (T4).

use std::path::Path;

use ztl_authz::trust::SignalEndpoint;
use ztl_mtls::DevWebCa;
use ztl_mtls::source::WebRoots;
use ztl_tower::FetchedSignals;

use super::*;
use crate::provider::{Provider, Reply};

const HOST: &str = "mdm.example";
/// As many sources as there are ways to fail.
const NAMES: [&str; 6] = ["silent", "stuck", "endless", "html", "broken", "back"];

/// The document with streams that ask for all that the signals of these names can give.
fn scored(policy: &str, names: &[&str]) -> Policy {
    let streams = "\"websocket /chat\"]";
    let asks = format!("{streams}\nrequire = {{ trust_score = 60 }}");
    let signal = |name: &&str| format!("[trust.signals.{name}]\nfloor = 80\nmax_age = \"1h\"\n");
    let signals: String = names.iter().map(signal).collect();
    let trust = format!("[trust]\nbase = 60\n{signals}[[permit]]\nname = \"reads\"");
    let policy = policy.replace(streams, &asks);
    let policy = policy.replace("[[permit]]\nname = \"reads\"", &trust);
    Policy::from_toml(&policy).unwrap_or_else(|error| panic!("{error}"))
}

fn table(name: &str, value: u8, seconds_ago: u64) -> String {
    let observed_at = now().as_unix_secs() - seconds_ago;
    format!(
        r#"{{"source": "mdm", "signals": [{{"name": "{name}", "peer": "spiffe://prod.example/caller",
            "value": {value}, "observed_at": {observed_at}}}]}}"#
    )
}

fn source(provider: &Provider, web: &DevWebCa, path: &str) -> FetchedSignals {
    let url = format!("https://{HOST}:{}/{path}", provider.address.port());
    let endpoint = SignalEndpoint::new(&url).expect("endpoint");
    let roots = WebRoots::from_pem(web.root_pem().as_bytes()).expect("roots");
    FetchedSignals::new(endpoint.poll_every(Duration::from_secs(1)), roots)
        .address(provider.address)
        .fetch_timeout(Duration::from_millis(1500))
}

async fn comes(two: &mut Two, wanted: StatusCode) {
    for _ in 0..200 {
        let response = two.send_request(ask("/feed")).await.expect("response");
        if response.status() == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{wanted} never comes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t4_a_source_that_fails_is_believed_until_it_is_too_old_and_then_not_at_all() {
    let web = DevWebCa::new(now()).expect("authority");
    let provider = Provider::web(&web, HOST).await;
    for name in NAMES {
        let reply = Reply::Json(table(name, 90, 0));
        provider.at(&format!("/{name}"), reply);
    }
    let db = Db::with(|builder| {
        NAMES.iter().fold(builder, |builder, name| {
            builder.fetched_signals([*name], source(&provider, &web, name))
        })
    })
    .await;
    let policy = scored(&db.mesh.policy, &NAMES);
    db.guard.swap_policy(policy).expect("swap");
    let mut two = db.two().await;
    comes(&mut two, StatusCode::OK).await;
    until("those are gone", || db.running.count() == 0).await;
    let mut feed = two.send_request(ask("/feed")).await.expect("feed");
    assert_eq!(feed.status(), StatusCode::OK);
    feed.frame().await.expect("frame").expect("data");

    let reply = |name: &str| match name {
        "silent" => Reply::Silent,
        "stuck" => Reply::Stuck,
        "endless" => Reply::Endless,
        "html" => Reply::Json("<html>sign in</html>".to_owned()),
        "broken" => Reply::Raw("HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n".to_owned()),
        _ => Reply::Json(table(name, 100, 60)),
    };
    for name in NAMES {
        provider.at(&format!("/{name}"), reply(name));
    }
    let asked = NAMES.map(|name| provider.asked_for(&format!("/{name}")));
    until("each has failed twice", || {
        let pairs = NAMES.iter().zip(asked);
        pairs.into_iter().all(|(name, before)| {
            // The third question is put when the second has failed.
            provider.asked_for(&format!("/{name}")) >= before + 3
        })
    })
    .await;
    let head = provider.asked().pop().expect("head").to_lowercase();
    assert!(
        !head.contains("authorization") && !head.contains("cookie"),
        "{head}"
    );
    assert_eq!(db.running.count(), 1, "the last good tables stay");
    assert_eq!(status(&mut two, "/v1/x").await, StatusCode::OK);
    // Of 100 MB 16 MiB are read, and some are on their way in the buffers of two sockets.
    let mean = provider.sent() / provider.asked_for("/endless");
    assert!(mean < 40_000_000, "{mean}");

    let since = Instant::now();
    db.ahead.store(620 * 1000, Ordering::SeqCst);
    db.none_runs(since, "nothing was heard for too long").await;
    assert!(!matches!(feed.frame().await, Some(Ok(_))));
    let refused = two.send_request(ask("/feed")).await.expect("response");
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_a_source_is_shown_who_asks_and_what_it_says_cuts_streams() {
    let web = DevWebCa::new(now()).expect("authority");
    let token = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let token = token.join(format!("mdm-token-{}", std::process::id()));
    std::fs::write(&token, "s3cret\n").expect("token");
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&token, mode).expect("mode");
    }
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port()));
    let provider = Provider::mutual(&web, HOST, &mesh.authority).await;
    let say = |etag: &str, value: u8| {
        let body = table("device", value, 0);
        let head = format!(
            "HTTP/1.1 200 OK\r\netag: {etag}\r\ncontent-length: {}",
            body.len()
        );
        provider.at("/device", Reply::Raw(format!("{head}\r\n\r\n{body}")));
    };
    say("\"one\"", 90);
    let audit = Arc::new(MemorySink::new(1000));
    let shown = source(&provider, &web, "device").with_identity();
    let shown = shown.bearer_token_file(&token);
    let nameless = source(&provider, &web, "nameless");
    let builder = mesh.builder("db", "/db", &audit);
    let builder = builder.fetched_signals(["device"], shown);
    let builder = builder.fetched_signals(["other"], nameless);
    let guard = builder.build().await.expect("guard");
    let running = Running::default();
    serve(&guard, listener, app(&running));
    let policy = scored(&mesh.policy, &["device"]);
    guard.swap_policy(policy).expect("swap");
    let svid = mesh.svid("/caller");
    let io = raw_connect(address, None, Some(&svid), b"h2")
        .await
        .expect("connect");
    let http = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io));
    let (mut two, connection) = http.await.expect("http");
    tokio::spawn(connection);
    comes(&mut two, StatusCode::OK).await;
    until("those are gone", || running.count() == 0).await;
    let first = provider.asked().first().expect("asked").to_lowercase();
    assert!(
        first.contains("authorization: bearer s3cret\r\n"),
        "{first}"
    );
    assert!(!first.contains("if-none-match"), "{first}");

    // The table is the same, says the source: it stays, for another while.
    let raw = |head: &str| Reply::Raw(format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n"));
    provider.at("/device", raw("304 Not Modified"));
    let asked = provider.asked_for("/device");
    until("it is asked again", || {
        provider.asked_for("/device") > asked + 1
    })
    .await;
    let last = provider.asked().pop().expect("asked").to_lowercase();
    assert!(last.contains("if-none-match: \"one\"\r\n"), "{last}");
    let mut feed = two.send_request(ask("/feed")).await.expect("feed");
    assert_eq!(feed.status(), StatusCode::OK);
    feed.frame().await.expect("frame").expect("data");

    say("\"two\"", 70);
    until("it is cut", || running.count() == 0).await;
    assert!(!matches!(feed.frame().await, Some(Ok(_))));
    assert_eq!(status(&mut two, "/v1/x").await, StatusCode::OK);
    // Who shows no certificate is not answered, and nothing is fetched without the token.
    assert_eq!(provider.asked_for("/nameless"), 0);
    std::fs::remove_file(&token).expect("remove");
    let asked = provider.asked_for("/device");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(provider.asked_for("/device") <= asked + 1);
}
