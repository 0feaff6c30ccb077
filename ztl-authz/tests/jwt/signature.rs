//! Form, header, key and signature (rule 62).

use serde_json::{Value, json};
use ztl_authz::jwt::{
    Issuer, Jwks, MAX_TOKEN_BYTES, Part, TokenError, TokenErrorKind, TokenVerifier,
};

use crate::support::*;

const ALGS: [&str; 11] = [
    "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "RS384", "RS512", "PS256", "PS384",
    "PS512",
];

fn header_refusal(header: &Value) -> TokenError {
    refusal(&token(header, &json!({})))
}

fn signed_by_one_key(key: Value, token: &str) -> Result<(), TokenError> {
    verifier(Issuer::access_tokens("corp", ISS, AUD, jwks(&[key])))
        .verify(token, now())
        .map(|_| ())
}

#[test]
fn a_good_token_gives_its_claims() {
    let claims = verify(&token(&json!({}), &json!({}))).expect("good");
    assert_eq!(claims.issuer(), Some(ISS));
    assert_eq!(claims.subject(), Some("alice"));
    assert!(claims.has_audience(AUD) && claims.has_scope("infer"));
    assert_eq!(claims.expires_at().as_unix_secs(), NOW + 300);
    assert_eq!(claims.as_map().len(), 5);
}

#[test]
fn every_algorithm_verifies_with_its_own_key() {
    for alg in ALGS {
        let header = json!({ "alg": alg, "kid": alg }).to_string();
        let token = sign_texts(alg, &header, &good_claims().to_string());
        assert_eq!(signed_by_one_key(jwk(alg), &token), Ok(()), "{alg}");
    }
}

#[test]
fn rule62_the_key_decides_the_algorithm() {
    // Properly signed by the very key, under an algorithm that the key is not for.
    for (says, key) in [
        ("RS384", "RS256"),
        ("PS256", "RS256"),
        ("RS256", "PS256"),
        ("RS512", "PS512"),
    ] {
        let header = json!({ "alg": says, "kid": key }).to_string();
        let token = sign_texts(says, &header, &good_claims().to_string());
        assert_eq!(
            signed_by_one_key(jwk(key), &token),
            Err(TokenError::WrongAlgorithm),
            "{says}"
        );
        // And where the header is right and the signature is made by the other algorithm.
        let header = json!({ "alg": key, "kid": key }).to_string();
        let token = sign_texts(says, &header, &good_claims().to_string());
        assert_eq!(
            signed_by_one_key(jwk(key), &token),
            Err(TokenError::BadSignature),
            "{says}"
        );
    }
    for alg in [
        "RS256", "ES384", "es256", "ES256K", "HS256", "none", "NONE", "nOnE", "", " ES256",
    ] {
        assert_eq!(
            header_refusal(&json!({ "alg": alg })),
            TokenError::WrongAlgorithm,
            "{alg}"
        );
    }
}

#[test]
fn rule62_es256_signed_token_that_names_the_rsa_key_is_refused() {
    assert_eq!(
        header_refusal(&json!({ "kid": "RS256" })),
        TokenError::WrongAlgorithm
    );
    assert_eq!(
        header_refusal(&json!({ "kid": "RS256", "alg": "RS256" })),
        TokenError::BadSignature
    );
}

#[test]
fn rule62_alg_none_is_refused_with_and_without_a_signature() {
    for alg in ["none", "None", "NONE"] {
        let header = json!({ "alg": alg, "kid": "ES256" }).to_string();
        let bare = format!("{}.{}.", b64(&header), b64(good_claims().to_string()));
        assert_eq!(refusal(&bare), TokenError::WrongAlgorithm);
        let unnamed = format!(
            "{}.{}.",
            b64(json!({ "alg": alg }).to_string()),
            b64(good_claims().to_string())
        );
        assert_eq!(
            signed_by_one_key(jwk("ES256"), &unnamed),
            Err(TokenError::WrongAlgorithm)
        );
    }
}

#[test]
fn rule62_a_mac_keyed_with_the_public_key_is_refused() {
    let claims = good_claims().to_string();
    for alg in ["RS256", "ES256", "EdDSA"] {
        let key = jwk(alg);
        let member = if alg == "RS256" { "n" } else { "x" };
        for secret in [
            key.to_string(),
            key[member].as_str().expect("text").to_owned(),
        ] {
            for says in ["HS256", "HS384", "HS512", alg] {
                let header = json!({ "alg": says, "kid": alg }).to_string();
                let token = mac_texts(secret.as_bytes(), &header, &claims);
                let refused = signed_by_one_key(key.clone(), &token).expect_err("a MAC");
                assert_eq!(refused.kind(), TokenErrorKind::Untrusted, "{alg} {says}");
            }
        }
    }
}

