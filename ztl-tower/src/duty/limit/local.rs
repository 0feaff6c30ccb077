//! Counts in the memory of this process.

use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use governor::clock::Clock as GovernorClock;
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{NotUntil, Quota, RateLimiter};
use ztl_core::policy::Policy;
use ztl_core::{Limit, Rate};

use super::fields::period;
use super::{Left, Over, Principal, Whose};
use crate::duty::Asked;
use crate::guard::Clock;

/// Callers of one limit that are counted at once.
const MOST: usize = 16_384;
const SHARDS: usize = 16;
const SHARD: usize = MOST / SHARDS;
/// A bucket that takes longer than this to fill is as good as one that takes for ever.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The guard's clock, since 1970.
#[derive(Clone)]
struct Since1970(Clock);

impl GovernorClock for Since1970 {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis((self.0)().as_unix_millis())
    }
}

type Single = RateLimiter<NotKeyed, InMemoryState, Since1970, StateInformationMiddleware>;
type Keyed = RateLimiter<u64, Shards, Since1970, StateInformationMiddleware>;

/// What was spent of every limit.
#[derive(Default)]
pub(in crate::duty) struct Limits {
    counts: Mutex<HashMap<Arc<str>, Arc<Counts>>>,
    #[cfg(feature = "redis")]
    pub(super) shared: Option<super::shared::Shared>,
}

impl Limits {
    /// Spends one of each count that the limit has.
    pub(super) async fn spend(
        &self,
        asked: &Asked,
        policy: &Policy,
        limit: &Limit,
        principal: &Principal,
        rate: Rate,
    ) -> Result<Left, Over> {
        #[cfg(feature = "redis")]
        if let Some(shared) = &self.shared {
            use super::shared::Answered;
            return match shared.spend(limit, principal, rate).await {
                Answered::Told(spent) => spent,
                Answered::Deny(wait) => Err(Over {
                    whose: Whose::Unknown,
                    rate,
                    wait,
                }),
                // T36: never more than a share of what all replicas may.
                Answered::Local(replicas) => {
                    let (share, rate) = (divided(limit, replicas), share(rate, replicas));
                    self.counts(asked, policy, &share).spend(principal, rate)
                }
            };
        }
        core::future::ready(self.counts(asked, policy, limit).spend(principal, rate)).await
    }

    /// The counts of a limit. After a reload those stay whose rate is the same.
    fn counts(&self, asked: &Asked, policy: &Policy, limit: &Limit) -> Arc<Counts> {
        let mut all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.get(&limit.name);
        if let Some(same) = before.filter(|before| before.limit == *limit) {
            return Arc::clone(same);
        }
        let counts = Counts::new(limit, &asked.guard.clock(), before.map(|it| &**it));
        let counts = Arc::new(counts);
        // Those that no document in force has are forgotten.
        let declared = &policy.document().limits;
        all.retain(|name, _| declared.iter().any(|decl| decl.name.value == *name));
        all.insert(Arc::clone(&limit.name), Arc::clone(&counts));
        counts
    }
}

/// A share of a limit.
#[cfg(feature = "redis")]
fn divided(limit: &Limit, replicas: NonZeroU32) -> Limit {
    let mut all = limit.clone();
    all.each = share(all.each, replicas);
    all.total = all.total.map(|total| share(total, replicas));
    for (_, rate) in &mut all.overrides {
        *rate = share(*rate, replicas);
    }
    all
}

/// At least one request now and then.
#[cfg(feature = "redis")]
fn share(rate: Rate, replicas: NonZeroU32) -> Rate {
    let mut share = rate;
    share.per = rate.per.saturating_mul(replicas.get());
    share.burst = Some((rate.at_once() / replicas).max(1));
    share
}

/// The counts of one limit.
struct Counts {
    limit: Limit,
    hasher: RandomState,
    each: Arc<Own>,
    overrides: HashMap<Arc<str>, Arc<Own>>,
    total: Option<Arc<Single>>,
}

impl Counts {
    fn new(limit: &Limit, clock: &Clock, before: Option<&Self>) -> Self {
        let clock = || Since1970(Arc::clone(clock));
        let own = |rate| Arc::new(Own::new(rate, clock()));
        let same = before.filter(|it| it.limit.each == limit.each && it.limit.by == limit.by);
        let each = same.map(|it| Arc::clone(&it.each));
        let overrides = limit.overrides.iter().map(|(name, rate)| {
            let same = before.filter(|it| it.limit.of_workload(name) == Some(*rate));
            let one = same.and_then(|it| it.overrides.get(name)).map(Arc::clone);
            (Arc::clone(name), one.unwrap_or_else(|| own(*rate)))
        });
        let overrides = overrides.collect();
        let total = limit.total.map(|rate| {
            let same = before.filter(|it| it.limit.total == Some(rate));
            let one = same.and_then(|it| it.total.clone());
            one.unwrap_or_else(|| {
                let one = Single::new(quota(rate), InMemoryState::default(), clock());
                Arc::new(one)
            })
        });
        Self {
            hasher: before.map_or_else(RandomState::new, |it| it.hasher.clone()),
            each: each.unwrap_or_else(|| own(limit.each)),
            overrides,
            total,
            limit: limit.clone(),
        }
    }

