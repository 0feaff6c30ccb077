//! All open connections of a guard.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;

use super::connection::Live;
use super::sweep;
use crate::guard::Guard;

/// The open connections of a guard, those in their handshake among them.
#[derive(Default)]
pub(crate) struct Registry(Mutex<Open>);

#[derive(Default)]
struct Open {
    next: u64,
    lives: HashMap<u64, Arc<Live>>,
    sweeper: Option<JoinHandle<()>>,
}

impl Registry {
    /// Takes a connection in, before anything of it is judged. It is swept until the answer is dropped.
    pub(crate) fn register(guard: &Guard, live: Live) -> Registered {
        let live = Arc::new(live);
        let mut open = guard.registry().lock();
        let key = open.next;
        open.next = open.next.wrapping_add(1);
        open.lives.insert(key, Arc::clone(&live));
        // One that ended with its runtime is begun again on this one.
        if open.sweeper.as_ref().is_none_or(JoinHandle::is_finished) {
            open.sweeper = Some(sweep::spawn(guard.clone()));
        }
        drop(open);
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
        self.lock().lives.values().cloned().collect()
    }

    /// Lets the sweeper go where nothing is open; whoever is registered next begins another.
    pub(super) fn rests(&self) -> bool {
        let mut open = self.lock();
        let empty = open.lives.is_empty();
        if empty {
            open.sweeper = None;
        }
        empty
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
