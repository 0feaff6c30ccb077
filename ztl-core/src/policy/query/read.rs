//! A query from a JSON object: every key known, every value in its range.

use core::time::Duration;

use serde_json::{Map, Value};

use super::fields::Fields;
use super::signals::Signals;
use super::{Asked, End, Query, QueryError};
use crate::evidence::Claims;
use crate::id::SpiffeId;
use crate::policy::diagnostic::{quoted, suggest};
use crate::time::Timestamp;
use crate::zone::Arrival;

const KEYS: [&str; 16] = [
    "from",
    "from_addr",
    "to",
    "to_addr",
    "port",
    "method",
    "path",
    "action",
    "headers",
    "forwarded",
    "claims",
    "trust_score",
    "signals",
    "posture",
    "context",
    "now",
];

pub(super) fn query(map: &Map<String, Value>) -> Result<Query, QueryError> {
    if let Some(key) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let near = suggest(key, KEYS).map(str::to_owned);
        return Err(QueryError::UnknownKey {
            key: quoted(key),
            near,
        });
    }
    let keys = Keys(map);
    let headers = keys.headers()?;
    Ok(Query {
        from: keys.from()?,
        arrival: keys.addr("from_addr")?,
        to: keys.to()?,
        to_addr: keys.to_addr()?,
        port: keys.port()?,
        asked: keys.asked(&headers)?,
        headers,
        forwarded: keys.forwarded()?,
        claims: keys.claims()?,
        trust_score: keys.trust_score()?,
        signals: keys.signals()?,
        posture: keys.object("posture")?,
        context: keys.object("context")?,
        now: keys.now()?,
        asserted_by: None,
        caller_of: None,
    })
}

struct Keys<'a>(&'a Map<String, Value>);

impl<'a> Keys<'a> {
    fn text(&self, key: &'static str) -> Result<Option<&'a str>, QueryError> {
        let Some(value) = self.0.get(key) else {
            return Ok(None);
        };
        value
            .as_str()
            .map(Some)
            .ok_or_else(|| wrong(key, "a text", value))
    }

    fn from(&self) -> Result<Option<End>, QueryError> {
        match self.0.get("from") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if is_name(text) => Ok(Some(End::Name(text.as_str().into()))),
            Some(Value::String(text)) => id("from", text).map(|id| Some(End::Id(id))),
            Some(value) => Err(wrong(
                "from",
                "a SPIFFE ID, a workload's name or null",
                value,
            )),
        }
    }

    fn forwarded(&self) -> Result<Option<SpiffeId>, QueryError> {
        let text = self.text("forwarded")?;
        text.map(|text| id("forwarded", text)).transpose()
    }

    fn to(&self) -> Result<End, QueryError> {
        let text = self.text("to")?.ok_or(QueryError::NoTarget)?;
        if text.is_empty() {
            return Err(QueryError::value("to", "is empty"));
        }
        // A text that is no id can only be a name; the policy says whether it is one.
        if text.contains(':') {
            id("to", text).map(End::Id)
        } else if text.contains('.') {
            // T27: a workload's name has no dot, a host outside the mesh has one.
            Ok(End::Host(text.into()))
        } else {
            Ok(End::Name(text.into()))
        }
    }

    /// Of a host outside the mesh alone: where a workload listens is not asked.
    fn to_addr(&self) -> Result<Arrival, QueryError> {
        let addr = self.addr("to_addr")?;
        match (addr.addr(), self.to()?) {
            (Some(_), End::Name(_) | End::Id(_)) => Err(QueryError::value(
                "to_addr",
                "stands beside a workload; only a host outside the mesh is judged by its address",
            )),
            _ => Ok(addr),
        }
    }

    fn addr(&self, key: &'static str) -> Result<Arrival, QueryError> {
        let Some(text) = self.text(key)? else {
            return Ok(Arrival::unknown());
        };
        let addr = text
            .parse()
            .map_err(|_| QueryError::value(key, format!("is no IP address: {}", quoted(text))))?;
        Ok(Arrival::from_addr(addr))
    }

    fn port(&self) -> Result<Option<u16>, QueryError> {
        let Some(value) = self.0.get("port") else {
            return Ok(None);
        };
        match value.as_u64().and_then(|port| u16::try_from(port).ok()) {
            Some(port) if port > 0 => Ok(Some(port)),
            _ => Err(wrong("port", "an integer from 1 to 65535", value)),
        }
    }

