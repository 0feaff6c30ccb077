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
    /// With the runtime that each was registered on.
    lives: HashMap<u64, (Id, Arc<Live>)>,
    /// The key of the connection that began the sweeper of a runtime, for as long as that looks.
    sweepers: HashMap<Id, u64>,
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
        open.lives.insert(key, (runtime, Arc::clone(&live)));
        let number = *open.sweepers.entry(runtime).or_insert(key);
        drop(open);
        if number == key {
            // Where this runtime is at its end, so is the sweeper at once, and with it what it was to look at.
            sweep::spawn(guard.clone(), Sweeper { runtime, number });
        }
        Registered {
            guard: guard.clone(),
            key,
            live,
            #[cfg(feature = "serve")]
            _place: None,
        }
    }

    /// Those that are open now.
    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        let open = self.lock();
        open.lives.values().map(|(_, live)| live.clone()).collect()
    }

    /// Those of them that a runtime drives.
    pub(super) fn on(&self, runtime: Id) -> Vec<Arc<Live>> {
        self.lock().on(runtime).cloned().collect()
    }

    /// Lets a sweeper go where nothing is open on its runtime; whoever is registered there next begins another.
    pub(super) fn rests(&self, sweeper: Sweeper) -> bool {
        let mut open = self.lock();
        let empty = open.on(sweeper.runtime).next().is_none();
        if empty {
            open.sweepers.remove(&sweeper.runtime);
        }
        empty
    }

    /// All that this sweeper looked at, where it ends by something else; whoever is registered from then on begins another.
    pub(super) fn abandon(&self, sweeper: Sweeper) -> Vec<Arc<Live>> {
        let mut open = self.lock();
        if open.sweepers.get(&sweeper.runtime) != Some(&sweeper.number) {
            return Vec::new();
        }
        open.sweepers.remove(&sweeper.runtime);
        open.on(sweeper.runtime).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn on(&self, runtime: Id) -> impl Iterator<Item = &Arc<Live>> {
        let lives = self.lives.values();
        lives.filter_map(move |(on, live)| (*on == runtime).then_some(live))
    }
}

/// A connection's place in the registry: dropped with its stream.
pub(crate) struct Registered {
    guard: Guard,
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
        self.guard.registry().lock().lives.remove(&self.key);
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
            let number = registry.lock().sweepers.get(&runtime).copied();
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
            let sweepers = guard.registry().lock().sweepers.len();
            let _ = tell.send((open.live().is_revoked(), sweepers));
        });
        let ended = told.recv_timeout(Duration::from_secs(10));
        assert_eq!(ended, Ok((true, 0)), "nobody would judge it");
    }
}
