//! Signals as a table, from JSON.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;
use ztl_core::Timestamp;
use ztl_core::json::{self, Fault};
use ztl_core::trust::Signal;

use super::entry::{EntryFault, Key, is_text, list, object, span, text, time};
use super::source::{About, SignalSource};

/// Longest table, in bytes: 16 MiB.
pub const MAX_TABLE_BYTES: usize = 16 << 20;
/// Most signals of a table.
pub const MAX_SIGNALS: usize = 100_000;

/// How far ahead of the clock an observation may be and is believed: as a score believes it.
pub(super) const BELIEVED_AHEAD: Duration = Duration::from_secs(60);

const KEYS: [&str; 7] = [
    "name",
    "peer",
    "issuer",
    "subject",
    "value",
    "observed_at",
    "expires_at",
];
const SHOWN: &str =
    "`name`, `peer` or `issuer` and `subject`, `value`, `observed_at` and `expires_at`";

/// Why a table was not taken. One bad signal refuses all of them: one that went missing in silence could be the veto.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TableError {
    /// Longer than [`MAX_TABLE_BYTES`].
    #[error("the table of signals is longer than 16 MiB")]
    TooLong,
    /// Not one JSON object, or a key stands twice.
    #[error("the table of signals {0}")]
    Json(Fault),
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
        why: EntryFault,
    },
}

impl From<Fault> for TableError {
    fn from(error: Fault) -> Self {
        Self::Json(error)
    }
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
        let faults = [
            "has no list `signals`",
            "has a key other than `source` and `signals`",
        ];
        let signals = list(object, "signals", faults).map_err(TableError::Table)?;
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
                return Err(refused(EntryFault::Double));
            }
        }
        Ok(table)
    }

    /// The name of a signal that was observed before that of the same in another table. What that one observed in the future is not
    /// believed (T23), so nothing has to come after it.
    pub(super) fn goes_back(&self, before: &Self, now: Timestamp) -> Option<&str> {
        let latest = now.saturating_add(BELIEVED_AHEAD);
        for (name, of) in &self.0 {
            let Some(before) = before.0.get(name) else {
                continue;
            };
            for (key, signal) in of {
                let since = before.get(key).map(Signal::observed_at);
                if since.is_some_and(|since| since <= latest && signal.observed_at() < since) {
                    return Some(name);
                }
            }
        }
        None
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
        self.0.get(name)?.get(&Key::of(about)).cloned()
    }
}

fn read(value: &Value, source: &Arc<str>) -> Result<(Box<str>, Key, Signal), EntryFault> {
    let entry = object(value, &KEYS, SHOWN)?;
    let name = text(entry, "name")?;
    let key = Key::read(entry)?;
    let number = entry.get("value").and_then(Value::as_u64);
    let number = number.and_then(|number| u8::try_from(number).ok());
    let observed_at = time(entry, "observed_at")?;
    let expires_at = match entry.get("expires_at") {
        None => Timestamp::MAX,
        Some(_) => time(entry, "expires_at")?,
    };
    let (observed_at, expires_at) = span(observed_at, expires_at)?;
    let signal = number
        .and_then(|number| Signal::new(number, observed_at, expires_at, Arc::clone(source)))
        .ok_or(EntryFault::Value)?;
    Ok((name.into(), key, signal))
}
