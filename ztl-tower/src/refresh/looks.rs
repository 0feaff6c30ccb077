//! That what nobody looks at any more permits nothing: only its task would notice that it has changed, or is gone (laws 1 and 8).

use std::sync::{Arc, Weak};

use tokio::runtime::{Handle, Id};

use super::kept::caught;
use super::{Looked, Renewed, alive};
use crate::guard::{Guard, Inner};

/// Whoever looks. Where that ends before the guard does, with its runtime or by a panic, what was looked at is lost.
pub(super) struct Looks<T: Lost> {
    pub(super) guard: Weak<Inner>,
    pub(super) at: T,
    on: Id,
}

/// What can be lost because nobody looks at it.
pub(super) trait Lost {
    /// In words for people.
    const WHAT: &'static str;

    /// Whether anything rests on it.
    fn bears(&self) -> bool {
        true
    }

    /// Takes back what it gave.
    fn lost(&mut self, guard: &Guard);
}

impl<T: Lost> Looks<T> {
    /// To be made before its task is: one that is never polled looks at nothing either.
    pub(super) fn at(at: T, guard: &Arc<Inner>) -> Self {
        Self {
            guard: Arc::downgrade(guard),
            at,
            on: Handle::current().id(),
        }
    }
}

impl<T: Lost> Drop for Looks<T> {
    fn drop(&mut self) {
        let Some(guard) = alive(&self.guard) else {
            return;
        };
        // Who was shut down, or closed by what was lost first, has nothing more to lose. Before anybody can be refused for it.
        if self.at.bears() && !guard.is_shutting_down() {
            let ended = (!std::thread::panicking()).then_some(self.on);
            guard.loses(T::WHAT, ended);
        }
        let _ = caught(|| self.at.lost(&guard));
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

    fn bears(&self) -> bool {
        self.sources.are_asked()
    }

    fn lost(&mut self, guard: &Guard) {
        self.sources.withdraw(guard);
    }
}
