//! When keys are fetched, what is taken, and what they are worth afterwards (rule 63, T16, T23, T34).

use proptest::prelude::*;

use super::*;

const ISS: &str = "https://idp.example";
const START: u64 = 1_790_000_000;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_unix_secs(START + secs)
}

fn endpoint() -> JwksEndpoint {
    JwksEndpoint::discovery(ISS).expect("endpoint")
}

fn metadata() -> Vec<u8> {
    format!(r#"{{"issuer":"{ISS}","jwks_uri":"https://keys.example/k?v=1"}}"#).into_bytes()
}

fn keys(kids: &[&str]) -> Vec<u8> {
    let key = |kid: &&str| {
        format!(
            r#"{{"kty":"EC","crv":"P-256","kid":"{kid}","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}}"#
        )
    };
    let all: Vec<_> = kids.iter().map(key).collect();
    format!(r#"{{"keys":[{}]}}"#, all.join(",")).into_bytes()
}

/// One whole refresh.
fn refresh(endpoint: &mut JwksEndpoint, kids: &[&str], now: Timestamp) -> Received {
    let first = endpoint.fetch(now);
    let second = match endpoint
        .receive(&first, &metadata(), now)
        .expect("metadata")
    {
        Received::Next(fetch) => fetch,
        other => panic!("{other:?}"),
    };
    assert_eq!(second.url().to_string(), "https://keys.example/k?v=1");
    endpoint.receive(&second, &keys(kids), now).expect("keys")
}

/// The keys of one issuer are never those of another, however its host mixes the answers up.
#[test]
fn rule63_what_another_endpoint_fetched_is_not_taken() {
    let by_url = |url| JwksEndpoint::jwks_url(url).expect("endpoint");
    let (mut a, mut b) = (
        by_url("https://a.example/keys"),
        by_url("https://b.example/keys"),
    );
    let (of_a, of_b) = (a.fetch(at(0)), b.fetch(at(0)));
    let refused = b.receive(&of_a, &keys(&["a"]), at(0));
    assert_eq!(refused, Err(EndpointError::OtherEndpoint));
    assert_eq!(b.jwks().key_count(), 0);
    assert_eq!(
        b.receive(&of_b, &keys(&["b"]), at(0)),
        Ok(Received::Changed)
    );

    // Nor what the metadata of another issuer led to.
    let mut other = JwksEndpoint::discovery("https://other.example").expect("endpoint");
    let mut own = endpoint();
    let first = own.fetch(at(0));
    let refused = other.receive(&first, &metadata(), at(0));
    assert_eq!(refused, Err(EndpointError::OtherEndpoint));
    let Ok(Received::Next(second)) = own.receive(&first, &metadata(), at(0)) else {
        panic!("keys come next");
    };
    for stranger in [&mut other, &mut b] {
        let refused = stranger.receive(&second, &keys(&["a"]), at(0));
        assert_eq!(refused, Err(EndpointError::OtherEndpoint));
    }
    assert_eq!(
        own.receive(&second, &keys(&["a"]), at(0)),
        Ok(Received::Changed)
    );
}

fn due_at(endpoint: &mut JwksEndpoint, now: Timestamp) -> u64 {
    match endpoint.due(now) {
        Due::At(at) => at.as_unix_secs() - START,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_fetch_is_due_at_once_and_nothing_is_in_force_before() {
    let mut endpoint = endpoint();
    assert_eq!(endpoint.jwks().key_count(), 0);
    assert_eq!(endpoint.fetched_at(), None);
    assert!(matches!(endpoint.due(at(0)), Due::Fetch(_)));
    // Whatever became of it: not again before the cool-down is over.
    assert_eq!(due_at(&mut endpoint, at(0)), 30);
    assert_eq!(due_at(&mut endpoint, at(29)), 30);
    assert!(matches!(endpoint.due(at(30)), Due::Fetch(_)));
    assert_eq!(endpoint.jwks().key_count(), 0);
}

#[test]
fn keys_are_fetched_again_by_the_clock() {
    let mut endpoint = endpoint();
    assert_eq!(refresh(&mut endpoint, &["a"], at(0)), Received::Changed);
    assert_eq!(due_at(&mut endpoint, at(1)), 300);
    assert!(matches!(endpoint.due(at(300)), Due::Fetch(_)));
    assert_eq!(refresh(&mut endpoint, &["a"], at(301)), Received::Unchanged);
    assert_eq!(
        refresh(&mut endpoint, &["b", "a"], at(400)),
        Received::Changed
    );
    assert_eq!(
        refresh(&mut endpoint, &["a", "b"], at(500)),
        Received::Unchanged
    );
    assert_eq!(refresh(&mut endpoint, &["b"], at(600)), Received::Changed);
}

#[test]
fn rule63_last_good_keys_stay_for_a_stated_time_and_then_nothing_stands_in() {
    let mut endpoint = endpoint().max_stale(Duration::from_secs(1000));
    let _ = refresh(&mut endpoint, &["a"], at(0));
    let held = endpoint.jwks();
    assert!(held.key(Some("a"), at(999)).is_ok());
    // Even where nobody asks what is due.
    assert!(held.key(Some("a"), at(1000)).is_err());
    for second in (30..990).step_by(30) {
        match endpoint.due(at(second)) {
            Due::Fetch(fetch) => assert!(endpoint.receive(&fetch, b"<html>", at(second)).is_err()),
            Due::At(_) => {}
            Due::Withdraw => panic!("too early"),
        }
        assert!(endpoint.jwks().key(Some("a"), at(second)).is_ok());
    }
    assert!(matches!(endpoint.due(at(999)), Due::Fetch(_)));
    assert_eq!(
        due_at(&mut endpoint, at(999)),
        1000,
        "before the next fetch"
    );
    assert!(matches!(endpoint.due(at(1000)), Due::Withdraw));
    assert_eq!(endpoint.jwks().key_count(), 0);
    assert!(
        !matches!(endpoint.due(at(1001)), Due::Withdraw),
        "said once"
    );
    // The same keys are news then: they have to be put in force.
    assert_eq!(refresh(&mut endpoint, &["a"], at(1100)), Received::Changed);
    assert_eq!(endpoint.jwks().key_count(), 1);
}

#[test]
fn t34_unknown_keys_cause_one_fetch_a_cool_down_however_many() {
    let mut endpoint = endpoint();
    let _ = refresh(&mut endpoint, &["a"], at(0));
    let mut fetches = 0;
    for second in 1..=120 {
        for n in 0..100 {
            endpoint.unknown_key(&format!("{second}-{n}"), at(second));
        }
        if let Due::Fetch(fetch) = endpoint.due(at(second)) {
            fetches += 1;
            let Received::Next(next) = endpoint
                .receive(&fetch, &metadata(), at(second))
                .expect("ok")
            else {
                panic!("metadata")
            };
            let _ = endpoint
                .receive(&next, &keys(&["a"]), at(second))
                .expect("ok");
        }
    }
    assert_eq!(fetches, 4, "at 30, 60, 90 and 120");
}

#[test]
fn rule63_a_key_that_did_not_come_is_not_fetched_for_again() {
    let mut endpoint = endpoint();
    let _ = refresh(&mut endpoint, &["a"], at(0));
    assert!(endpoint.unknown_key("gone", at(40)));
    assert!(matches!(endpoint.due(at(40)), Due::Fetch(_)));
    let _ = refresh(&mut endpoint, &["a"], at(40));
    assert!(!endpoint.unknown_key("gone", at(100)));
    assert_eq!(due_at(&mut endpoint, at(100)), 340);
    // After other keys came, and after a while, it is asked for again.
    let _ = refresh(&mut endpoint, &["a", "b"], at(110));
    assert!(endpoint.unknown_key("gone", at(150)));
    assert!(!endpoint.unknown_key("gone", at(151)));
    assert!(endpoint.unknown_key("gone", at(150 + 300)));
    // One that is there by now is no news, and neither is a name that no key has.
    assert!(!endpoint.unknown_key("b", at(1000)));
    assert!(!endpoint.unknown_key(&"k".repeat(257), at(1000)));
}

#[test]
fn rule63_before_the_first_keys_a_token_hastens_nothing() {
    let mut endpoint = endpoint();
    assert!(matches!(endpoint.due(at(0)), Due::Fetch(_)));
    assert!(!endpoint.unknown_key("a", at(1)));
    assert_eq!(due_at(&mut endpoint, at(1)), 30);
}

#[test]
fn rule63_metadata_says_the_configured_issuer_to_the_letter() {
    let mut endpoint = endpoint();
    let fetch = endpoint.fetch(at(0));
    let mut why = |json: &str| endpoint.receive(&fetch, json.as_bytes(), at(0)).err();
    let uri = r#""jwks_uri":"https://idp.example/k""#;
    for issuer in [
        "https://idp.example/",
        "https://IDP.example",
        "https://evil.example",
        "http://idp.example",
        "https://idp.example:443",
        "",
    ] {
        let refused = why(&format!(r#"{{"issuer":"{issuer}",{uri}}}"#));
        assert!(
            matches!(refused, Some(EndpointError::OtherIssuer { .. })),
            "{issuer}: {refused:?}"
        );
    }
    for json in [
        format!("{{{uri}}}"),
        format!(r#"{{"issuer":7,{uri}}}"#),
        format!(r#"{{"issuer":null,{uri}}}"#),
    ] {
        assert_eq!(why(&json), Some(EndpointError::Member("issuer")), "{json}");
    }
    let both = format!(r#"{{"issuer":"{ISS}","issuer":"https://evil.example",{uri}}}"#);
    assert!(matches!(why(&both), Some(EndpointError::Metadata(_))));
    for (uri, error) in [
        ("http://idp.example/k", UrlError::NotHttps),
        ("http://127.0.0.1/k", UrlError::NotHttps),
        ("https://a@idp.example/k", UrlError::UserInfo),
        ("/k", UrlError::Malformed),
        ("file:///etc/passwd", UrlError::Malformed),
    ] {
        let json = format!(r#"{{"issuer":"{ISS}","jwks_uri":"{uri}"}}"#);
        assert_eq!(why(&json), Some(EndpointError::JwksUri(error)), "{uri}");
    }
    let long = vec![b' '; MAX_METADATA_BYTES + 1];
    let refused = endpoint.receive(&fetch, &long, at(0)).err();
    assert!(matches!(
        refused,
        Some(EndpointError::MetadataTooLong { .. })
    ));
    assert_eq!(endpoint.jwks().key_count(), 0);
}

#[test]
fn a_bad_key_set_changes_nothing() {
    let mut endpoint = JwksEndpoint::jwks_url("https://idp.example/keys").expect("endpoint");
    let fetch = endpoint.fetch(at(0));
    assert_eq!(fetch.max_bytes(), MAX_JWKS_BYTES);
    assert!(endpoint.receive(&fetch, &keys(&["a"]), at(0)).is_ok());
    for body in [
        b"".as_slice(),
        b"{}",
        b"{\"keys\":[]}",
        b"{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}",
        &keys(&["a", "a"]),
    ] {
        assert!(endpoint.receive(&fetch, body, at(10)).is_err());
        assert_eq!(endpoint.jwks().key_count(), 1);
        assert_eq!(endpoint.fetched_at(), Some(at(0)));
    }
}

#[test]
fn t23_a_clock_that_was_set_back_neither_stops_fetching_nor_keeps_keys() {
    let mut endpoint = endpoint();
    let _ = refresh(&mut endpoint, &["a"], at(1_000_000));
    assert!(matches!(endpoint.due(at(0)), Due::Fetch(_)));
    assert_eq!(endpoint.fetched_at(), Some(at(0)));
    let end = at(3600);
    assert!(endpoint.jwks().key(Some("a"), end).is_err());
    let mut endpoint = self::endpoint();
    assert!(matches!(endpoint.due(Timestamp::MAX), Due::Fetch(_)));
    assert!(matches!(endpoint.due(at(0)), Due::Fetch(_)));
}

#[test]
fn settings_are_bounded() {
    let mut endpoint = endpoint()
        .refresh_every(Duration::ZERO)
        .cool_down(Duration::ZERO)
        .max_stale(Duration::MAX);
    let _ = refresh(&mut endpoint, &["a"], at(0));
    assert_eq!(due_at(&mut endpoint, at(0)), 1);
    assert!(endpoint.jwks().key(Some("a"), at(7 * 24 * 3600)).is_err());
}

#[test]
fn plain_http_is_for_a_loopback_address_that_was_asked_for() {
    let refused = |issuer| {
        JwksEndpoint::discovery(issuer)
            .err()
            .map(|error| error.to_string())
    };
    let why = refused("http://127.0.0.1:9").expect("refused");
    assert_eq!(
        why,
        "the URL `http://127.0.0.1:9` does not begin with `https://`, and nothing is fetched over another scheme"
    );
    let allowed = JwksEndpoint::discovery_allow_plain_loopback;
    assert!(allowed("http://127.0.0.1:9").is_ok());
    assert!(allowed("http://idp.example").is_err());
    // What begins encrypted leads to nothing that is not, however it was configured.
    let mut endpoint = allowed(ISS).expect("endpoint");
    let fetch = endpoint.fetch(at(0));
    let json = format!(r#"{{"issuer":"{ISS}","jwks_uri":"http://127.0.0.1/k"}}"#);
    let refused = endpoint.receive(&fetch, json.as_bytes(), at(0)).err();
    assert_eq!(refused, Some(EndpointError::JwksUri(UrlError::NotHttps)));
}

proptest! {
    #[test]
    fn any_answers_at_any_times_keep_the_rules(
        steps in prop::collection::vec((0_u64..400, 0_u8..6), 1..60),
    ) {
        let mut endpoint = endpoint();
        let (mut now, mut last, mut good) = (0, None, None);
        for (pass, answer) in steps {
            now += pass;
            endpoint.unknown_key(&format!("k{now}"), at(now));
            let Due::Fetch(fetch) = endpoint.due(at(now)) else { continue };
            if let Some(last) = last {
                prop_assert!(now - last >= 30, "within the cool-down");
            }
            last = Some(now);
            let body = if answer == 0 { b"no".to_vec() } else { metadata() };
            if let Ok(Received::Next(next)) = endpoint.receive(&fetch, &body, at(now)) {
                let body = if answer == 1 { b"{}".to_vec() } else { keys(&["a"]) };
                if endpoint.receive(&next, &body, at(now)).is_ok() {
                    good = Some(now);
                }
            }
            let in_force = endpoint.jwks().key(Some("a"), at(now)).is_ok();
            prop_assert_eq!(in_force, good.is_some_and(|good| now - good < 3600));
        }
    }
}