#[test]
fn rule62_a_symmetric_key_in_the_set_verifies_nothing() {
    let mut oct = json!({ "kty": "oct", "kid": "s", "alg": "HS256", "k": b64("secret") });
    let set = json!({ "keys": [oct, jwk("ES256")] });
    assert!(Jwks::from_json(set.to_string().as_bytes()).is_err());
    // Spoken of only, it is passed over.
    oct.as_object_mut().expect("object").remove("k");
    let token = mac_texts(
        b"secret",
        &json!({ "alg": "HS256", "kid": "s" }).to_string(),
        &good_claims().to_string(),
    );
    let refused = verifier(Issuer::access_tokens(
        "corp",
        ISS,
        AUD,
        jwks(&[oct, jwk("ES256")]),
    ))
    .verify(&token, now())
    .map(|_| ());
    assert_eq!(refused, Err(TokenError::UnknownKey));
}

#[test]
fn rule62_kid_is_a_map_key_and_nothing_else() {
    for kid in [
        "unknown",
        "es256",
        "",
        "../../../../dev/null",
        "/etc/passwd",
        "file:///etc/passwd",
        "https://evil.example/k",
        "ES256\0",
        "' OR 1=1 --",
        "0",
    ] {
        assert_eq!(
            header_refusal(&json!({ "kid": kid })),
            TokenError::UnknownKey,
            "{kid}"
        );
    }
    for kid in [json!(0), json!(["ES256"]), json!({}), json!(true)] {
        assert_eq!(
            header_refusal(&json!({ "kid": kid })),
            TokenError::Header("kid")
        );
    }
}

#[test]
fn rule62_a_token_without_kid_needs_a_single_key() {
    let token = token(&json!({ "kid": null }), &json!({}));
    assert_eq!(refusal(&token), TokenError::NoKeyId);
    assert_eq!(signed_by_one_key(jwk("ES256"), &token), Ok(()));
}

#[test]
fn rule62_keys_and_addresses_in_the_token_are_not_read() {
    // The attacker's own key, offered in the header: the configured one still has to verify.
    let attacker = json!({
        "alg": "ES384", "kid": "ES384", "jwk": jwk("ES384"), "jku": "https://evil.example/jwks",
        "x5u": "https://evil.example/x", "x5c": ["MIIB"], "typ": "JWT",
    });
    let token = sign_texts("ES384", &attacker.to_string(), &good_claims().to_string());
    assert_eq!(refusal(&token), TokenError::UnknownKey);
    let posing = with(attacker.clone(), &json!({ "alg": "ES256", "kid": "ES256" }));
    let token = sign_texts("ES384", &posing.to_string(), &good_claims().to_string());
    assert_eq!(refusal(&token), TokenError::BadSignature);
    // Beside a good signature they do no harm.
    let token = sign_texts("ES256", &posing.to_string(), &good_claims().to_string());
    assert!(verify(&token).is_ok());
}

#[test]
fn rule62_crit_b64_and_nesting_are_refused() {
    for crit in [
        json!(["exp"]),
        json!(["b64"]),
        json!([]),
        json!(null),
        json!("x"),
    ] {
        let header = json!({ "alg": "ES256", "kid": "ES256" }).to_string();
        let header = header.replacen('{', &format!("{{\"crit\":{crit},"), 1);
        let token = sign_texts("ES256", &header, &good_claims().to_string());
        assert_eq!(refusal(&token), TokenError::Critical, "{crit}");
    }
    assert_eq!(
        header_refusal(&json!({ "b64": false })),
        TokenError::Unencoded
    );
    for cty in ["JWT", "jwt", "application/jwt"] {
        assert_eq!(header_refusal(&json!({ "cty": cty })), TokenError::Nested);
    }
    assert_eq!(
        header_refusal(&json!({ "cty": 1 })),
        TokenError::Header("cty")
    );
    assert!(verify(&token(&json!({ "cty": "json", "zip": "DEF" }), &json!({}))).is_ok());
}

