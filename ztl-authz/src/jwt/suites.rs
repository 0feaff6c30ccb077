//! Tables of others: signatures of Wycheproof, the examples of RFC 7520, tokens of Istio. `tests/suites/README.md` says from where.

use serde_json::Value;
use ztl_core::Timestamp;

use super::{Issuer, Jwks, TokenError, TokenVerifier, compact::Compact};
use crate::tally::{Counts, Stands, Tally};

const EXCEPTIONS: &str = include_str!("../../tests/suites/exceptions.toml");
/// 2030: every token of the tables that is good for years is good.
const NOW: Timestamp = Timestamp::from_unix_secs(1_900_000_000);

fn rows(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().expect("a text")
}

/// The exceptions of one table.
fn tally(table: &str) -> Tally {
    Tally::new(&exceptions(table))
}

fn exceptions(table: &str) -> String {
    let all: toml::Table = EXCEPTIONS.parse().expect("TOML");
    let own = all.get(table).cloned();
    let own = own.unwrap_or(toml::Value::Table(toml::Table::new()));
    toml::to_string(&own).expect("TOML")
}

/// Form, key and signature, by the code that every token takes. The payload may be anything.
fn signature(jws: &str, keys: &Jwks) -> Result<(), TokenError> {
    let token = Compact::parse(jws)?;
    let key = keys.key(token.header.kid.as_deref(), NOW)?;
    if token.header.alg != key.alg() {
        return Err(TokenError::WrongAlgorithm);
    }
    if !key.verifies(token.signed, &token.signature) {
        return Err(TokenError::BadSignature);
    }
    Ok(())
}

/// What becomes of a JWS beside a key set: `valid`, or `refused: ` and why.
fn answer(jws: &str, set: &Value) -> String {
    let keys = match Jwks::from_json(set.to_string().as_bytes()) {
        Ok(keys) => keys,
        Err(error) => return refused(jws, set, &error.to_string()),
    };
    // As a token it is refused, whatever the signature: `foo` is no claims.
    let issuer = Issuer::access_tokens("them", "them", "us", keys.clone());
    let verifier = TokenVerifier::builder().issuer(issuer).build();
    let taken = verifier.expect("verifier").verify(jws, NOW).is_ok();
    assert!(!taken, "{jws}");
    match signature(jws, &keys) {
        Ok(()) => "valid".to_owned(),
        Err(error) => refused(jws, set, error.code()),
    }
}

/// Why it is refused, by what it is and what its keys are, where one of these rules says so; else as the code has it.
fn refused(jws: &str, set: &Value, code: &str) -> String {
    let keys = set["keys"].as_array().map_or(&[][..], Vec::as_slice);
    let is_symmetric = |key: &Value| key["kty"] == "oct";
    let asymmetric: Vec<_> = keys.iter().filter(|key| !is_symmetric(key)).collect();
    let unregistered = |key: &&Value| {
        let alg = key["alg"].as_str();
        alg.is_some_and(|alg| !SIGNATURES.contains(&alg))
    };
    let alg = Compact::parse(jws).map(|token| token.header.alg);
    let alg = alg.as_ref().map_or("", String::as_str);
    let why = match jws.matches('.').count() {
        2 if jws.contains("..") => "detached",
        2 if alg.starts_with("HS") || asymmetric.is_empty() => "symmetric_key",
        2 if asymmetric.iter().all(unregistered) => "unregistered_alg",
        2 if alg != "RS256"
            && asymmetric
                .iter()
                .all(|key| key["kty"] == "RSA" && key["alg"].is_null()) =>
        {
            "rsa_without_alg"
        }
        2 | 4 => code,
        _ => "not_compact",
    };
    format!("refused: {why}")
}

/// The algorithms that sign JWS with a private key (RFC 7518 §3.1, RFC 8037 §3.1, RFC 8812 §3.2, RFC 9864 §2.2).
const SIGNATURES: [&str; 13] = [
    "ES256", "ES256K", "ES384", "ES512", "Ed25519", "Ed448", "EdDSA", "PS256", "PS384", "PS512",
    "RS256", "RS384", "RS512",
];

