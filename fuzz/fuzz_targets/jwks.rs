//! Key sets and issuers' metadata: nothing panics, what is taken is bounded, fetches keep their distance, and no key counts for
//! longer than it may (rule 63).

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ztl_authz::jwt::{
    DEFAULT_COOL_DOWN, DEFAULT_MAX_STALE, Due, Jwks, JwksEndpoint, MAX_KEYS, Received,
};
use ztl_core::Timestamp;

const START: u64 = 1_790_000_000;
const METADATA: &[u8] = br#"{"issuer":"https://idp.example","jwks_uri":"https://idp.example/k"}"#;
const KEYS: &[u8] = br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

#[derive(Arbitrary, Debug)]
struct Step<'a> {
    pass: u16,
    unknown: Option<&'a str>,
    metadata: Option<&'a [u8]>,
    keys: Option<&'a [u8]>,
}

#[derive(Arbitrary, Debug)]
enum Case<'a> {
    KeySet(&'a [u8]),
    Authorities(Vec<&'a str>),
    Issuer(&'a str),
    Url(&'a str),
    Steps(Vec<Step<'a>>),
}

fuzz_target!(|case: Case<'_>| {
    match case {
        Case::KeySet(json) => {
            if let Ok(keys) = Jwks::from_json(json) {
                assert!((1..=MAX_KEYS).contains(&keys.key_count()) && keys.has_keys_of(&keys));
            }
        }
        Case::Authorities(texts) => {
            if let Ok(keys) = Jwks::from_jwt_authorities(texts) {
                assert!((1..=MAX_KEYS).contains(&keys.key_count()));
            }
        }
        Case::Issuer(issuer) => {
            if let Ok(endpoint) = JwksEndpoint::discovery(issuer) {
                assert!(endpoint.url().to_string().starts_with("https://"));
                assert!(!endpoint.url().authority().contains(['@', '/', '?', '#']));
                assert_eq!(endpoint.issuer(), Some(issuer));
            }
            if let Ok(endpoint) = JwksEndpoint::discovery_allow_plain_loopback(issuer)
                && !endpoint.url().is_encrypted()
            {
                let address: std::net::IpAddr = endpoint.url().host().parse().expect("a number");
                assert!(address.is_loopback());
            }
        }
        Case::Url(url) => {
            if let Ok(endpoint) = JwksEndpoint::jwks_url(url) {
                let again = JwksEndpoint::jwks_url(&endpoint.url().to_string()).expect("a URL");
                assert_eq!(again.url(), endpoint.url());
                assert!(endpoint.url().target().starts_with('/'));
            }
        }
        Case::Steps(steps) => walk(&steps),
    }
});

fn walk(steps: &[Step<'_>]) {
    let mut endpoint = JwksEndpoint::discovery("https://idp.example").expect("an endpoint");
    let (mut secs, mut last, mut good) = (START, None, None);
    for step in steps.iter().take(64) {
        secs += u64::from(step.pass);
        let now = Timestamp::from_unix_secs(secs);
        if let Some(kid) = step.unknown {
            endpoint.unknown_key(kid, now);
        }
        if let Due::Fetch(fetch) = endpoint.due(now) {
            assert!(
                last.is_none_or(|last| secs - last >= DEFAULT_COOL_DOWN.as_secs()),
                "within the cool-down"
            );
            last = Some(secs);
            let metadata = step.metadata.unwrap_or(METADATA);
            if let Ok(Received::Next(next)) = endpoint.receive(&fetch, metadata, now) {
                assert!(next.url().is_encrypted());
                let keys = step.keys.unwrap_or(KEYS);
                if endpoint.receive(&next, keys, now).is_ok() {
                    good = Some(secs);
                }
            }
        }
        let in_force = good.is_some_and(|good| secs - good < DEFAULT_MAX_STALE.as_secs());
        assert_eq!(endpoint.jwks().is_in_force(now), in_force);
    }
}
