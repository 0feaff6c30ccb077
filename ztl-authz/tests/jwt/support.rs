//! Signs whatever a test asks for, independently of the crate.

use std::sync::OnceLock;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use ztl_authz::jwt::{Issuer, Jwks, TokenError, TokenVerifier};
use ztl_core::{Claims, Timestamp};

pub(crate) const ISS: &str = "https://idp.example";
pub(crate) const AUD: &str = "model-server";
pub(crate) const NOW: u64 = 1_790_000_000;

pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix_secs(NOW)
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// One key of every kind, made once.
pub(crate) struct Keys {
    pub(crate) p256: EcdsaKeyPair,
    pub(crate) p384: EcdsaKeyPair,
    pub(crate) p521: EcdsaKeyPair,
    pub(crate) ed25519: Ed25519KeyPair,
    pub(crate) rsa: RsaKeyPair,
}

pub(crate) fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys {
        p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("p256"),
        p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("p384"),
        p521: EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).expect("p521"),
        ed25519: Ed25519KeyPair::generate().expect("ed25519"),
        rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("rsa"),
    })
}

/// The public key of an algorithm, with `alg` and with the algorithm's name as `kid`.
pub(crate) fn jwk(alg: &str) -> Value {
    let keys = keys();
    let ec = |crv: &str, key: &EcdsaKeyPair| {
        let point = &key.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        json!({ "kty": "EC", "crv": crv, "x": b64(x), "y": b64(y) })
    };
    let mut jwk = match alg {
        "ES256" => ec("P-256", &keys.p256),
        "ES384" => ec("P-384", &keys.p384),
        "ES512" => ec("P-521", &keys.p521),
        "EdDSA" | "Ed25519" => {
            json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(keys.ed25519.public_key()) })
        }
        _ => {
            let RsaPublicKeyComponents { n, e } =
                RsaPublicKeyComponents::<Vec<u8>>::from(keys.rsa.public_key());
            json!({ "kty": "RSA", "n": b64(n), "e": b64(e) })
        }
    };
    jwk["alg"] = alg.into();
    jwk["kid"] = alg.into();
    jwk
}

pub(crate) fn jwks(jwks: &[Value]) -> Jwks {
    Jwks::from_json(json!({ "keys": jwks }).to_string().as_bytes()).expect("key set")
}

fn signature(alg: &str, signed: &[u8]) -> Vec<u8> {
    let (keys, random) = (keys(), SystemRandom::new());
    let rsa = |encoding: &'static dyn signature::RsaEncoding| {
        let mut signature = vec![0; keys.rsa.public_modulus_len()];
        keys.rsa
            .sign(encoding, &random, signed, &mut signature)
            .expect("rsa");
        signature
    };
    match alg {
        "ES256" => keys
            .p256
            .sign(&random, signed)
            .expect("p256")
            .as_ref()
            .to_vec(),
        "ES384" => keys
            .p384
            .sign(&random, signed)
            .expect("p384")
            .as_ref()
            .to_vec(),
        "ES512" => keys
            .p521
            .sign(&random, signed)
            .expect("p521")
            .as_ref()
            .to_vec(),
        "EdDSA" | "Ed25519" => keys.ed25519.sign(signed).as_ref().to_vec(),
        "RS256" => rsa(&signature::RSA_PKCS1_SHA256),
        "RS384" => rsa(&signature::RSA_PKCS1_SHA384),
        "RS512" => rsa(&signature::RSA_PKCS1_SHA512),
        "PS256" => rsa(&signature::RSA_PSS_SHA256),
        "PS384" => rsa(&signature::RSA_PSS_SHA384),
        "PS512" => rsa(&signature::RSA_PSS_SHA512),
        other => panic!("no signer for {other}"),
    }
}

/// A token of these two texts, signed with the key of `alg`, whatever the header says.
pub(crate) fn sign_texts(alg: &str, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", b64(header), b64(payload));
    let signature = signature(alg, signed.as_bytes());
    format!("{signed}.{}", b64(signature))
}

/// The same, signed with a MAC (SHA-256) under this secret.
pub(crate) fn mac_texts(secret: &[u8], header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", b64(header), b64(payload));
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret),
        signed.as_bytes(),
    );
    format!("{signed}.{}", b64(tag))
}

/// `object` with members set, or taken away by a null.
pub(crate) fn with(mut object: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().expect("members") {
        match value {
            Value::Null => object.as_object_mut().expect("object").remove(name),
            value => object
                .as_object_mut()
                .expect("object")
                .insert(name.clone(), value.clone()),
        };
    }
    object
}

/// The claims of a token that passes.
pub(crate) fn good_claims() -> Value {
    json!({ "iss": ISS, "aud": AUD, "sub": "alice", "exp": NOW + 300, "scope": "infer" })
}

/// A token of the P-256 key: the header and the claims of one that passes, with these members changed.
pub(crate) fn token(header: &Value, claims: &Value) -> String {
    let header = with(
        json!({ "alg": "ES256", "kid": "ES256", "typ": "at+jwt" }),
        header,
    );
    sign_texts(
        "ES256",
        &header.to_string(),
        &with(good_claims(), claims).to_string(),
    )
}

/// Takes access tokens of the P-256 key, which stands in a set with the RSA key.
pub(crate) fn issuer() -> Issuer {
    Issuer::access_tokens("corp", ISS, AUD, jwks(&[jwk("ES256"), jwk("RS256")]))
}

pub(crate) fn verifier(issuer: Issuer) -> TokenVerifier {
    TokenVerifier::builder()
        .issuer(issuer)
        .build()
        .expect("verifier")
}

pub(crate) fn verify(token: &str) -> Result<Claims, TokenError> {
    verifier(issuer()).verify(token, now())
}

/// Why a token was refused; panics where it was taken.
pub(crate) fn refusal(token: &str) -> TokenError {
    verify(token)
        .map(|_| "taken")
        .expect_err("the token must be refused")
}

/// Why a token with these claims changed was refused.
pub(crate) fn claims_refusal(claims: &Value) -> TokenError {
    refusal(&token(&json!({}), claims))
}
