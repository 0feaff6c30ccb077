//! How many bad tokens a caller may send before its tokens are not checked any more (T34).

use core::fmt;
use core::hash::BuildHasher;
use core::time::Duration;
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use ztl_core::policy::Policy;
use ztl_core::{FlowPermit, Peer, Prefix, SpiffeId, Timestamp};

use super::{TokenError, TokenVerifier, Unverified, Verified};

/// Bad tokens at once, and how many more a second, where nothing else is said.
const BURST: u32 = 256;
const A_SECOND: u32 = 64;
/// Callers that are counted at once.
const MOST: usize = 16_384;
const SHARDS: usize = 16;
/// What one costs. A bucket is counted in thousandths of a token, since it is filled by the millisecond.
const ONE: u64 = 1000;

/// How many bad tokens each caller may send, and what each has left.
///
/// A caller is the proved peer, whatever alias of its trust domain it showed; where none is proved, an IPv4 address or a /64 of IPv6.
/// Users behind one gateway share its budget, since a bad token proves no user: those whose token was good before do not notice
/// that another spends it. What is known of 16 384 callers is kept.
pub struct BadTokens {
    burst: u64,
    a_second: u64,
    hasher: RandomState,
    /// The buckets of those that failed. Who is not in here has a full one.
    shards: [Mutex<HashMap<u64, Bucket>>; SHARDS],
}

/// Why a token on a flow proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused<'a> {
    /// It was checked, and is bad.
    #[error("{}", .0.error)]
    Unverified(Unverified<'a>),
    /// Its caller sent too many bad ones, so that it was not checked. After so long another is.
    #[error("too many bad tokens came from this peer or network: this one was not checked")]
    Unchecked(Duration),
}

/// Who answers for a bad token: the peer that brought it, since the token itself proves nobody; where none was proved, its
/// network.
#[derive(Hash)]
enum Principal<'a> {
    Peer(&'a SpiffeId),
    Prefix(Prefix),
    Unknown,
}

/// What was left, and when.
#[derive(Clone, Copy)]
struct Bucket {
    left: u64,
    at: Timestamp,
}

impl TokenVerifier {
    /// Verifies a token that came on a flow, which may be bound to the certificate of its peer (RFC 8705). Where the peer's budget of
    /// bad ones is spent, only a token that was good before is taken, and nothing is found out about any other (T34).
    ///
    /// `policy` says by which names the peer is known.
    ///
    /// # Errors
    /// [`Refused`]. That an issuer has no keys is not the caller's fault, and costs it nothing.
    pub fn verify_on(
        &self,
        token: &str,
        flow: &FlowPermit,
        policy: &Policy,
        bad: &BadTokens,
        now: Timestamp,
    ) -> Result<Verified, Refused<'_>> {
        let leaf = flow.peer().and_then(Peer::leaf);
        let key = bad.key(policy, flow);
        let verified = match bad.check(key, now) {
            Ok(()) => self.verify_traced(token, now, leaf),
            // What was proved before costs nothing, whoever else spent the budget.
            Err(wait) => self
                .verify_remembered(token, now, leaf)
                .ok_or(Refused::Unchecked(wait))?,
        };
        verified.map_err(|unverified| {
            if unverified.error != TokenError::NoKeys {
                bad.count(key, now);
            }
            Refused::Unverified(unverified)
        })
    }
}

impl Default for BadTokens {
    /// 256 at once, and 64 more a second.
    fn default() -> Self {
        Self::new(BURST, A_SECOND)
    }
}

