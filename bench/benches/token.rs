//! Time of a token: one that was seen before, a new one, and `jsonwebtoken` alone on the same token, used as its documentation
//! shows.

use core::time::Duration;
use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Map, Value, json};
use ztl_authz::jwt::{Issuer, Jwks, TokenVerifier};
use ztl_bench::cpu::ThreadCpu;
use ztl_core::Timestamp;

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);
const ISS: &str = "https://idp.example";

/// One token, and both verifiers of it.
struct Case {
    name: &'static str,
    token: String,
    issuer: Issuer,
    key: DecodingKey,
    rules: Validation,
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Case {
    fn new(name: &'static str, mut jwk: Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        (jwk["kid"], jwk["alg"]) = ("2026-11".into(), name.into());
        let header = json!({ "alg": name, "kid": "2026-11", "typ": "at+jwt" });
        // `jsonwebtoken` reads the clock.
        let claims = json!({
            "iss": ISS, "aud": "model-server", "sub": "alice", "exp": 4_102_444_800_u64,
            "iat": 1_789_999_900, "jti": "0f8fad5b-d9cb-469f-a165-70867728950e", "client_id": "web",
            "scope": "infer read", "groups": ["ml", "search"], "email": "alice@corp.example",
        });
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let token = format!("{signed}.{}", b64(sign(signed.as_bytes())));
        let text = |member: &str| jwk[member].as_str().expect("a member").to_owned();
        let (algorithm, key) = match name {
            "ES256" => (
                Algorithm::ES256,
                DecodingKey::from_ec_components(&text("x"), &text("y")),
            ),
            "RS256" => (
                Algorithm::RS256,
                DecodingKey::from_rsa_components(&text("n"), &text("e")),
            ),
            _ => (
                Algorithm::EdDSA,
                DecodingKey::from_ed_components(&text("x")),
            ),
        };
        let mut rules = Validation::new(algorithm);
        rules.set_audience(&["model-server"]);
        rules.set_issuer(&[ISS]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let jwks = json!({ "keys": [jwk] }).to_string();
        let jwks = Jwks::from_json(jwks.as_bytes()).expect("keys");
        Self {
            name,
            token,
            issuer: Issuer::access_tokens("corp", ISS, "model-server", jwks),
            key: key.expect("a key"),
            rules,
        }
    }

    fn verifier(&self) -> TokenVerifier {
        let builder = TokenVerifier::builder().issuer(self.issuer.clone());
        builder.build().expect("a verifier")
    }
}

fn cases() -> [Case; 3] {
    let random = SystemRandom::new();
    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let (x, y) = p256.public_key().as_ref()[1..].split_at(32);
    let ec = json!({ "kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y) });
    let ed25519 = Ed25519KeyPair::generate().expect("a key");
    let okp = json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(ed25519.public_key()) });
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let RsaPublicKeyComponents { n, e } =
        RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    let rsa = json!({ "kty": "RSA", "n": b64(n), "e": b64(e) });
    [
        Case::new("ES256", ec, |text| {
            p256.sign(&random, text).expect("signed").as_ref().to_vec()
        }),
        Case::new("RS256", rsa, |text| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature)
                .expect("signed");
            signature
        }),
        Case::new("EdDSA", okp, |text| ed25519.sign(text).as_ref().to_vec()),
    ]
}

fn token(criterion: &mut Criterion<ThreadCpu>) {
    let cases = cases();
    let mut group = criterion.benchmark_group("token");
    for case in &cases {
        let seen = case.verifier();
        seen.verify(&case.token, NOW).expect("a good token");
        group.bench_function(BenchmarkId::new("seen", case.name), |bencher| {
            bencher.iter(|| seen.verify(black_box(&case.token), NOW).expect("good"));
        });
        group.bench_function(BenchmarkId::new("new", case.name), |bencher| {
            bencher.iter_batched(
                || case.verifier(),
                |verifier| {
                    let claims = verifier.verify(black_box(&case.token), NOW);
                    (claims.expect("good"), verifier)
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new("jsonwebtoken", case.name), |bencher| {
            bencher.iter(|| {
                let token = black_box(&case.token);
                decode::<Map<String, Value>>(token, &case.key, &case.rules).expect("good")
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .with_measurement(ThreadCpu)
        .without_plots()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = token
}
criterion_main!(benches);
