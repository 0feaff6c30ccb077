//! What a key set may hold (rules 62, 63).

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
const Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";

fn ec(kid: &str) -> Value {
    json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": X, "y": Y })
}

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

/// An RSA key of 2048 bits: 256 octets, odd, the first bit set.
fn rsa() -> Value {
    json!({ "kty": "RSA", "kid": "r", "e": "AQAB", "n": format!("{}w", "w".repeat(341)) })
}

/// `key` with members set, or taken away by a null.
fn with(mut key: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().expect("members") {
        match value {
            Value::Null => key.as_object_mut().expect("key").remove(name),
            value => key
                .as_object_mut()
                .expect("key")
                .insert(name.clone(), value.clone()),
        };
    }
    key
}

fn read(keys: &[Value]) -> Result<Jwks, JwksError> {
    Jwks::from_json(json!({ "keys": keys }).to_string().as_bytes())
}

/// The algorithm of the only key; `None` where it is left out.
fn alg(key: Value) -> Option<&'static str> {
    match read(&[key]) {
        Ok(set) => Some(set.keys[0].alg()),
        Err(JwksError::NoUsableKey { keys: 1 }) => None,
        Err(other) => panic!("{other}"),
    }
}

fn key_error(key: Value) -> KeyError {
    match read(&[key]) {
        Err(JwksError::Key {
            index: 0, error, ..
        }) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rule62_the_key_decides_its_one_algorithm() {
    assert_eq!(alg(ec("a")), Some("ES256"));
    assert_eq!(alg(rsa()), Some("RS256"));
    for name in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        assert_eq!(alg(with(rsa(), &json!({ "alg": name }))), Some(name));
    }
    let long = "A".repeat(64);
    let p384 = json!({ "kty": "EC", "crv": "P-384", "x": long, "y": long });
    assert_eq!(alg(p384), Some("ES384"));
    // RFC 7520 §3.1.
    let p521 = json!({
        "kty": "EC", "crv": "P-521",
        "x": "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
        "y": "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1",
    });
    assert_eq!(alg(p521.clone()), Some("ES512"));
    let off = with(p521, &json!({ "y": format!("AA{}", "A".repeat(86)) }));
    assert_eq!(key_error(off), KeyError::Member("x"));
    let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": X });
    assert_eq!(alg(ed.clone()), Some("EdDSA"));
    assert_eq!(alg(with(ed, &json!({ "alg": "Ed25519" }))), Some("Ed25519"));
}

#[test]
fn rule62_a_key_that_is_not_for_signatures_is_left_out() {
    for key in [
        with(ec("a"), &json!({ "use": "enc" })),
        with(ec("a"), &json!({ "use": "SIG" })),
        with(ec("a"), &json!({ "key_ops": ["sign"] })),
        with(ec("a"), &json!({ "key_ops": [] })),
        with(ec("a"), &json!({ "alg": "ECDH-ES" })),
        with(ec("a"), &json!({ "alg": "ES384" })),
        with(ec("a"), &json!({ "alg": "HS256" })),
        with(ec("a"), &json!({ "alg": "none" })),
        with(ec("a"), &json!({ "crv": "secp256k1" })),
        with(ec("a"), &json!({ "crv": null })),
        with(rsa(), &json!({ "alg": "RSA-OAEP" })),
        with(rsa(), &json!({ "alg": "HS256" })),
        with(rsa(), &json!({ "alg": "ES256" })),
        json!({ "kty": "OKP", "crv": "X25519", "x": X }),
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": X }),
    ] {
        assert_eq!(alg(key.clone()), None, "{key}");
    }
    let fine = with(
        ec("a"),
        &json!({ "use": "sig", "key_ops": ["verify"], "alg": "ES256" }),
    );
    assert_eq!(alg(fine), Some("ES256"));
}

#[test]
fn rule62_a_symmetric_key_is_never_used() {
    // Without its secret it is only spoken of.
    let oct = json!({ "kty": "oct", "kid": "s", "alg": "HS256" });
    assert_eq!(alg(oct.clone()), None);
    let set = read(&[oct, ec("a")]).expect("one is usable");
    assert_eq!(set.key_count(), 1);
    assert_eq!(set.key(Some("s"), NOW).err(), Some(TokenError::UnknownKey));
}

#[test]
fn a_private_key_refuses_the_set() {
    for key in [
        ec("a"),
        rsa(),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": X }),
    ] {
        let error = key_error(with(key, &json!({ "d": X })));
        assert_eq!(error, KeyError::Private("d"));
    }
    // One prime factors the modulus, and the others give a prime away.
    for part in ["p", "q", "dp", "dq", "qi", "oth"] {
        let error = key_error(with(rsa(), &json!({ part: X })));
        assert_eq!(error, KeyError::Private(part));
    }
}

#[test]
fn rule62_a_secret_in_a_set_refuses_the_keys_beside_it() {
    let oct = json!({ "kty": "oct", "kid": "s", "alg": "HS256", "k": "c2VjcmV0" });
    let refused = read(&[ec("a"), oct]).expect_err("whoever read it can sign");
    assert_eq!(
        refused.to_string(),
        "key 1 (`kid` `s`) of the set is refused: it holds a private key or a shared secret (`k`): whoever read this set can sign; \
         withdraw the key and publish public parts only, of which a symmetric key has none"
    );
    // Of whatever kind and use it is, and under whatever name.
    for (part, key) in [
        ("k", json!({ "kty": "oct", "use": "enc", "k": "" })),
        ("d", json!({ "kty": "ROT13", "d": X })),
        ("d", json!({ "d": X })),
        (
            "priv",
            json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": X, "priv": X }),
        ),
        ("d", with(ec("b"), &json!({ "use": "enc", "d": X }))),
    ] {
        let (index, kid) = (1, key["kid"].as_str().map(Into::into));
        let error = KeyError::Private(part);
        let expected = JwksError::Key { index, kid, error };
        assert_eq!(read(&[ec("a"), key]).err(), Some(expected), "{part}");
    }
    let hostile = format!("a`\n{}", "é".repeat(1000));
    let refused = read(&[json!({ "kty": "oct", "kid": hostile, "k": "" })]).expect_err("secret");
    let text = refused.to_string();
    assert!(
        text.starts_with("key 0 (`kid` `a`\\né") && text.len() < 400,
        "{text}"
    );
}

#[test]
fn a_malformed_key_refuses_the_set() {
    for (name, key) in [
        ("kty", with(ec("a"), &json!({ "kty": null }))),
        ("kty", with(ec("a"), &json!({ "kty": 1 }))),
        ("x", with(ec("a"), &json!({ "x": null }))),
        ("x", with(ec("a"), &json!({ "x": "AAAA" }))),
        ("y", with(ec("a"), &json!({ "y": format!("{Y}=") }))),
        (
            "y",
            with(
                ec("a"),
                &json!({ "y": Y.replace('-', "+").replace('E', "/") }),
            ),
        ),
        ("kid", with(ec("a"), &json!({ "kid": 7 }))),
        ("use", with(ec("a"), &json!({ "use": ["sig"] }))),
        ("alg", with(ec("a"), &json!({ "alg": {} }))),
        ("key_ops", with(ec("a"), &json!({ "key_ops": "verify" }))),
        ("n", with(rsa(), &json!({ "n": null }))),
        ("e", with(rsa(), &json!({ "e": "" }))),
    ] {
        assert_eq!(key_error(key.clone()), KeyError::Member(name), "{key}");
    }
    assert_eq!(key_error(json!("key")), KeyError::NotAnObject);
}

#[test]
fn rule62_a_weak_rsa_key_refuses_the_set() {
    let short = with(rsa(), &json!({ "n": format!("{}w", "w".repeat(170)) }));
    assert_eq!(key_error(short), KeyError::RsaTooShort { bits: 1024 });
    assert_eq!(
        key_error(with(rsa(), &json!({ "e": "AQ" }))),
        KeyError::RsaExponent
    );
}

#[test]
fn rule62_a_kid_names_one_key() {
    assert_eq!(
        read(&[ec("a"), ec("b"), ec("a")]).err(),
        Some(JwksError::DuplicateKeyId { index: 2 })
    );
    let unnamed = with(ec("a"), &json!({ "kid": null }));
    let set = read(&[unnamed.clone(), unnamed.clone(), ec("c")]).expect("set");
    assert_eq!(set.key(None, NOW).err(), Some(TokenError::NoKeyId));
    assert_eq!(set.key(Some(""), NOW).err(), Some(TokenError::UnknownKey));
    assert!(set.key(Some("c"), NOW).is_ok());
    let single = read(&[unnamed]).expect("set");
    assert!(single.key(None, NOW).is_ok());
    assert_eq!(
        single.key(Some("a"), NOW).err(),
        Some(TokenError::UnknownKey)
    );
}

#[test]
fn rule63_a_set_is_bounded() {
    let blanks = vec![b' '; MAX_JWKS_BYTES + 1];
    assert_eq!(
        Jwks::from_json(&blanks).err(),
        Some(JwksError::TooLong {
            bytes: MAX_JWKS_BYTES + 1
        })
    );
    let keys: Vec<_> = (0..=MAX_KEYS).map(|n| ec(&n.to_string())).collect();
    assert_eq!(read(&keys).err(), Some(JwksError::TooManyKeys { keys: 65 }));
    assert_eq!(read(&keys[1..]).map(|set| set.key_count()), Ok(MAX_KEYS));
}

#[test]
fn rule63_a_set_without_a_usable_key_is_an_error() {
    assert_eq!(read(&[]).err(), Some(JwksError::NoUsableKey { keys: 0 }));
    for json in ["{}", r#"{"keys":{}}"#, r#"{"keys":null}"#] {
        assert_eq!(
            Jwks::from_json(json.as_bytes()).err(),
            Some(JwksError::NoList),
            "{json}"
        );
    }
    for json in ["", "[]", "null", "{\"keys\":[]", "<html>"] {
        assert!(
            matches!(Jwks::from_json(json.as_bytes()), Err(JwksError::Json { line, .. }) if line <= 1),
            "{json}"
        );
    }
}

#[test]
fn rule22_a_member_name_twice_refuses_the_set() {
    for json in [
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","kty":"EC"}]}"#,
        r#"{"keys":[{"kty":"oct","ext":{"a":1,"a":1}}]}"#,
    ] {
        assert!(
            matches!(
                Jwks::from_json(json.as_bytes()),
                Err(JwksError::DuplicateMember { .. })
            ),
            "{json}"
        );
    }
    let deep = format!(r#"{{"keys":{}{}}}"#, "[".repeat(20), "]".repeat(20));
    assert!(matches!(
        Jwks::from_json(deep.as_bytes()),
        Err(JwksError::TooDeep { .. })
    ));
}

#[test]
fn certificates_and_addresses_in_a_key_are_not_read() {
    let key = with(
        ec("a"),
        &json!({ "x5c": ["no certificate"], "x5u": "http://127.0.0.1/", "jku": 5, "x5t": {} }),
    );
    assert_eq!(alg(key), Some("ES256"));
}

#[test]
fn debug_shows_no_key() {
    let shown = format!("{:?}", read(&[ec("secret-kid")]).expect("set"));
    assert_eq!(shown, "Jwks { key_count: 1, .. }");
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Jwks::from_json(&bytes).is_err());
    }

    #[test]
    fn any_key_is_answered(name in "[a-z]{1,7}", value in ".{0,40}", number in any::<i64>()) {
        let changed = [with(ec("a"), &json!({ name.clone(): value })), with(rsa(), &json!({ name: number }))];
        for key in changed {
            if let Ok(set) = read(&[key]) {
                prop_assert_eq!(set.key_count(), 1);
            }
        }
    }
}
