//! A stream whose token ends while it runs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use ztl_authz::jwt::{DevIssuer, Issuer, Jwks, TokenVerifier};
use ztl_core::LeafDigest;
use ztl_mtls::X509Svid;

use super::*;

const ISSUER: &str = "https://idp.example";

/// A database whose streams ask for a token.
async fn asks_for_tokens(issuer: &DevIssuer) -> Db {
    asks_for_tokens_with(issuer, |builder| builder).await
}

async fn asks_for_tokens_with(
    issuer: &DevIssuer,
    limits: impl FnOnce(GuardBuilder) -> GuardBuilder,
) -> Db {
    let jwks = Jwks::from_json(issuer.jwks_json().as_bytes()).expect("jwks");
    let tokens = TokenVerifier::builder()
        .issuer(Issuer::access_tokens("corp", ISSUER, "db", jwks))
        .build()
        .expect("verifier");
    let db = Db::with(|builder| limits(builder.token_verifier(tokens))).await;
    let streams = "\"websocket /chat\"]";
    let asks = format!("{streams}\nrequire = {{ token = {{ issuer = \"corp\" }} }}");
    let issuers = format!(
        "[issuers.corp]\nissuer = \"{ISSUER}\"\naudience = \"db\"\n[[permit]]\nname = \"reads\""
    );
    let policy = db.mesh.policy.replace(streams, &asks);
    let policy = policy.replace("[[permit]]\nname = \"reads\"", &issuers);
    let policy = Policy::from_toml(&policy).unwrap_or_else(|error| panic!("{error}"));
    db.guard.swap_policy(policy).expect("swap");
    db
}

fn bearer(issuer: &DevIssuer, more: &serde_json::Value) -> String {
    let exp = now().as_unix_secs() + 600;
    let mut claims = json!({ "sub": "alice", "aud": "db", "exp": exp });
    let more = more.as_object().expect("object").clone();
    claims.as_object_mut().expect("object").extend(more);
    format!("Bearer {}", issuer.sign(claims).expect("token"))
}

/// Asks over a connection of its own, and is answered so.
async fn knocks(db: &Db, svid: &X509Svid, alpn: &[u8], path: &str, bearer: &str) -> StatusCode {
    let request = if alpn == b"h2" {
        get2(path)
    } else {
        get1(path)
    };
    let request = request.header("authorization", bearer);
    let stream = raw_connect(db.address, None, Some(svid), alpn).await;
    let stream = TokioIo::new(stream.expect("connect"));
    let request = request.body(axum::body::Body::empty()).expect("request");
    if alpn == b"h2" {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
                .await
                .expect("http");
        tokio::spawn(connection);
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
            .await
            .expect("http");
        tokio::spawn(connection);
        sender.send_request(request).await
    }
    .expect("response")
    .status()
}

