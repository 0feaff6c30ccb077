//! Instances kept ready: a bounded number, lent out one evaluation at a time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::RegoError;

/// A pool of `T`s, all made beforehand.
pub(super) struct Pool<T> {
    held: Mutex<Held<T>>,
    returned: Condvar,
}

struct Held<T> {
    free: Vec<T>,
    /// How many were thrown away and not made again.
    missing: usize,
}

impl<T> Pool<T> {
    pub(super) fn new(all: Vec<T>) -> Self {
        Self {
            held: Mutex::new(Held {
                free: all,
                missing: 0,
            }),
            returned: Condvar::new(),
        }
    }

    /// Asks `work` of one of the instances. One that failed is thrown away, and `make` makes another in its place.
    pub(super) fn lend<R>(
        &self,
        wait: Duration,
        make: impl Fn() -> Result<T, RegoError>,
        work: impl FnOnce(&mut T) -> Result<R, RegoError>,
    ) -> Result<R, RegoError> {
        let mut lent = Lent {
            pool: self,
            instance: self.take(wait)?,
        };
        let mut instance = match lent.instance.take() {
            Some(instance) => instance,
            None => make()?,
        };
        let answer = work(&mut instance);
        match &answer {
            Ok(_) => lent.instance = Some(instance),
            Err(_) => {
                drop(instance);
                // Where this fails too the next evaluation tries again.
                lent.instance = make().ok();
            }
        }
        answer
    }

    /// An instance; `None` where one has to be made.
    fn take(&self, wait: Duration) -> Result<Option<T>, RegoError> {
        let none = |held: &mut Held<T>| held.free.is_empty() && held.missing == 0;
        let held = self.lock();
        let (mut held, _) = self
            .returned
            .wait_timeout_while(held, wait, none)
            .unwrap_or_else(PoisonError::into_inner);
        match (held.free.pop(), held.missing) {
            (Some(instance), _) => Ok(Some(instance)),
            (None, 0) => Err(RegoError::Busy),
            (None, missing) => {
                held.missing = missing - 1;
                Ok(None)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the pool that is in use. It is given back whatever happens, a panic included.
struct Lent<'a, T> {
    pool: &'a Pool<T>,
    instance: Option<T>,
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        let mut held = self.pool.lock();
        match self.instance.take() {
            Some(instance) => held.free.push(instance),
            None => held.missing += 1,
        }
        drop(held);
        self.pool.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    #[test]
    fn rule_15_no_more_are_lent_than_there_are() {
        let pool = Pool::new(vec![1]);
        let made = || -> Result<i32, RegoError> { Ok(2) };
        let answer = pool.lend(SOON, made, |outer| {
            let inner = pool.lend(SOON, made, |_| Ok(()));
            assert_eq!(inner, Err(RegoError::Busy));
            Ok(*outer)
        });
        assert_eq!(answer, Ok(1));
        assert_eq!(pool.lend(SOON, made, |it| Ok(*it)), Ok(1));
    }

    #[test]
    fn what_failed_is_never_lent_again() {
        let pool = Pool::new(vec![1]);
        let failed: Result<(), _> = pool.lend(SOON, || Ok(2), |_| Err(RegoError::Timeout));
        assert_eq!(failed, Err(RegoError::Timeout));
        assert_eq!(pool.lend(SOON, || Ok(3), |it| Ok(*it)), Ok(2), "made again");
        let failed: Result<(), _> =
            pool.lend(SOON, || Err(RegoError::Memory), |_| Err(RegoError::Timeout));
        assert_eq!(failed, Err(RegoError::Timeout));
        let failed: Result<(), _> = pool.lend(SOON, || Err(RegoError::Memory), |_| Ok(()));
        assert_eq!(failed, Err(RegoError::Memory), "there is none");
        assert_eq!(pool.lend(SOON, || Ok(4), |it| Ok(*it)), Ok(4));
        assert_eq!(pool.lend(SOON, || Ok(5), |it| Ok(*it)), Ok(4), "it is kept");
    }

    #[test]
    fn a_panic_gives_the_place_back() {
        let pool = Pool::new(vec![1]);
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _: Result<(), RegoError> = pool.lend(SOON, || Ok(2), |_| panic!("as a test"));
        }));
        assert!(unwound.is_err());
        let again: Result<i32, RegoError> = pool.lend(SOON, || Ok(3), |it| Ok(*it));
        assert_eq!(again, Ok(3));
    }
}
