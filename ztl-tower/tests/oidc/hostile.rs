//! Providers that do what they should not: what is held stays, requests go on, and nothing hangs or grows.

use super::*;
use crate::support::until;

const METADATA: &str = "/.well-known/openid-configuration";

/// A provider whose keys are held, and the issuer.
async fn held(timeout: Duration) -> (Idp, DevIssuer, Service) {
    let idp = Idp::start().await;
    let issuer = idp.issuer();
    idp.publish(&[&issuer]);
    let service = Service::start(&idp.iss, idp.keys().fetch_timeout(timeout)).await;
    until("the first keys", || {
        service.guard.token_keys("corp") == Some(1)
    })
    .await;
    (idp, issuer, service)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_hangs_delays_no_request() {
    let (idp, issuer, service) = held(Duration::from_millis(300)).await;
    for path in [METADATA, "/keys"] {
        for reply in [Reply::Silent, Reply::Stuck] {
            idp.metadata(&idp.iss, &format!("{}/keys", idp.iss));
            idp.provider.at(path, reply);
            // While a fetch hangs.
            let token = token(&issuer);
            let (refused, status) = tokio::join!(service.refused(), service.ask(&token));
            assert!(
                refused.contains("did not answer whole within 300ms"),
                "{refused}"
            );
            assert_eq!(status, StatusCode::OK);
        }
    }
    until("no connection is left", || idp.provider.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_sends_100_mb_is_left_after_a_fraction() {
    let (idp, issuer, service) = held(support::PATIENCE).await;
    for (path, most) in [(METADATA, 65_536), ("/keys", 262_144)] {
        idp.metadata(&idp.iss, &format!("{}/keys", idp.iss));
        idp.provider.at(path, Reply::Endless);
        let refused = service.refused().await;
        assert!(
            refused.contains(&format!("sent more than {most} bytes")),
            "{refused}"
        );
    }
    until("no connection is left", || idp.provider.open() == 0).await;
    // What was on its way in the buffers of two sockets, at most.
    assert!(idp.provider.sent() < 20_000_000, "{}", idp.provider.sent());
    assert_eq!(service.ask(&token(&issuer)).await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule63_whatever_is_no_answer_is_refused_and_the_last_good_keys_stay() {
    let (idp, issuer, service) = held(Duration::from_secs(10)).await;
    let good = key_set(&[&issuer]);
    let uri = format!("{}/keys", idp.iss);
    let says =
        |iss: &str, uri: &str| Reply::Json(json!({ "issuer": iss, "jwks_uri": uri }).to_string());
    let raw = |head: &str| Reply::Raw(format!("{head}\r\ncontent-length: 0\r\n\r\n"));
    let many: Vec<_> = (0..10_000)
        .map(|n| json!({ "kty": "EC", "crv": "P-256", "kid": n.to_string() }))
        .collect();
    let flood = |count: usize| Reply::Json(json!({ "keys": &many[..count] }).to_string());
    let private = good.replacen(r#""crv""#, r#""d":"AQ","crv""#, 1);
    for (path, reply, why) in [
        // It lies about who it is.
        (
            METADATA,
            says("https://evil.example", &uri),
            "they must be the same",
        ),
        (
            METADATA,
            says(&format!("{}/", idp.iss), &uri),
            "they must be the same",
        ),
        (METADATA, Reply::Json("{}".to_owned()), "`issuer` missing"),
        (
            METADATA,
            says(&idp.iss, "http://127.0.0.1/keys"),
            "does not begin with `https",
        ),
        (
            METADATA,
            says(&idp.iss, "https://u@idp.example/keys"),
            "user information",
        ),
        // It leads elsewhere.
        (
            METADATA,
            raw("HTTP/1.1 302 x\r\nlocation: /elsewhere"),
            "answered 302",
        ),
        (
            METADATA,
            raw("HTTP/1.1 301 x\r\nlocation: http://169.254.169.254/"),
            "answered 301",
        ),
        (
            "/keys",
            raw("HTTP/1.1 307 x\r\nlocation: https://evil.example/keys"),
            "answered 307",
        ),
        ("/keys", raw("HTTP/1.1 204 No Content"), "answered 204"),
        ("/keys", raw("HTTP/1.1 500 x"), "answered 500"),
        // It floods.
        ("/keys", flood(65), "has 65 keys; at most 64"),
        ("/keys", flood(10_000), "sent more than 262144 bytes"),
        // It sends what is no key set, or keys that nobody should trust.
        (
            "/keys",
            Reply::Json("<html>sign in</html>".to_owned()),
            "not a JSON object",
        ),
        (
            "/keys",
            Reply::Json(r#"{"keys":[]}"#.to_owned()),
            "none of the 0 keys",
        ),
        ("/keys", Reply::Json(private), "private key"),
        (
            "/keys",
            Reply::Json(good.replacen('{', r#"{"keys":[],"#, 1)),
            "name twice",
        ),
        (
            "/keys",
            Reply::Json(r#"{"keys":[{"kty":"oct","k":"AQ"}]}"#.to_owned()),
            "a shared secret (`k`)",
        ),
        (
            "/keys",
            Reply::Json(r#"{"keys":[{"kty":"oct","kid":"x"}]}"#.to_owned()),
            "none of the 1",
        ),
        (
            "/keys",
            Reply::Raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_owned()),
            "broke off",
        ),
        ("/keys", Reply::Raw(String::new()), "broke off"),
        (
            "/keys",
            Reply::Raw("SSH-2.0-OpenSSH_9\r\n".to_owned()),
            "broke off",
        ),
    ] {
        idp.metadata(&idp.iss, &uri);
        idp.publish(&[&issuer]);
        idp.provider.at(path, reply);
        let refused = service.refused().await;
        assert!(refused.contains(why), "{why}: {refused}");
        assert_eq!(service.guard.token_keys("corp"), Some(1));
    }
    let asked = idp.provider.asked();
    assert!(
        !asked.iter().any(|head| head.contains("/elsewhere")),
        "no redirect is followed"
    );
    assert_eq!(service.ask(&token(&issuer)).await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_proved_to_be_the_issuers_host_is_not_read() {
    let idp = Idp::start().await;
    let issuer = idp.issuer();
    idp.publish(&[&issuer]);
    // Another authority vouches, and the right one for another host.
    let other = Idp::start().await;
    let roots = || WebRoots::from_pem(other.web.root_pem().as_bytes()).expect("roots");
    let endpoint = || JwksEndpoint::discovery(&idp.iss).expect("endpoint");
    let strangers = FetchedKeys::new(endpoint(), roots()).address(idp.provider.address);
    let elsewhere = Provider::web(&idp.web, "other.example").await;
    let misled = idp.keys().address(elsewhere.address);
    let rootless = FetchedKeys::without_roots(endpoint()).address(idp.provider.address);
    for keys in [strangers, misled, rootless] {
        let service = Service::start(&idp.iss, keys).await;
        let refused = service.refused().await;
        assert!(refused.contains("is not proved"), "{refused}");
        assert_eq!(service.guard.token_keys("corp"), Some(0));
    }
    assert!(idp.provider.asked().is_empty() && elsewhere.asked().is_empty());
}
