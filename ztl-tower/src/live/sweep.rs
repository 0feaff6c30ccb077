//! The task that judges open connections again.

use core::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::guard::Guard;

/// How often open connections are looked at by the wall clock: timers sleep with the machine (T23).
const SWEEP: Duration = Duration::from_secs(1);
/// After so many connections others may run.
const TURN: usize = 32;

/// One task for all connections of a guard. It keeps the guard for as long as one is open, so that what is open is judged.
pub(super) fn spawn(guard: Guard) -> JoinHandle<()> {
    let mut changes = guard.changes();
    let watched = Watched(guard);
    tokio::spawn(async move {
        let guard = &watched.0;
        let mut ticks = tokio::time::interval(SWEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = changes.changed() => {}
                _ = ticks.tick() => {
                    #[cfg(feature = "client")]
                    guard.pool().sweep(guard.identity().generation(), tokio::time::Instant::now());
                    if guard.registry().rests() {
                        return;
                    }
                }
            }
            for (at, live) in guard.registry().all().iter().enumerate() {
                live.sweep(guard);
                if at % TURN == TURN - 1 {
                    tokio::task::yield_now().await;
                }
            }
        }
    })
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
