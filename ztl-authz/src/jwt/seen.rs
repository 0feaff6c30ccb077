//! Tokens whose signature was checked before (T17).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::rand;
use siphasher::sip128::SipHasher24;
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

/// Proofs by a keyed hash of the whole token, the longest unused given up first. The token itself is not kept.
///
/// The hash is SipHash-2-4 of 128 bits, a pseudorandom function, under a key that is drawn here and never leaves, no more than a
/// hash does: whoever does not know it finds two texts of one place by luck alone, one try in 2^128.
pub(super) struct Seen {
    key: [u8; 16],
    shards: [Mutex<Shard>; SHARDS],
    /// Of one shard.
    most: usize,
}

#[derive(Default)]
struct Shard {
    proved: HashMap<Place, Kept>,
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
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place(u128);

impl Seen {
    /// Remembers so many tokens; of long ones less.
    pub(super) fn new(tokens: usize) -> Self {
        let mut key = [0; 16];
        // Without a key nothing may be remembered.
        let keyed = rand::fill(&mut key).is_ok();
        Self {
            key,
            shards: core::array::from_fn(|_| Mutex::default()),
            most: if keyed { tokens.div_ceil(SHARDS) } else { 0 },
        }
    }

    /// Where the proof of this token is, or would be: this memory's alone.
    pub(super) fn place(&self, token: &str) -> Place {
        let hash = SipHasher24::new_with_key(&self.key).hash(token.as_bytes());
        Place(hash.as_u128())
    }

    pub(super) fn get(&self, place: &Place) -> Option<Arc<Proved>> {
        let mut shard = self.shard(place);
        shard.turn = shard.turn.wrapping_add(1);
        let turn = shard.turn;
        let kept = shard.proved.get_mut(place)?;
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
        shard.forget(place);
        let full = |shard: &Shard| shard.proved.len() >= self.most || shard.bytes > room - bytes;
        if full(shard) {
            shard.forget_expired(now);
        }
        while full(shard) {
            shard.forget_unused();
        }
        shard.bytes = shard.bytes.saturating_add(bytes);
        shard.turn = shard.turn.wrapping_add(1);
        if let Entry::Vacant(vacant) = shard.proved.entry(*place) {
            vacant.insert(Kept {
                proved: Arc::new(proved),
                bytes,
                used: shard.turn,
            });
        }
    }

    pub(super) fn forget(&self, place: &Place) {
        self.shard(place).forget(place);
    }

    fn shard(&self, place: &Place) -> MutexGuard<'_, Shard> {
        let [one, ..] = &self.shards;
        let shard = self.shards.get(place.shard()).unwrap_or(one);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn shard(self) -> usize {
        let [first, ..] = self.0.to_le_bytes();
        usize::from(first) % SHARDS
    }
}

impl Shard {
    fn forget(&mut self, place: &Place) {
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
        seen.put(&seen.place(token), token.len(), proved, NOW);
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
            seen.get(&seen.place(&"y".repeat(5000))).is_none(),
            "too long for its share"
        );
        let none = Seen::new(0);
        put(&none, "token", 60);
        assert_eq!(count(&none), (0, 0));
    }

    #[test]
    fn t17_a_place_is_of_one_memory_and_of_every_byte() {
        let (one, other) = (Seen::new(16), Seen::new(16));
        assert!(one.place("token") == one.place("token"));
        assert!(one.place("token") != one.place("tokem"));
        assert!(one.place("token") != one.place("token\0"));
        assert!(one.place("token") != other.place("token"), "another key");
    }

    #[test]
    fn what_has_expired_goes_before_what_was_not_used_for_longest() {
        // All in one shard.
        let seen = Seen::new(48);
        let mut tokens = (0..).map(|at: u32| at.to_string());
        let mut next = || {
            tokens
                .find(|token| seen.place(token).shard() == 3)
                .expect("one")
        };
        let [first, second, third] = [next(), next(), next()];
        put(&seen, &first, 60);
        put(&seen, &second, 60);
        put(&seen, &third, 60);
        let is_seen = |token: &str| seen.get(&seen.place(token)).is_some();
        assert!(is_seen(&first));
        let fourth = next();
        put(&seen, &fourth, 0);
        assert!(is_seen(&first) && is_seen(&third) && !is_seen(&second));
        assert!(is_seen(&fourth), "it is remembered, though over by now");
        put(&seen, &next(), 60);
        assert!(is_seen(&first) && is_seen(&third) && !is_seen(&fourth));
        seen.forget(&seen.place(&first));
        assert!(!is_seen(&first));
    }
}