impl BadTokens {
    /// So many at once, and so many more each second; at least one each.
    #[must_use]
    pub fn new(at_once: u32, a_second: u32) -> Self {
        Self {
            burst: u64::from(at_once.max(1)) * ONE,
            a_second: u64::from(a_second.max(1)),
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
        let wait = (ONE - left).div_ceil(self.a_second);
        Err(Duration::from_millis(wait))
    }

    fn count(&self, key: u64, now: Timestamp) {
        let mut shard = self.shard(key);
        let (left, at) = match shard.get(&key) {
            Some(bucket) => (self.left(*bucket, now), bucket.at.max(now)),
            None => {
                if shard.len() >= MOST / SHARDS {
                    self.make_room(&mut shard, now);
                }
                (self.burst, now)
            }
        };
        // What is not there cannot be spent, and what came back since stays: others that were checked at once, or
        // that were good before and are over, put nothing off.
        let Some(left) = left.checked_sub(ONE) else {
            return;
        };
        shard.insert(key, Bucket { left, at });
    }

    /// What a second brings is thousandths a millisecond.
    fn left(&self, bucket: Bucket, now: Timestamp) -> u64 {
        let passed = u64::try_from(now.since(bucket.at).as_millis()).unwrap_or(u64::MAX);
        let more = passed.saturating_mul(self.a_second);
        bucket.left.saturating_add(more).min(self.burst)
    }

    /// Those whose bucket is full again are as those that are not there. Where all still lack something, whoever lacks least goes.
    fn make_room(&self, shard: &mut HashMap<u64, Bucket>, now: Timestamp) {
        shard.retain(|_, bucket| self.left(*bucket, now) < self.burst);
        if shard.len() >= MOST / SHARDS {
            let least = shard.iter().max_by_key(|(_, it)| self.left(**it, now));
            let least = least.map(|(key, _)| *key);
            least.map(|key| shard.remove(&key));
        }
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, HashMap<u64, Bucket>> {
        let ([byte, ..], [first, ..]) = (key.to_le_bytes(), &self.shards);
        let shard = self.shards.get(usize::from(byte) % SHARDS).unwrap_or(first);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, policy: &Policy, flow: &FlowPermit) -> u64 {
        let peer = flow.peer().map(|peer| policy.one_id_of(peer.id()));
        let network = || flow.arrival().addr().map(Prefix::from);
        self.hasher.hash_one(match peer.as_deref() {
            Some(id) => Principal::Peer(id),
            None => network().map_or(Principal::Unknown, Principal::Prefix),
        })
    }
}

impl fmt::Debug for BadTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BadTokens")
            .field("burst", &(self.burst / ONE))
            .field("a_second", &self.a_second)
            .finish_non_exhaustive()
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
        let bad = BadTokens::new(3, 2);
        for _ in 0..3 {
            assert_eq!(bad.check(7, NOW), Ok(()));
            bad.count(7, NOW);
        }
        assert_eq!(bad.check(7, NOW), Err(Duration::from_millis(500)));
        assert_eq!(bad.check(8, NOW), Ok(()), "everybody has their own");
        assert_eq!(bad.check(7, at(499)), Err(Duration::from_millis(1)));
        assert_eq!(bad.check(7, at(500)), Ok(()));
        // Failing beyond the budget puts nothing off, and a clock that was set back brings nothing.
        bad.count(7, at(500));
        bad.count(7, at(500));
        assert_eq!(bad.check(7, at(1000)), Ok(()));
        let slow = BadTokens::new(1, 1);
        slow.count(7, NOW);
        for millis in [1, 500, 999] {
            slow.count(7, at(millis));
        }
        assert_eq!(slow.check(7, at(999)), Err(Duration::from_millis(1)));
        assert_eq!(slow.check(7, at(1000)), Ok(()));
        bad.count(7, at(400));
        assert!(bad.check(7, at(400)).is_err());
        // Never more than at the beginning.
        for _ in 0..3 {
            assert_eq!(bad.check(7, at(1_000_000)), Ok(()));
            bad.count(7, at(1_000_000));
        }
        assert!(bad.check(7, at(1_000_000)).is_err());
    }

    #[test]
    fn t34_the_memory_is_bounded_and_who_spent_most_is_not_forgotten() {
        let bad = BadTokens::default();
        let spent = 7;
        for _ in 0..BURST {
            bad.count(spent, NOW);
        }
        for key in 100..100 + 3 * 16_384 {
            bad.count(key, NOW);
        }
        let count = |bad: &BadTokens| -> usize {
            let shards = bad.shards.iter();
            shards.map(|shard| shard.lock().expect("lock").len()).sum()
        };
        assert_eq!(count(&bad), MOST);
        assert!(bad.check(spent, NOW).is_err());
        // Whoever has all of it back goes first.
        for key in 0..16 {
            bad.count(1_000_000 + key, at(60_000));
        }
        assert_eq!(count(&bad), 16);
    }
}