/// One row. Refused here and there agrees, for whatever reason.
fn row(tally: &mut Tally, id: &str, theirs: &str, ours: &str) {
    let (theirs, stands) = match (theirs, ours) {
        ("invalid", "valid") => (theirs, Stands::Looser),
        ("invalid", refused) => (refused, Stands::Stricter),
        (theirs, _) => (theirs, Stands::Stricter),
    };
    tally.row(id, theirs, ours, stands);
}

#[test]
fn wycheproof_signatures() {
    let table = rows(include_str!("../../tests/suites/wycheproof_jws.json"));
    let mut tally = tally("wycheproof");
    for case in table["rows"].as_array().expect("rows") {
        let at = usize::try_from(case["keys"].as_u64().expect("number")).expect("small");
        let ours = answer(text(case, "jws"), &table["keys"][at]);
        match text(case, "expect") {
            theirs @ ("valid" | "invalid") => row(&mut tally, text(case, "id"), theirs, &ours),
            other => tally.unread(text(case, "id"), "expectation", other),
        }
    }
    let expected = Counts {
        agree: 203,
        stricter: 12,
        ..Counts::default()
    };
    tally.finish("Wycheproof", expected);
    // The row with a mixed set has a MAC for its token; the set is refused whatever the token.
    let mut rows = table["rows"].as_array().expect("rows").iter();
    let mixed = rows.find(|case| case["id"] == "wycheproof:json_web_crypto:47");
    let at = mixed.expect("a row")["keys"].as_u64().expect("number");
    let mixed = &table["keys"][usize::try_from(at).expect("small")];
    assert_eq!(mixed["keys"].as_array().map(Vec::len), Some(2));
    assert!(Jwks::from_json(mixed.to_string().as_bytes()).is_err());
}

#[test]
fn rfc7520_examples() {
    let table = rows(include_str!("../../tests/suites/rfc7520.json"));
    // A key is symmetric here as there.
    let mut tally = tally("rfc7520").with_rules_of(&exceptions("wycheproof"));
    for case in table.as_array().expect("rows") {
        let keys = serde_json::json!({ "keys": [case["key"]] });
        let ours = answer(text(case, "token"), &keys);
        row(&mut tally, text(case, "id"), "valid", &ours);
    }
    let expected = Counts {
        agree: 0,
        stricter: 7,
        ..Counts::default()
    };
    tally.finish("RFC 7520", expected);
}

#[test]
fn istio_tokens() {
    let table = rows(include_str!("../../tests/suites/istio.json"));
    let keys = Jwks::from_json(table["jwks"].to_string().as_bytes()).expect("keys");
    let issuer = |name, iss| Issuer::access_tokens(name, iss, "foo", keys.clone());
    let verifier = TokenVerifier::builder()
        .issuer(issuer("one", "test-issuer-1@istio.io"))
        .issuer(issuer("two", "test-issuer-2@istio.io"))
        .build()
        .expect("verifier");
    let mut tally = tally("istio");
    for row in table["rows"].as_array().expect("rows") {
        let token = text(row, "token");
        assert_eq!(signature(token, &keys), Ok(()), "{}", text(row, "id"));
        let ours = match verifier.verify(token, NOW) {
            Ok(claims) => {
                assert_eq!(Value::Object(claims.as_map().clone()), row["claims"]);
                "valid".to_owned()
            }
            Err(TokenError::MissingClaim(claim)) => format!("refused: no {claim}"),
            Err(error) => format!("refused: {}", error.code()),
        };
        tally.row(text(row, "id"), "valid", &ours, Stands::Stricter);
    }
    let expected = Counts {
        agree: 1,
        stricter: 4,
        ..Counts::default()
    };
    tally.finish("Istio", expected);
}
