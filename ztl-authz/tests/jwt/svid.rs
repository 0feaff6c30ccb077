//! JWT-SVIDs (SPIFFE JWT-SVID §2 to §4; rule 29), and the scenarios of go-spiffe's `TestParseAndValidate`.

use serde_json::{Value, json};
use ztl_authz::jwt::{Issuer, Jwks, JwksError, KeyError, TokenError, TokenVerifier};
use ztl_core::{Claims, TrustDomain};

use crate::support::*;

const TD_ISS: &str = "spiffe://prod.example";

fn td() -> TrustDomain {
    TrustDomain::parse("prod.example").expect("trust domain")
}

/// A key as the bundle of a trust domain has it.
fn authority(alg: &str) -> String {
    let mut key = jwk(alg);
    key["use"] = "jwt-svid".into();
    key.to_string()
}

fn authorities(algs: &[&str]) -> Jwks {
    let texts: Vec<_> = algs.iter().map(|alg| authority(alg)).collect();
    Jwks::from_jwt_authorities(texts.iter().map(String::as_str)).expect("keys")
}

fn svids(algs: &[&str]) -> TokenVerifier {
    verifier(Issuer::jwt_svids("mesh", &td(), AUD, authorities(algs)))
}

/// A JWT-SVID with these members changed.
fn svid(alg: &str, header: &Value, claims: &Value) -> String {
    let header = with(json!({ "alg": alg, "kid": alg, "typ": "JWT" }), header);
    let base = json!({ "sub": "spiffe://prod.example/router", "aud": [AUD], "exp": NOW + 300 });
    sign_texts(alg, &header.to_string(), &with(base, claims).to_string())
}

fn judge(header: &Value, claims: &Value) -> Result<Claims, TokenError> {
    svids(&["ES256"]).verify(&svid("ES256", header, claims), now())
}

fn why(header: &Value, claims: &Value) -> TokenError {
    judge(header, claims).map(|_| "taken").expect_err("refused")
}

#[test]
fn rule_29_a_jwt_svid_proves_a_workload_of_its_trust_domain() {
    let claims = judge(&json!({}), &json!({})).expect("good");
    assert_eq!(claims.subject(), Some("spiffe://prod.example/router"));
    assert_eq!(claims.issuer(), Some(TD_ISS));
    for typ in [json!(null), json!("JOSE"), json!("JWT")] {
        assert!(judge(&json!({ "typ": typ }), &json!({})).is_ok(), "{typ}");
    }
    // §2.2: `kid` may be missing where there is one key.
    assert!(judge(&json!({ "kid": null }), &json!({})).is_ok());
    for alg in [
        "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    ] {
        let token = svid(alg, &json!({}), &json!({}));
        assert!(svids(&[alg]).verify(&token, now()).is_ok(), "{alg}");
    }
}

#[test]
fn rule_29_scenarios_of_go_spiffe() {
    let hs256 = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
    let refused = svids(&["ES256"]).verify(hs256, now()).err();
    assert_eq!(refused, Some(TokenError::MissingClaim("iss")));
    assert_eq!(
        why(
            &json!({}),
            &json!({ "sub": "spiffe://another.domain/host" })
        ),
        TokenError::MissingClaim("iss"),
        "a trust domain without bundle"
    );
    assert_eq!(
        why(&json!({ "kid": "noKey" }), &json!({})),
        TokenError::UnknownKey
    );
    assert_eq!(
        why(&json!({ "typ": "invalid" }), &json!({})),
        TokenError::WrongType
    );
}

#[test]
fn rule_29_subject_audience_and_expiry_are_required() {
    for sub in [
        json!(null),
        json!(""),
        json!("router"),
        json!("spiffe://prod.example"),
        json!("spiffe://prod.example/a/../b"),
        json!("SPIFFE://prod.example/router"),
        json!(["spiffe://prod.example/router"]),
    ] {
        // Without a SPIFFE ID nobody vouches for it; said to be this trust domain's, it is malformed.
        let refused = why(&json!({}), &json!({ "sub": sub }));
        assert_eq!(refused, TokenError::MissingClaim("iss"), "{sub}");
        let refused = why(&json!({}), &json!({ "sub": sub, "iss": TD_ISS }));
        assert!(
            matches!(
                refused,
                TokenError::MissingClaim("sub") | TokenError::MalformedClaim("sub")
            ),
            "{sub}: {refused}"
        );
    }
    for (claims, error) in [
        (json!({ "aud": null }), TokenError::MissingClaim("aud")),
        (json!({ "aud": [] }), TokenError::WrongAudience),
        (json!({ "aud": ["other"] }), TokenError::WrongAudience),
        (json!({ "exp": null }), TokenError::MissingClaim("exp")),
        (json!({ "exp": NOW }), TokenError::Expired),
        (json!({ "nbf": NOW + 31 }), TokenError::NotYetValid),
    ] {
        assert_eq!(why(&json!({}), &claims), error, "{claims}");
    }
}

