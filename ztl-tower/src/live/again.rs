//! Running requests and raw streams whose judgement could take long, judged again beside the sweeper, which all connections wait for (T34).
//!
//! 1. One request of a connection at a time, the connections in turn, on threads that requests which begin do not use.
//! 2. What is not judged within its time ends: nobody can say that it is still permitted (laws 1 and 8).

use core::time::Duration;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::Instant;

use super::connection::Live;
use crate::guard::Guard;

/// What is judged again.
pub(super) trait Runs: Send + Sync {
    /// Whether it waits for that already; from now on it does.
    fn waits_again(&self) -> bool;

    /// What is no longer authorized is cut.
    fn judge_again(&self, guard: &Guard);

    /// Nobody judged it in time.
    fn ends_unjudged(&self, guard: &Guard);
}

/// How long a request may wait for its judgement, that included: what law 8 gives, less what it takes to notice and to cut.
const WITHIN: Duration = Duration::from_millis(900);

/// What of a connection is to be judged again.
#[derive(Default)]
pub(super) struct Again(Mutex<State>);

#[derive(Default)]
struct State {
    /// With when each has to be judged by: the first ends first.
    waiting: VecDeque<(Weak<dyn Runs>, Instant)>,
    /// The one that is being judged.
    judged: Option<(Weak<dyn Runs>, Instant)>,
    /// Whether a thread has the connection, or will.
    runs: bool,
}

impl Again {
    /// Has a request judged as soon as it is its turn.
    pub(super) fn add(&self, live: &Arc<Live>, guard: &Guard, request: Arc<dyn Runs>) {
        if request.waits_again() {
            return;
        }
        let mut state = self.lock();
        let by = Instant::now() + WITHIN;
        state.waiting.push_back((Arc::downgrade(&request), by));
        if !core::mem::replace(&mut state.runs, true) {
            drop(state);
            submit(Arc::clone(live), guard.clone());
        }
    }

    /// The next one; where there is none nothing runs any more.
    fn next(&self) -> Option<Arc<dyn Runs>> {
        let mut state = self.lock();
        while let Some((request, by)) = state.waiting.pop_front() {
            if let Some(request) = request.upgrade() {
                state.judged = Some((Arc::downgrade(&request), by));
                return Some(request);
            }
        }
        state.runs = false;
        None
    }

    /// One was judged. Tells whether it was the last that waited: then nothing runs any more.
    fn is_through(&self) -> bool {
        let mut state = self.lock();
        state.judged = None;
        state.runs = !state.waiting.is_empty();
        !state.runs
    }

    /// Ends those whose time is over.
    pub(super) fn cut_overdue(&self, guard: &Guard) {
        let now = Instant::now();
        let mut overdue = Vec::new();
        {
            let mut state = self.lock();
            overdue.extend(state.judged.take_if(|(_, by)| *by <= now));
            while let Some(first) = state.waiting.pop_front_if(|(_, by)| *by <= now) {
                overdue.push(first);
            }
        }
        for (request, _) in overdue {
            if let Some(request) = request.upgrade() {
                request.ends_unjudged(guard);
            }
        }
    }

    /// When the first has to be judged by.
    pub(super) fn by(&self) -> Option<Instant> {
        let state = self.lock();
        let first = state.judged.iter().chain(state.waiting.front());
        first.map(|(_, by)| *by).min()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has a thread judge one request of the connection, and then go to the end of the queue with it.
fn submit(live: Arc<Live>, guard: Guard) {
    let pool = guard.clone();
    let (turn, of) = (Arc::clone(&live), guard);
    let runs = pool.judging_again().run("", move || judge_one(turn, of));
    if !runs {
        // No thread can be had: their time comes to its end, and they with it.
        live.requests.again.lock().runs = false;
    }
}

fn judge_one(live: Arc<Live>, guard: Guard) {
    let Some(request) = live.requests.again.next() else {
        return;
    };
    if catch_unwind(AssertUnwindSafe(|| request.judge_again(&guard))).is_err() {
        super::sweep::panicked(&live, &guard);
    }
    drop(request);
    // At once: what was judged in time is not overdue because others are judged before its connection's turn.
    if !live.requests.again.is_through() {
        submit(live, guard);
    }
}