    fn spend(&self, principal: &Principal, rate: Rate) -> Result<Left, Over> {
        let own = match principal {
            Principal::Workload(name) => self.overrides.get(name.as_str()),
            _ => None,
        };
        let own = own.unwrap_or(&self.each);
        let key = self.hasher.hash_one(principal);
        let left = spent(
            own.counts.check_key(&key),
            own.counts.clock(),
            Whose::Own,
            rate,
        )?;
        if let (Some(total), Some(rate)) = (&self.total, self.limit.total) {
            spent(total.check(), total.clock(), Whose::All, rate)
                .inspect_err(|_| own.give_back(key))?;
        }
        Ok(left)
    }
}

/// The own counts of all whom one rate is for.
struct Own {
    counts: Keyed,
    shards: Shards,
    /// What one that is spent is worth.
    one: Duration,
}

impl Own {
    fn new(rate: Rate, clock: Since1970) -> Self {
        let (quota, shards) = (quota(rate), Shards::default());
        Self {
            counts: Keyed::new(quota, shards.clone(), clock),
            shards,
            one: quota.replenish_interval(),
        }
    }

    /// Takes back what was just spent: of both counts one is spent, or of neither.
    fn give_back(&self, key: u64) {
        let one = Nanos::from(self.one).as_u64();
        if let Some(until) = self.shards.shard(key).known.get_mut(&key) {
            *until = until.saturating_sub(one);
        }
    }
}

fn spent(
    outcome: Result<StateSnapshot, NotUntil<Duration>>,
    clock: &Since1970,
    whose: Whose,
    rate: Rate,
) -> Result<Left, Over> {
    match outcome {
        Ok(state) => Ok(Left {
            rate,
            left: state.remaining_burst_capacity(),
        }),
        Err(until) => Err(Over {
            whose,
            rate,
            wait: until.wait_time_from(clock.now()),
        }),
    }
}

/// How many at once, as far as a whole bucket is worth no more than fits into 64 bits of nanoseconds.
pub(super) fn at_once(rate: Rate) -> u32 {
    let most = LONGEST.as_nanos() / period(rate).as_nanos().max(1);
    let burst = u128::from(rate.at_once()).min(most);
    u32::try_from(burst).unwrap_or(u32::MAX).max(1)
}

fn quota(rate: Rate) -> Quota {
    let burst = NonZeroU32::new(at_once(rate)).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(period(rate))
        .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
        .allow_burst(burst)
}

/// The counts of callers: of each until when it is spent, and no more callers than have room.
///
/// Where there is no room for one more, an eighth of a shard goes: those that have most left. From then on nobody who is not
/// known begins with more than the one of them that had least. So whoever is made to be forgotten by a flood of other callers
/// comes back with no more than it had; a flood costs newcomers some of their burst, and for as long as it lasts.
#[derive(Clone, Default)]
struct Shards(Arc<[Mutex<Shard>; SHARDS]>);

#[derive(Default)]
struct Shard {
    known: HashMap<u64, u64>,
    /// What those who are not known begin with.
    floor: Option<u64>,
}

impl Shard {
    fn make_room(&mut self) {
        let mut spent: Vec<u64> = self.known.values().copied().collect();
        let (_, nth, _) = spent.select_nth_unstable(SHARD / 8);
        let floor = *nth;
        self.known.retain(|_, until| *until > floor);
        self.floor = self.floor.max(Some(floor));
    }
}

impl StateStore for Shards {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.shard(*key);
        let before = shard.known.get(key).copied();
        let (told, until) = decide(before.or(shard.floor).map(Nanos::from))?;
        if before.is_none() && shard.known.len() >= SHARD {
            shard.make_room();
        }
        shard.known.insert(*key, until.as_u64());
        Ok(told)
    }
}

impl Shards {
    fn shard(&self, key: u64) -> MutexGuard<'_, Shard> {
        let at = usize::try_from(key % 16).unwrap_or_default();
        let [first, ..] = &*self.0;
        let shard = self.0.get(at).unwrap_or(first);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
