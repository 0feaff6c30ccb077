//! Signals as a table, from JSON.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use serde_json::{Map, Value};
use thiserror::Error;
use ztl_core::json::{self, Fault};
use ztl_core::trust::Signal;
use ztl_core::{IdError, SpiffeId, Timestamp};

use super::source::{About, SignalSource};

/// Longest table, in bytes: 16 MiB.
pub const MAX_TABLE_BYTES: usize = 16 << 20;
/// Most signals of a table.
pub const MAX_SIGNALS: usize = 100_000;
/// Longest name, source, issuer or subject, in bytes.
const MAX_TEXT_BYTES: usize = 2048;

const KEYS: [&str; 7] = [
    "name",
    "peer",
    "issuer",
    "subject",
    "value",
    "observed_at",
    "expires_at",
];

/// Why a table was not taken. One bad signal refuses all of them: one that went missing in silence could be the veto.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TableError {
    /// Longer than [`MAX_TABLE_BYTES`].
    #[error("the table of signals is longer than 16 MiB")]
    TooLong,
    /// Not one JSON object, or a key stands twice.
    #[error("the table of signals {0}")]
    Json(#[from] Fault),
    /// A key of the table itself is unknown, missing or of another kind.
    #[error("the table of signals {0}")]
    Table(&'static str),
    /// More than [`MAX_SIGNALS`].
    #[error("the table has more than 100000 signals")]
    TooMany,
    /// A signal is not taken.
    #[error("signal {at} of the table {why}")]
    Signal {
        /// Its place, from 1.
        at: usize,
        /// What is wrong with it.
        why: SignalFault,
    },
}

/// What is wrong with one signal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignalFault {
    /// No object.
    #[error("is no object")]
    Kind,
    /// A key that no signal has.
    #[error(
        "has an unknown key; it takes `name`, `peer` or `issuer` and `subject`, `value`, `observed_at` and `expires_at`"
    )]
    Key,
    /// A text is missing, empty or too long.
    #[error("has no `{0}`, or one that is empty, no text or longer than 2048 bytes")]
    Text(&'static str),
    /// It speaks of nobody, or of two.
    #[error("has to have either `peer`, or `issuer` and `subject`")]
    Whom,
    /// `peer` is no SPIFFE ID of a workload.
    #[error("has a `peer` that {0}")]
    Peer(IdError),
    /// `value` is none.
    #[error("has no `value` from 0 to 100")]
    Value,
    /// A time is none.
    #[error("has no `{0}` in whole seconds since 1970")]
    Time(&'static str),
    /// It ends before it begins.
    #[error("has an `expires_at` that is not after its `observed_at`")]
    Ended,
    /// Two of one name speak of the same.
    #[error("says the same thing of the same one as an earlier signal")]
    Double,
}

/// Of whom, as a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Peer(SpiffeId),
    Subject(Box<str>, Box<str>),
}

/// Signals by name and by whom they speak of, as somebody said them at one time.
///
/// ```json
/// {"source": "mdm", "signals": [
///     {"name": "device", "peer": "spiffe://prod.example/laptop", "value": 90, "observed_at": 1790000000},
///     {"name": "mfa", "issuer": "https://login.example", "subject": "alice", "value": 100,
///      "observed_at": 1790000000, "expires_at": 1790003600}
/// ]}
/// ```
///
/// `source` is shown where a score is explained. `expires_at` may be left out: then the policy's `max_age` alone ends the signal.
#[derive(Clone, Debug, Default)]
pub struct SignalTable(HashMap<Box<str>, HashMap<Key, Signal>>);

