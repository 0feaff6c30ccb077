//! The clock that ends evaluations: one thread for all modules, which sleeps while nothing is evaluated.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use wasmtime::Engine;

use super::ModuleError;
use super::engine;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(1);
/// After so many ticks without any evaluation the thread sleeps until there is one.
const IDLE: u32 = 64;

/// The engine that all modules share, and its clock. The thread ends with the last module.
pub(super) struct Clock {
    pub(super) engine: Engine,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Evaluations begun since the start.
    begun: AtomicU64,
    /// Evaluations ended since the start.
    ended: AtomicU64,
    asleep: AtomicBool,
    over: AtomicBool,
}

impl Clock {
    /// The clock of this process, started where there is none.
    pub(super) fn shared() -> Result<Arc<Self>, ModuleError> {
        static CLOCK: Mutex<Weak<Clock>> = Mutex::new(Weak::new());
        let mut held = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clock) = held.upgrade() {
            return Ok(clock);
        }
        let clock = Arc::new(Self::start()?);
        *held = Arc::downgrade(&clock);
        Ok(clock)
    }

    fn start() -> Result<Self, ModuleError> {
        let engine = engine::build()?;
        let shared = Arc::new(Shared::default());
        let (ticked, seen) = (engine.clone(), Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("ztl-opa-clock".into())
            .spawn(move || run(&ticked, &seen))
            .map_err(|error| ModuleError::Clock(error.to_string()))?;
        Ok(Self {
            engine,
            shared,
            thread: Some(thread),
        })
    }

    /// The clock runs while what this gives is held.
    pub(super) fn running(&self) -> Running<'_> {
        self.shared.begun.fetch_add(1, SeqCst);
        // The thread says that it sleeps, then looks at `begun`; here it is the other way round: one of the two sees the other.
        if self.shared.asleep.load(SeqCst) {
            self.wake();
        }
        Running(&self.shared)
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.as_ref().map(JoinHandle::thread) {
            Thread::unpark(thread);
        }
    }

    /// How many ticks are surely no less than `time`.
    pub(super) fn ticks(time: Duration) -> u64 {
        let ticks = time.as_nanos().div_ceil(TICK.as_nanos());
        u64::try_from(ticks)
            .unwrap_or(u64::MAX / 2)
            .min(u64::MAX / 2)
            + 1
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.shared.over.store(true, SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and if it did there is nothing to do about it here.
            let _ended = thread.join();
        }
    }
}

/// While it lives deadlines pass.
pub(super) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, SeqCst);
    }
}

fn run(engine: &Engine, shared: &Shared) {
    let mut idle = 0;
    let mut last = 0;
    while !shared.over.load(SeqCst) {
        if idle < IDLE {
            thread::park_timeout(TICK);
        } else {
            shared.asleep.store(true, SeqCst);
            while shared.begun.load(SeqCst) == last && !shared.over.load(SeqCst) {
                thread::park();
            }
            shared.asleep.store(false, SeqCst);
            idle = 0;
        }
        engine.increment_epoch();
        let begun = shared.begun.load(SeqCst);
        let quiet = begun == last && shared.ended.load(SeqCst) == begun;
        idle = if quiet { idle + 1 } else { 0 };
        last = begun;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_15_there_is_one_clock_and_it_ends_with_the_last_module() {
        let clock = Clock::start().expect("clock");
        let shared = Arc::downgrade(&clock.shared);
        drop(clock);
        assert!(shared.upgrade().is_none(), "the thread is gone");
    }

    #[test]
    fn a_sleeping_clock_wakes_for_an_evaluation() {
        let clock = Clock::start().expect("clock");
        while !clock.shared.asleep.load(SeqCst) {
            thread::yield_now();
        }
        let running = clock.running();
        while clock.shared.asleep.load(SeqCst) {
            thread::yield_now();
        }
        drop(running);
    }

    #[test]
    fn a_time_is_never_rounded_down() {
        assert_eq!(Clock::ticks(Duration::ZERO), 1);
        assert_eq!(Clock::ticks(Duration::from_micros(1)), 2);
        assert_eq!(Clock::ticks(Duration::from_millis(50)), 51);
        assert!(Clock::ticks(Duration::MAX) >= u64::MAX / 2);
    }
}
