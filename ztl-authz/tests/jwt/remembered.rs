//! Tokens that were seen before: their signature is not checked again, everything else is (T17).

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;
use ztl_authz::jwt::{Issuer, Jwks, TokenError, TokenVerifier};
use ztl_core::{LeafDigest, Timestamp};

use crate::support::*;

fn of(keys: Jwks) -> TokenVerifier {
    verifier(Issuer::access_tokens("corp", ISS, AUD, keys))
}

fn later(seconds: u64) -> Timestamp {
    Timestamp::from_unix_secs(NOW + seconds)
}

/// Whether both answers are one proof, made once.
fn same(verifier: &TokenVerifier, token: &str) -> bool {
    let [one, other] = [(); 2].map(|()| verifier.verify(token, now()).expect("good"));
    std::ptr::eq(one.as_map(), other.as_map())
}

#[test]
fn t17_a_good_token_is_proved_once_while_its_key_is_in_use() {
    let token = token(&json!({}), &json!({}));
    let both = of(jwks(&[jwk("ES256"), jwk("RS256")]));
    assert!(same(&both, &token));
    let fewer = both.with_keys("corp", jwks(&[jwk("ES256")])).expect("corp");
    let [one, other] = [&both, &fewer].map(|it| it.verify(&token, now()).expect("good"));
    assert!(
        std::ptr::eq(one.as_map(), other.as_map()),
        "the key is the same"
    );
    let forgetful = both.to_builder().remember(0).build().expect("verifier");
    assert!(!same(&forgetful, &token));
}

#[test]
fn t17_what_is_remembered_ends_with_its_key() {
    let token = token(&json!({}), &json!({}));
    let good = of(jwks(&[jwk("ES256")]));
    assert!(same(&good, &token));
    let why = |keys: Jwks, at: Timestamp| {
        let changed = good.with_keys("corp", keys).expect("corp");
        changed.verify(&token, at).err()
    };
    assert_eq!(why(Jwks::none(), now()), Some(TokenError::NoKeys));
    assert_eq!(
        why(jwks(&[jwk("RS256")]), now()),
        Some(TokenError::UnknownKey)
    );
    let ends = jwks(&[jwk("ES256")]).until(later(10));
    assert_eq!(why(ends.clone(), later(9)), None);
    assert_eq!(why(ends, later(10)), Some(TokenError::NoKeys));
    // Another key by that name never signed it.
    let mut other = jwk("ES384");
    other["kid"] = "ES256".into();
    assert_eq!(why(jwks(&[other]), now()), Some(TokenError::WrongAlgorithm));
    let stranger = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("key");
    let (x, y) = stranger.public_key().as_ref()[1..].split_at(32);
    let mut other = jwk("ES256");
    (other["x"], other["y"]) = (b64(x).into(), b64(y).into());
    assert_eq!(why(jwks(&[other]), now()), Some(TokenError::BadSignature));
}

#[test]
fn t17_every_answer_is_that_of_a_verifier_that_remembers_nothing() {
    let digest = [7; 32];
    let (mine, other) = (LeafDigest::from(digest), LeafDigest::from([8; 32]));
    let tokens = [
        (json!({}), json!({})),
        (json!({}), json!({ "cnf": { "x5t#S256": b64(digest) } })),
        (json!({}), json!({ "nbf": NOW + 100 })),
        (json!({}), json!({ "exp": NOW + 50 })),
        (json!({ "kid": null }), json!({})),
        (json!({}), json!({ "aud": "other" })),
        (json!({ "typ": "jose" }), json!({})),
        (json!({ "kid": "gone" }), json!({})),
    ]
    .map(|(header, claims)| token(&header, &claims));
    let remembers = of(jwks(&[jwk("ES256")]));
    let forgets = remembers
        .to_builder()
        .remember(0)
        .build()
        .expect("verifier");
    let more = [jwk("ES256"), jwk("RS256")];
    let pairs = [&remembers, &forgets].map(|it| {
        let more = it.with_keys("corp", jwks(&more)).expect("corp");
        let none = it.with_keys("corp", Jwks::none()).expect("corp");
        [it.clone(), more, none]
    });
    let [remember, forget] = pairs;
    let mut good = 0;
    // Times go on and back again, so that what is remembered is asked for from either side.
    for seconds in [0, 49, 50, 80, 299, 300, 49, 0] {
        for (remember, forget) in remember.iter().zip(&forget) {
            for token in &tokens {
                for leaf in [None, Some(&mine), Some(&other)] {
                    let answer = |verifier: &TokenVerifier| match verifier.verify_traced(
                        token,
                        later(seconds),
                        leaf,
                    ) {
                        Ok(verified) => Ok((verified.claims.as_map().clone(), verified.key)),
                        Err(refused) => {
                            let of = refused.issuer.map(str::to_owned);
                            Err((refused.error, of, refused.key_id))
                        }
                    };
                    let (one, two) = (answer(remember), answer(forget));
                    good += usize::from(one.is_ok());
                    assert!(one == two, "{token} after {seconds} s");
                }
            }
        }
    }
    assert!(good > 50, "{good}");
}
