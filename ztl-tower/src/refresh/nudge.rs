//! Being woken by a source that has news.

use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;
use std::sync::Arc;
use std::task::Wake;

use tokio::sync::Notify;

/// Wakes the one that looks at the sources, and remembers which source had news. Sources without news are not looked at: two
/// reads of a file that follow on each other at once would say nothing (T6).
pub(super) struct Nudge {
    news: AtomicBool,
    all: Arc<Notify>,
}

impl Nudge {
    pub(super) fn new(all: &Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            news: AtomicBool::new(false),
            all: Arc::clone(all),
        })
    }

    pub(super) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// Whether there was news since it was last asked. Asked before the source is: what comes meanwhile is news again.
    pub(super) fn take(&self) -> bool {
        self.news.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.news.store(true, Ordering::Release);
        self.all.notify_one();
    }
}
