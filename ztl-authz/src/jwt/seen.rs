//! Tokens whose signature was checked before (T17).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use ztl_core::{Claims, Timestamp};

use super::key::KeyFingerprint;

/// How many tokens a verifier remembers where nothing else is said.
pub const DEFAULT_REMEMBERED: usize = 4096;
/// What one of them may take of the room on average, in bytes of its text.
const MEAN_BYTES: usize = 1024;
const SHARDS: usize = 16;

/// What was proved of a token: that this key signed it. Nothing else of it is remembered as judged: type, time, audience and
/// certificate are held against what is configured and what comes along each time.
pub(super) struct Proved {
    /// The `iss` of the configured issuer.
    pub(super) iss: Box<str>,
    pub(super) kid: Option<Box<str>>,
    pub(super) typ: Option<Box<str>>,
    pub(super) key: KeyFingerprint,
    pub(super) claims: Claims,
}

/// Proofs by the SHA-256 of the whole token, the longest unused given up first. The token itself is not kept.
pub(super) struct Seen {
    shards: [Mutex<Shard>; SHARDS],
    /// Of one shard.
    most: usize,
}

#[derive(Default)]
struct Shard {
    proved: HashMap<[u8; 32], Kept>,
    /// Bytes of the tokens' texts: what their claims take grows with them.
    bytes: usize,
    /// Counts what is asked.
    turn: u64,
}

struct Kept {
    proved: Arc<Proved>,
    bytes: usize,
    used: u64,
}

/// Where the proof of one token is, or would be.
pub(super) struct Place([u8; 32]);

impl Place {
    pub(super) fn of(token: &str) -> Self {
        let taken = digest(&SHA256, token.as_bytes());
        let mut place = [0; 32];
        for (to, from) in place.iter_mut().zip(taken.as_ref()) {
            *to = *from;
        }
        Self(place)
    }
}

impl Seen {
    /// Remembers so many tokens; of long ones less.
    pub(super) fn new(tokens: usize) -> Self {
        Self {
            shards: core::array::from_fn(|_| Mutex::default()),
            most: tokens.div_ceil(SHARDS),
        }
    }

    pub(super) fn get(&self, place: &Place) -> Option<Arc<Proved>> {
        let mut shard = self.shard(place);
        shard.turn = shard.turn.wrapping_add(1);
        let turn = shard.turn;
        let kept = shard.proved.get_mut(&place.0)?;
        kept.used = turn;
        Some(Arc::clone(&kept.proved))
    }

    /// Remembers what was proved of a token of so many bytes. What has expired goes first, then what was not used for longest.
    pub(super) fn put(&self, place: &Place, bytes: usize, proved: Proved, now: Timestamp) {
        let room = self.most.saturating_mul(MEAN_BYTES);
        if self.most == 0 || bytes > room {
            return;
        }
        let mut shard = self.shard(place);
        let shard = &mut *shard;
        shard.forget(&place.0);
        let full = |shard: &Shard| shard.proved.len() >= self.most || shard.bytes > room - bytes;
        if full(shard) {
            shard.forget_expired(now);
        }
        while full(shard) {
            shard.forget_unused();
        }
        shard.bytes = shard.bytes.saturating_add(bytes);
        if let Entry::Vacant(vacant) = shard.proved.entry(place.0) {
            vacant.insert(Kept {
                proved: Arc::new(proved),
                bytes,
                used: shard.turn,
            });
        }
    }

    pub(super) fn forget(&self, place: &Place) {
        self.shard(place).forget(&place.0);
    }

    fn shard(&self, Place([first, ..]): &Place) -> MutexGuard<'_, Shard> {
        let [one, ..] = &self.shards;
        let shard = self.shards.get(usize::from(first % 16)).unwrap_or(one);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn forget(&mut self, place: &[u8; 32]) {
        if let Some(gone) = self.proved.remove(place) {
            self.bytes = self.bytes.saturating_sub(gone.bytes);
        }
    }

    fn forget_expired(&mut self, now: Timestamp) {
        self.proved
            .retain(|_, kept| now < kept.proved.claims.expires_at());
        self.bytes = self.proved.values().map(|kept| kept.bytes).sum();
    }

    fn forget_unused(&mut self) {
        let unused = self.proved.iter().min_by_key(|(_, kept)| kept.used);
        match unused.map(|(place, _)| *place) {
            Some(place) => self.forget(&place),
            None => self.bytes = 0,
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests vouch for their own claims"
)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

    fn put(seen: &Seen, token: &str, seconds: u64) {
        let until = Timestamp::from_unix_secs(1_790_000_000 + seconds);
        let proved = Proved {
            iss: "i".into(),
            kid: None,
            typ: None,
            key: KeyFingerprint::of_nothing(),
            claims: Claims::assertion(serde_json::Map::new(), until, "test"),
        };
        seen.put(&Place::of(token), token.len(), proved, NOW);
    }

    fn count(seen: &Seen) -> (usize, usize) {
        let shards = seen.shards.iter().map(|shard| shard.lock().expect("lock"));
        shards.fold((0, 0), |(count, bytes), shard| {
            let sum: usize = shard.proved.values().map(|kept| kept.bytes).sum();
            assert_eq!(sum, shard.bytes);
            (count + shard.proved.len(), bytes + sum)
        })
    }

    #[test]
    fn t17_the_memory_is_bounded_by_number_and_by_bytes() {
        let seen = Seen::new(64);
        for at in 0..2000 {
            put(&seen, &format!("token {at}"), 60);
            put(&seen, &format!("token {at}"), 60);
        }
        assert_eq!(count(&seen).0, 64);
        for at in 0..500 {
            put(&seen, &format!("{at} {}", "x".repeat(3000)), 60);
        }
        let (tokens, bytes) = count(&seen);
        assert!(
            tokens <= 64 && bytes <= 64 * MEAN_BYTES,
            "{tokens}, {bytes}"
        );
        put(&seen, &"y".repeat(5000), 60);
        assert!(
            seen.get(&Place::of(&"y".repeat(5000))).is_none(),
            "too long for its share"
        );
        let none = Seen::new(0);
        put(&none, "token", 60);
        assert_eq!(count(&none), (0, 0));
    }

    #[test]
    fn what_has_expired_goes_before_what_was_not_used_for_longest() {
        // All in one shard.
        let mut tokens = (0..).map(|at: u32| at.to_string());
        let mut next = || {
            tokens
                .find(|token| Place::of(token).0[0] % 16 == 3)
                .expect("one")
        };
        let seen = Seen::new(48);
        let [first, second, third] = [next(), next(), next()];
        put(&seen, &first, 60);
        put(&seen, &second, 60);
        put(&seen, &third, 60);
        let is_seen = |token: &str| seen.get(&Place::of(token)).is_some();
        assert!(is_seen(&first));
        let fourth = next();
        put(&seen, &fourth, 0);
        assert!(is_seen(&first) && is_seen(&third) && !is_seen(&second));
        assert!(is_seen(&fourth), "it is remembered, though over by now");
        put(&seen, &next(), 60);
        assert!(is_seen(&first) && is_seen(&third) && !is_seen(&fourth));
        seen.forget(&Place::of(&first));
        assert!(!is_seen(&first));
    }
}
