//! An open connection, judged again while it lives (law 8).

use core::convert::Infallible;
use core::pin::pin;
use core::time::Duration;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use ztl_core::{Denial, FlowPermit, SpiffeId};

use super::pool::Key;
use crate::guard::Guard;

/// How often an open connection is looked at by the wall clock: timers sleep with the machine (T23).
const SWEEP: Duration = Duration::from_secs(1);

/// Judges a peer as the workload that was named: `None` where the policy in force gives that name to somebody else. Name and
/// judgement come from one policy, for where it was swapped in between, both are asked anew.
pub(super) fn as_named<T>(
    guard: &Guard,
    id: &SpiffeId,
    workload: &str,
    judge: impl Fn() -> Result<T, Denial>,
) -> Option<Result<T, Denial>> {
    let engine = guard.engine();
    loop {
        let policy = engine.policy();
        if policy.workload_by_id(id)?.name() != workload {
            return None;
        }
        let judgement = judge();
        if Arc::ptr_eq(&policy, &engine.policy()) {
            return Some(judgement);
        }
    }
}

/// The permit of an open connection, shared by all who use it.
#[derive(Clone)]
pub(super) struct Standing(Arc<ArcSwap<FlowPermit>>);

impl Standing {
    pub(super) fn new(permit: FlowPermit) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(permit)))
    }

    pub(super) fn permit(&self) -> FlowPermit {
        FlowPermit::clone(&self.0.load())
    }

    /// Judges the flow again: whether it is still one to the named workload, and still permitted.
    pub(super) fn renew(&self, guard: &Guard, workload: &str) -> bool {
        let permit = self.permit();
        let Some(peer) = permit.peer() else {
            return false;
        };
        let renew = || guard.engine().renew_flow(&permit, guard.now());
        match as_named(guard, peer.id(), workload, renew) {
            Some(Ok(renewed)) => {
                self.0.store(Arc::new(renewed));
                true
            }
            Some(Err(_)) | None => false,
        }
    }
}

/// Runs the tasks that hyper makes of one HTTP/2 connection; its own future ends before the last response does, and dropping
/// it would cut nothing.
#[derive(Clone)]
pub(super) struct Tied {
    cut: watch::Receiver<()>,
    alive: mpsc::Sender<Infallible>,
}

/// The other end: dropped, it ends every task.
pub(super) struct Tie {
    cut: watch::Sender<()>,
    alive: mpsc::Receiver<Infallible>,
}

impl Tied {
    pub(super) fn new() -> (Self, Tie) {
        let (sender, cut) = watch::channel(());
        let (alive, ended) = mpsc::channel(1);
        let tie = Tie {
            cut: sender,
            alive: ended,
        };
        (Self { cut, alive }, tie)
    }
}

impl Tie {
    /// Ends when the connection and all its tasks have ended. Dropped before, it cuts them.
    pub(super) async fn around<C: Future>(mut self, connection: C) {
        let _cut = self.cut;
        drop(connection.await);
        // Nothing is ever sent: this waits for the last task.
        let _ = self.alive.recv().await;
    }
}

impl<F: Future + Send + 'static> hyper::rt::Executor<F> for Tied {
    fn execute(&self, task: F) {
        let Self { mut cut, alive } = self.clone();
        tokio::spawn(async move {
            let _alive = alive;
            tokio::select! {
                _ = task => {}
                _ = cut.changed() => {}
            }
        });
    }
}

/// What judgements rest on, as it was when a connection was begun.
pub(super) struct Watch {
    changes: watch::Receiver<u64>,
    epoch: u64,
    trust: u64,
}

impl Watch {
    /// To be taken before anything of the connection is judged, so that no change slips in between.
    pub(super) fn begin(guard: &Guard) -> Self {
        let changes = guard.changes();
        Self {
            changes,
            epoch: guard.engine().epoch(),
            trust: guard.engine().trust_generation(),
        }
    }

    /// Whether proofs rest on what they rested on then.
    pub(super) fn trusts_the_same(&self, guard: &Guard) -> bool {
        self.trust == guard.engine().trust_generation()
    }

    /// Drives a connection to its end, which comes early where its flow is no longer permitted.
    ///
    /// The task holds the guard, so that a response which is still read is still judged. It lets go of it when the
    /// connection ends, and a connection that is not used leaves the pool and ends by itself.
    pub(super) async fn over<C: Future>(
        mut self,
        connection: C,
        guard: Guard,
        key: Key,
        standing: Standing,
    ) {
        {
            let mut connection = pin!(connection);
            let mut sweep = tokio::time::interval(SWEEP);
            sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let told = tokio::select! {
                    _ = connection.as_mut() => break,
                    changed = self.changes.changed() => changed.is_ok(),
                    _ = sweep.tick() => {
                        guard.pool().sweep(&key, Instant::now());
                        true
                    }
                };
                if !told || !self.still_permitted(&guard, &key, &standing) {
                    break;
                }
            }
        }
        // Dropped by now, the connection is closed for everybody who shares it.
        guard.pool().sweep(&key, Instant::now());
    }

    /// Compares counters first, so that a quiet second costs two loads.
    fn still_permitted(&mut self, guard: &Guard, key: &Key, standing: &Standing) -> bool {
        let now = (guard.engine().epoch(), guard.engine().trust_generation());
        if now == (self.epoch, self.trust) && guard.now() < standing.permit().expires_at() {
            return true;
        }
        (self.epoch, self.trust) = now;
        standing.renew(guard, &key.workload)
    }
}
