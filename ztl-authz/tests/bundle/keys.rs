//! Which keys in PEM are fit to trust: those that are as a JWK (rule 62).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use ztl_authz::bundle::{SigningAlgorithm, VerificationKey, VerificationKeyError};
use ztl_authz::jwt::KeyError;

/// An element of DER (X.690 §8.1).
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("short");
    let [high, low] = length.to_be_bytes();
    let mut der = match length {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    der.extend(content);
    der
}

fn integer(number: &[u8]) -> Vec<u8> {
    let sign = number.first().filter(|first| **first > 0x7f).map(|_| 0);
    let content: Vec<u8> = sign.into_iter().chain(number.iter().copied()).collect();
    element(0x02, &content)
}

/// A `SubjectPublicKeyInfo` of `rsaEncryption` (RFC 3279 §2.3.1).
fn pem(modulus: &[u8], exponent: &[u8]) -> String {
    let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    let algorithm = [element(0x06, &oid), element(0x05, &[])].concat();
    let key = [integer(modulus), integer(exponent)].concat();
    let bits = [&[0][..], &element(0x30, &key)].concat();
    let info = [element(0x30, &algorithm), element(0x03, &bits)].concat();
    let text = STANDARD.encode(element(0x30, &info));
    let (begin, end) = ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----");
    format!("{begin}\n{text}\n{end}\n")
}

/// The key of a row of Wycheproof.
fn of_row(id: &str) -> Value {
    let table = include_str!("../suites/wycheproof_jws.json");
    let table: Value = serde_json::from_str(table).expect("JSON");
    let mut rows = table["rows"].as_array().expect("rows").iter();
    let row = rows.find(|row| row["id"] == id).expect("a row");
    let at = usize::try_from(row["keys"].as_u64().expect("number")).expect("small");
    table["keys"][at]["keys"][0].clone()
}

fn octets(key: &Value, member: &str) -> Vec<u8> {
    let text = key[member].as_str().expect("a text");
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

#[test]
fn rule62_a_key_in_pem_is_as_fit_as_one_in_a_jwk() {
    let good = of_row("wycheproof:json_web_signature:259");
    let marked = of_row("wycheproof:json_web_crypto:46");
    let (n, f4) = (octets(&good, "n"), octets(&good, "e"));
    let mut even = n.clone();
    *even.last_mut().expect("octets") &= 0xfe;
    for (modulus, exponent, refused) in [
        (&n[..], &f4[..], None),
        (&octets(&marked, "n"), &f4, Some(KeyError::RsaWeak)),
        (&even, &f4, Some(KeyError::RsaWeak)),
        (&n, &[1], Some(KeyError::RsaExponent)),
        (&n[..128], &f4, Some(KeyError::RsaTooShort { bits: 1024 })),
    ] {
        for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Ps512] {
            let read = VerificationKey::from_pem(algorithm, pem(modulus, exponent).as_bytes());
            let refused = refused.clone().map(VerificationKeyError::Refused);
            assert_eq!(read.err(), refused);
        }
    }
    assert_eq!(
        VerificationKey::from_jwk(marked.to_string().as_bytes()).err(),
        Some(VerificationKeyError::Refused(KeyError::RsaWeak))
    );
    // What is cut off, wherever, is no key.
    let whole = pem(&n, &f4);
    let der = STANDARD
        .decode(whole.lines().nth(1).expect("text"))
        .expect("base64");
    for len in 0..der.len() {
        let text = STANDARD.encode(&der[..len]);
        let cut = whole.replace(whole.lines().nth(1).expect("text"), &text);
        assert!(VerificationKey::from_pem(SigningAlgorithm::Rs256, cut.as_bytes()).is_err());
    }
}
