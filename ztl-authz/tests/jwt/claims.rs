//! What the claims must say (rule 62, T16), and what a verifier may be built of.

use core::time::Duration;

use serde_json::{Value, json};
use ztl_authz::jwt::{
    BuildError, Issuer, MAX_LEEWAY, Part, TokenError, TokenErrorKind, TokenVerifier,
};
use ztl_core::{LeafDigest, Timestamp};

use crate::support::*;

fn at(claims: &Value, now: Timestamp) -> Option<TokenError> {
    verifier(issuer())
        .verify(&token(&json!({}), claims), now)
        .err()
}

#[test]
fn rule62_iss_aud_exp_and_sub_must_be_there() {
    for name in ["iss", "aud", "exp", "sub"] {
        assert_eq!(
            claims_refusal(&json!({ name: null })),
            TokenError::MissingClaim(name)
        );
    }
    for name in ["iss", "sub"] {
        for value in [json!(1), json!(["alice"]), json!({}), json!(true)] {
            assert_eq!(
                claims_refusal(&json!({ name: value })),
                TokenError::MalformedClaim(name)
            );
        }
    }
    assert_eq!(
        claims_refusal(&json!({ "sub": "" })),
        TokenError::MalformedClaim("sub")
    );
}

#[test]
fn t16_a_null_is_not_a_claim() {
    for name in ["iss", "aud", "exp", "sub", "nbf", "iat"] {
        let payload = with(good_claims(), &json!({ name: 7.25 })).to_string();
        let payload = payload.replace("7.25", "null");
        let header = json!({ "alg": "ES256", "kid": "ES256" }).to_string();
        let refused = refusal(&sign_texts("ES256", &header, &payload));
        assert_eq!(refused, TokenError::MalformedClaim(name));
    }
}

#[test]
fn t16_a_claim_twice_is_refused_at_every_depth() {
    let header = json!({ "alg": "ES256", "kid": "ES256" }).to_string();
    for extra in [
        r#""sub":"root","#,
        r#""x":{"y":1,"y":2},"#,
        r#""x":[{"y":1,"y":2}],"#,
        r#""\u0073ub":"root","#,
    ] {
        let payload = good_claims()
            .to_string()
            .replacen('{', &format!("{{{extra}"), 1);
        let refused = refusal(&sign_texts("ES256", &header, &payload));
        assert_eq!(refused, TokenError::Duplicate(Part::Payload), "{extra}");
    }
    let deep = format!(r#"{{"x":{}{},"#, "[".repeat(16), "]".repeat(16));
    let payload = good_claims().to_string().replacen('{', &deep, 1);
    assert_eq!(
        refusal(&sign_texts("ES256", &header, &payload)),
        TokenError::TooDeep(Part::Payload)
    );
    for payload in ["", "null", "[]", "\"alice\"", "{", "{}{}"] {
        let refused = refusal(&sign_texts("ES256", &header, payload));
        assert_eq!(refused, TokenError::Json(Part::Payload), "{payload}");
    }
}

#[test]
fn rule62_a_token_is_over_the_moment_it_expires() {
    let exp = json!({ "exp": NOW });
    assert_eq!(at(&exp, now()), Some(TokenError::Expired));
    assert_eq!(at(&exp, Timestamp::from_unix_millis(NOW * 1000 - 1)), None);
    assert_eq!(
        at(&exp, Timestamp::from_unix_secs(NOW + 1)),
        Some(TokenError::Expired)
    );
    assert_eq!(at(&exp, Timestamp::MAX), Some(TokenError::Expired));
    // The leeway makes no token live longer.
    let lenient = verifier(issuer().with_leeway(MAX_LEEWAY));
    let over = lenient.verify(&token(&json!({}), &exp), now()).err();
    assert_eq!(over, Some(TokenError::Expired));
}

#[test]
fn t15_claims_expire_when_their_token_does() {
    for (exp, millis) in [
        (json!(NOW + 1), (NOW + 1) * 1000),
        (json!(1_790_000_000.5), NOW * 1000 + 500),
        (json!(1.79e9 + 10.0), (NOW + 10) * 1000),
        (json!(253_402_300_799_u64), 253_402_300_799_000),
    ] {
        let claims = verify(&token(&json!({}), &json!({ "exp": exp }))).expect("good");
        assert_eq!(claims.expires_at().as_unix_millis(), millis, "{exp}");
    }
}

#[test]
fn a_date_that_is_none_is_refused() {
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!("1790000300"),
            json!(-1),
            json!(-0.5),
            json!(1e300),
            json!(253_402_300_800_u64),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(true),
            json!([NOW]),
            json!({}),
        ] {
            let refused = claims_refusal(&json!({ name: value.clone() }));
            assert_eq!(refused, TokenError::MalformedClaim(name), "{value}");
        }
    }
    let header = json!({ "alg": "ES256", "kid": "ES256" }).to_string();
    for value in ["1e400", "NaN", "Infinity", "0x7fffffff", "01790000300"] {
        let payload = good_claims().to_string().replace("1790000300", value);
        let refused = refusal(&sign_texts("ES256", &header, &payload));
        assert_eq!(refused, TokenError::Json(Part::Payload), "{value}");
    }
}

