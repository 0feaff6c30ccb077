//! That a bundle which nobody pulls any more decides nothing: only its task would notice that it has become too old (law 1).

use core::sync::atomic::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use ztl_core::Timestamp;

use super::error::OpaBundleError;
use super::run::shows;
use super::unsure::Unsure;
use super::withdraw::withdraw;
use super::{Held, OpaBundle};
use crate::guard::{Guard, Inner};

/// Whoever pulls it. Where that ends before the guard does, with its runtime or by a panic, the bundle is withdrawn for good.
pub(super) struct Keeper {
    pub(super) held: Arc<Held>,
    pub(super) guard: Weak<Inner>,
}

impl Held {
    /// Whether nobody pulls it any more.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// The error that says so.
    pub(super) fn not_kept(&self) -> OpaBundleError {
        OpaBundleError::NotKept(self.name.to_string())
    }

    /// Withdraws it, since nobody would any more.
    pub(super) fn give_up(&self, guard: &Guard, from: &mut OpaBundle) {
        let withdrawn = withdraw(&*from.consumer);
        Unsure::note(&mut self.unsure(), &withdrawn);
        guard.opa_bundle_changed();
        // Nothing is due after this, so that the clock does not matter; it may be what panicked.
        from.pull.withdrawn(Timestamp::from_unix_secs(0));
        shows(guard, self, from, Some(self.not_kept().to_string()));
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let Some(guard) = self.guard.upgrade().map(Guard::from_inner) else {
            return;
        };
        // First: who pulls it meanwhile has it locked, and looks at this once it has not.
        self.held.lost.store(true, Ordering::SeqCst);
        let panicked = std::thread::panicking();
        // It may be the recorder or the subscriber that panicked.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            if let Ok(mut from) = self.held.from.try_lock() {
                self.held.give_up(&guard, &mut from);
            }
            if panicked {
                let (workload, bundle) = (guard.name(), &*self.held.name);
                tracing::error!(target: "ztl", workload, bundle, "the bundle is pulled no longer, by a panic; nothing of it is in force now");
            }
        }));
    }
}
