//! Revisions never go back (rule 57, T24): whoever serves an old bundle with its good old signature is not obeyed.
//!
//! OPA's `revision` is any text, so what comes after what is read from it only where it can be. The first of these that a bundle
//! has is its place:
//!
//! 1. `metadata.serial` of the manifest, a whole number: the way that is plain.
//! 2. `revision` as a time (RFC 3339), such as `2026-11-22T12:00:00Z`.
//! 3. `revision` as a decimal number, such as `1742`.
//!
//! Otherwise it has none, as with a hash of a commit.

use core::fmt;

use serde_json::{Value, json};
use thiserror::Error;
use ztl_core::json;

use super::manifest::Manifest;
use ztl_core::url::shown;

/// How far a bundle without a place in the order is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RevisionOrder {
    /// Where a bundle has a place, none behind it and none without one is taken after it. Until one has, any is taken.
    #[default]
    Found,
    /// A bundle without a place is refused.
    Required,
    /// Places are not read: any bundle that is signed, however old, can be served again.
    Ignored,
}

/// The newest bundle that was in force: what is before it is refused. To be kept over a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionMark {
    revision: Box<str>,
    serial: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Serial(u64),
    Time(i64, u32),
    Number(u128),
    None,
}

/// The longest state that is read.
const MAX_STATE_BYTES: usize = 1024 * 1024 + 1024;

impl RevisionMark {
    /// That of a bundle.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            revision: manifest.revision.clone(),
            serial: manifest.serial(),
        }
    }

    /// Its revision.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Its `metadata.serial`.
    #[must_use]
    pub const fn serial(&self) -> Option<u64> {
        self.serial
    }

    /// To be stored. It is no secret, but whoever can write it can take the mark away.
    #[must_use]
    pub fn to_json(&self) -> String {
        json!({ "revision": &*self.revision, "serial": self.serial }).to_string()
    }

    /// What was stored.
    ///
    /// # Errors
    /// [`RevisionError::State`] where it is anything else: a mark that cannot be read is not taken for none.
    pub fn from_json(json: &[u8]) -> Result<Self, RevisionError> {
        if json.len() > MAX_STATE_BYTES {
            return Err(RevisionError::State);
        }
        let mut members = json::object(json).map_err(|_| RevisionError::State)?;
        let (revision, serial) = (members.remove("revision"), members.remove("serial"));
        match (revision, serial, members.is_empty()) {
            (Some(Value::String(revision)), Some(serial), true)
                if serial.is_null() || serial.is_u64() =>
            {
                Ok(Self {
                    revision: revision.into(),
                    serial: serial.as_u64(),
                })
            }
            _ => Err(RevisionError::State),
        }
    }

    /// Whether a bundle may follow what is held.
    pub(super) fn follows(
        &self,
        held: Option<&Self>,
        order: RevisionOrder,
    ) -> Result<(), RevisionError> {
        if order == RevisionOrder::Ignored {
            return Ok(());
        }
        let place = self.place();
        if order == RevisionOrder::Required && place == Place::None {
            return Err(RevisionError::NoPlace(self.to_string().into()));
        }
        let Some(held) = held else {
            return Ok(());
        };
        let forward = match (held.place(), place) {
            (Place::None, _) => true,
            (Place::Serial(held), Place::Serial(new)) => new >= held,
            // Serials are begun with.
            (_, Place::Serial(_)) => true,
            (Place::Time(held, nanos), Place::Time(new, new_nanos)) => {
                (new, new_nanos) >= (held, nanos)
            }
            (Place::Number(held), Place::Number(new)) => new >= held,
            (Place::Number(_), Place::None) => are_hashes(&held.revision, &self.revision),
            _ => false,
        };
        if forward {
            return Ok(());
        }
        Err(RevisionError::WentBack {
            held: held.to_string().into(),
            offered: self.to_string().into(),
        })
    }

    fn place(&self) -> Place {
        if let Some(serial) = self.serial {
            return Place::Serial(serial);
        }
        let text = &*self.revision;
        if let Ok(time) = chrono::DateTime::parse_from_rfc3339(text) {
            return Place::Time(time.timestamp(), time.timestamp_subsec_nanos());
        }
        if text.bytes().all(|it| it.is_ascii_digit())
            && let Ok(number) = text.parse()
        {
            return Place::Number(number);
        }
        Place::None
    }
}

