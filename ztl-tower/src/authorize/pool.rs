//! Where judgements run that may take long: a few threads of their own, so that nobody else waits for them (T34).
//!
//! As many judge at once as the machine has processors, less one. Of those that wait each caller has its share, so that one who
//! asks for much does not keep the others out. What finds no place is refused with 503.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Most judgements that wait or run.
const PLACES: usize = 128;
/// Those of them of one caller.
const SHARE: usize = 32;
/// A judgement nests as deep as a policy does.
const STACK_BYTES: usize = 8 * 1024 * 1024;

type Job = Box<dyn FnOnce() + Send>;

/// The threads and what waits for them. The threads end when it is dropped.
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    places: usize,
    share: usize,
    state: Mutex<State>,
    comes: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Arc<str>, Job)>,
    /// How many judgements of each caller wait or run.
    places: HashMap<Arc<str>, usize>,
    taken: usize,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

impl Pool {
    /// For judgements that callers ask for.
    pub(crate) fn bounded() -> Self {
        Self::with(PLACES, SHARE)
    }

    /// For judgements that something else bounds: open connections, one of each.
    #[cfg(feature = "serve")]
    pub(crate) fn unbounded() -> Self {
        Self::with(usize::MAX, usize::MAX)
    }

    fn with(places: usize, share: usize) -> Self {
        Self(Arc::new(Shared {
            places,
            share,
            state: Mutex::default(),
            comes: Condvar::new(),
        }))
    }

    /// How many judgements wait or run.
    #[cfg(feature = "metrics")]
    pub(crate) fn taken(&self) -> usize {
        self.0.lock().taken
    }

    /// Runs a job of this caller as soon as it is its turn. False where there is no place for it.
    pub(crate) fn run(&self, caller: &str, job: impl FnOnce() + Send + 'static) -> bool {
        let mut state = self.0.lock();
        let own = state.places.get(caller).copied().unwrap_or_default();
        if own >= self.0.share || state.taken >= self.0.places {
            return false;
        }
        if state.idle <= state.waiting.len() && state.threads < threads() {
            let shared = Arc::clone(&self.0);
            let thread = thread::Builder::new()
                .name("ztl-judge".to_owned())
                .stack_size(STACK_BYTES);
            match thread.spawn(move || shared.work()) {
                Ok(_) => state.threads = state.threads.saturating_add(1),
                // Nobody would ever judge it.
                Err(_) if state.threads == 0 => return false,
                Err(_) => {}
            }
        }
        let caller: Arc<str> = caller.into();
        state
            .places
            .insert(Arc::clone(&caller), own.saturating_add(1));
        state.taken = state.taken.saturating_add(1);
        state.waiting.push_back((caller, Box::new(job)));
        drop(state);
        self.0.comes.notify_one();
        true
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.comes.notify_all();
    }
}

fn threads() -> usize {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    processors.saturating_sub(1).max(1)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some((caller, job)) = state.waiting.pop_front() {
                drop(state);
                // Whoever waits for it learns by the end of it that there is no answer.
                let _ = catch_unwind(AssertUnwindSafe(job));
                state = self.lock();
                state.taken = state.taken.saturating_sub(1);
                match state.places.get_mut(&caller) {
                    Some(places @ 2..) => *places = places.saturating_sub(1),
                    _ => drop(state.places.remove(&caller)),
                }
            } else if state.is_closed {
                return;
            } else {
                state.idle = state.idle.saturating_add(1);
                state = (self.comes.wait(state)).unwrap_or_else(PoisonError::into_inner);
                state.idle = state.idle.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Jobs that each take one word before they end.
    fn held(pool: &Pool, caller: &str, done: &Sender<()>) -> Option<Sender<()>> {
        let (release, held) = channel();
        let done = done.clone();
        let job = move || {
            let _: Result<(), _> = held.recv();
            let _ = done.send(());
        };
        pool.run(caller, job).then_some(release)
    }

    fn wait(done: &Receiver<()>, count: usize) {
        for _ in 0..count {
            done.recv_timeout(std::time::Duration::from_secs(30))
                .expect("a job that ends");
        }
    }

    #[test]
    fn t34_one_caller_has_a_share_and_all_have_a_bound() {
        let (pool, (done, ended)) = (Pool::bounded(), channel());
        let mut jobs: Vec<_> = (0..SHARE)
            .map(|_| held(&pool, "a", &done).expect("a place"))
            .collect();
        assert!(held(&pool, "a", &done).is_none());
        for caller in 1..PLACES / SHARE {
            let caller = caller.to_string();
            jobs.extend((0..SHARE).map(|_| held(&pool, &caller, &done).expect("a place")));
        }
        assert!(held(&pool, "b", &done).is_none());
        assert!(pool.0.lock().threads <= threads());
        drop(jobs);
        wait(&ended, PLACES);
        // A place is free again a moment after its job has ended.
        let again = (0..1000).find_map(|_| {
            thread::yield_now();
            thread::sleep(std::time::Duration::from_millis(1));
            held(&pool, "a", &done)
        });
        drop(again.expect("a place"));
        wait(&ended, 1);
    }

    #[test]
    fn a_job_that_panics_takes_no_thread_and_no_place_with_it() {
        let (pool, (done, ended)) = (Pool::bounded(), channel());
        for _ in 0..SHARE {
            assert!(pool.run("a", || std::panic::resume_unwind(Box::new(()))));
        }
        drop(held(&pool, "b", &done).expect("a place"));
        wait(&ended, 1);
        assert!(!pool.0.lock().places.contains_key("a"));
    }
}
