//! JWT-SVIDs as go-spiffe tests them (`TestParseAndValidate`): a good one with one thing changed. `tests/suites/README.md` says
//! from where.

use serde_json::{Map, Value, json};
use ztl_authz::jwt::{Issuer, Jwks, TokenVerifier};
use ztl_core::TrustDomain;

use crate::support::*;
use crate::tally::{Counts, Stands, Tally};

/// What is changed.
struct Scenario {
    header: Value,
    claims: Value,
    audience: String,
    keys: Jwks,
    signed: Signed,
}

#[derive(PartialEq, Eq)]
enum Signed {
    Well,
    /// By another key, or over another text.
    Otherwise,
    /// A token that came whole.
    Whole(String),
}

impl Scenario {
    fn good() -> Self {
        let mut key = jwk("ES256");
        key["use"] = "jwt-svid".into();
        Self {
            header: json!({ "alg": "ES256", "kid": "ES256", "typ": "JWT" }),
            claims: json!({ "sub": "spiffe://prod.example/router", "aud": [AUD], "exp": NOW + 300 }),
            audience: AUD.to_owned(),
            keys: Jwks::from_jwt_authorities([key.to_string().as_str()]).expect("keys"),
            signed: Signed::Well,
        }
    }

    /// By the names of what a row changes; `Err` of one that is not known here.
    fn changed(mutation: &Map<String, Value>) -> Result<Self, &str> {
        let mut scenario = Self::good();
        for (name, value) in mutation {
            let member = json!({ name: value });
            match name.as_str() {
                "token" => {
                    scenario.signed = Signed::Whole(value.as_str().expect("a token").to_owned());
                }
                "set" | "claims" => scenario.claims = with(scenario.claims, &at_times(value)),
                "unset" | "remove" | "delete" | "drop" | "without" => {
                    for claim in texts(value) {
                        scenario.claims = with(scenario.claims, &json!({ claim: null }));
                    }
                }
                "header" => scenario.header = with(scenario.header, value),
                "alg" | "kid" | "typ" => scenario.header = with(scenario.header, &member),
                "aud" | "audience" | "audiences" => {
                    scenario.audience = texts(value).first().expect("an audience").clone();
                }
                "key" | "sign_with" | "signed_by" | "signature" | "tamper" => {
                    scenario.signed = Signed::Otherwise;
                }
                "bundle" | "keys" if value.is_null() => scenario.keys = Jwks::none(),
                _ => return Err(name),
            }
        }
        Ok(scenario)
    }

    fn token(&self) -> String {
        let signed =
            |claims: &Value| sign_texts("ES256", &self.header.to_string(), &claims.to_string());
        match &self.signed {
            Signed::Well => signed(&self.claims),
            Signed::Whole(token) => token.clone(),
            Signed::Otherwise => {
                let other = signed(&json!({}));
                let (text, _) = signed(&self.claims)
                    .rsplit_once('.')
                    .map(owned)
                    .expect("parts");
                let (_, signature) = other.rsplit_once('.').expect("parts");
                format!("{text}.{signature}")
            }
        }
    }

    fn is_taken(&self) -> bool {
        let domain = TrustDomain::parse("prod.example").expect("trust domain");
        let issuer = Issuer::jwt_svids("mesh", &domain, &self.audience, self.keys.clone());
        let verifier = TokenVerifier::builder().issuer(issuer).build();
        verifier
            .expect("verifier")
            .verify(&self.token(), now())
            .is_ok()
    }
}

fn owned((one, two): (&str, &str)) -> (String, String) {
    (one.to_owned(), two.to_owned())
}

/// A text, or a list of them.
fn texts(value: &Value) -> Vec<String> {
    let list = value
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![value.clone()]);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    list.iter().map(text).collect()
}

/// Claims, where a text such as `now-60` is a time beside [`NOW`].
fn at_times(claims: &Value) -> Value {
    let at = |value: &Value| {
        let offset = value.as_str()?.strip_prefix("now")?;
        let offset = if offset.is_empty() { "0" } else { offset };
        Some(json!(NOW.checked_add_signed(offset.parse().ok()?)?))
    };
    let claims = claims.as_object().expect("claims").iter();
    let claim = |(name, value): (&String, &Value)| {
        (name.clone(), at(value).unwrap_or_else(|| value.clone()))
    };
    Value::Object(claims.map(claim).collect())
}

fn judge(tally: &mut Tally, row: &Value) {
    let id = row["id"].as_str().expect("an id");
    let none = Map::new();
    let scenario = match Scenario::changed(row["mutation"].as_object().unwrap_or(&none)) {
        Ok(scenario) => scenario,
        Err(name) => return tally.unread(id, "change", name),
    };
    let word = |valid| if valid { "valid" } else { "refused" };
    let valid = row["valid"] == true;
    let stands = match valid {
        true => Stands::Stricter,
        false => Stands::Looser,
    };
    tally.row(id, word(valid), word(scenario.is_taken()), stands);
}

#[test]
fn rule_29_rows_of_go_spiffe() {
    let table = include_str!("../suites/jwt_svid.json");
    let table: Vec<Value> = serde_json::from_str(table).expect("rows");
    let mut tally = Tally::new("");
    for row in &table {
        judge(&mut tally, row);
    }
    let expected = Counts {
        agree: 4,
        ..Counts::default()
    };
    tally.finish("JWT-SVIDs", expected);
}

/// Every change that a row can name, so that what it names is what is judged.
#[test]
fn rule_29_each_change_of_a_row_is_made() {
    let mut tally = Tally::new("");
    let rows = [
        (true, json!({})),
        (true, json!({ "set": { "exp": "now+1" } })),
        (true, json!({ "claims": { "aud": ["other", AUD] } })),
        (true, json!({ "typ": "JOSE" })),
        (true, json!({ "header": { "typ": null } })),
        (false, json!({ "token": "a.b.c" })),
        (false, json!({ "set": { "exp": "now-60" } })),
        (false, json!({ "set": { "exp": "now" } })),
        (false, json!({ "set": { "exp": null } })),
        (false, json!({ "unset": "exp" })),
        (false, json!({ "remove": ["sub"] })),
        (false, json!({ "delete": "aud" })),
        (false, json!({ "drop": "sub" })),
        (false, json!({ "without": ["aud", "sub"] })),
        (false, json!({ "set": { "aud": ["other"] } })),
        (false, json!({ "set": { "sub": "no id" } })),
        (
            false,
            json!({ "set": { "sub": "spiffe://another.domain/host" } }),
        ),
        (false, json!({ "audience": ["other"] })),
        (false, json!({ "aud": "other" })),
        (false, json!({ "kid": "other" })),
        (false, json!({ "alg": "HS256" })),
        (false, json!({ "alg": "none" })),
        (false, json!({ "alg": "ES384" })),
        (false, json!({ "header": { "alg": "RS256" } })),
        (false, json!({ "typ": "invalid" })),
        (false, json!({ "key": "other" })),
        (false, json!({ "signature": "bad" })),
        (false, json!({ "bundle": null })),
    ];
    for (at, (valid, mutation)) in rows.iter().enumerate() {
        let row =
            json!({ "id": format!("{at}: {mutation}"), "valid": valid, "mutation": mutation });
        judge(&mut tally, &row);
    }
    let expected = Counts {
        agree: rows.len(),
        ..Counts::default()
    };
    tally.finish("changes of rows", expected);
    let unknown = json!({ "colour": "red" });
    assert_eq!(
        Scenario::changed(unknown.as_object().expect("an object")).err(),
        Some("colour")
    );
}
