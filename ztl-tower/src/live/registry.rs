//! All open connections of a guard.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, Id};

use super::connection::Live;
use super::sweep;
use crate::guard::Guard;

/// The open connections of a guard, those in their handshake among them.
#[derive(Default)]
pub(crate) struct Registry(Mutex<Open>);

#[derive(Default)]
struct Open {
    next: u64,
    /// By the runtime that each was registered on.
    driven: HashMap<Id, Driven>,
}

/// What one runtime drives.
#[derive(Default)]
struct Driven {
    lives: HashMap<u64, Arc<Live>>,
    /// The key of the connection that began the sweeper, for as long as that looks.
    sweeper: Option<u64>,
}

/// Who looks at the connections of one runtime: nobody says of another that it is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sweeper {
    pub(super) runtime: Id,
    number: u64,
}

impl Registry {
    /// Takes a connection in, before anything of it is judged. It is swept until the answer is dropped.
    pub(crate) fn register(guard: &Guard, live: Live) -> Registered {
        let (live, runtime) = (Arc::new(live), Handle::current().id());
        let mut open = guard.registry().lock();
        let key = open.next;
        open.next = open.next.wrapping_add(1);
        let driven = open.driven.entry(runtime).or_default();
        driven.lives.insert(key, Arc::clone(&live));
        let number = *driven.sweeper.get_or_insert(key);
        drop(open);
        if number == key {
            // Where this runtime is at its end, so is the sweeper at once, and with it what it was to look at.
            sweep::spawn(guard.clone(), Sweeper { runtime, number });
        }
        Registered {
            guard: guard.clone(),
            runtime,
            key,
            live,
            #[cfg(feature = "serve")]
            _place: None,
        }
    }

    /// Those that are open now.
    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        let open = self.lock();
        open.driven.values().flat_map(Driven::lives).collect()
    }

    /// Those of them that a runtime drives.
    pub(super) fn on(&self, runtime: Id) -> Vec<Arc<Live>> {
        let open = self.lock();
        let driven = open.driven.get(&runtime);
        driven.into_iter().flat_map(Driven::lives).collect()
    }

    /// Lets a sweeper go where nothing is open on its runtime; whoever is registered there next begins another.
    pub(super) fn rests(&self, sweeper: Sweeper) -> bool {
        let mut open = self.lock();
        let driven = open.driven.get(&sweeper.runtime);
        let empty = driven.is_none_or(|driven| driven.lives.is_empty());
        if empty {
            open.driven.remove(&sweeper.runtime);
        }
        empty
    }

    /// All that this sweeper looked at, where it ends by something else; whoever is registered from then on begins another.
    pub(super) fn abandon(&self, sweeper: Sweeper) -> Vec<Arc<Live>> {
        let mut open = self.lock();
        let of = Some(sweeper.number);
        let driven = open.driven.get_mut(&sweeper.runtime);
        let Some(driven) = driven.filter(|driven| driven.sweeper == of) else {
            return Vec::new();
        };
        driven.sweeper = None;
        let left: Vec<_> = driven.lives().collect();
        if left.is_empty() {
            open.driven.remove(&sweeper.runtime);
        }
        left
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn remove(&mut self, runtime: Id, key: u64) {
        let Some(driven) = self.driven.get_mut(&runtime) else {
            return;
        };
        driven.lives.remove(&key);
        // Else its sweeper takes it out, which rests only a while later: the next connection finds its place.
        if driven.sweeper.is_none() && driven.lives.is_empty() {
            self.driven.remove(&runtime);
        }
    }
}

impl Driven {
    fn lives(&self) -> impl Iterator<Item = Arc<Live>> {
        self.lives.values().cloned()
    }
}

/// A connection's place in the registry: dropped with its stream.
pub(crate) struct Registered {
    guard: Guard,
    runtime: Id,
    key: u64,
    live: Arc<Live>,
    /// What it takes up of a listener, upgraded ones too.
    #[cfg(feature = "serve")]
    _place: Option<crate::serve::Place>,
}

