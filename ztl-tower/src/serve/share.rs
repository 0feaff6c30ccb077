//! Shares of something scarce: nobody holds more than his own.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much each holds. Who holds nothing is not remembered, unless requests still run that began on what it held.
pub(super) struct Shares<K> {
    most: usize,
    state: Mutex<State<K>>,
}

struct State<K> {
    held: BTreeMap<K, Held>,
    /// Those that held nothing when they were looked at last, and had something running.
    left: VecDeque<K>,
}

/// What one holds.
#[derive(Default)]
struct Held {
    count: usize,
    /// The requests that run on it, all together.
    running: Arc<AtomicUsize>,
    /// Whether it is among those that are left.
    is_left: bool,
}

/// So many of those that are left are looked at whenever something is taken or given back.
const LOOKS: usize = 2;

impl<K: Ord + Clone> Shares<K> {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            state: Mutex::new(State {
                held: BTreeMap::new(),
                left: VecDeque::new(),
            }),
        })
    }

    /// One more for this one, unless it holds the most it may.
    pub(super) fn take(self: &Arc<Self>, of: &K) -> Option<Share<K>> {
        let mut state = self.lock();
        state.tidy();
        let held = state.held.get(of);
        if self.most == 0 || held.is_some_and(|held| held.count >= self.most) {
            return None;
        }
        let one = state.held.entry(of.clone()).or_default();
        one.count = one.count.saturating_add(1);
        let running = Arc::clone(&one.running);
        drop(state);
        Some(Share {
            shares: Arc::clone(self),
            of: of.clone(),
            running,
        })
    }
}

impl<K> Shares<K> {
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord + Clone> State<K> {
    /// One is given back.
    fn give_back(&mut self, of: &K) {
        if let Some(held) = self.held.get_mut(of) {
            held.count = held.count.saturating_sub(1);
        }
        self.forget(of.clone());
    }

    /// Forgets one that holds nothing. One with something running keeps its count of it, so that whoever comes back does not begin
    /// anew (T35).
    fn forget(&mut self, of: K) {
        match self.held.get_mut(&of) {
            Some(held) if held.count > 0 || held.is_left => {}
            Some(held) if held.running.load(Ordering::Acquire) > 0 => {
                held.is_left = true;
                self.left.push_back(of);
            }
            _ => {
                self.held.remove(&of);
            }
        }
    }

    /// Looks whether something still runs of some of those that are left.
    fn tidy(&mut self) {
        for _ in 0..LOOKS {
            let Some(of) = self.left.pop_front() else {
                return;
            };
            if let Some(held) = self.held.get_mut(&of) {
                held.is_left = false;
            }
            self.forget(of);
        }
    }
}

/// One of what somebody holds, given back when it is dropped.
pub(super) struct Share<K: Ord + Clone> {
    shares: Arc<Shares<K>>,
    of: K,
    running: Arc<AtomicUsize>,
}

impl<K: Ord + Clone> Share<K> {
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

impl<K: Ord + Clone> Drop for Share<K> {
    fn drop(&mut self) {
        let mut state = self.shares.lock();
        state.tidy();
        state.give_back(&self.of);
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
        for busy in [&busy[0], &busy[2]] {
            busy.as_ref().expect("a share").end();
        }
        drop((second, again, other));
        assert!(
            shares.lock().held.is_empty(),
            "nothing is kept of who is gone"
        );
        assert!(Shares::new(0).take(&"a").is_none());
    }

    #[test]
    fn t35_who_goes_and_comes_back_finds_what_it_has_running_counted() {
        let shares = Shares::new(2);
        let (mut begun, mut kept) = (0, Vec::new());
        for _ in 0..50 {
            let share = shares.take(&"a").expect("a share");
            let busy = share.busy(3);
            while busy.begin() {
                begun += 1;
            }
            kept.push(busy);
            drop(share);
        }
        assert_eq!(begun, 3, "on connections that are gone");
        let state = shares.lock();
        assert_eq!((state.held.len(), state.left.len()), (1, 1));
        drop(state);
        for busy in &kept[..3] {
            busy.end();
        }
        // Others tidy up.
        drop(shares.take(&"b"));
        let state = shares.lock();
        assert!(state.held.is_empty() && state.left.is_empty());
        drop(state);
        assert!(shares.take(&"a").expect("a share").busy(3).begin());
    }
}
