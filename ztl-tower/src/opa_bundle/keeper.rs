//! That a bundle which nobody pulls any more decides nothing: only its task would notice that it has become too old (law 1).

use core::sync::atomic::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use super::error::OpaBundleError;
use super::run::gauges;
use super::unsure::Unsure;
use super::withdraw::withdraw;
use super::{Held, OpaBundleStatus};
use crate::guard::{Guard, Inner};

/// Whoever pulls it. Where that ends before the guard does, with its runtime or by a panic, the bundle is withdrawn for good.
pub(super) struct Keeper {
    pub(super) held: Arc<Held>,
    pub(super) guard: Weak<Inner>,
}

/// Whoever puts something of it in force: where nobody pulls it by the end of that, what was withdrawn may be in force again.
pub(super) struct Putting {
    pub(super) held: Arc<Held>,
    pub(super) guard: Guard,
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

    /// Withdraws it, since nobody would any more. Waits for nobody who has it in hand.
    fn give_up(&self, guard: &Guard) {
        let withdrawn = withdraw(&*self.consumer);
        Unsure::note(&mut self.unsure(), &withdrawn);
        guard.opa_bundle_changed();
        let wrong = Some(self.not_kept().to_string());
        let last_error = Unsure::beside(&mut self.unsure(), wrong);
        self.say(OpaBundleStatus {
            in_force: false,
            fetched_at: None,
            ends_at: None,
            last_error,
            ..self.status()
        });
        gauges(guard, &self.name, None);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let Some(guard) = self.guard.upgrade().map(Guard::from_inner) else {
            return;
        };
        // First: who puts something in force meanwhile looks at this afterwards.
        self.held.lost.store(true, Ordering::SeqCst);
        let panicked = std::thread::panicking();
        // It may be the recorder or the subscriber that panicked.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            self.held.give_up(&guard);
            if panicked {
                let (workload, bundle) = (guard.name(), &*self.held.name);
                tracing::error!(target: "ztl", workload, bundle, "the bundle is pulled no longer, by a panic; nothing of it is in force now");
            }
        }));
    }
}

impl Drop for Putting {
    fn drop(&mut self) {
        if self.held.is_lost() {
            let _ = catch_unwind(AssertUnwindSafe(|| self.held.give_up(&self.guard)));
        }
    }
}