/// One in 27 hashes cut to 7 digits has no letter and looks like a number. Where another of the same length is hexadecimal, both are
/// hashes; whoever counts upwards never has such a one.
fn are_hashes(number: &str, other: &str) -> bool {
    number.len() >= 7
        && number.len() == other.len()
        && other
            .bytes()
            .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for RevisionMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.serial {
            Some(serial) => write!(f, "{} (serial {serial})", shown(&self.revision)),
            None => f.write_str(&shown(&self.revision)),
        }
    }
}

/// Why a bundle does not follow the one that was in force.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RevisionError {
    /// It is before it, or cannot be compared with it.
    #[error(
        "the revision goes back from `{held}` to `{offered}`, or cannot be compared with it; raise the revision, or `metadata.serial` of the manifest"
    )]
    WentBack {
        /// The one that was in force.
        held: Box<str>,
        /// The one that was offered.
        offered: Box<str>,
    },
    /// It has no place in the order, and must have one.
    #[error(
        "the revision `{0}` is neither a number nor a time; write a `serial` into `metadata` of the manifest"
    )]
    NoPlace(Box<str>),
    /// What was stored cannot be read.
    #[error(
        "what was stored of the newest revision cannot be read; where the file is lost, remove it and check what is served"
    )]
    State,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(revision: &str, serial: Option<u64>) -> RevisionMark {
        RevisionMark {
            revision: revision.into(),
            serial,
        }
    }

    fn goes(from: (&str, Option<u64>), to: (&str, Option<u64>)) -> bool {
        mark(to.0, to.1)
            .follows(Some(&mark(from.0, from.1)), RevisionOrder::Found)
            .is_ok()
    }

    #[test]
    fn rule57_revisions_never_go_back() {
        for (from, to, forward) in [
            ("1", "2", true),
            ("2", "2", true),
            ("2", "1", false),
            ("9", "10", true),
            ("10", "9", false),
            ("007", "8", true),
            ("2", "", false),
            ("2", "two", false),
            ("", "2", true),
            ("a", "b", true),
            ("b", "a", true),
            ("2026-11-22T12:00:00Z", "2026-11-22T12:00:00.5Z", true),
            ("2026-11-22T12:00:00.5Z", "2026-11-22T12:00:00Z", false),
            ("2026-11-22T12:00:00Z", "2026-11-22T13:30:00+02:00", false),
            ("2026-11-22T12:00:00Z", "3000", false),
            ("3000", "2026-11-22T12:00:00Z", false),
            ("2026-11-22T12:00:00Z", "later", false),
            // Short hashes of commits, one of which has no letter.
            ("1234567", "a234567", true),
            ("1234567", "a2345678", false),
            ("123456", "a23456", false),
            ("1234567", "zzzzzzz", false),
        ] {
            assert_eq!(goes((from, None), (to, None)), forward, "{from} → {to}");
        }
    }

    #[test]
    fn rule57_a_serial_counts_before_the_revision() {
        for (from, to, forward) in [
            (("a", Some(1)), ("b", Some(2)), true),
            (("9", Some(1)), ("1", Some(2)), true),
            (("1", Some(2)), ("9", Some(1)), false),
            (("a", Some(2)), ("a", Some(2)), true),
            (("1", Some(2)), ("9", None), false),
            (("9", None), ("1", Some(0)), true),
            (("", Some(2)), ("", None), false),
        ] {
            assert_eq!(goes(from, to), forward, "{from:?} → {to:?}");
        }
    }

    #[test]
    fn the_order_can_be_required_or_ignored() {
        let old = mark("2", None);
        let required = |revision: &str| mark(revision, None).follows(None, RevisionOrder::Required);
        assert!(required("3").is_ok());
        assert!(matches!(required("x"), Err(RevisionError::NoPlace(_))));
        let ignored = mark("1", None).follows(Some(&old), RevisionOrder::Ignored);
        assert_eq!(ignored, Ok(()));
    }

    #[test]
    fn t24_the_mark_outlives_a_restart() {
        for mark in [
            mark("7", None),
            mark("a\"\n", Some(u64::MAX)),
            mark("", None),
        ] {
            let stored = mark.to_json();
            assert_eq!(RevisionMark::from_json(stored.as_bytes()), Ok(mark));
        }
        for state in [
            "",
            "{}",
            "null",
            r#"{"revision":"1"}"#,
            r#"{"revision":1,"serial":null}"#,
        ] {
            assert_eq!(
                RevisionMark::from_json(state.as_bytes()),
                Err(RevisionError::State),
                "{state}"
            );
        }
    }
}
