//! What bodies that wait before a schema take up together, in bytes.
//!
//! Of it each caller has a share, so that one who sends slowly and much does not keep the others out (T34). Neither bound is less
//! than that of one body.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Each caller's share is one part of so many.
const SHARES: usize = 4;

/// Who holds how much.
#[derive(Clone, Debug, Default)]
pub(super) struct Room(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    taken: usize,
    of: HashMap<Arc<str>, usize>,
}

/// How much may be held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    together: usize,
    share: usize,
}

impl Bounds {
    /// So much together, and at least one body of the largest size.
    pub(super) fn new(together: usize, body: usize) -> Self {
        Self {
            together: together.max(body),
            share: (together / SHARES).max(body),
        }
    }
}

/// What one body holds. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Room,
    caller: Arc<str>,
    bounds: Bounds,
    held: usize,
}

impl Room {
    /// For a body of this caller, that holds nothing yet.
    pub(super) fn place(&self, caller: &str, bounds: Bounds) -> Place {
        Place {
            room: self.clone(),
            caller: caller.into(),
            bounds,
            held: 0,
        }
    }

    /// How many bytes are held.
    #[cfg(feature = "metrics")]
    pub(super) fn taken(&self) -> usize {
        self.lock().taken
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Holds so many bytes more; where there is no room for them, it holds what it did and says false.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        let mut state = self.room.lock();
        let own = state.of.get(&self.caller).copied().unwrap_or_default();
        let own = own.saturating_add(bytes);
        let taken = state.taken.saturating_add(bytes);
        if own > self.bounds.share || taken > self.bounds.together {
            return false;
        }
        state.taken = taken;
        state.of.insert(Arc::clone(&self.caller), own);
        self.held = self.held.saturating_add(bytes);
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.held == 0 {
            return;
        }
        let mut state = self.room.lock();
        state.taken = state.taken.saturating_sub(self.held);
        match state.of.get_mut(&self.caller) {
            Some(own) if *own > self.held => *own = own.saturating_sub(self.held),
            _ => drop(state.of.remove(&self.caller)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t34_one_caller_has_a_share_and_all_have_a_bound() {
        let (room, bounds) = (Room::default(), Bounds::new(400, 60));
        let mut first = room.place("a", bounds);
        assert!(first.take(60) && first.take(40));
        assert!(!first.take(1), "its share is held");
        let mut again = room.place("a", bounds);
        assert!(!again.take(1), "by another body as well");
        let others: Vec<_> = ["b", "c", "d"]
            .map(|caller| {
                let mut place = room.place(caller, bounds);
                assert!(place.take(100));
                place
            })
            .into();
        let mut last = room.place("e", bounds);
        assert!(!last.take(1), "all is held");
        drop(first);
        assert!(last.take(100) && !again.take(1));
        drop((others, last));
        assert!(again.take(100));
        drop(again);
        let state = room.lock();
        assert_eq!((state.taken, state.of.len()), (0, 0));
    }

    #[test]
    fn neither_bound_is_less_than_one_body() {
        let room = Room::default();
        let bounds = Bounds::new(1, 60);
        let mut place = room.place("a", bounds);
        assert!(place.take(60) && !place.take(1) && place.take(0));
        assert!(!room.place("b", bounds).take(1));
        assert!(!room.place("b", bounds).take(usize::MAX));
    }
}
