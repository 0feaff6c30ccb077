//! An open connection while it lives, and whether its peer is whom the caller named (law 8).

use core::convert::Infallible;
use core::pin::pin;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use ztl_core::{Denial, SpiffeId};

use crate::guard::Guard;
use crate::live::{Live, State};

/// Judges a peer as the workload that was named: `None` where the policy in force gives that name to somebody else. Name and
/// judgement come from one policy, for where it was swapped in between, both are asked anew.
pub(crate) fn as_named<T>(
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

/// Drives a connection to its end, which comes early where it is revoked: dropped, it is closed for everybody who shares it.
pub(super) async fn drive<C: Future>(connection: C, live: Arc<Live>) {
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = live.changed() => if live.state() == State::Revoked { return },
        }
    }
}