    fn trust_score(&self) -> Result<Option<u8>, QueryError> {
        let Some(value) = self.0.get("trust_score") else {
            return Ok(None);
        };
        match value.as_u64().and_then(|score| u8::try_from(score).ok()) {
            Some(score) if score <= 100 => Ok(Some(score)),
            _ => Err(wrong("trust_score", "an integer from 0 to 100", value)),
        }
    }

    fn signals(&self) -> Result<Option<Signals>, QueryError> {
        match self.0.get("signals") {
            None => Ok(None),
            Some(_) if self.0.contains_key("trust_score") => Err(QueryError::value(
                "signals",
                "stands beside `trust_score`: the one is made of the other",
            )),
            Some(Value::Object(object)) => Signals::read(object).map(Some),
            Some(value) => Err(wrong("signals", "an object", value)),
        }
    }

    fn object(&self, key: &'static str) -> Result<Option<Map<String, Value>>, QueryError> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object.clone())),
            Some(value) => Err(wrong(key, "an object", value)),
        }
    }

    fn now(&self) -> Result<Option<Timestamp>, QueryError> {
        let Some(value) = self.0.get("now") else {
            return Ok(None);
        };
        match timestamp(value) {
            Some(now) => Ok(Some(now)),
            None => Err(wrong(
                "now",
                "seconds since 1970-01-01T00:00:00 UTC, at least 0",
                value,
            )),
        }
    }

    fn asked(&self, headers: &Fields) -> Result<Asked, QueryError> {
        let action = self.text("action")?;
        match (action, self.text("method")?, self.text("path")?) {
            (None, None, None) => Ok(Asked::Flow),
            (Some("connect"), None, None) => Ok(Asked::Connect),
            (Some("connect"), ..) => Err(QueryError::value(
                "action",
                "is `connect`, which has neither `method` nor `path`",
            )),
            (Some(other), ..) => {
                let message = format!("is {}; it can only be `connect`", quoted(other));
                Err(QueryError::value("action", message))
            }
            (None, Some(_), None) => Err(QueryError::value(
                "method",
                "stands without `path`: a request has both",
            )),
            (None, None, Some(_)) => Err(QueryError::value(
                "path",
                "stands without `method`: a request has both",
            )),
            (None, Some(method), Some(target)) => Ok(Asked::Request {
                method: method.into(),
                target: target.into(),
                upgrade: headers.upgrade(),
            }),
        }
    }

    fn headers(&self) -> Result<Fields, QueryError> {
        let Some(value) = self.0.get("headers") else {
            return Ok(Fields::default());
        };
        match value.as_object() {
            Some(object) => Fields::read(object),
            None => Err(wrong("headers", "an object", value)),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the asker vouches for the claims, and the answer is a decision, never a permit"
    )]
    fn claims(&self) -> Result<Option<Claims>, QueryError> {
        let Some(value) = self.0.get("claims") else {
            return Ok(None);
        };
        let claims = value
            .as_object()
            .ok_or_else(|| wrong("claims", "an object", value))?;
        let expires_at = match claims.get("exp") {
            Some(exp @ Value::Number(number)) => timestamp(exp).unwrap_or({
                if number.as_f64().is_some_and(|exp| exp > 0.0) {
                    Timestamp::MAX
                } else {
                    Timestamp::EPOCH
                }
            }),
            _ => Timestamp::MAX,
        };
        Ok(Some(Claims::assertion(
            claims.clone(),
            expires_at,
            "a query says so",
        )))
    }
}

fn id(key: &'static str, text: &str) -> Result<SpiffeId, QueryError> {
    SpiffeId::parse_workload(text)
        .map_err(|error| QueryError::value(key, format!("is {}, which {error}", quoted(text))))
}

/// Seconds since the epoch, to the millisecond; `None` below zero and where no time is that late.
pub(super) fn timestamp(value: &Value) -> Option<Timestamp> {
    if let Some(secs) = value.as_u64() {
        return Some(Timestamp::from_unix_secs(secs));
    }
    let span = Duration::try_from_secs_f64(value.as_f64()?).ok()?;
    Some(Timestamp::EPOCH.saturating_add(span))
}

fn wrong(key: &'static str, wanted: &str, value: &Value) -> QueryError {
    QueryError::value(key, format!("is {}; it has to be {wanted}", shown(value)))
}

/// What an error calls a value that is of the wrong kind or out of range.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        plain => plain.to_string(),
    }
}

/// The form of a workload's name; anything else is meant as an id.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}