#[test]
fn rule62_nbf_and_iat_may_lie_ahead_by_the_leeway() {
    for name in ["nbf", "iat"] {
        assert_eq!(at(&json!({ name: NOW }), now()), None);
        assert_eq!(at(&json!({ name: NOW + 30 }), now()), None);
        assert_eq!(
            at(&json!({ name: 1_790_000_030.001 }), now()),
            Some(TokenError::NotYetValid)
        );
        assert_eq!(
            at(&json!({ name: NOW + 31 }), now()),
            Some(TokenError::NotYetValid)
        );
        let exact = verifier(issuer().with_leeway(Duration::ZERO));
        let ahead = token(&json!({}), &json!({ name: NOW + 1 }));
        assert_eq!(
            exact.verify(&ahead, now()).err(),
            Some(TokenError::NotYetValid)
        );
        assert!(
            exact
                .verify(&ahead, Timestamp::from_unix_secs(NOW + 1))
                .is_ok()
        );
    }
}

#[test]
fn rule62_aud_names_a_configured_audience() {
    for aud in [json!(AUD), json!([AUD]), json!(["other", AUD])] {
        assert!(
            verify(&token(&json!({}), &json!({ "aud": aud }))).is_ok(),
            "{aud}"
        );
    }
    for aud in [
        json!("other"),
        json!(""),
        json!([]),
        json!(["other"]),
        json!("Model-Server"),
        json!("model"),
        json!("model-server other"),
        json!("model-server/"),
    ] {
        assert_eq!(
            claims_refusal(&json!({ "aud": aud.clone() })),
            TokenError::WrongAudience,
            "{aud}"
        );
    }
    for aud in [
        json!(1),
        json!({ AUD: 1 }),
        json!([AUD, 1]),
        json!([[AUD]]),
        json!(true),
    ] {
        let refused = claims_refusal(&json!({ "aud": aud.clone() }));
        assert_eq!(refused, TokenError::MalformedClaim("aud"), "{aud}");
    }
    let two = verifier(issuer().with_audience("retriever"));
    for aud in [AUD, "retriever"] {
        assert!(
            two.verify(&token(&json!({}), &json!({ "aud": aud })), now())
                .is_ok()
        );
    }
    assert_eq!(
        two.verify(&token(&json!({}), &json!({ "aud": "router" })), now())
            .err(),
        Some(TokenError::WrongAudience)
    );
}

#[test]
fn t16_an_id_token_is_not_taken_for_an_access_token() {
    for name in ["nonce", "at_hash", "c_hash", "s_hash", "events"] {
        for typ in [json!("JWT"), json!(null)] {
            let token = token(&json!({ "typ": typ }), &json!({ name: "x" }));
            assert_eq!(refusal(&token), TokenError::WrongKind, "{name}");
        }
        // `at+jwt` says that it is one (RFC 9068 §2.1).
        assert!(verify(&token(&json!({}), &json!({ name: "x" }))).is_ok());
    }
}

#[test]
fn t16_an_access_token_is_not_taken_for_an_id_token() {
    let client = verifier(Issuer::id_tokens("corp", ISS, AUD, jwks(&[jwk("ES256")])));
    let why = |header: &Value, claims: &Value| {
        let claims = with(json!({ "iat": NOW, "nonce": "n" }), claims);
        client.verify(&token(header, &claims), now()).err()
    };
    let untyped = json!({ "typ": null });
    assert_eq!(why(&untyped, &json!({})), None);
    assert_eq!(why(&json!({ "typ": "JWT" }), &json!({})), None);
    assert_eq!(why(&json!({}), &json!({})), Some(TokenError::WrongType));
    assert_eq!(
        why(&untyped, &json!({ "iat": null })),
        Some(TokenError::MissingClaim("iat"))
    );
    assert_eq!(
        why(&untyped, &json!({ "events": {} })),
        Some(TokenError::WrongKind)
    );
    // OpenID Connect Core 1.0 §3.1.3.7.
    let shared = json!([AUD, "other"]);
    assert_eq!(why(&untyped, &json!({ "azp": AUD, "aud": shared })), None);
    assert_eq!(
        why(&untyped, &json!({ "aud": shared })),
        Some(TokenError::MissingClaim("azp"))
    );
    assert_eq!(
        why(&untyped, &json!({ "azp": "other" })),
        Some(TokenError::WrongAudience)
    );
}

