//! Instances kept ready: a bounded number, lent out one evaluation at a time, and made again beside the evaluations.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::RegoError;

/// What work left of the instance that it had.
pub(super) enum Left {
    /// It can be asked again.
    Whole,
    /// It is in no state to be asked again.
    Broken,
}

type Make<T> = Box<dyn Fn() -> Result<T, RegoError> + Send + Sync>;

/// A pool of `T`s, all made beforehand. One that broke is made again by a thread that ends with that, so that no evaluation waits
/// for it while another instance is free; at most one such thread runs.
pub(super) struct Pool<T>(Arc<Shared<T>>);

struct Shared<T> {
    held: Mutex<Held<T>>,
    returned: Condvar,
    make: Make<T>,
}

struct Held<T> {
    free: Vec<T>,
    /// How many broke and were not made again yet.
    missing: usize,
    /// Whether a thread makes them.
    mending: bool,
    /// How many evaluations wait for one: without any, telling them would be a system call for nothing.
    waiting: usize,
}

impl<T: Send + 'static> Pool<T> {
    /// So many that `make` makes.
    pub(super) fn new(
        count: usize,
        make: impl Fn() -> Result<T, RegoError> + Send + Sync + 'static,
    ) -> Result<Self, RegoError> {
        let all: Result<Vec<T>, RegoError> = (0..count).map(|_| make()).collect();
        Ok(Self(Arc::new(Shared {
            held: Mutex::new(Held {
                free: all?,
                missing: 0,
                mending: false,
                waiting: 0,
            }),
            returned: Condvar::new(),
            make: Box::new(make),
        })))
    }

    /// Asks `work` of one of the instances. It says what is left of it, whatever its answer is.
    pub(super) fn lend<R>(
        &self,
        wait: Duration,
        work: impl FnOnce(&mut T) -> (Result<R, RegoError>, Left),
    ) -> Result<R, RegoError> {
        let mut instance = self.take(wait)?;
        let mut place = Place {
            pool: self,
            instance: None,
        };
        let (answer, left) = work(&mut instance);
        match left {
            Left::Whole => place.instance = Some(instance),
            Left::Broken => drop(instance),
        }
        answer
    }

    fn take(&self, wait: Duration) -> Result<T, RegoError> {
        let mut held = self.0.lock();
        if let Some(instance) = held.free.pop() {
            return Ok(instance);
        }
        // One that could not be made before: there may be memory now.
        self.mend(&mut held);
        held.waiting = held.waiting.saturating_add(1);
        let none = |held: &mut Held<T>| held.free.is_empty();
        let (mut held, _) = (self.0.returned)
            .wait_timeout_while(held, wait, none)
            .unwrap_or_else(PoisonError::into_inner);
        held.waiting = held.waiting.saturating_sub(1);
        held.free.pop().ok_or(RegoError::Busy)
    }

    /// Has a thread make what is missing.
    fn mend(&self, held: &mut Held<T>) {
        if held.missing == 0 || held.mending {
            return;
        }
        let shared = Arc::clone(&self.0);
        let thread = thread::Builder::new().name("ztl-opa-mend".into());
        held.mending = thread.spawn(move || shared.mend()).is_ok();
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells one of those that wait.
    fn returned(&self, held: MutexGuard<'_, Held<T>>) {
        let waiting = held.waiting > 0;
        drop(held);
        if waiting {
            self.returned.notify_one();
        }
    }

    /// Makes what is missing. Where that fails whoever finds none next has it tried again.
    fn mend(&self) {
        loop {
            let mut held = self.lock();
            if held.missing == 0 {
                held.mending = false;
                return;
            }
            drop(held);
            let made = catch_unwind(AssertUnwindSafe(&self.make));
            let mut held = self.lock();
            let Ok(Ok(made)) = made else {
                held.mending = false;
                return;
            };
            held.free.push(made);
            held.missing = held.missing.saturating_sub(1);
            self.returned(held);
        }
    }
}

/// A place in the pool that is in use. It is given back whatever happens, a panic included.
struct Place<'a, T: Send + 'static> {
    pool: &'a Pool<T>,
    instance: Option<T>,
}

impl<T: Send + 'static> Drop for Place<'_, T> {
    fn drop(&mut self) {
        let mut held = self.pool.0.lock();
        match self.instance.take() {
            Some(instance) => held.free.push(instance),
            None => {
                held.missing = held.missing.saturating_add(1);
                self.pool.mend(&mut held);
            }
        }
        self.pool.0.returned(held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

    const SOON: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(30);

    /// A pool of one number, and how many were made.
    fn pool() -> (Pool<i32>, Arc<AtomicI32>) {
        let made = Arc::new(AtomicI32::new(0));
        let count = Arc::clone(&made);
        let make = move || match count.fetch_add(1, SeqCst) + 1 {
            3 => Err(RegoError::Memory),
            number => Ok(number),
        };
        (Pool::new(1, make).expect("made"), made)
    }

    fn whole(instance: &mut i32) -> (Result<i32, RegoError>, Left) {
        (Ok(*instance), Left::Whole)
    }

    fn breaks(_: &mut i32) -> (Result<i32, RegoError>, Left) {
        (Err(RegoError::Timeout), Left::Broken)
    }

    #[test]
    fn rule_15_no_more_are_lent_than_there_are() {
        let (pool, _) = pool();
        let answer = pool.lend(SOON, |outer| {
            assert_eq!(pool.lend(SOON, whole), Err(RegoError::Busy));
            whole(outer)
        });
        assert_eq!(answer, Ok(1));
        assert_eq!(pool.lend(SOON, whole), Ok(1));
    }

    #[test]
    fn t34_an_error_alone_makes_no_other() {
        let (pool, made) = pool();
        for _ in 0..100 {
            let failed: Result<(), _> = pool.lend(SOON, |_| (Err(RegoError::Busy), Left::Whole));
            assert_eq!(failed, Err(RegoError::Busy));
        }
        assert_eq!(pool.lend(SOON, whole), Ok(1));
        assert_eq!(made.load(SeqCst), 1);
    }

    #[test]
    fn what_broke_is_never_lent_again_and_made_anew() {
        let (pool, made) = pool();
        assert_eq!(pool.lend(SOON, breaks), Err(RegoError::Timeout));
        assert_eq!(pool.lend(LONG, whole), Ok(2), "another");
        assert_eq!(pool.lend(SOON, breaks), Err(RegoError::Timeout));
        // The third cannot be made, which is tried again for whoever finds none.
        while pool.0.lock().mending {
            thread::yield_now();
        }
        assert_eq!(made.load(SeqCst), 3);
        assert_eq!(pool.lend(LONG, whole), Ok(4));
        assert_eq!(pool.lend(SOON, whole), Ok(4), "it is kept");
    }

    #[test]
    fn a_panic_gives_the_place_back() {
        let (pool, _) = pool();
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _: Result<(), RegoError> = pool.lend(SOON, |_| panic!("as a test"));
        }));
        assert!(unwound.is_err());
        assert_eq!(pool.lend(LONG, whole), Ok(2));
    }
}
