//! The posture of a caller's device: attributes that conditions read.

use core::fmt;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;
use ztl_core::json::{self, Fault};
use ztl_core::trust::Of;
use ztl_core::{Attributes, Timestamp};

use super::entry::{EntryFault, Key, list, object, span, time};
use super::source::Whom;
use super::table::{BELIEVED_AHEAD, MAX_TABLE_BYTES};

/// Most devices of a table.
pub const MAX_POSTURES: usize = 100_000;

const KEYS: [&str; 6] = [
    "peer",
    "issuer",
    "subject",
    "attributes",
    "observed_at",
    "expires_at",
];
const SHOWN: &str =
    "`peer` or `issuer` and `subject`, `attributes`, `observed_at` and `expires_at`";

/// Knows the state of callers' devices. Asked on the path of a request, where a rule reads `posture`: it answers from memory, at
/// once. What it does not know, or what has ended, leaves a permit that reads it without effect, and a forbid with (T7).
pub trait PostureSource: fmt::Debug + Send + Sync {
    /// What is known of the device of this caller; none where nothing is.
    fn posture(&self, whom: Whom<'_>, now: Timestamp) -> Option<Attributes>;

    /// As [`SignalSource::generation`](super::SignalSource::generation).
    fn generation(&self) -> u64 {
        0
    }
}

impl<S: PostureSource + ?Sized> PostureSource for Arc<S> {
    fn posture(&self, whom: Whom<'_>, now: Timestamp) -> Option<Attributes> {
        (**self).posture(whom, now)
    }

    fn generation(&self) -> u64 {
        (**self).generation()
    }
}

/// Why a table was not taken. One bad entry refuses all of them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PostureError {
    /// Longer than [`MAX_TABLE_BYTES`].
    #[error("the table of postures is longer than 16 MiB")]
    TooLong,
    /// Not one JSON object, or a key stands twice.
    #[error("the table of postures {0}")]
    Json(Fault),
    /// A key of the table itself is unknown, missing or of another kind.
    #[error("the table of postures {0}")]
    Table(&'static str),
    /// More than [`MAX_POSTURES`].
    #[error("the table has more than 100000 postures")]
    TooMany,
    /// An entry is not taken.
    #[error("posture {at} of the table {why}")]
    Entry {
        /// Its place, from 1.
        at: usize,
        /// What is wrong with it.
        why: EntryFault,
    },
    /// An entry is older than the one that is held of the same device (rule 57).
    #[error(
        "the table of postures goes back in time: one was observed before the one that is held of the same device; give it a later `observed_at`, if that is what is so now"
    )]
    GoesBack,
}

impl From<Fault> for PostureError {
    fn from(error: Fault) -> Self {
        Self::Json(error)
    }
}

/// Postures by whom they speak of, as somebody said them at one time.
///
/// ```
/// use ztl_authz::trust::{PostureSource, PostureTable, Whom};
/// use ztl_core::Timestamp;
///
/// let table = PostureTable::from_json(br#"{"of": "peer", "postures": [{
///     "peer": "spiffe://prod.example/laptop",
///     "attributes": {"disk_encrypted": true, "os": "Linux 6.18"},
///     "observed_at": 1790000000, "expires_at": 1790003600
/// }]}"#)?;
/// let laptop = "spiffe://prod.example/laptop".parse()?;
/// let known = table.posture(Whom::peer(&laptop), Timestamp::from_unix_secs(1_790_000_060));
/// assert_eq!(known.expect("a posture").get("disk_encrypted"), Some(&true.into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A table is of each `peer`, a workload by its SPIFFE ID, or of each `subject`, a user by the pair of `iss` and `sub` (T16). It is
/// never of either: a user whose device is not known would have the one of the gateway in front.
#[derive(Clone, Debug)]
pub struct PostureTable {
    of: Of,
    known: HashMap<Key, Attributes>,
}

impl Default for PostureTable {
    /// Nothing is known of anybody.
    fn default() -> Self {
        Self {
            of: Of::Peer,
            known: HashMap::new(),
        }
    }
}

impl PostureTable {
    /// Reads a table.
    ///
    /// # Errors
    /// [`PostureError`]: one bad entry refuses all.
    pub fn from_json(text: &[u8]) -> Result<Self, PostureError> {
        if text.len() > MAX_TABLE_BYTES {
            return Err(PostureError::TooLong);
        }
        let mut table = json::object(text)?;
        let of = match table.remove("of") {
            Some(Value::String(of)) if of == "peer" => Of::Peer,
            Some(Value::String(of)) if of == "subject" => Of::Subject,
            _ => {
                return Err(PostureError::Table(
                    "has no `of` that is `peer` or `subject`",
                ));
            }
        };
        let faults = [
            "has no list `postures`",
            "has a key other than `of` and `postures`",
        ];
        let postures = list(table, "postures", faults).map_err(PostureError::Table)?;
        if postures.len() > MAX_POSTURES {
            return Err(PostureError::TooMany);
        }
        let mut known = HashMap::with_capacity(postures.len());
        for (at, posture) in postures.into_iter().enumerate() {
            let refused = |why| PostureError::Entry {
                at: at.saturating_add(1),
                why,
            };
            let (key, posture) = read(posture, of).map_err(refused)?;
            if known.insert(key, posture).is_some() {
                return Err(refused(EntryFault::Double));
            }
        }
        Ok(Self { of, known })
    }

    /// Whether a posture was observed before that of the same device in another table. What that one observed in the future is not
    /// believed (T23), so nothing has to come after it.
    pub(super) fn goes_back(&self, before: &Self, now: Timestamp) -> bool {
        let latest = now.saturating_add(BELIEVED_AHEAD);
        self.known.iter().any(|(key, posture)| {
            let since = before.known.get(key).map(Attributes::observed_at);
            since.is_some_and(|since| since <= latest && posture.observed_at() < since)
        })
    }

    /// Of how many devices it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether it knows of none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

impl PostureSource for PostureTable {
    fn posture(&self, whom: Whom<'_>, _now: Timestamp) -> Option<Attributes> {
        self.known.get(&Key::of(whom.about(self.of)?)).cloned()
    }
}

fn read(mut value: Value, of: Of) -> Result<(Key, Attributes), EntryFault> {
    let entry = object(&value, &KEYS, SHOWN)?;
    let key = Key::read(entry)?;
    match (of, &key) {
        (Of::Peer, Key::Peer(_)) | (Of::Subject, Key::Subject(..)) => {}
        (Of::Peer, _) => {
            let (of, found) = ("peer", "subject");
            return Err(EntryFault::Other { of, found });
        }
        _ => {
            let (of, found) = ("subject", "peer");
            return Err(EntryFault::Other { of, found });
        }
    }
    let (observed_at, expires_at) = span(time(entry, "observed_at")?, time(entry, "expires_at")?)?;
    match value.get_mut("attributes").map(Value::take) {
        Some(Value::Object(attributes)) => {
            Ok((key, Attributes::new(attributes, observed_at, expires_at)))
        }
        _ => Err(EntryFault::Attributes),
    }
}