impl Registered {
    pub(crate) const fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Keeps its place at a listener for as long as its stream.
    #[cfg(feature = "serve")]
    pub(crate) fn keep(mut self, place: crate::serve::Place) -> Self {
        self._place = Some(place);
        self
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut open = self.guard.registry().lock();
        open.remove(self.runtime, self.key);
        drop(open);
        self.live.tell_end(&self.guard);
        self.live.closed();
    }
}

#[cfg(all(test, feature = "serve", feature = "test-util"))]
mod tests {
    use core::time::Duration;
    use std::sync::mpsc;

    use ztl_core::Arrival;

    use super::*;

    const POLICY: &str = "schema = 1\ntrust_domain = 'prod.example'\n\
        [workloads.db]\nid = 'spiffe://prod.example/db'\nports = [8443]\n";

    fn open(guard: &Guard) -> Registered {
        let live = Live::ingress(guard, Arrival::unknown(), 8443, true);
        Registry::register(guard, live)
    }

    #[tokio::test]
    async fn law_1_whoever_comes_where_a_sweeper_has_gone_begins_another() {
        let guard = crate::test::builder("db", POLICY).build().await;
        let guard = guard.expect("a guard");
        let (registry, runtime) = (guard.registry(), Handle::current().id());
        let sweeper = || {
            let open = registry.lock();
            let number = open.driven.get(&runtime).and_then(|it| it.sweeper);
            number.map(|number| Sweeper { runtime, number })
        };
        drop(open(&guard));
        let first = sweeper().expect("a sweeper");
        assert!(registry.rests(first));
        let one = open(&guard);
        let second = sweeper().expect("another");
        assert_ne!(second, first);
        assert!(registry.abandon(first).is_empty(), "it has none any more");
        assert_eq!(sweeper(), Some(second));
        // By a panic: before its task has ended.
        let left = registry.abandon(second);
        assert!(left.len() == 1 && Arc::ptr_eq(&left[0], one.live()));
        let two = open(&guard);
        let third = sweeper();
        assert!(third.is_some_and(|it| it != second), "{third:?}");
        drop(two);
    }

    #[tokio::test]
    async fn law_1_what_is_begun_on_a_runtime_at_its_end_is_revoked_at_once() {
        let guard = crate::test::builder("db", POLICY).build().await;
        let guard = guard.expect("a guard");
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            let handle = runtime.handle().clone();
            drop(runtime);
            let _within = handle.enter();
            let open = open(&guard);
            let sweeper = guard.registry().lock().driven[&handle.id()].sweeper;
            let revoked = open.live().is_revoked();
            drop(open);
            let left = guard.registry().lock().driven.len();
            let _ = tell.send((revoked, sweeper, left));
        });
        let ended = told.recv_timeout(Duration::from_secs(10));
        assert_eq!(ended, Ok((true, None, 0)), "nobody would judge it");
    }

    #[tokio::test]
    async fn law_8_each_runtime_is_asked_for_its_own_connections_alone() {
        let guard = crate::test::builder("db", POLICY).build().await;
        let guard = guard.expect("a guard");
        let here = open(&guard);
        let there = tokio::runtime::Runtime::new().expect("a runtime");
        let more: Vec<_> = {
            let _within = there.enter();
            (0..3).map(|_| open(&guard)).collect()
        };
        let registry = guard.registry();
        let ours = registry.on(Handle::current().id());
        assert!(ours.len() == 1 && Arc::ptr_eq(&ours[0], here.live()));
        let theirs = registry.on(there.handle().id());
        let is_there = |live| more.iter().any(|it| Arc::ptr_eq(it.live(), live));
        assert!(theirs.len() == 3 && theirs.iter().all(is_there));
        assert_eq!(registry.all().len(), 4);
        // A runtime that has ended leaves nothing behind once its connections are gone.
        there.shutdown_background();
        drop(more);
        let patience = tokio::time::Instant::now() + Duration::from_secs(10);
        while registry.lock().driven.len() > 1 {
            assert!(tokio::time::Instant::now() < patience);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(registry.all().len(), 1);
    }
}
