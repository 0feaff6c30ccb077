//! One entry of a table: of whom it speaks, and when.

use serde_json::{Map, Value};
use thiserror::Error;
use ztl_core::{IdError, SpiffeId, Timestamp};

use super::source::About;

/// Longest name, source, issuer or subject, in bytes.
const MAX_TEXT_BYTES: usize = 2048;

/// What is wrong with one entry of a table.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// No object.
    #[error("is no object")]
    Kind,
    /// A key that no entry has.
    #[error("has an unknown key; it takes {0}")]
    Key(&'static str),
    /// A text is missing, empty or too long.
    #[error("has no `{0}`, or one that is empty, no text or longer than 2048 bytes")]
    Text(&'static str),
    /// It speaks of nobody, or of two.
    #[error("has to have either `peer`, or `issuer` and `subject`")]
    Whom,
    /// It speaks of somebody else than the table does.
    #[error("speaks of a {found} in a table of each {of}")]
    Other {
        /// Of what the table speaks.
        of: &'static str,
        /// Of what the entry does.
        found: &'static str,
    },
    /// `peer` is no SPIFFE ID of a workload.
    #[error("has a `peer` that {0}")]
    Peer(IdError),
    /// `value` is none.
    #[error("has no `value` from 0 to 100")]
    Value,
    /// `attributes` is none.
    #[error("has no object `attributes`")]
    Attributes,
    /// A time is none.
    #[error("has no `{0}` in whole seconds since 1970")]
    Time(&'static str),
    /// It ends before it begins.
    #[error("has an `expires_at` that is not after its `observed_at`")]
    Ended,
    /// Two of one kind speak of the same.
    #[error("says the same thing of the same one as an earlier entry")]
    Double,
}

/// Of whom, as a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Peer(SpiffeId),
    Subject(Box<str>, Box<str>),
}

impl Key {
    pub(super) fn of(about: About<'_>) -> Self {
        match about {
            About::Peer(id) => Self::Peer(id.clone()),
            About::Subject {
                issuer, subject, ..
            } => Self::Subject(issuer.into(), subject.into()),
        }
    }

    pub(super) fn read(object: &Map<String, Value>) -> Result<Self, EntryFault> {
        if object.contains_key("peer") {
            if object.contains_key("issuer") || object.contains_key("subject") {
                return Err(EntryFault::Whom);
            }
            let peer = SpiffeId::parse_workload(text(object, "peer")?);
            return Ok(Self::Peer(peer.map_err(EntryFault::Peer)?));
        }
        if object.contains_key("issuer") && object.contains_key("subject") {
            let (issuer, subject) = (text(object, "issuer")?, text(object, "subject")?);
            return Ok(Self::Subject(issuer.into(), subject.into()));
        }
        Err(EntryFault::Whom)
    }
}

/// The list that is all that is left of a table; else the first fault where it is missing, and the second where more is left.
pub(super) fn list(
    mut table: Map<String, Value>,
    name: &str,
    [missing, more]: [&'static str; 2],
) -> Result<Vec<Value>, &'static str> {
    match table.remove(name) {
        Some(Value::Array(list)) if table.is_empty() => Ok(list),
        Some(Value::Array(_)) => Err(more),
        _ => Err(missing),
    }
}

/// An entry that has no key but these, which `shown` lists.
pub(super) fn object<'a>(
    value: &'a Value,
    keys: &[&str],
    shown: &'static str,
) -> Result<&'a Map<String, Value>, EntryFault> {
    let object = value.as_object().ok_or(EntryFault::Kind)?;
    if object.keys().all(|key| keys.contains(&key.as_str())) {
        Ok(object)
    } else {
        Err(EntryFault::Key(shown))
    }
}

pub(super) fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TEXT_BYTES
}

pub(super) fn text<'a>(
    object: &'a Map<String, Value>,
    key: &'static str,
) -> Result<&'a str, EntryFault> {
    let text = object.get(key).and_then(Value::as_str);
    text.filter(|text| is_text(text))
        .ok_or(EntryFault::Text(key))
}

pub(super) fn time(
    object: &Map<String, Value>,
    key: &'static str,
) -> Result<Timestamp, EntryFault> {
    let seconds = object.get(key).and_then(Value::as_u64);
    seconds
        .map(Timestamp::from_unix_secs)
        .ok_or(EntryFault::Time(key))
}

/// From when until when, the end excluded.
pub(super) fn span(
    observed_at: Timestamp,
    expires_at: Timestamp,
) -> Result<(Timestamp, Timestamp), EntryFault> {
    if expires_at > observed_at {
        Ok((observed_at, expires_at))
    } else {
        Err(EntryFault::Ended)
    }
}