/// RFC 8705 §3.1: over mutual TLS, with the certificate of this connection and no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t16_a_token_that_is_bound_to_a_certificate_is_good_on_its_connections_alone() {
    let issuer = DevIssuer::new(ISSUER).expect("issuer");
    let db = asks_for_tokens(&issuer).await;
    // One workload, two certificates.
    let (own, other) = (db.mesh.svid("/caller"), db.mesh.svid("/caller"));
    let bound_to = |svid: &X509Svid| {
        let digest = LeafDigest::of(svid.chain()[0].as_ref().into());
        let digest = URL_SAFE_NO_PAD.encode(digest.as_bytes());
        bearer(&issuer, &json!({ "cnf": { "x5t#S256": digest } }))
    };
    let (bound, to_other) = (bound_to(&own), bound_to(&other));
    let by_key = bearer(&issuer, &json!({ "cnf": { "jkt": "a" } }));
    for alpn in [b"http/1.1".as_slice(), b"h2"] {
        for (svid, token, status) in [
            (&own, &bound, StatusCode::OK),
            (&other, &bound, StatusCode::UNAUTHORIZED),
            (&own, &to_other, StatusCode::UNAUTHORIZED),
            (&other, &to_other, StatusCode::OK),
            (&own, &by_key, StatusCode::UNAUTHORIZED),
        ] {
            assert_eq!(knocks(&db, svid, alpn, "/feed", token).await, status);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t16_a_token_in_the_query_is_no_token_and_spoils_the_one_in_the_field() {
    let issuer = DevIssuer::new(ISSUER).expect("issuer");
    let db = asks_for_tokens(&issuer).await;
    let good = bearer(&issuer, &json!({}));
    let in_query = format!("access_token={}", good.replace("Bearer ", ""));
    let caller = db.mesh.svid("/caller");
    for alpn in [b"http/1.1".as_slice(), b"h2"] {
        for (path, token, status) in [
            ("/feed", &*good, StatusCode::OK),
            ("/feed?page=access_token", &good, StatusCode::OK),
            (
                &format!("/feed?{in_query}"),
                &good,
                StatusCode::UNAUTHORIZED,
            ),
            (
                &format!("/feed?page=2;{in_query}"),
                "Basic eDp5",
                StatusCode::UNAUTHORIZED,
            ),
            ("/feed?Access%5Ftoken", &good, StatusCode::UNAUTHORIZED),
            // What asks for no token is judged without.
            (&format!("/v1/x?{in_query}"), &good, StatusCode::OK),
        ] {
            let answered = knocks(&db, &caller, alpn, path, token).await;
            assert_eq!(answered, status, "{path}");
        }
    }
    let lines = db.audit.lines();
    let missing = lines
        .iter()
        .filter(|line| line.contains("evidence_missing"));
    assert_eq!(missing.count(), 6);
    assert!(!lines.iter().any(|line| line.contains("access_token")));
}

/// A feed that is asked for with a token that is good for so many seconds.
async fn feed(
    two: &mut Two,
    issuer: &DevIssuer,
    seconds: u64,
) -> http::Response<hyper::body::Incoming> {
    let exp = now().as_unix_secs() + seconds;
    let token = issuer.sign(json!({ "sub": "alice", "aud": "db", "exp": exp }));
    let token = token.expect("token");
    let mut request = ask("/feed");
    let bearer = format!("Bearer {token}").parse().expect("value");
    request.headers_mut().insert("authorization", bearer);
    let mut response = two.send_request(request).await.expect("feed");
    assert_eq!(response.status(), StatusCode::OK);
    response.frame().await.expect("frame").expect("data");
    response
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t15_a_stream_is_cut_when_its_token_ends_and_the_others_run_on() {
    let issuer = DevIssuer::new(ISSUER).expect("issuer");
    let db = asks_for_tokens(&issuer).await;
    let mut two = db.two().await;
    let mut short = feed(&mut two, &issuer, 60).await;
    let _long = feed(&mut two, &issuer, 600).await;
    assert_eq!(db.running.count(), 2);

    db.ahead.store(30 * 1000, Ordering::SeqCst);
    assert_eq!(status(&mut two, "/v1/x").await, StatusCode::OK);
    assert_eq!(db.running.count(), 2, "both tokens are good");

    let since = Instant::now();
    db.ahead.store(61 * 1000, Ordering::SeqCst);
    until("one is cut", || db.running.count() == 1).await;
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    assert!(!matches!(short.frame().await, Some(Ok(_))));
    assert_eq!(
        status(&mut two, "/v1/x").await,
        StatusCode::OK,
        "the connection lives on"
    );
    assert_eq!(db.running.count(), 1, "the other token is good");
    let recorded = reasons(&db.audit);
    let denied: Vec<_> = recorded
        .iter()
        .filter(|reason| *reason != "permitted")
        .collect();
    assert_eq!(denied, ["evidence_stale"], "{recorded:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_a_stream_ends_when_the_key_of_its_token_is_withdrawn() {
    let (old, new) = (DevIssuer::new(ISSUER), DevIssuer::new(ISSUER));
    let (old, new) = (old.expect("issuer"), new.expect("issuer"));
    let keys = |issuers: &[&DevIssuer]| {
        let sets = issuers.iter().map(|issuer| {
            let set: serde_json::Value = serde_json::from_str(&issuer.jwks_json()).expect("json");
            set["keys"][0].clone()
        });
        let set = json!({ "keys": sets.collect::<Vec<_>>() }).to_string();
        Jwks::from_json(set.as_bytes()).expect("keys")
    };
    let db = asks_for_tokens(&old).await;
    assert_eq!(db.guard.token_keys("corp"), Some(1));
    assert!(db.guard.swap_token_keys("other", Jwks::none()).is_err());
    db.guard
        .swap_token_keys("corp", keys(&[&old, &new]))
        .expect("both");
    assert_eq!(db.guard.token_keys("corp"), Some(2));
    let mut two = db.two().await;
    let mut by_old = feed(&mut two, &old, 600).await;
    let _by_new = feed(&mut two, &new, 600).await;
    assert_eq!(db.running.count(), 2);

    // In another order they are the same keys.
    db.guard
        .swap_token_keys("corp", keys(&[&new, &old]))
        .expect("both");
    assert_eq!(status(&mut two, "/v1/x").await, StatusCode::OK);
    assert_eq!(db.running.count(), 2);

    let since = Instant::now();
    db.guard
        .swap_token_keys("corp", keys(&[&new]))
        .expect("one");
    until("one is cut", || db.running.count() == 1).await;
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    assert!(!matches!(by_old.frame().await, Some(Ok(_))));
    let recorded = reasons(&db.audit);
    let denied: Vec<_> = recorded
        .iter()
        .filter(|reason| *reason != "permitted")
        .collect();
    assert_eq!(denied, ["evidence_missing"], "{recorded:?}");

    db.guard
        .swap_token_keys("corp", Jwks::none())
        .expect("none");
    until("the other is cut", || db.running.count() == 0).await;
    assert_eq!(db.guard.token_keys("corp"), Some(0));
    assert_eq!(
        status(&mut two, "/v1/x").await,
        StatusCode::OK,
        "the connection lives on"
    );
}

/// Nobody puts other keys in their place: their end is enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_a_stream_ends_when_the_keys_of_its_token_end() {
    let issuer = DevIssuer::new(ISSUER).expect("issuer");
    let keys = || Jwks::from_json(issuer.jwks_json().as_bytes()).expect("keys");
    let db = asks_for_tokens(&issuer).await;
    let until_in = |seconds| {
        let end = Timestamp::from_unix_secs(now().as_unix_secs() + seconds);
        let swapped = db.guard.swap_token_keys("corp", keys().until(end));
        swapped.expect("corp is known");
    };
    until_in(60);
    let mut two = db.two().await;
    let _first = feed(&mut two, &issuer, 600).await;
    // One that was judged again, by keys that end sooner, ends with these.
    until_in(40);
    db.ahead.store(30 * 1000, Ordering::SeqCst);
    assert_eq!(status(&mut two, "/v1/x").await, StatusCode::OK);
    assert_eq!(db.running.count(), 1, "they have not ended");
    let since = Instant::now();
    db.ahead.store(41 * 1000, Ordering::SeqCst);
    until("it is cut", || db.running.count() == 0).await;
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    assert_eq!(
        status(&mut two, "/v1/x").await,
        StatusCode::OK,
        "the connection lives on"
    );

    // Those that came later hold on as before.
    until_in(3600);
    let _second = feed(&mut two, &issuer, 600).await;
    until_in(7200);
    assert_eq!(status(&mut two, "/v1/x").await, StatusCode::OK);
    assert_eq!(db.running.count(), 1);
    // The same keys with an end that is past are withdrawn.
    let since = Instant::now();
    until_in(0);
    until("it is cut", || db.running.count() == 0).await;
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    assert_eq!(db.guard.token_keys("corp"), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_after_too_many_bad_tokens_only_known_ones_are_taken_for_a_while() {
    let issuer = DevIssuer::new(ISSUER).expect("issuer");
    let stranger = DevIssuer::new(ISSUER).expect("issuer");
    // A clock that stands still: time alone gives anything back.
    let clock = Arc::new(AtomicU64::new(now().as_unix_millis()));
    let reads = Arc::clone(&clock);
    let db = asks_for_tokens_with(&issuer, |builder| {
        let reads = move || Timestamp::from_unix_millis(reads.load(Ordering::SeqCst));
        builder.clock(reads).max_bad_tokens(3, 1)
    })
    .await;
    let mut two = db.two().await;
    let claims = |sub: &str| json!({ "sub": sub, "aud": "db", "exp": now().as_unix_secs() + 600 });
    let signed = |by: &DevIssuer, sub: &str| by.sign(claims(sub)).expect("token");
    let alice = signed(&issuer, "alice");
    let answer = async |two: &mut Two, token: &str| {
        let mut request = ask("/feed");
        let bearer = format!("Bearer {token}").parse().expect("value");
        request.headers_mut().insert("authorization", bearer);
        let response = two.send_request(request).await.expect("response");
        let wait = response.headers().get("retry-after").cloned();
        (
            response.status(),
            wait.map(|wait| wait.to_str().expect("text").to_owned()),
        )
    };
    assert_eq!(answer(&mut two, &alice).await, (StatusCode::OK, None));
    for at in 0..3 {
        let bad = signed(&stranger, &format!("{at}"));
        let refused = answer(&mut two, &bad).await;
        assert_eq!(refused, (StatusCode::UNAUTHORIZED, None), "{at}");
    }
    let unchecked = (StatusCode::TOO_MANY_REQUESTS, Some("1".to_owned()));
    let refused = answer(&mut two, &signed(&stranger, "3")).await;
    assert_eq!(refused, unchecked);
    // T33: whoever was proved before does not notice; whoever comes first now waits.
    assert_eq!(answer(&mut two, &alice).await, (StatusCode::OK, None));
    let bob = signed(&issuer, "bob");
    assert_eq!(answer(&mut two, &bob).await, unchecked);
    assert_eq!(
        status(&mut two, "/v1/x").await,
        StatusCode::OK,
        "it needs no token"
    );
    clock.fetch_add(999, Ordering::SeqCst);
    assert_eq!(answer(&mut two, &bob).await, unchecked);
    clock.fetch_add(1, Ordering::SeqCst);
    assert_eq!(answer(&mut two, &bob).await, (StatusCode::OK, None));
}
