//! The task that judges open connections again.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::connection::Live;
use crate::guard::Guard;

#[cfg(test)]
mod tests;

/// How often open connections are looked at by the wall clock: timers sleep with the machine (T23).
const SWEEP: Duration = Duration::from_secs(1);
/// How long at least no connection is looked at where nothing changes, however much expires one after the other (T34).
const REST: Duration = Duration::from_millis(50);
/// After so many connections others may run.
const TURN: usize = 32;
/// So many that are to be judged anew are judged on several threads.
const MANY: usize = 128;

/// One task for all connections of a guard. It keeps the guard for as long as one is open, so that what is open is judged.
pub(super) fn spawn(guard: Guard) -> JoinHandle<()> {
    let mut changes = guard.changes();
    let watched = Watched(guard);
    tokio::spawn(async move {
        let guard = &watched.0;
        let mut ticks = tokio::time::interval(SWEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // A connection that is registered later is judged against what is denied by then.
        let mut seen = None;
        let mut due = None;
        loop {
            tokio::select! {
                _ = changes.changed() => {}
                () = at(due) => {}
                _ = ticks.tick() => {
                    #[cfg(feature = "client")]
                    guard.pool().sweep(guard.identity().generation(), Instant::now());
                    crate::watch::open(guard);
                    if guard.registry().rests() {
                        return;
                    }
                }
            }
            let round = Round::begin(guard);
            let mut helpers = None;
            while let Some(turn) = round.take() {
                // Who is denied goes first, however many are judged, and whenever in this round it is denied.
                let change = *changes.borrow();
                if seen.replace(change) != Some(change) {
                    (round.open().iter())
                        .filter(|live| live.is_denied(guard))
                        .for_each(|live| judge(live, guard));
                }
                helpers.get_or_insert_with(|| round.spread(guard));
                tokio::task::yield_now().await;
                turn.iter().for_each(|live| judge(live, guard));
            }
            for helper in helpers.into_iter().flatten() {
                // Panics end the connections they are of.
                let _ = helper.await;
            }
            let next = round.open().iter().filter_map(|live| live.due(guard)).min();
            due = next.map(|next| next.max(Instant::now() + REST));
        }
    })
}

/// The connections that are judged in one round, each of them once. Where that is much, whoever has nothing else to do helps, on
/// threads where nobody waits: the sweeper alone would take longer than a second (law 8).
struct Round(Arc<Shared>);

struct Shared {
    open: Vec<Arc<Live>>,
    next: AtomicUsize,
}

impl Round {
    fn begin(guard: &Guard) -> Self {
        Self(Arc::new(Shared {
            open: guard.registry().all(),
            next: AtomicUsize::new(0),
        }))
    }

    fn open(&self) -> &[Arc<Live>] {
        &self.0.open
    }

    /// The next few.
    fn take(&self) -> Option<&[Arc<Live>]> {
        self.0.take()
    }

    /// Has others judge, too, on each processor but the one that the sweeper has; nobody where there is little to judge.
    fn spread(&self, guard: &Guard) -> Vec<JoinHandle<()>> {
        let now = guard.now();
        let stale = self.open().iter().filter(|live| live.is_stale(guard, now));
        if stale.take(MANY).count() < MANY {
            return Vec::new();
        }
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let helper = |_| {
            let (round, guard) = (Arc::clone(&self.0), guard.clone());
            tokio::task::spawn_blocking(move || {
                while let Some(turn) = round.take() {
                    turn.iter().for_each(|live| judge(live, &guard));
                }
            })
        };
        (1..processors).map(helper).collect()
    }
}

impl Drop for Round {
    /// Where the sweeper ends on the way, so do its helpers.
    fn drop(&mut self) {
        self.0.next.store(self.0.open.len(), Ordering::Relaxed);
    }
}

impl Shared {
    fn take(&self) -> Option<&[Arc<Live>]> {
        let from = self.next.fetch_add(TURN, Ordering::Relaxed);
        let left = self.open.get(from..)?;
        left.chunks(TURN).next()
    }
}

/// Judges one connection. A panic on the way, of a sink or a condition of the service's own, ends that connection and no other.
fn judge(live: &Arc<Live>, guard: &Guard) {
    if catch_unwind(AssertUnwindSafe(|| live.sweep(guard))).is_err() {
        panicked(live, guard);
    }
}

/// A connection ends that could not be judged.
pub(super) fn panicked(live: &Live, guard: &Guard) {
    tracing::error!(target: "ztl", workload = guard.name(), "a connection could not be judged again, by a panic: it ends");
    live.revoke();
}

/// Resolves at that time; never where there is none.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => core::future::pending().await,
    }
}

/// Connections that nobody judges any more are revoked: where the sweeper ends with its runtime, or by a panic (law 1).
struct Watched(Guard);

impl Drop for Watched {
    fn drop(&mut self) {
        for live in self.0.registry().all() {
            live.revoke();
        }
    }
}
