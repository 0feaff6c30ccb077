//! What a policy's answer means.
//!
//! `true` agrees and `false` objects. An object agrees if its `allow` (or `allowed`, which is the same) is `true`, and may say
//! more:
//!
//! ```json
//! { "allow": true, "reason_code": "quota_left", "obligations": { "max_body": 65536, "limit": "per-peer", "log": ["x-tenant"] } }
//! ```
//!
//! - `reason_code`: why, for the audit record: an [`ObjectionCode`].
//! - `obligations`: what has to be discharged beside what the rule obliges to, of the closed list that
//!   `[permit.oblige]` has: `limit`, `schema`, `max_body` (a number of bytes) and `log` (`true` or a list of header fields).
//!
//! Undefined objects. Whatever is none of these, such as a number, `null`, a key or an obligation that is not known, is an
//! error, which denies: nothing that a policy meant to be done is left out in silence (law 1).

use std::sync::Arc;

use serde_json::{Map, Value};
use ztl_core::authorizer::{Demands, ObjectionCode, Opinion};

use super::RegoError;

/// Reads an answer; none is one that is undefined.
///
/// # Errors
/// [`RegoError::Answer`] where it is no answer.
pub fn opinion(answer: Option<&Value>) -> Result<Opinion, RegoError> {
    match answer {
        Some(Value::Bool(true)) => Ok(Opinion::agrees()),
        None | Some(Value::Bool(false)) => Ok(Opinion::objects()),
        Some(Value::Object(said)) => said_in_full(said),
        Some(other) => Err(fault(format!("it is {}", kind(other)))),
    }
}

fn said_in_full(said: &Map<String, Value>) -> Result<Opinion, RegoError> {
    let (mut allow, mut code, mut demands) = (None, None, Demands::none());
    for (key, value) in said {
        match (key.as_str(), value) {
            ("allow" | "allowed", Value::Bool(value)) => {
                // Where both are there, both have to agree.
                allow = Some(allow.unwrap_or(true) && *value);
            }
            ("reason_code", Value::String(text)) => {
                let read = ObjectionCode::new(text);
                code = Some(read.ok_or_else(|| fault("its `reason_code` is no code"))?);
            }
            ("obligations", Value::Object(obligations)) => demands = demanded(obligations)?,
            ("allow" | "allowed" | "reason_code" | "obligations", other) => {
                return Err(fault(format!("its `{key}` is {}", kind(other))));
            }
            _ => return Err(unknown("a key", key)),
        }
    }
    match allow {
        Some(true) => Ok(Opinion::Agrees(demands)),
        Some(false) => Ok(Opinion::Objects(code)),
        None => Err(fault("it has no `allow`")),
    }
}

fn demanded(obligations: &Map<String, Value>) -> Result<Demands, RegoError> {
    let mut demands = Demands::none();
    for (key, value) in obligations {
        demands = match (key.as_str(), value) {
            ("limit", Value::String(name)) => demands.with_limit(name),
            ("schema", Value::String(name)) => demands.with_schema(name),
            ("max_body", Value::Number(bytes)) => {
                let bytes = bytes.as_u64();
                demands.with_max_body(
                    bytes.ok_or_else(|| fault("its `max_body` is no number of bytes"))?,
                )
            }
            ("log", Value::Bool(true)) => demands.with_log([]),
            ("log", Value::Array(fields)) if !fields.is_empty() => {
                let fields = fields.iter().map(|field| field.as_str().map(Arc::from));
                let fields: Option<Vec<Arc<str>>> = fields.collect();
                let mut with = demands;
                with.log = Some(fields.ok_or_else(|| fault("its `log` is no list of texts"))?);
                with
            }
            ("limit" | "schema" | "max_body" | "log", other) => {
                return Err(fault(format!("its `{key}` is {}", kind(other))));
            }
            _ => return Err(unknown("an obligation", key)),
        };
    }
    Ok(demands)
}

fn fault(what: impl Into<String>) -> RegoError {
    RegoError::Answer(what.into())
}

/// A name that could be a value of the request is not repeated (law 7).
fn unknown(what: &str, name: &str) -> RegoError {
    match ObjectionCode::new(name) {
        Some(name) => fault(format!("`{}` is {what} that is not known", name.as_str())),
        None => fault(format!("it has {what} that is not known")),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list or a set",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(answer: Value) -> Result<Opinion, String> {
        opinion(Some(&answer)).map_err(|error| error.to_string())
    }

    #[test]
    fn true_agrees_and_what_is_not_said_objects() {
        assert_eq!(of(json!(true)), Ok(Opinion::agrees()));
        assert_eq!(of(json!(false)), Ok(Opinion::objects()));
        assert_eq!(opinion(None), Ok(Opinion::objects()));
        assert_eq!(of(json!({ "allow": true })), Ok(Opinion::agrees()));
        assert_eq!(of(json!({ "allowed": false })), Ok(Opinion::objects()));
        assert_eq!(
            of(json!({ "allow": true, "allowed": false })),
            Ok(Opinion::objects())
        );
    }

    #[test]
    fn obligations_and_reasons_are_read() {
        let answer = json!({ "allow": true, "obligations": { "limit": "slow", "schema": "a.json", "max_body": 7, "log": ["x-a"] } });
        let demands = Demands::none()
            .with_limit("slow")
            .with_schema("a.json")
            .with_max_body(7)
            .with_log(["x-a"]);
        assert_eq!(of(answer), Ok(Opinion::Agrees(demands)));
        let answer = json!({ "allow": true, "obligations": { "log": true } });
        let log = Demands::none().with_log([]);
        assert_eq!(of(answer), Ok(Opinion::Agrees(log)));
        let answer = json!({ "allow": false, "reason_code": "quota", "obligations": {} });
        let code = ObjectionCode::new("quota");
        assert_eq!(of(answer), Ok(Opinion::Objects(code)));
    }

    #[test]
    fn law_1_whatever_else_is_an_error() {
        for (answer, why) in [
            (json!(null), "it is null"),
            (json!(1), "it is a number"),
            (json!("true"), "it is a text"),
            (json!([true]), "it is a list or a set"),
            (json!({}), "it has no `allow`"),
            (json!({ "allow": "true" }), "its `allow` is a text"),
            (json!({ "allow": null }), "its `allow` is null"),
            (
                json!({ "allow": true, "http_status": 200 }),
                "`http_status` is a key that is not known",
            ),
            (
                json!({ "allow": true, "Alice Smith": 1 }),
                "it has a key that is not known",
            ),
            (
                json!({ "allow": false, "reason_code": "No!" }),
                "its `reason_code` is no code",
            ),
            (
                json!({ "allow": true, "obligations": [] }),
                "its `obligations` is a list or a set",
            ),
            (
                json!({ "allow": true, "obligations": { "encrypt": true } }),
                "`encrypt` is an obligation that is not known",
            ),
            (
                json!({ "allow": true, "obligations": { "max_body": -1 } }),
                "its `max_body` is no number of bytes",
            ),
            (
                json!({ "allow": true, "obligations": { "max_body": 1.5 } }),
                "its `max_body` is no number of bytes",
            ),
            (
                json!({ "allow": true, "obligations": { "log": false } }),
                "its `log` is true or false",
            ),
            (
                json!({ "allow": true, "obligations": { "log": [] } }),
                "its `log` is a list or a set",
            ),
            (
                json!({ "allow": true, "obligations": { "log": [1] } }),
                "its `log` is no list of texts",
            ),
        ] {
            let wanted = format!("the policy's answer is none: {why}");
            assert_eq!(of(answer), Err(wanted));
        }
    }
}
