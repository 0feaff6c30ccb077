//! Shares of something scarce: nobody holds more than his own.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much each holds. Who holds nothing is not remembered.
pub(super) struct Shares<K> {
    most: usize,
    held: Mutex<BTreeMap<K, Held>>,
}

/// What one holds.
#[derive(Default)]
struct Held {
    count: usize,
    /// The requests that run on it, all together.
    running: Arc<AtomicUsize>,
}

impl<K: Ord + Clone> Shares<K> {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            held: Mutex::new(BTreeMap::new()),
        })
    }

    /// One more for this one, unless it holds the most it may.
    pub(super) fn take(self: &Arc<Self>, of: &K) -> Option<Share<K>> {
        let mut held = self.lock();
        if self.most == 0 || held.get(of).is_some_and(|held| held.count >= self.most) {
            return None;
        }
        let one = held.entry(of.clone()).or_default();
        one.count = one.count.saturating_add(1);
        let running = Arc::clone(&one.running);
        drop(held);
        Some(Share {
            shares: Arc::clone(self),
            of: of.clone(),
            running,
        })
    }
}

impl<K> Shares<K> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of what somebody holds, given back when it is dropped.
pub(super) struct Share<K: Ord> {
    shares: Arc<Shares<K>>,
    of: K,
    running: Arc<AtomicUsize>,
}

impl<K: Ord> Share<K> {
    /// Bounds the requests that run on all that its holder has.
    pub(super) fn busy(&self, most: usize) -> Busy {
        Busy {
            most,
            running: Arc::clone(&self.running),
        }
    }
}

/// The requests that run for one holder, on whichever of its connections (T35).
#[derive(Clone)]
pub(crate) struct Busy {
    most: usize,
    running: Arc<AtomicUsize>,
}

impl Busy {
    /// One more, unless as many run as may.
    pub(super) fn begin(&self) -> bool {
        let more = |count: usize| (count < self.most).then_some(count.saturating_add(1));
        let (set, get) = (Ordering::AcqRel, Ordering::Acquire);
        self.running.fetch_update(set, get, more).is_ok()
    }

    pub(super) fn end(&self) {
        self.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<K: Ord> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.shares.lock();
        match held.get_mut(&self.of) {
            Some(held) if held.count > 1 => held.count = held.count.saturating_sub(1),
            _ => {
                held.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t35_nobody_holds_more_than_the_most_and_what_is_given_back_is_free() {
        let shares = Shares::new(2);
        let first = shares.take(&"a");
        let second = shares.take(&"a");
        assert!(first.is_some() && second.is_some());
        assert!(shares.take(&"a").is_none());
        let other = shares.take(&"b");
        assert!(other.is_some(), "one leaves the others theirs");
        let (one, two) = (second.as_ref(), other.as_ref());
        let busy = [first.as_ref(), one, two].map(|share| share.map(|share| share.busy(1)));
        let begins = || {
            busy.each_ref()
                .map(|busy| busy.as_ref().is_some_and(Busy::begin))
        };
        assert_eq!(begins(), [true, false, true], "of all that one holds");
        assert_eq!(begins(), [false; 3]);
        busy[1].as_ref().expect("a share").end();
        assert_eq!(begins(), [true, false, false]);
        drop(first);
        let again = shares.take(&"a");
        assert!(again.is_some() && shares.take(&"a").is_none());
        drop((second, again, other));
        assert!(shares.lock().is_empty(), "nothing is kept of who is gone");
        assert!(Shares::new(0).take(&"a").is_none());
    }
}