#[test]
fn t16_a_cnf_that_cannot_be_checked_refuses_the_token() {
    let (digest, other) = ([7; 32], LeafDigest::from([8; 32]));
    let mine = &LeafDigest::from(digest);
    let why = |cnf: &Value, leaf: Option<&LeafDigest>| {
        let token = token(&json!({}), &json!({ "cnf": cnf }));
        verifier(issuer()).verify_bound(&token, now(), leaf).err()
    };
    let bound = json!({ "x5t#S256": b64(digest) });
    assert_eq!(why(&bound, Some(mine)), None);
    assert_eq!(why(&bound, Some(&other)), Some(TokenError::Unbound));
    assert_eq!(why(&bound, None), Some(TokenError::Unbound));
    assert_eq!(
        claims_refusal(&json!({ "cnf": bound })),
        TokenError::Unbound
    );
    for cnf in [
        json!({}),
        json!([]),
        json!("x"),
        json!(1),
        json!({ "jkt": "x" }),
        json!({ "kid": "x" }),
        json!({ "x5t#S256": b64(digest), "jkt": "x" }),
        json!({ "x5t#S256": 7 }),
        json!({ "x5t#S256": format!("{}=", b64(digest)) }),
        json!({ "x5t#S256": b64([7; 31]) }),
        json!({ "x5t#S256": "" }),
        json!({ "X5T#S256": b64(digest) }),
    ] {
        assert_eq!(why(&cnf, Some(mine)), Some(TokenError::Unbound), "{cnf}");
    }
    // A certificate that the token does not ask for is no fault.
    let plain = token(&json!({}), &json!({}));
    assert!(
        verifier(issuer())
            .verify_bound(&plain, now(), Some(mine))
            .is_ok()
    );
}

#[test]
fn a_null_cnf_is_one_that_cannot_be_checked() {
    let header = json!({ "alg": "ES256", "kid": "ES256" }).to_string();
    let payload = good_claims()
        .to_string()
        .replacen('{', r#"{"cnf":null,"#, 1);
    assert_eq!(
        refusal(&sign_texts("ES256", &header, &payload)),
        TokenError::Unbound
    );
}

#[test]
fn kinds_tell_an_answer_what_to_say() {
    for (error, kind) in [
        (TokenError::Missing, TokenErrorKind::Missing),
        (TokenError::NotThreeParts, TokenErrorKind::Malformed),
        (TokenError::Encrypted, TokenErrorKind::Unsupported),
        (TokenError::BadSignature, TokenErrorKind::Untrusted),
        (TokenError::WrongIssuer, TokenErrorKind::WrongIssuer),
        (TokenError::WrongAudience, TokenErrorKind::WrongAudience),
        (TokenError::WrongType, TokenErrorKind::WrongKind),
        (TokenError::Expired, TokenErrorKind::Expired),
        (TokenError::NotYetValid, TokenErrorKind::NotYetValid),
        (TokenError::Unbound, TokenErrorKind::Unbound),
    ] {
        assert_eq!(error.kind(), kind);
        assert!(error.code().starts_with("token_"), "{}", error.code());
        let challenge = (kind != TokenErrorKind::Missing).then_some("invalid_token");
        assert_eq!(error.challenge(), challenge);
    }
}

#[test]
fn an_error_says_nothing_of_the_token() {
    let secret = "very-secret-subject";
    for claims in [
        json!({ "aud": secret }),
        json!({ "iss": secret }),
        json!({ "exp": secret }),
        json!({ "cnf": secret }),
    ] {
        let refused = claims_refusal(&claims);
        assert!(
            !format!("{refused} {refused:?}").contains(secret),
            "{refused}"
        );
    }
}

#[test]
fn a_verifier_is_built_of_issuers_that_can_be_told_apart() {
    let one = || Issuer::access_tokens("one", "https://one.example", AUD, jwks(&[jwk("ES256")]));
    let build = |issuers: Vec<Issuer>| {
        issuers
            .into_iter()
            .fold(TokenVerifier::builder(), |builder, issuer| {
                builder.issuer(issuer)
            })
            .build()
            .map(|verifier| verifier.issuers().count())
    };
    let named = |name: &str, iss: &str, aud: &str| {
        Issuer::access_tokens(name, iss, aud, jwks(&[jwk("ES256")]))
    };
    assert_eq!(
        build(vec![one(), named("two", "https://two.example", AUD)]),
        Ok(2)
    );
    assert_eq!(build(vec![]), Err(BuildError::NoIssuer));
    assert_eq!(
        build(vec![one(), named("one", "https://two.example", AUD)]),
        Err(BuildError::DuplicateName { name: "one".into() })
    );
    assert_eq!(
        build(vec![one(), named("two", "https://one.example", AUD)]),
        Err(BuildError::DuplicateIss { name: "two".into() })
    );
    for (issuer, what) in [
        (named("", "i", AUD), "name"),
        (named("n", "", AUD), "iss"),
        (named("n", "i", ""), "audience"),
        (one().with_audience(""), "audience"),
        (one().only_typ([]), "typ"),
        (one().only_typ([""]), "typ"),
    ] {
        let refused = build(vec![issuer]);
        assert!(
            matches!(refused, Err(BuildError::Empty { what: found, .. }) if found == what),
            "{refused:?}"
        );
    }
    assert_eq!(build(vec![one().with_leeway(MAX_LEEWAY)]), Ok(1));
    let leeway = MAX_LEEWAY + Duration::from_millis(1);
    assert_eq!(
        build(vec![one().with_leeway(leeway)]),
        Err(BuildError::Leeway {
            name: "one".into(),
            leeway
        })
    );
}