#[test]
fn rule_20_the_keys_of_one_trust_domain_prove_nobody_of_another() {
    let other = TrustDomain::parse("partner.example").expect("trust domain");
    let both = TokenVerifier::builder()
        .issuer(Issuer::jwt_svids(
            "mesh",
            &td(),
            AUD,
            authorities(&["ES256"]),
        ))
        .issuer(Issuer::jwt_svids(
            "partner",
            &other,
            AUD,
            authorities(&["ES384"]),
        ))
        .build()
        .expect("verifier");
    let judge = |alg: &str, claims: &Value| {
        let token = svid(alg, &json!({ "kid": alg }), claims);
        both.verify(&token, now())
            .map(|claims| claims.issuer().map(str::to_owned))
    };
    let theirs = json!({ "sub": "spiffe://partner.example/asker" });
    assert_eq!(
        judge("ES384", &theirs),
        Ok(Some("spiffe://partner.example".to_owned()))
    );
    assert_eq!(judge("ES256", &theirs), Err(TokenError::UnknownKey));
    assert_eq!(judge("ES384", &json!({})), Err(TokenError::UnknownKey));
    // And where it says whose keys to take.
    let posing = json!({ "iss": "spiffe://partner.example" });
    assert_eq!(judge("ES384", &posing), Err(TokenError::WrongIssuer));
}

#[test]
fn t16_a_trust_domain_speaks_for_no_other_issuer() {
    let both = TokenVerifier::builder()
        .issuer(Issuer::jwt_svids(
            "mesh",
            &td(),
            AUD,
            authorities(&["ES256"]),
        ))
        .issuer(Issuer::access_tokens(
            "corp",
            ISS,
            AUD,
            jwks(&[jwk("ES384")]),
        ))
        .build()
        .expect("verifier");
    // The trust domain says it is the users' issuer: the users' keys are asked for.
    let posing = svid("ES256", &json!({}), &json!({ "iss": ISS }));
    assert_eq!(
        both.verify(&posing, now()).err(),
        Some(TokenError::UnknownKey)
    );
    // An `iss` of nobody here, as SPIRE may write one: the claims say who vouches.
    let spire = svid(
        "ES256",
        &json!({}),
        &json!({ "iss": "https://spire.example" }),
    );
    let claims = both.verify(&spire, now()).expect("good");
    assert_eq!(claims.issuer(), Some(TD_ISS));
    let odd = svid("ES256", &json!({}), &json!({ "iss": 7 }));
    assert_eq!(
        both.verify(&odd, now()).err(),
        Some(TokenError::MalformedClaim("iss"))
    );
    // A SPIFFE ID in a user's token leads to no trust domain's keys.
    let user = sign_texts(
        "ES384",
        &json!({ "alg": "ES384", "kid": "ES384" }).to_string(),
        &with(
            good_claims(),
            &json!({ "sub": "spiffe://prod.example/router" }),
        )
        .to_string(),
    );
    assert_eq!(both.verify(&user, now()).expect("good").issuer(), Some(ISS));
}

#[test]
fn rule_29_keys_are_those_for_jwt_svids() {
    let read = |key: Value| {
        let text = key.to_string();
        Jwks::from_jwt_authorities([text.as_str()]).map(|keys| keys.key_count())
    };
    let key = jwk("ES256");
    assert_eq!(read(key.clone()), Ok(1));
    for usage in ["sig", "enc", "x509-svid", ""] {
        assert_eq!(
            read(with(key.clone(), &json!({ "use": usage }))),
            Err(JwksError::NoUsableKey { keys: 1 }),
            "{usage}"
        );
    }
    for kid in [json!(null), json!("")] {
        assert_eq!(
            read(with(key.clone(), &json!({ "kid": kid }))),
            Err(JwksError::Key {
                index: 0,
                kid: kid.as_str().map(Into::into),
                error: KeyError::Member("kid")
            })
        );
    }
    // §2.1 knows no Edwards curve.
    assert!(read(jwk("EdDSA")).is_err());
    let edwards = verifier(Issuer::jwt_svids("mesh", &td(), AUD, jwks(&[jwk("EdDSA")])));
    let token = svid("EdDSA", &json!({}), &json!({}));
    assert_eq!(
        edwards.verify(&token, now()).err(),
        Some(TokenError::WrongAlgorithm)
    );
    // Keys for JWT-SVIDs are no keys of an issuer.
    let set = format!(r#"{{"keys":[{}]}}"#, authority("ES256"));
    assert!(Jwks::from_json(set.as_bytes()).is_err());
}
