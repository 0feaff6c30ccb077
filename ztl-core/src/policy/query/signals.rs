//! The signals of a question: what would be known of the caller.

use serde_json::{Map, Value};

use super::QueryError;
use super::read::{shown, timestamp};
use crate::policy::Policy;
use crate::policy::diagnostic::{quoted, suggest};
use crate::time::Timestamp;
use crate::trust::{Scored, Signal, Weighed};

/// Most signals of one question; a document weighs fewer.
const MAX_SIGNALS: usize = 64;

/// Signals by name.
#[derive(Clone, Default)]
pub(super) struct Signals(Vec<(Box<str>, Given)>);

/// One of them. What it leaves out is as of the question's own time.
#[derive(Clone)]
struct Given {
    value: u8,
    observed_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    source: Box<str>,
}

impl Signals {
    pub(super) fn read(object: &Map<String, Value>) -> Result<Self, QueryError> {
        if object.len() > MAX_SIGNALS {
            return Err(wrong(format!("has more than {MAX_SIGNALS} entries")));
        }
        let signals = object.iter().map(|(name, value)| {
            let given = Given::read(value);
            let given = given.map_err(|why| wrong(format!("has {}, {why}", quoted(name))))?;
            Ok((name.as_str().into(), given))
        });
        signals.collect::<Result<_, _>>().map(Self)
    }

    /// The score that the policy makes of them; none where the question has none.
    pub(super) fn score(&self, policy: &Policy, now: Timestamp) -> Result<Scored, QueryError> {
        let Some(scorer) = policy.scorer() else {
            return Err(wrong(
                "is asked of a policy without `[trust]`: give a `trust_score`".to_owned(),
            ));
        };
        for (name, _) in &self.0 {
            if !scorer.signals().any(|weighed| *weighed.name() == **name) {
                let near = suggest(name, scorer.signals().map(Weighed::name));
                let near =
                    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                let name = quoted(name);
                return Err(wrong(format!(
                    "has {name}, which `[trust]` does not weigh{near}"
                )));
            }
        }
        Ok(scorer.explain(now, |weighed| {
            let (_, given) = self.0.iter().find(|(name, _)| **name == *weighed.name())?;
            let observed_at = given.observed_at.unwrap_or(now);
            let expires_at = given.expires_at.unwrap_or(Timestamp::MAX);
            Signal::new(given.value, observed_at, expires_at, &*given.source)
        }))
    }
}

impl Given {
    fn read(value: &Value) -> Result<Self, String> {
        let known = ["value", "observed_at", "expires_at", "source"];
        let (object, value) = match value {
            Value::Object(object) => (Some(object), object.get("value")),
            plain => (None, Some(plain)),
        };
        let unknown = object.and_then(|object| {
            let mut keys = object.keys();
            keys.find(|key| !known.contains(&key.as_str()))
        });
        if let Some(key) = unknown {
            return Err(format!("with the unknown key {}", quoted(key)));
        }
        let time = |key: &str| match object.and_then(|object| object.get(key)) {
            None => Ok(None),
            Some(value) => timestamp(value)
                .map(Some)
                .ok_or_else(|| format!("whose `{key}` is {}; it has to be seconds", shown(value))),
        };
        let source = match object.and_then(|object| object.get("source")) {
            None => "the question",
            Some(Value::String(source)) => source,
            Some(other) => return Err(format!("whose `source` is {}", shown(other))),
        };
        let number = value.and_then(Value::as_u64);
        match number.and_then(|number| u8::try_from(number).ok()) {
            Some(number) if number <= 100 => Ok(Self {
                value: number,
                observed_at: time("observed_at")?,
                expires_at: time("expires_at")?,
                source: source.into(),
            }),
            _ => Err(
                "which is no integer from 0 to 100, nor an object with such a `value`".to_owned(),
            ),
        }
    }
}

fn wrong(why: String) -> QueryError {
    QueryError::value("signals", why)
}
