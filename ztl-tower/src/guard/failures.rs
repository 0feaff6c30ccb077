//! How many bad tokens a caller may send before its tokens are not checked any more (T34).

use core::hash::BuildHasher;
use core::time::Duration;
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ztl_core::policy::{Policy, Workload};
use ztl_core::{FlowPermit, SpiffeId, Timestamp};

use super::{Guard, GuardBuilder};
use crate::prefix::Prefix;

/// Bad tokens at once, and how many more a second, where nothing else is said.
const BURST: u32 = 256;
const A_SECOND: u32 = 64;
/// Callers that are counted at once.
const MOST: usize = 16_384;
const SHARDS: usize = 16;
/// What one failure costs. A bucket is counted in thousandths of failures, since it is filled by the millisecond.
const ONE: u64 = 1000;

/// How many, and how fast they are forgotten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    burst: u32,
    a_second: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            burst: BURST,
            a_second: A_SECOND,
        }
    }
}

impl Budget {
    pub(super) const fn new(at_once: u32, a_second: u32) -> Self {
        Self {
            burst: if at_once == 0 { 1 } else { at_once },
            a_second: if a_second == 0 { 1 } else { a_second },
        }
    }

    fn full(self) -> u64 {
        u64::from(self.burst) * ONE
    }
}

/// Who answers for a bad token: the peer that brought it, since the token itself proves nobody; where none was proved, its
/// network.
#[derive(Hash)]
enum Principal<'a> {
    Peer(&'a SpiffeId),
    Prefix(Prefix),
    Unknown,
}

/// The buckets of those that failed. Who is not in here has a full one.
pub(super) struct Failures {
    budget: Budget,
    hasher: RandomState,
    shards: [Mutex<HashMap<u64, Bucket>>; SHARDS],
}

/// What was left, and when.
#[derive(Clone, Copy)]
struct Bucket {
    left: u64,
    at: Timestamp,
}

impl Failures {
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            budget,
            hasher: RandomState::new(),
            shards: core::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Whether there is room for one more, else how long until there is.
    fn check(&self, key: u64, now: Timestamp) -> Result<(), Duration> {
        let Some(bucket) = self.shard(key).get(&key).copied() else {
            return Ok(());
        };
        let left = self.left(bucket, now);
        if left >= ONE {
            return Ok(());
        }
        let wait = (ONE - left).div_ceil(u64::from(self.budget.a_second));
        Err(Duration::from_millis(wait))
    }

    fn count(&self, key: u64, now: Timestamp) {
        let mut shard = self.shard(key);
        let left = match shard.get(&key) {
            Some(bucket) => self.left(*bucket, now),
            None => {
                if shard.len() >= MOST / SHARDS {
                    self.make_room(&mut shard, now);
                }
                self.budget.full()
            }
        };
        let left = left.saturating_sub(ONE);
        let at = shard.get(&key).map_or(now, |bucket| bucket.at.max(now));
        shard.insert(key, Bucket { left, at });
    }

    /// What a second brings is thousandths a millisecond.
    fn left(&self, bucket: Bucket, now: Timestamp) -> u64 {
        let passed = u64::try_from(now.since(bucket.at).as_millis()).unwrap_or(u64::MAX);
        let more = passed.saturating_mul(u64::from(self.budget.a_second));
        bucket.left.saturating_add(more).min(self.budget.full())
    }

    /// Those whose bucket is full again are as those that are not there. Where all still lack something, whoever lacks least goes.
    fn make_room(&self, shard: &mut HashMap<u64, Bucket>, now: Timestamp) {
        let full = self.budget.full();
        shard.retain(|_, bucket| self.left(*bucket, now) < full);
        if shard.len() >= MOST / SHARDS {
            let least = shard.iter().max_by_key(|(_, it)| self.left(**it, now));
            let least = least.map(|(key, _)| *key);
            least.map(|key| shard.remove(&key));
        }
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, HashMap<u64, Bucket>> {
        let at = usize::try_from(key % 16).unwrap_or_default();
        let [first, ..] = &self.shards;
        let shard = self.shards.get(at).unwrap_or(first);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, policy: &Policy, flow: &FlowPermit) -> u64 {
        let peer = flow.peer().map(ztl_core::Peer::id);
        let peer = peer.map(|id| policy.workload_by_id(id).map_or(id, Workload::id));
        let network = || flow.arrival().addr().map(Prefix::from);
        self.hasher.hash_one(match peer {
            Some(id) => Principal::Peer(id),
            None => network().map_or(Principal::Unknown, Principal::Prefix),
        })
    }
}

/// Whose tokens these are, to be counted.
pub(crate) struct Account<'a> {
    failures: &'a Failures,
    key: u64,
    now: Timestamp,
}

