//! How many bad tokens a caller may send before its tokens are not checked any more (T34).

use core::hash::BuildHasher as _;
use core::net::IpAddr;
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ztl_core::{FlowPermit, SpiffeId, Timestamp};

/// Bad tokens at once, and how many more a second.
const BURST: u64 = 256;
const A_SECOND: u64 = 64;
/// Callers that are counted at once.
const MOST: usize = 4096;
/// What one costs: a bucket is counted in thousandths, since it is filled by the millisecond.
const ONE: u64 = 1000;

/// Who answers for a bad token: the peer that brought it, since the token itself proves nobody; where none was proved, its
/// IPv4 address or the /64 of its IPv6 address.
#[derive(Hash)]
enum Caller<'a> {
    Peer(&'a SpiffeId),
    Network(u64),
    Unknown,
}

impl<'a> Caller<'a> {
    fn of(flow: &'a FlowPermit) -> Self {
        match (
            flow.peer(),
            flow.arrival().addr().map(|ip| ip.to_canonical()),
        ) {
            (Some(peer), _) => Self::Peer(peer.id()),
            (None, Some(IpAddr::V4(ip))) => Self::Network(ip.to_bits().into()),
            (None, Some(IpAddr::V6(ip))) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Self::Network(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
            (None, None) => Self::Unknown,
        }
    }
}

/// The buckets of those that failed. Who is not in here has a full one.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    hasher: RandomState,
    buckets: Mutex<HashMap<u64, Bucket>>,
}

/// What was left, and when.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u64,
    at: Timestamp,
}

impl Bucket {
    /// What a second brings is thousandths a millisecond.
    fn left(self, now: Timestamp) -> u64 {
        let passed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let more = passed.saturating_mul(A_SECOND);
        self.left.saturating_add(more).min(BURST * ONE)
    }
}

impl Budget {
    /// Whether the caller of a flow may bring one more.
    pub(crate) fn allows(&self, flow: &FlowPermit, now: Timestamp) -> bool {
        let key = self.key(flow);
        let bucket = self.lock().get(&key).copied();
        bucket.is_none_or(|bucket| bucket.left(now) >= ONE)
    }

    /// The caller of a flow brought a bad one.
    pub(crate) fn spend(&self, flow: &FlowPermit, now: Timestamp) {
        let key = self.key(flow);
        let mut buckets = self.lock();
        let (left, at) = match buckets.get(&key) {
            Some(bucket) => (bucket.left(now), bucket.at.max(now)),
            None => {
                if buckets.len() >= MOST {
                    make_room(&mut buckets, now);
                }
                (BURST * ONE, now)
            }
        };
        let left = left.saturating_sub(ONE);
        buckets.insert(key, Bucket { left, at });
    }

    fn key(&self, flow: &FlowPermit) -> u64 {
        self.hasher.hash_one(Caller::of(flow))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those whose bucket is full again are as those that are not there. Where all still lack something, whoever lacks least goes.
fn make_room(buckets: &mut HashMap<u64, Bucket>, now: Timestamp) {
    buckets.retain(|_, bucket| bucket.left(now) < BURST * ONE);
    if buckets.len() >= MOST {
        let least = buckets.iter().max_by_key(|(_, bucket)| bucket.left(now));
        if let Some(key) = least.map(|(key, _)| *key) {
            buckets.remove(&key);
        }
    }
}
