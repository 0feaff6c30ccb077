//! Who vouches for a bundle (rule 57).

use aws_lc_rs::digest::{SHA256, SHA512_256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use ztl_authz::bundle::{
    Bundle, BundleError, BundleReader, Limits, MAX_MANIFEST_BYTES, ManifestError, SignatureError,
    SigningAlgorithm, Verification, VerificationKey,
};

use super::support::Pack;

const SECRET: &[u8] = b"0000000000000000000000000000000000000000000000000000000000000007";
const MANIFEST: &str = r#"{"revision": "7"}"#;
const DATA: &str = r#"{"a": 1}"#;
const POLICY: &str = "package a\n";

fn secret() -> Verification {
    Verification::new(VerificationKey::from_secret(SigningAlgorithm::Hs256, SECRET).expect("key"))
}

fn hash(text: &str) -> String {
    let octets = digest(&SHA256, text.as_bytes());
    octets
        .as_ref()
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect()
}

/// The files of [`pack`], as a signature lists them: documents in their one form.
fn files() -> Vec<Value> {
    [
        (".manifest", r#"{"revision":"7"}"#),
        ("data.json", r#"{"a":1}"#),
        ("a.rego", POLICY),
    ]
    .map(|(name, form)| json!({"name": name, "hash": hash(form), "algorithm": "SHA-256"}))
    .to_vec()
}

fn jws(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let part = |it: &Value| URL_SAFE_NO_PAD.encode(it.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn mac(message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    hmac::sign(&key, message).as_ref().to_vec()
}

fn token(claims: &Value) -> String {
    jws(&json!({"alg": "HS256"}), claims, mac)
}

fn pack(signatures: &Value) -> Pack {
    Pack::new()
        .file("/.manifest", MANIFEST)
        .file("/data.json", DATA)
        .file("/a.rego", POLICY)
        .file("/.signatures.json", signatures.to_string())
}

fn read(pack: Pack, by: Verification) -> Result<Bundle, BundleError> {
    BundleReader::verified(by).read(&pack.pack())
}

/// What becomes of the bundle under a token.
fn under(token: &str) -> Result<Bundle, BundleError> {
    read(pack(&json!({"signatures": [token]})), secret())
}

fn why(outcome: Result<Bundle, BundleError>) -> SignatureError {
    match outcome {
        Err(BundleError::Signature(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("taken"),
    }
}

/// A bundle that OPA signed, and whom it is verified by.
macro_rules! by_opa {
    ($algorithm:literal, $key:literal) => {
        (
            &include_bytes!(concat!("opa/", $algorithm, ".tar.gz"))[..],
            VerificationKey::from_pem(
                $algorithm.parse().expect("algorithm"),
                include_bytes!(concat!("opa/", $key, ".pub.pem")),
            )
            .expect("key"),
        )
    };
    ($algorithm:literal) => {
        (
            &include_bytes!(concat!("opa/", $algorithm, ".tar.gz"))[..],
            VerificationKey::from_secret($algorithm.parse().expect("algorithm"), SECRET)
                .expect("key"),
        )
    };
}

fn all_by_opa() -> [(&'static [u8], VerificationKey); 12] {
    [
        by_opa!("RS256", "rsa"),
        by_opa!("RS384", "rsa"),
        by_opa!("RS512", "rsa"),
        by_opa!("PS256", "rsa"),
        by_opa!("PS384", "rsa"),
        by_opa!("PS512", "rsa"),
        by_opa!("ES256", "es256"),
        by_opa!("ES384", "es384"),
        by_opa!("ES512", "es512"),
        by_opa!("HS256"),
        by_opa!("HS384"),
        by_opa!("HS512"),
    ]
}

#[test]
fn what_opa_signed_is_verified_by_its_own_key_alone() {
    for (bytes, key) in all_by_opa() {
        let name = key.algorithm().name();
        let reader = BundleReader::verified(Verification::new(key));
        let bundle = reader.read(bytes).expect(name);
        assert!(bundle.signed);
        assert_eq!(bundle.manifest.serial(), Some(3));
        assert_eq!(&*bundle.rego[0].package, "authz");
        assert_eq!(bundle.data["authz"]["n"][3], 9_007_199_254_740_993_u64);
        for (_, other) in all_by_opa() {
            if other.algorithm().name() != name {
                let reader = BundleReader::verified(Verification::new(other));
                assert_eq!(why(reader.read(bytes)), SignatureError::Algorithm, "{name}");
            }
        }
        let unsigned = BundleReader::unsigned().read(bytes);
        assert_eq!(why(unsigned), SignatureError::NoKey);
    }
}

#[test]
fn rule57_an_unsigned_bundle_is_refused_where_a_key_is_configured() {
    let unsigned = || Pack::new().file("data.json", DATA);
    assert!(unsigned().read().is_ok());
    assert_eq!(why(read(unsigned(), secret())), SignatureError::Missing);
    for (signatures, error) in [
        (json!({}), SignatureError::NotOne),
        (json!({"signatures": []}), SignatureError::NotOne),
        (json!({"signatures": null}), SignatureError::NotOne),
        (json!({"signatures": [7]}), SignatureError::NotOne),
        (
            json!({"signatures": [token(&json!({"files": files()})), "x"]}),
            SignatureError::NotOne,
        ),
        (
            json!({"signatures": [token(&json!({"files": files()}))], "plugin": "mine"}),
            SignatureError::Plugin,
        ),
    ] {
        assert_eq!(why(read(pack(&signatures), secret())), error);
    }
    let mess = Pack::new()
        .file("data.json", DATA)
        .file(".signatures.json", "x");
    assert!(matches!(why(read(mess, secret())), SignatureError::File(_)));
    let long = Pack::new()
        .file("data.json", DATA)
        .file(".signatures.json", " ".repeat(2 * 1024 * 1024 + 1));
    let mut limits = Limits::default();
    limits.ratio = usize::MAX;
    let reader = BundleReader::verified(secret()).limits(limits);
    let refused = why(reader.read(&long.pack()));
    assert!(matches!(refused, SignatureError::TooLong { .. }));
}

#[test]
fn rule57_no_key_id_leads_to_a_weaker_path() {
    let claims = json!({"files": files()});
    assert!(under(&token(&claims)).is_ok());
    for id in [json!("other"), json!(""), json!(7), Value::Null] {
        let named = json!({"files": files(), "keyid": id});
        assert!(under(&token(&named)).is_ok(), "{id}");
    }
    for header in [
        json!({"alg": "HS256", "kid": "unknown"}),
        json!({"alg": "HS256", "kid": "default", "jwk": {"kty": "oct", "k": "AA"}}),
    ] {
        assert!(under(&jws(&header, &claims, mac)).is_ok(), "{header}");
        let forged = jws(&header, &claims, |_| vec![7; 32]);
        assert_eq!(why(under(&forged)), SignatureError::Wrong, "{header}");
    }
}

#[test]
fn rule62_the_key_decides_the_algorithm() {
    let claims = json!({"files": files()});
    for alg in ["none", "None", "", "HS384", "HS512", "RS256", "EdDSA"] {
        for signature in [Vec::new(), mac(b"")] {
            let forged = jws(&json!({"alg": alg}), &claims, |_| signature.clone());
            assert_eq!(why(under(&forged)), SignatureError::Algorithm, "{alg}");
        }
        let macked = jws(&json!({"alg": alg}), &claims, mac);
        assert_eq!(why(under(&macked)), SignatureError::Algorithm, "{alg}");
    }
    for header in [
        json!({}),
        json!({"alg": "HS256", "crit": ["x"]}),
        json!({"alg": "HS256", "b64": false}),
    ] {
        let refused = why(under(&jws(&header, &claims, mac)));
        assert!(matches!(refused, SignatureError::Token(_)), "{header}");
    }

    // A MAC keyed with a public key, which everybody has.
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("pair");
    let jwk = jwk(pair.public_key().as_ref());
    let by = || Verification::new(VerificationKey::from_jwk(jwk.as_bytes()).expect("key"));
    let sign = |message: &[u8]| {
        let signature = pair.sign(&SystemRandom::new(), message).expect("signature");
        signature.as_ref().to_vec()
    };
    let good = jws(&json!({"alg": "ES256"}), &claims, sign);
    assert!(read(pack(&json!({"signatures": [good]})), by()).is_ok());
    for material in [jwk.as_bytes(), pair.public_key().as_ref()] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, material);
        let keyed = |message: &[u8]| hmac::sign(&key, message).as_ref().to_vec();
        for alg in ["HS256", "ES256"] {
            let forged = jws(&json!({"alg": alg}), &claims, keyed);
            let refused = read(pack(&json!({"signatures": [forged]})), by());
            assert!(refused.is_err(), "{alg}");
        }
    }
}

fn jwk(point: &[u8]) -> String {
    let text = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
    json!({"kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..65])})
        .to_string()
}

#[test]
fn rule57_every_file_is_covered() {
    let claims = json!({"files": files()});
    let token = token(&claims);
    let signed = || json!({"signatures": [token]});
    let more = |path: &str| read(pack(&signed()).file(path, "x"), secret());
    for path in ["b.rego", "README.md", "b/data.json", "policy.wasm"] {
        assert_eq!(
            why(more(path)),
            SignatureError::NotListed(path.into()),
            "{path}"
        );
    }
    for (manifest, data, policy, altered) in [
        (r#"{"revision": "8"}"#, DATA, POLICY, ".manifest"),
        (MANIFEST, r#"{"a": 2}"#, POLICY, "data.json"),
        (MANIFEST, "{", POLICY, "data.json"),
        (MANIFEST, DATA, "package a\n\n", "a.rego"),
    ] {
        let pack = Pack::new()
            .file(".manifest", manifest)
            .file("data.json", data)
            .file("a.rego", policy)
            .file(".signatures.json", signed().to_string());
        assert_eq!(
            why(read(pack, secret())),
            SignatureError::Altered(altered.into())
        );
    }
    // Blanks and the order of members are no content of a document.
    let pack = Pack::new()
        .file(".manifest", "{\"revision\":\n\"7\"}")
        .file("./data.json", r#"{"\u0061":1}"#)
        .file("a.rego", POLICY)
        .file(".signatures.json", signed().to_string());
    assert!(read(pack, secret()).is_ok());
    let less = Pack::new()
        .file(".manifest", MANIFEST)
        .file("data.json", DATA)
        .file(".signatures.json", signed().to_string());
    assert_eq!(
        why(read(less, secret())),
        SignatureError::Absent("a.rego".into())
    );
}

/// With a signature that is good, of another's bundle: what is parsed for its digest is short before it is.
#[test]
fn rule57_what_is_too_long_is_not_parsed_for_its_digest() {
    let genuine = json!({"signatures": [token(&json!({"files": files()}))]}).to_string();
    let read = |manifest: &str, data: &str| {
        let mut limits = Limits::default();
        limits.json_bytes = 1024;
        let pack = Pack::new()
            .file("/.manifest", manifest)
            .file("/data.json", data)
            .file("/a.rego", POLICY)
            .file("/.signatures.json", &genuine);
        let reader = BundleReader::verified(secret()).limits(limits);
        reader.read(&pack.pack())
    };
    assert!(read(MANIFEST, DATA).is_ok());
    let zeros = |len: usize| format!("[0{}]", ",0".repeat(len / 2));
    let altered = SignatureError::Altered("data.json".into());
    assert_eq!(why(read(MANIFEST, &zeros(1000))), altered);
    let refused = read(MANIFEST, &zeros(2048)).expect_err("too long");
    assert_eq!(refused, BundleError::JsonTooLong { most: 1024 });
    let manifest = zeros(MAX_MANIFEST_BYTES);
    let refused = read(&manifest, DATA).expect_err("too long");
    let bytes = manifest.len();
    assert_eq!(refused, ManifestError::TooLong { bytes }.into());
}

#[test]
fn what_a_signature_lists_is_plain() {
    let with = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut files = files();
        change(&mut files);
        under(&token(&json!({ "files": files })))
    };
    let twice = with(&|files| files.push(files[0].clone()));
    assert_eq!(why(twice), SignatureError::ListedTwice(".manifest".into()));
    let again = with(&|files| {
        let mut other = files[0].clone();
        other["name"] = json!("/.manifest");
        files.push(other);
    });
    assert_eq!(why(again), SignatureError::ListedTwice(".manifest".into()));
    for weak in [
        json!("MD5"),
        json!("SHA-1"),
        json!("SHA-224"),
        json!(""),
        Value::Null,
    ] {
        let weak = with(&|files| files[2]["algorithm"] = weak.clone());
        assert_eq!(why(weak), SignatureError::Digest("a.rego".into()));
    }
    let other = with(&|files| {
        let octets = digest(&SHA512_256, POLICY.as_bytes());
        let hex: String = octets
            .as_ref()
            .iter()
            .map(|it| format!("{it:02X}"))
            .collect();
        files[2]["hash"] = json!(hex);
        files[2]["algorithm"] = json!("SHA-512-256");
    });
    assert!(other.is_ok());
    for (name, value) in [
        ("name", json!("../a.rego")),
        ("name", json!(7)),
        ("hash", json!("0")),
        ("hash", json!("zz")),
        ("hash", Value::Null),
    ] {
        let refused = why(with(&|files| files[2][name] = value.clone()));
        assert_eq!(refused, SignatureError::Claims("files"), "{name} {value}");
    }
    for hash in ["", "00"] {
        let short = why(with(&|files| files[2]["hash"] = json!(hash)));
        assert_eq!(short, SignatureError::Altered("a.rego".into()));
    }
    for claims in [json!({}), json!({"files": {}}), json!({"files": ["a"]})] {
        assert_eq!(why(under(&token(&claims))), SignatureError::Claims("files"));
    }
}

#[test]
fn the_scope_is_the_configured_one() {
    let scoped = |scope: Value, by: Verification| {
        let token = token(&json!({"files": files(), "scope": scope}));
        read(pack(&json!({"signatures": [token]})), by)
    };
    assert!(scoped(json!("read"), secret().scope("read")).is_ok());
    assert!(scoped(Value::Null, secret()).is_ok());
    assert!(scoped(json!(""), secret()).is_ok());
    for (scope, by) in [
        (json!("write"), secret().scope("read")),
        (json!("read "), secret().scope("read")),
        (Value::Null, secret().scope("read")),
        (json!("read"), secret()),
    ] {
        assert_eq!(why(scoped(scope, by)), SignatureError::Scope);
    }
    assert_eq!(
        why(scoped(json!(7), secret())),
        SignatureError::Claims("scope")
    );
}

#[test]
fn one_of_several_keys_is_enough_while_they_are_exchanged() {
    let other = VerificationKey::from_secret(SigningAlgorithm::Hs256, &[8; 32]).expect("key");
    let signed = pack(&json!({"signatures": [token(&json!({"files": files()}))]})).pack();
    let of = |by| BundleReader::verified(by).read(&signed);
    assert_eq!(
        why(of(Verification::new(other.clone()))),
        SignatureError::Wrong
    );
    let right = VerificationKey::from_secret(SigningAlgorithm::Hs256, SECRET).expect("key");
    assert!(of(Verification::new(other).or(right)).is_ok());
}

#[test]
fn rule62_a_key_is_of_the_kind_of_its_algorithm() {
    let rsa = include_bytes!("opa/rsa.pub.pem");
    let es256 = include_bytes!("opa/es256.pub.pem");
    let pem = VerificationKey::from_pem;
    assert!(pem(SigningAlgorithm::Ps384, rsa).is_ok());
    for (algorithm, key) in [
        (SigningAlgorithm::Es256, &rsa[..]),
        (SigningAlgorithm::Rs256, es256),
        (SigningAlgorithm::Es384, es256),
        (SigningAlgorithm::Hs256, rsa),
        (SigningAlgorithm::Rs256, b""),
        (SigningAlgorithm::Rs256, b"secret"),
        (SigningAlgorithm::Es256, &[&es256[..], &es256[..]].concat()),
    ] {
        assert!(pem(algorithm, key).is_err(), "{algorithm:?}");
    }
    let secret = VerificationKey::from_secret;
    assert!(secret(SigningAlgorithm::Hs512, &[7; 64]).is_ok());
    for (algorithm, octets) in [
        (SigningAlgorithm::Hs256, &[7; 31][..]),
        (SigningAlgorithm::Hs384, &[7; 47]),
        (SigningAlgorithm::Hs512, &[7; 63]),
        (SigningAlgorithm::Hs256, rsa),
        (SigningAlgorithm::Rs256, &[7; 64]),
        (SigningAlgorithm::Es256, &[7; 64]),
    ] {
        assert!(secret(algorithm, octets).is_err(), "{algorithm:?}");
    }
    for jwk in [
        r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        "[]",
        "",
    ] {
        assert!(VerificationKey::from_jwk(jwk.as_bytes()).is_err(), "{jwk}");
    }
    assert!("none".parse::<SigningAlgorithm>().is_err());
    assert!("HS256".parse::<SigningAlgorithm>().is_ok());
    let shown = format!("{:?}", secret(SigningAlgorithm::Hs256, &[b'x'; 32]));
    assert!(!shown.contains("xx"), "{shown}");
}