#[test]
fn t16_a_header_parameter_twice_is_refused() {
    for header in [
        r#"{"alg":"none","alg":"ES256","kid":"ES256"}"#,
        r#"{"alg":"ES256","kid":"RS256","kid":"ES256"}"#,
        r#"{"alg":"ES256","kid":"ES256","x":{"y":1,"y":2}}"#,
    ] {
        let token = sign_texts("ES256", header, &good_claims().to_string());
        assert_eq!(
            refusal(&token),
            TokenError::Duplicate(Part::Header),
            "{header}"
        );
    }
}

#[test]
fn a_header_that_is_none_is_refused() {
    for (header, why) in [
        ("", TokenError::Json(Part::Header)),
        ("[]", TokenError::Json(Part::Header)),
        ("null", TokenError::Json(Part::Header)),
        ("{\"alg\":\"ES256\"", TokenError::Json(Part::Header)),
        ("{\"alg\":\"ES256\"}{}", TokenError::Json(Part::Header)),
        ("{}", TokenError::Header("alg")),
        ("{\"alg\":1}", TokenError::Header("alg")),
        ("{\"alg\":[\"ES256\"]}", TokenError::Header("alg")),
        ("{\"alg\":\"ES256\",\"typ\":1}", TokenError::Header("typ")),
    ] {
        let token = sign_texts("ES256", header, &good_claims().to_string());
        assert_eq!(refusal(&token), why, "{header}");
    }
    let deep = format!(
        r#"{{"alg":"ES256","x":{}{}}}"#,
        "[".repeat(20),
        "]".repeat(20)
    );
    let token = sign_texts("ES256", &deep, &good_claims().to_string());
    assert_eq!(refusal(&token), TokenError::TooDeep(Part::Header));
}

#[test]
fn t16_the_typ_is_one_that_the_issuer_is_configured_for() {
    for typ in [
        "JWT",
        "jwt",
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "application/jwt",
    ] {
        assert!(
            verify(&token(&json!({ "typ": typ }), &json!({}))).is_ok(),
            "{typ}"
        );
    }
    assert!(verify(&token(&json!({ "typ": null }), &json!({}))).is_ok());
    for typ in [
        "",
        "JOSE",
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "text/jwt",
        "at+jwt;v=1",
    ] {
        assert_eq!(
            header_refusal(&json!({ "typ": typ })),
            TokenError::WrongType,
            "{typ}"
        );
    }
    let strict = verifier(issuer().only_typ(["at+jwt"]));
    for (typ, taken) in [
        (json!("at+jwt"), true),
        (json!("JWT"), false),
        (json!(null), false),
    ] {
        let token = token(&json!({ "typ": typ }), &json!({}));
        assert_eq!(strict.verify(&token, now()).is_ok(), taken, "{typ}");
    }
}

#[test]
fn only_a_compact_token_of_three_parts_is_read() {
    let good = token(&json!({}), &json!({}));
    let (header, rest) = good.split_once('.').expect("parts");
    let (payload, signature) = rest.split_once('.').expect("parts");
    assert_eq!(refusal(""), TokenError::Missing);
    assert_eq!(TokenError::Missing.challenge(), None);
    for token in [
        header.to_owned(),
        format!("{header}.{payload}"),
        format!("{good}."),
        format!("{good}..."),
        format!("{{\"payload\":\"{payload}\",\"signature\":\"{signature}\"}}"),
    ] {
        assert_eq!(refusal(&token), TokenError::NotThreeParts, "{token}");
    }
    assert_eq!(refusal(&format!("{good}.a.b")), TokenError::Encrypted);
    assert_eq!(
        refusal(&format!("{header}.{payload}.")),
        TokenError::BadSignature
    );
    assert_eq!(
        refusal(&format!("{header}..{signature}")),
        TokenError::Json(Part::Payload)
    );
    assert_eq!(
        refusal(&format!(".{payload}.{signature}")),
        TokenError::Json(Part::Header)
    );
}

