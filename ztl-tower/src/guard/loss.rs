//! That nobody looks at something any more: told to whoever is refused since.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Handle, Id};
use ztl_core::audit::{AuditError, Record, Sink};

use super::Guard;

/// What nobody looks at any more, and whether that was told. It is lost at the end of each program as well, where nothing is wrong: so it
/// is told once somebody is refused after that.
pub(super) struct Loss {
    workload: Box<str>,
    /// With the runtime that ended; none where it was lost by a panic.
    lost: OnceLock<(&'static str, Option<Id>)>,
    told: AtomicBool,
}

/// A sink that hears of each refusal.
struct Hears {
    loss: Arc<Loss>,
    sink: Box<dyn Sink>,
}

impl Guard {
    /// What rested on this is withdrawn.
    pub(crate) fn loses(&self, what: &'static str, with: Option<Id>) {
        let _first = self.0.loss.lost.set((what, with));
    }

    /// Somebody is refused, where no decision says so.
    pub(crate) fn refuses(&self) {
        self.0.loss.refused();
    }
}

impl Loss {
    /// With a sink that hears of what is denied.
    pub(super) fn heard_by(workload: &str, sink: Box<dyn Sink>) -> (Arc<Self>, Box<dyn Sink>) {
        let loss = Arc::new(Self {
            workload: workload.into(),
            lost: OnceLock::new(),
            told: AtomicBool::new(false),
        });
        let hears = Hears {
            loss: Arc::clone(&loss),
            sink,
        };
        (loss, Box::new(hears))
    }

    fn refused(&self) {
        let Some((what, with)) = self.lost.get() else {
            return;
        };
        // What ends along with it asks for nothing more.
        let ends = Handle::try_current().is_ok_and(|on| *with == Some(on.id()));
        if ends || self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        // Whoever hears of it may panic.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            tracing::error!(target: "ztl", workload = &*self.workload, what, "nobody looks at it any more, by a panic or because the runtime has ended on which the guard was built: what rests on it is refused; build the guard anew");
        }));
    }
}

impl Sink for Hears {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        if !record.is_permit() {
            self.loss.refused();
        }
        self.sink.record(record)
    }
}
