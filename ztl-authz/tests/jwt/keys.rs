//! Keys that come, change and go (rule 63; law 8).

use serde_json::json;
use ztl_authz::jwt::{Issuer, Jwks, TokenError, TokenErrorKind};
use ztl_core::Timestamp;

use crate::support::*;

fn with_keys(keys: Jwks) -> ztl_authz::jwt::TokenVerifier {
    verifier(Issuer::access_tokens("corp", ISS, AUD, keys))
}

#[test]
fn rule63_without_keys_every_token_of_the_issuer_is_refused() {
    let empty = with_keys(Jwks::none());
    let token = token(&json!({}), &json!({}));
    let refused = empty.verify(&token, now()).err();
    assert_eq!(refused, Some(TokenError::NoKeys));
    assert_eq!(TokenError::NoKeys.code(), "token_keys_unavailable");
    assert_eq!(TokenError::NoKeys.kind(), TokenErrorKind::Untrusted);

    let loaded = empty
        .with_keys("corp", jwks(&[jwk("ES256")]))
        .expect("corp is known");
    assert!(loaded.verify(&token, now()).is_ok());
    assert!(empty.verify(&token, now()).is_err(), "it stays as it was");
    assert!(empty.with_keys("other", Jwks::none()).is_none());
}

#[test]
fn rule63_keys_verify_nothing_from_their_end_on() {
    let end = Timestamp::from_unix_secs(NOW + 10);
    let short = with_keys(jwks(&[jwk("ES256")]).until(end));
    let token = token(&json!({}), &json!({}));
    let verified = short.verify_traced(&token, now(), None).expect("good");
    assert!(short.holds(&verified.key, now()));
    assert!(!short.holds(&verified.key, end));
    assert_eq!(short.holds_until(&verified.key, now()), Some(end));
    assert_eq!(short.holds_until(&verified.key, end), None);
    // Another issuer with the same key keeps it in use.
    let other = Issuer::access_tokens("two", "https://two.example", AUD, jwks(&[jwk("ES256")]));
    let both = short.to_builder().issuer(other).build().expect("verifier");
    let kept = both.holds_until(&verified.key, end);
    assert_eq!(kept, Some(Timestamp::MAX));
    let refused = short.verify(&token, end).err();
    assert_eq!(refused, Some(TokenError::NoKeys));
}

#[test]
fn law_8_a_verifier_tells_which_key_its_answer_rests_on() {
    let one = with_keys(jwks(&[jwk("ES256"), jwk("RS256")]));
    let token = token(&json!({}), &json!({}));
    let key = one.verify_traced(&token, now(), None).expect("good").key;
    let reordered = jwks(&[jwk("RS256"), jwk("ES256")]);
    assert!(
        one.with_keys("corp", reordered)
            .expect("corp")
            .holds(&key, now())
    );
    let without = jwks(&[jwk("RS256")]);
    assert!(
        !one.with_keys("corp", without)
            .expect("corp")
            .holds(&key, now())
    );
    // Another key by the same name is another key.
    let mut renamed = jwk("ES384");
    renamed["kid"] = "ES256".into();
    assert!(
        !one.with_keys("corp", jwks(&[renamed]))
            .expect("corp")
            .holds(&key, now())
    );
}

#[test]
fn t34_what_is_missing_is_told_without_being_believed() {
    let two = ztl_authz::jwt::TokenVerifier::builder()
        .issuer(issuer())
        .issuer(Issuer::access_tokens(
            "two",
            "https://two.example",
            AUD,
            Jwks::none(),
        ))
        .build()
        .expect("verifier");
    let trace = |header: &serde_json::Value, claims: &serde_json::Value| {
        let token = token(header, claims);
        let refused = two.verify_traced(&token, now(), None).expect_err("refused");
        (
            refused.error,
            refused.issuer.map(str::to_owned),
            refused.key_id,
        )
    };
    assert_eq!(
        trace(&json!({ "kid": "new" }), &json!({})),
        (
            TokenError::UnknownKey,
            Some("corp".to_owned()),
            Some("new".to_owned())
        )
    );
    assert_eq!(
        trace(&json!({}), &json!({ "iss": "https://two.example" })).0,
        TokenError::NoKeys
    );
    assert_eq!(
        trace(&json!({}), &json!({ "iss": "https://three.example" })),
        (TokenError::WrongIssuer, None, None)
    );
    assert_eq!(
        trace(&json!({}), &json!({ "aud": "other" })),
        (TokenError::WrongAudience, Some("corp".to_owned()), None)
    );
}
