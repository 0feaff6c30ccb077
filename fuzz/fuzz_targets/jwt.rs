//! Tokens and key sets: nothing panics, and only what the issuer signed for us, now, is verified (rule 62, T16).

#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use ztl_authz::jwt::{DevIssuer, Issuer, Jwks, TokenVerifier, bearer_token, bears_token};
use ztl_core::{LeafDigest, Timestamp};

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);
const ISS: &str = "https://idp.example";
const AUDIENCE: &str = "model-server";

struct World {
    issuer: DevIssuer,
    verifier: TokenVerifier,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let issuer = DevIssuer::new(ISS).expect("an issuer");
    let keys = Jwks::from_json(issuer.jwks_json().as_bytes()).expect("a key set");
    let verifier = TokenVerifier::builder()
        .issuer(Issuer::access_tokens("corp", ISS, AUDIENCE, keys))
        .build()
        .expect("a verifier");
    World { issuer, verifier }
});

#[derive(Arbitrary, Debug)]
enum Case<'a> {
    Token(&'a str),
    /// Past the signature: whatever the issuer signs.
    Signed {
        claims: &'a str,
        leaf: Option<[u8; 32]>,
    },
    /// A good token with another part in the place of one of its own.
    Swapped {
        part: u8,
        with: &'a str,
    },
    Authorization {
        fields: Vec<&'a [u8]>,
        query: Option<&'a str>,
    },
    KeySet(&'a [u8]),
}

fuzz_target!(|case: Case<'_>| {
    let World { issuer, verifier } = &*WORLD;
    match case {
        Case::Token(token) => {
            let error = verifier.verify(token, NOW).expect_err("nobody signed it");
            assert!(!error.code().is_empty());
        }
        Case::Signed { claims, leaf } => {
            let leaf = leaf.map(LeafDigest::from);
            let leaf = leaf.as_ref();
            let Ok(claims) = serde_json::from_str::<Value>(claims) else {
                return;
            };
            let Ok(token) = issuer.sign(claims) else {
                return;
            };
            let Ok(claims) = verifier.verify_bound(&token, NOW, leaf) else {
                return;
            };
            assert_eq!(claims.issuer(), Some(ISS));
            assert!(claims.has_audience(AUDIENCE));
            assert!(NOW < claims.expires_at() && claims.get("exp").is_some());
            assert!(claims.subject().is_some_and(|subject| !subject.is_empty()));
            assert!(leaf.is_some() || claims.get("cnf").is_none());
            assert!(
                verifier
                    .verify_bound(&token, claims.expires_at(), leaf)
                    .is_err()
            );
        }
        Case::Swapped { part, with } => {
            let claims = serde_json::json!({ "sub": "a", "aud": AUDIENCE, "exp": 1_790_000_300 });
            let token = issuer.sign(claims).expect("a token");
            assert!(verifier.verify(&token, NOW).is_ok());
            let mut parts: Vec<_> = token.split('.').collect();
            let at = usize::from(part) % parts.len();
            let same = parts[at] == with;
            parts[at] = with;
            assert!(same || verifier.verify(&parts.join("."), NOW).is_err());
        }
        Case::Authorization { fields, query } => {
            let count = fields.len();
            if let Ok(Some(token)) = bearer_token(fields, query) {
                assert!(!query.is_some_and(bears_token));
                assert!(count == 1 && !token.is_empty() && token.is_ascii());
            }
        }
        Case::KeySet(json) => {
            if let Ok(keys) = Jwks::from_json(json) {
                assert!(keys.key_count() <= 64);
            }
        }
    }
});