#[test]
fn base64url_is_read_strictly() {
    let good = token(&json!({}), &json!({}));
    let (signed, signature) = good.rsplit_once('.').expect("parts");
    let rest = signature.get(1..).expect("ascii");
    for signature in [
        format!("{signature}="),
        format!("{signature}=="),
        format!(" {signature}"),
        format!("{signature}\n"),
        format!("+{rest}"),
        format!("/{rest}"),
        format!("{rest}%"),
    ] {
        let refused = refusal(&format!("{signed}.{signature}"));
        assert_eq!(
            refused,
            TokenError::Encoding(Part::Signature),
            "{signature:?}"
        );
    }
    // 64 octets are 86 characters and leave four bits over in the last, which must be zero (RFC 4648 §3.5).
    let last = signature.chars().last().expect("signature");
    let stray = char::from_u32(u32::from(last) + 1).expect("a neighbour");
    let stray = format!("{signed}.{}{stray}", signature.get(..85).expect("ascii"));
    assert_eq!(refusal(&stray), TokenError::Encoding(Part::Signature));
    assert_eq!(
        refusal(&format!("é{good}")),
        TokenError::Encoding(Part::Header)
    );
}

#[test]
fn a_token_and_its_parts_are_bounded() {
    let blanks = |len: usize| " ".repeat(len);
    let padded = |header: usize, payload: usize| {
        sign_texts(
            "ES256",
            &format!(
                "{}{}",
                json!({ "alg": "ES256", "kid": "ES256" }),
                blanks(header)
            ),
            &format!("{}{}", good_claims(), blanks(payload)),
        )
    };
    assert!(verify(&padded(0, 5_800)).is_ok());
    assert_eq!(refusal(&padded(0, 6_200)), TokenError::TooLong);
    assert!(verify(&padded(3_000, 0)).is_ok());
    assert_eq!(
        refusal(&padded(3_100, 0)),
        TokenError::PartTooLong(Part::Header)
    );
    let good = padded(0, 0);
    assert_eq!(
        refusal(&format!("{good}{}", "A".repeat(2_000))),
        TokenError::PartTooLong(Part::Signature)
    );
    assert_eq!(
        refusal(&"a".repeat(MAX_TOKEN_BYTES + 1)),
        TokenError::TooLong
    );
    assert_eq!(refusal(&"a.".repeat(1 << 20)), TokenError::TooLong);
}

#[test]
fn an_altered_token_is_refused() {
    let good = token(&json!({}), &json!({}));
    let (header, rest) = good.split_once('.').expect("parts");
    let (_, signature) = rest.split_once('.').expect("parts");
    let root = with(good_claims(), &json!({ "sub": "root" })).to_string();
    assert_eq!(
        refusal(&format!("{header}.{}.{signature}", b64(root))),
        TokenError::BadSignature
    );
}

#[test]
fn the_signature_is_judged_before_the_claims() {
    let claims = with(
        good_claims(),
        &json!({ "exp": 0, "aud": "other", "sub": null }),
    );
    let header = json!({ "alg": "ES256", "kid": "ES256" }).to_string();
    let token = sign_texts("ES384", &header, &claims.to_string());
    assert_eq!(refusal(&token), TokenError::BadSignature);
}

#[test]
fn rule62_another_issuers_key_does_not_count() {
    // Two issuers, each with its own keys: a token of one, signed by the other, with the other's `kid` or its own.
    let both = TokenVerifier::builder()
        .issuer(Issuer::access_tokens(
            "one",
            "https://one.example",
            AUD,
            jwks(&[jwk("ES256")]),
        ))
        .issuer(Issuer::access_tokens(
            "two",
            "https://two.example",
            AUD,
            jwks(&[jwk("ES384")]),
        ))
        .build()
        .expect("verifier");
    let token = |alg: &str, iss: &str| {
        let header = json!({ "alg": alg, "kid": alg }).to_string();
        sign_texts(
            alg,
            &header,
            &with(good_claims(), &json!({ "iss": iss })).to_string(),
        )
    };
    for (alg, iss, refused) in [
        ("ES256", "https://one.example", None),
        ("ES384", "https://two.example", None),
        ("ES384", "https://one.example", Some(TokenError::UnknownKey)),
        ("ES256", "https://two.example", Some(TokenError::UnknownKey)),
        (
            "ES256",
            "https://one.example/",
            Some(TokenError::WrongIssuer),
        ),
        (
            "ES256",
            "HTTPS://one.example",
            Some(TokenError::WrongIssuer),
        ),
        ("ES256", "one", Some(TokenError::WrongIssuer)),
        ("ES256", "", Some(TokenError::WrongIssuer)),
    ] {
        assert_eq!(
            both.verify(&token(alg, iss), now()).err(),
            refused,
            "{alg} {iss}"
        );
    }
    assert_eq!(both.issuers().count(), 2);
}
