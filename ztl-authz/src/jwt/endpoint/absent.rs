//! Names of keys that were asked for and are not there (rule 63).

use core::time::Duration;

use ztl_core::Timestamp;

/// How many are remembered.
const MOST: usize = 64;
/// A longer name is remembered and fetched for never: no issuer gives its keys such names.
const MAX_KEY_ID_BYTES: usize = 256;

/// Remembers for a while which names had a fetch, so that a token of a key that is gone does not cause another each time.
/// Where it is full it forgets nothing and remembers no more: the cool-down alone is what bounds a flood.
#[derive(Clone, Default)]
pub(super) struct Absent {
    until: Vec<(Box<str>, Timestamp)>,
}

impl Absent {
    /// Whether a name is worth a fetch. If so it is remembered for this long.
    pub(super) fn is_news(&mut self, kid: &str, now: Timestamp, remember: Duration) -> bool {
        if kid.len() > MAX_KEY_ID_BYTES {
            return false;
        }
        // T23: what lies further ahead than it can is of a clock that was set back.
        self.until
            .retain(|(_, until)| *until > now && until.since(now) <= remember);
        if self.until.iter().any(|(one, _)| **one == *kid) {
            return false;
        }
        if self.until.len() < MOST {
            self.until.push((kid.into(), now.saturating_add(remember)));
        }
        true
    }

    pub(super) fn forget(&mut self) {
        self.until.clear();
    }
}
