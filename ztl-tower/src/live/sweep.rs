//! The task that judges open connections again.

use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::time::{Instant, MissedTickBehavior};

use super::connection::Live;
use super::registry::Sweeper;
use crate::guard::Guard;

mod round;
#[cfg(test)]
mod tests;

use round::{Helpers, Round};

/// How often open connections are looked at by the wall clock: timers sleep with the machine (T23).
const SWEEP: Duration = Duration::from_secs(1);
/// How long at least no connection is looked at where nothing changes, however much expires one after the other (T34).
const REST: Duration = Duration::from_millis(50);

/// One task for all connections of a guard on one runtime. It keeps the guard for as long as one is open, so that what is open is judged.
pub(super) fn spawn(guard: Guard, sweeper: Sweeper) {
    let mut changes = guard.changes();
    let watched = Watched { guard, sweeper };
    tokio::spawn(async move {
        let guard = &watched.guard;
        let mut ticks = tokio::time::interval(SWEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // A connection that is registered later is judged against what is denied by then.
        let mut seen = None;
        let mut due = None;
        let helpers = Arc::new(Helpers::default());
        loop {
            tokio::select! {
                _ = changes.changed() => {}
                () = at(due) => {}
                _ = ticks.tick() => {
                    #[cfg(feature = "client")]
                    guard.pool().sweep(guard.identity().generation(), Instant::now());
                    crate::watch::open(guard);
                    if guard.registry().rests(sweeper) {
                        return;
                    }
                }
            }
            // A clock of the host's own may panic; what cannot be judged by it ends below.
            let _ = catch_unwind(AssertUnwindSafe(|| guard.engine().sees(guard.now())));
            let round = Round::begin(guard, sweeper.runtime);
            let mut spread = false;
            while let Some(turn) = round.take() {
                // Who is denied goes first, however many are judged, and whenever in this round it is denied.
                let change = *changes.borrow();
                let is_new = seen.replace(change) != Some(change);
                if is_new {
                    (round.open().iter())
                        .filter(|live| live.is_denied(guard))
                        .for_each(|live| judge(live, guard));
                }
                // A round that began with nothing to judge may have much of it by now.
                if !core::mem::replace(&mut spread, true) || is_new {
                    round.spread(&helpers);
                }
                tokio::task::yield_now().await;
                turn.iter().for_each(|live| judge(live, guard));
            }
            round.is_through().await;
            let next = round.open().iter().filter_map(|live| live.due(guard)).min();
            due = next.map(|next| next.max(Instant::now() + REST));
        }
    });
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

/// Connections that nobody judges any more are revoked: where the sweeper ends with its runtime, or by a panic (law 1). One that rests
/// leaves none, and those that came since have another.
struct Watched {
    guard: Guard,
    sweeper: Sweeper,
}

impl Drop for Watched {
    fn drop(&mut self) {
        for live in self.guard.registry().abandon(self.sweeper) {
            live.revoke();
        }
    }
}
