//! Shares of something scarce: nobody holds more than his own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much each holds. Who holds nothing is not remembered.
pub(super) struct Shares<K> {
    most: usize,
    held: Mutex<BTreeMap<K, usize>>,
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
        match held.get_mut(of) {
            Some(count) if *count >= self.most => return None,
            Some(count) => *count = count.saturating_add(1),
            None if self.most == 0 => return None,
            None => {
                held.insert(of.clone(), 1);
            }
        }
        drop(held);
        Some(Share {
            shares: Arc::clone(self),
            of: of.clone(),
        })
    }
}

impl<K> Shares<K> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of what somebody holds, given back when it is dropped.
pub(super) struct Share<K: Ord> {
    shares: Arc<Shares<K>>,
    of: K,
}

impl<K: Ord> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.shares.lock();
        match held.get_mut(&self.of) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
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
        drop(first);
        let again = shares.take(&"a");
        assert!(again.is_some() && shares.take(&"a").is_none());
        drop((second, again, other));
        assert!(shares.lock().is_empty(), "nothing is kept of who is gone");
        assert!(Shares::new(0).take(&"a").is_none());
    }
}
