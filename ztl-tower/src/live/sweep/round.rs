//! One round over all open connections, and who helps with it.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::Id;
use tokio::sync::Notify;

use super::judge;
use crate::guard::Guard;
use crate::live::connection::Live;

/// After so many connections others may run.
const TURN: usize = 32;
/// So many that are to be judged anew are judged on several threads.
pub(super) const MANY: usize = 128;

/// The connections that are judged in one round, each of them once. Where that is much, whoever has nothing else to do helps, on
/// threads where nobody waits: the sweeper alone would take longer than a second (law 8). It waits for no thread: one that is not to
/// be had helps nobody, and holds up nothing.
pub(super) struct Round(Arc<Shared>);

struct Shared {
    guard: Guard,
    open: Vec<Arc<Live>>,
    next: AtomicUsize,
    /// How many help just now.
    at_work: AtomicUsize,
    /// The last of them is through.
    idle: Notify,
}

/// Those who were asked for help. Who comes late helps with the round that is under way by then, if any is.
#[derive(Default)]
pub(super) struct Helpers {
    round: Mutex<Weak<Shared>>,
    /// How many have not begun.
    waiting: AtomicUsize,
}

impl Round {
    /// Of those that this runtime drives.
    pub(super) fn begin(guard: &Guard, runtime: Id) -> Self {
        Self(Arc::new(Shared {
            guard: guard.clone(),
            open: guard.registry().on(runtime),
            next: AtomicUsize::new(0),
            at_work: AtomicUsize::new(0),
            idle: Notify::new(),
        }))
    }

    pub(super) fn open(&self) -> &[Arc<Live>] {
        &self.0.open
    }

    /// The next few.
    pub(super) fn take(&self) -> Option<&[Arc<Live>]> {
        self.0.take()
    }

    /// Has others judge, too, on each processor but the one that the sweeper has; nobody where there is little to judge.
    pub(super) fn spread(&self, helpers: &Arc<Helpers>) {
        if !self.is_much() {
            return;
        }
        *helpers.round() = Arc::downgrade(&self.0);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        // Whoever waits for a thread since an earlier round helps with this one, and so does who was asked before: no queue grows.
        let waiting = helpers.waiting.load(Ordering::Acquire);
        let help = waiting.saturating_add(self.0.at_work.load(Ordering::Acquire));
        for _ in help..processors.saturating_sub(1) {
            helpers.waiting.fetch_add(1, Ordering::AcqRel);
            let helpers = Arc::clone(helpers);
            tokio::task::spawn_blocking(move || helpers.help());
        }
    }

    /// Whether there is more to judge than one should judge alone.
    pub(super) fn is_much(&self) -> bool {
        let (guard, now) = (&self.0.guard, self.0.guard.now());
        let outdated = |live: &&Arc<Live>| live.is_stale(guard, now) || live.is_behind(guard, now);
        self.open().iter().filter(outdated).take(MANY).count() == MANY
    }

    /// Waits until those who took something have judged it.
    pub(super) async fn is_through(&self) {
        while self.0.at_work.load(Ordering::Acquire) > 0 {
            self.0.idle.notified().await;
        }
    }
}

impl Drop for Round {
    /// Where the sweeper ends on the way, so do its helpers.
    fn drop(&mut self) {
        self.0.next.store(self.0.open.len(), Ordering::Release);
    }
}

impl Helpers {
    fn help(&self) {
        // First: whoever asks for help from here on asks for another helper.
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        let round = self.round().upgrade();
        if let Some(round) = round {
            round.help();
        }
    }

    fn round(&self) -> MutexGuard<'_, Weak<Shared>> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn help(&self) {
        // Before anything is taken: who finds nothing left to take sees who has it.
        let _at_work = AtWork::begin(self);
        while let Some(turn) = self.take() {
            turn.iter().for_each(|live| judge(live, &self.guard));
        }
    }

    fn take(&self) -> Option<&[Arc<Live>]> {
        let from = self.next.fetch_add(TURN, Ordering::AcqRel);
        let left = self.open.get(from..)?;
        left.chunks(TURN).next()
    }
}

/// A helper judges for as long as this lives.
struct AtWork<'a>(&'a Shared);

impl<'a> AtWork<'a> {
    fn begin(of: &'a Shared) -> Self {
        of.at_work.fetch_add(1, Ordering::AcqRel);
        Self(of)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        if self.0.at_work.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_one();
        }
    }
}