impl SignalTable {
    /// Reads a table.
    ///
    /// # Errors
    /// [`TableError`]: one bad signal refuses all.
    pub fn from_json(text: &[u8]) -> Result<Self, TableError> {
        if text.len() > MAX_TABLE_BYTES {
            return Err(TableError::TooLong);
        }
        let mut object = json::object(text)?;
        let source = match object.remove("source") {
            Some(Value::String(source)) if is_text(&source) => Arc::<str>::from(source),
            _ => {
                return Err(TableError::Table(
                    "has no `source` that says who made it, in at most 2048 bytes",
                ));
            }
        };
        let Some(Value::Array(signals)) = object.remove("signals") else {
            return Err(TableError::Table("has no list `signals`"));
        };
        if !object.is_empty() {
            return Err(TableError::Table(
                "has a key other than `source` and `signals`",
            ));
        }
        if signals.len() > MAX_SIGNALS {
            return Err(TableError::TooMany);
        }
        let mut table = Self::default();
        for (at, signal) in signals.iter().enumerate() {
            let refused = |why| TableError::Signal {
                at: at.saturating_add(1),
                why,
            };
            let (name, key, signal) = read(signal, &source).map_err(refused)?;
            if table
                .0
                .entry(name)
                .or_default()
                .insert(key, signal)
                .is_some()
            {
                return Err(refused(SignalFault::Double));
            }
        }
        Ok(table)
    }

    /// How many signals there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().map(HashMap::len).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl SignalSource for SignalTable {
    fn signal(&self, name: &str, about: About<'_>, _now: Timestamp) -> Option<Signal> {
        let of = self.0.get(name)?;
        let key = match about {
            About::Peer(id) => Key::Peer(id.clone()),
            About::Subject {
                issuer, subject, ..
            } => Key::Subject(issuer.into(), subject.into()),
        };
        of.get(&key).cloned()
    }
}

/// A table that is replaced as a whole while it is asked. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SharedTable(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    table: ArcSwap<SignalTable>,
    generation: AtomicU64,
}

impl SharedTable {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on this is known, and nothing else.
    pub fn swap(&self, table: SignalTable) {
        self.0.table.store(Arc::new(table));
        self.0.generation.fetch_add(1, Ordering::AcqRel);
    }
}

impl SignalSource for SharedTable {
    fn signal(&self, name: &str, about: About<'_>, now: Timestamp) -> Option<Signal> {
        self.0.table.load().signal(name, about, now)
    }

    fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TEXT_BYTES
}

fn read(value: &Value, source: &Arc<str>) -> Result<(Box<str>, Key, Signal), SignalFault> {
    let object = value.as_object().ok_or(SignalFault::Kind)?;
    if object.keys().any(|key| !KEYS.contains(&key.as_str())) {
        return Err(SignalFault::Key);
    }
    let name = text(object, "name")?;
    let key = if object.contains_key("peer") {
        if object.contains_key("issuer") || object.contains_key("subject") {
            return Err(SignalFault::Whom);
        }
        let peer = SpiffeId::parse_workload(text(object, "peer")?);
        Key::Peer(peer.map_err(SignalFault::Peer)?)
    } else if object.contains_key("issuer") && object.contains_key("subject") {
        let (issuer, subject) = (text(object, "issuer")?, text(object, "subject")?);
        Key::Subject(issuer.into(), subject.into())
    } else {
        return Err(SignalFault::Whom);
    };
    let number = object.get("value").and_then(Value::as_u64);
    let number = number.and_then(|number| u8::try_from(number).ok());
    let observed_at = time(object, "observed_at")?;
    let expires_at = match object.get("expires_at") {
        None => Timestamp::MAX,
        Some(_) => time(object, "expires_at")?,
    };
    if expires_at <= observed_at {
        return Err(SignalFault::Ended);
    }
    let signal = number
        .and_then(|number| Signal::new(number, observed_at, expires_at, Arc::clone(source)))
        .ok_or(SignalFault::Value)?;
    Ok((name.into(), key, signal))
}

fn text<'a>(object: &'a Map<String, Value>, key: &'static str) -> Result<&'a str, SignalFault> {
    let text = object.get(key).and_then(Value::as_str);
    text.filter(|text| is_text(text))
        .ok_or(SignalFault::Text(key))
}

fn time(object: &Map<String, Value>, key: &'static str) -> Result<Timestamp, SignalFault> {
    let seconds = object.get(key).and_then(Value::as_u64);
    seconds
        .map(Timestamp::from_unix_secs)
        .ok_or(SignalFault::Time(key))
}
