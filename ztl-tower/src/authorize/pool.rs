//! Where judgements run that may take long: a few threads of their own, so that nobody else waits for them (T34).
//!
//! As many judge at once as the machine has processors, less one, and two at least. Callers take turns, and one caller never has
//! all of the threads: whoever asks once waits for one judgement of each other caller at most, and for none of them where only one
//! asks for much. Of those that wait or run each caller has its share. What finds no place is refused with 503.

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
    bounds: Bounds,
    state: Mutex<State>,
    comes: Condvar,
}

#[derive(Clone, Copy)]
struct Bounds {
    /// Most judgements that wait or run.
    places: usize,
    /// Those of them of one caller.
    share: usize,
    /// Most threads.
    threads: usize,
    /// Those of them that judge for one caller.
    at_once: usize,
}

#[derive(Default)]
struct State {
    callers: HashMap<Arc<str>, Caller>,
    /// Whose judgement is next: those for whom one waits and a thread may begin it, each once.
    turns: VecDeque<Arc<str>>,
    /// How many judgements wait or run.
    taken: usize,
    /// How many of them wait.
    waiting: usize,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

/// The judgements of one caller.
#[derive(Default)]
struct Caller {
    waiting: VecDeque<Job>,
    running: usize,
}

impl Pool {
    /// For judgements that callers ask for.
    pub(crate) fn bounded() -> Self {
        let threads = threads().max(2);
        Self::with(Bounds {
            places: PLACES,
            share: SHARE,
            threads,
            at_once: threads.saturating_sub(1),
        })
    }

    /// For judgements that something else bounds: open connections, one of each.
    #[cfg(feature = "serve")]
    pub(crate) fn unbounded() -> Self {
        Self::with(Bounds {
            places: usize::MAX,
            share: usize::MAX,
            threads: threads(),
            at_once: usize::MAX,
        })
    }

    fn with(bounds: Bounds) -> Self {
        Self(Arc::new(Shared {
            bounds,
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
        let bounds = self.0.bounds;
        let mut state = self.0.lock();
        let own = state.callers.get(caller).map_or(0, Caller::places);
        if own >= bounds.share || state.taken >= bounds.places {
            return false;
        }
        if state.idle <= state.waiting && state.threads < bounds.threads {
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
        state.add(caller.into(), Box::new(job), bounds.at_once);
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

impl Caller {
    fn places(&self) -> usize {
        self.waiting.len().saturating_add(self.running)
    }
}

impl State {
    fn add(&mut self, name: Arc<str>, job: Job, at_once: usize) {
        let caller = self.callers.entry(Arc::clone(&name)).or_default();
        if caller.waiting.is_empty() && caller.running < at_once {
            self.turns.push_back(name);
        }
        caller.waiting.push_back(job);
        self.taken = self.taken.saturating_add(1);
        self.waiting = self.waiting.saturating_add(1);
    }

    /// The next job, and whose it is. From now on it runs.
    fn begin(&mut self, at_once: usize) -> Option<(Arc<str>, Job)> {
        let name = self.turns.pop_front()?;
        let caller = self.callers.get_mut(&name)?;
        let job = caller.waiting.pop_front()?;
        caller.running = caller.running.saturating_add(1);
        if !caller.waiting.is_empty() && caller.running < at_once {
            self.turns.push_back(Arc::clone(&name));
        }
        self.waiting = self.waiting.saturating_sub(1);
        Some((name, job))
    }

    fn end(&mut self, name: Arc<str>, at_once: usize) {
        self.taken = self.taken.saturating_sub(1);
        let Some(caller) = self.callers.get_mut(&name) else {
            return;
        };
        let had_all = caller.running >= at_once;
        caller.running = caller.running.saturating_sub(1);
        if caller.places() == 0 {
            self.callers.remove(&name);
        } else if had_all && !caller.waiting.is_empty() {
            self.turns.push_back(name);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let at_once = self.bounds.at_once;
        let mut state = self.lock();
        loop {
            if let Some((caller, job)) = state.begin(at_once) {
                drop(state);
                // Whoever waits for it learns by the end of it that there is no answer.
                let _ = catch_unwind(AssertUnwindSafe(job));
                state = self.lock();
                state.end(caller, at_once);
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
        assert!(pool.0.lock().threads <= threads().max(2));
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
        // Callers take turns, so that those of `a` may end later.
        for _ in 0..1_000 {
            if !pool.0.lock().callers.contains_key("a") {
                return;
            }
            thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("what panicked holds its places still");
    }

    /// A pool of so many threads, of which one caller has all but one.
    fn of(threads: usize, at_once: usize) -> Pool {
        Pool::with(Bounds {
            places: PLACES,
            share: SHARE,
            threads,
            at_once,
        })
    }

    #[test]
    fn t34_callers_take_turns() {
        let (pool, (done, ended)) = (of(1, 1), channel());
        let first = held(&pool, "a", &channel().0).expect("a place");
        let (tell, told) = channel();
        for (caller, number) in [("a", 1), ("a", 2), ("b", 3), ("a", 4), ("c", 5), ("b", 6)] {
            let (tell, done) = (tell.clone(), done.clone());
            assert!(pool.run(caller, move || {
                let _ = tell.send(number);
                let _ = done.send(());
            }));
        }
        drop(first);
        wait(&ended, 6);
        let order: Vec<_> = told.try_iter().collect();
        assert_eq!(order, [3, 5, 1, 6, 2, 4], "`a` had its turn");
    }

    #[test]
    fn t34_one_caller_never_has_all_threads() {
        for (threads, at_once) in [(2, 1), (3, 2)] {
            let (pool, (done, ended)) = (of(threads, at_once), channel());
            let jobs: Vec<_> = (0..SHARE)
                .map(|_| held(&pool, "a", &done).expect("a place"))
                .collect();
            // While not one of those ends.
            let (other, others) = channel();
            for _ in 0..3 {
                drop(held(&pool, "b", &other).expect("a place"));
                wait(&others, 1);
            }
            assert_eq!(pool.0.lock().callers["a"].running, at_once);
            assert!(ended.try_recv().is_err());
            drop(jobs);
            wait(&ended, SHARE);
        }
    }
}
