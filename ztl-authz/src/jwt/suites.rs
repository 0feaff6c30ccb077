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
    let all: toml::Table = EXCEPTIONS.parse().expect("TOML");
    let own = all.get(table).cloned();
    let own = own.unwrap_or(toml::Value::Table(toml::Table::new()));
    Tally::new(&toml::to_string(&own).expect("TOML"))
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

/// What becomes of a JWS beside a key set, in one word.
fn answer(jws: &str, keys: &str) -> &'static str {
    let Ok(keys) = Jwks::from_json(keys.as_bytes()) else {
        return "key set refused";
    };
    // As a token it is refused, whatever the signature: `foo` is no claims.
    let issuer = Issuer::access_tokens("them", "them", "us", keys.clone());
    let verifier = TokenVerifier::builder().issuer(issuer).build();
    let taken = verifier.expect("verifier").verify(jws, NOW).is_ok();
    assert!(!taken, "{jws}");
    match signature(jws, &keys) {
        Ok(()) => "valid",
        Err(error) => error.code(),
    }
}

/// Refused here and there, for whatever reason.
fn alike<'a>(theirs: &'a str, ours: &'a str) -> &'a str {
    if theirs == "invalid" && ours != "valid" {
        theirs
    } else {
        ours
    }
}

#[test]
fn wycheproof_signatures() {
    let table = rows(include_str!("../../tests/suites/wycheproof_jws.json"));
    let mut tally = tally("wycheproof");
    for row in table["rows"].as_array().expect("rows") {
        let at = usize::try_from(row["keys"].as_u64().expect("number")).expect("small");
        let theirs = text(row, "expect");
        let ours = answer(text(row, "jws"), &table["keys"][at].to_string());
        let stands = match ours {
            "valid" => Stands::Looser,
            _ => Stands::Stricter,
        };
        tally.row(text(row, "id"), theirs, alike(theirs, ours), stands);
    }
    let expected = Counts {
        agree: 203,
        stricter: 12,
        ..Counts::default()
    };
    tally.finish("Wycheproof", expected);
}

#[test]
fn rfc7520_examples() {
    let table = rows(include_str!("../../tests/suites/rfc7520.json"));
    let mut tally = tally("rfc7520");
    for row in table.as_array().expect("rows") {
        let keys = format!(r#"{{"keys":[{}]}}"#, row["key"]);
        let ours = answer(text(row, "token"), &keys);
        tally.row(text(row, "id"), "valid", ours, Stands::Stricter);
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
                "valid"
            }
            Err(error) => error.code(),
        };
        tally.row(text(row, "id"), "valid", ours, Stands::Stricter);
    }
    let expected = Counts {
        agree: 1,
        stricter: 4,
        ..Counts::default()
    };
    tally.finish("Istio", expected);
}