impl Account<'_> {
    /// Whether one more token may be checked, else how long until one may.
    pub(crate) fn check(&self) -> Result<(), Duration> {
        self.failures.check(self.key, self.now)
    }

    /// It was bad.
    pub(crate) fn failed(&self) {
        self.failures.count(self.key, self.now);
    }
}

impl GuardBuilder {
    /// How many bad tokens a caller may send at once, and how many more each second, before tokens of it that are not known to be
    /// good already are answered with 429 without being checked. 256 and 64 where not set; at least one each.
    ///
    /// A caller is the proved peer; where none is proved, an IPv4 address or a /64 of IPv6. Users behind one gateway share its
    /// budget, since a bad token proves no user: those whose token was good before do not notice that another spends it.
    pub const fn max_bad_tokens(mut self, at_once: u32, a_second: u32) -> Self {
        self.bad_tokens = Budget::new(at_once, a_second);
        self
    }
}

impl Guard {
    /// The budget of whoever is at the other end of this flow.
    pub(crate) fn account(&self, flow: &FlowPermit, now: Timestamp) -> Account<'_> {
        let failures = &self.0.failures;
        Account {
            failures,
            key: failures.key(&self.engine().policy(), flow),
            now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

    fn at(millis: u64) -> Timestamp {
        NOW.saturating_add(Duration::from_millis(millis))
    }

    #[test]
    fn t34_what_was_spent_comes_back_with_time_alone() {
        let (burst, a_second) = (3, 2);
        let failures = Failures::new(Budget { burst, a_second });
        for _ in 0..3 {
            assert_eq!(failures.check(7, NOW), Ok(()));
            failures.count(7, NOW);
        }
        assert_eq!(failures.check(7, NOW), Err(Duration::from_millis(500)));
        assert_eq!(failures.check(8, NOW), Ok(()), "everybody has their own");
        assert_eq!(failures.check(7, at(499)), Err(Duration::from_millis(1)));
        assert_eq!(failures.check(7, at(500)), Ok(()));
        // Failing beyond the budget puts nothing off, and a clock that was set back brings nothing.
        failures.count(7, at(500));
        failures.count(7, at(500));
        assert_eq!(failures.check(7, at(1000)), Ok(()));
        failures.count(7, at(400));
        assert!(failures.check(7, at(400)).is_err());
        // Never more than at the beginning.
        for _ in 0..3 {
            assert_eq!(failures.check(7, at(1_000_000)), Ok(()));
            failures.count(7, at(1_000_000));
        }
        assert!(failures.check(7, at(1_000_000)).is_err());
    }

    #[test]
    fn t34_the_memory_is_bounded_and_who_spent_most_is_not_forgotten() {
        let failures = Failures::new(Budget::default());
        let spent = 7;
        for _ in 0..BURST {
            failures.count(spent, NOW);
        }
        for key in 100..100 + 3 * 16_384 {
            failures.count(key, NOW);
        }
        let count = |failures: &Failures| -> usize {
            let shards = failures.shards.iter();
            shards.map(|shard| shard.lock().expect("lock").len()).sum()
        };
        assert_eq!(count(&failures), MOST);
        assert!(failures.check(spent, NOW).is_err());
        // Whoever has all of it back goes first.
        for key in 0..16 {
            failures.count(1_000_000 + key, at(60_000));
        }
        assert_eq!(count(&failures), 16);
    }
}
