//! That what nobody looks at any more permits nothing: only its task would notice that it has changed, or is gone (laws 1 and 8).

use std::sync::{Arc, Weak};

use super::kept::caught;
use super::{Looked, Renewed, alive};
use crate::guard::{Guard, Inner};

/// Whoever looks. Where that ends before the guard does, with its runtime or by a panic, what was looked at is lost.
pub(super) struct Looks<T: Lost> {
    pub(super) guard: Weak<Inner>,
    pub(super) at: T,
}

/// What can be lost because nobody looks at it.
pub(super) trait Lost {
    /// In words for people.
    const WHAT: &'static str;

    /// Takes back what it gave.
    fn lost(&mut self, guard: &Guard);
}

impl<T: Lost> Looks<T> {
    /// To be made before its task is: one that is never polled looks at nothing either.
    pub(super) fn at(at: T, guard: &Arc<Inner>) -> Self {
        Self {
            guard: Arc::downgrade(guard),
            at,
        }
    }
}

impl<T: Lost> Drop for Looks<T> {
    fn drop(&mut self) {
        let Some(guard) = alive(&self.guard) else {
            return;
        };
        // A service that comes to its end loses nothing that somebody has to hear of; neither does one that heard of the first.
        let ends = guard.is_shutting_down();
        let _ = caught(|| self.at.lost(&guard));
        if ends {
            return;
        }
        // What panicked may be whoever hears of it.
        let _ = caught(|| {
            tracing::error!(target: "ztl", workload = guard.name(), what = T::WHAT, "nobody looks at it any more, by a panic or because the runtime has ended on which the guard was built: what rests on it is refused; build the guard anew");
        });
    }
}

impl<T: Looked> Lost for T {
    const WHAT: &'static str = T::WHAT;

    fn lost(&mut self, guard: &Guard) {
        Looked::lost(self, guard);
    }
}

impl Lost for Renewed {
    const WHAT: &'static str = "the sources of SVID and bundles, and when these end";

    fn lost(&mut self, guard: &Guard) {
        self.sources.withdraw(guard);
    }
}
