//! Kept connections, by target and port. One is used again only while its flow is permitted (T21).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::sender::Sender;
use crate::guard::Guard;

/// Most connections kept to one target.
const MAX_KEPT: usize = 32;

/// What a connection is kept under. The guard's own SVID, the policy and the bundles are checked when it is taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) workload: Box<str>,
    pub(super) port: u16,
    /// Counts the changes of our own SVID: a connection ends with the identity that it was proved with.
    pub(super) identity: u64,
}

/// The kept connections of a guard.
#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<Key, Vec<Sender>>>);

impl Pool {
    /// A connection whose flow is still permitted; what no longer is, is dropped.
    pub(super) fn take(&self, key: &Key, guard: &Guard) -> Option<Sender> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let list = kept.get_mut(key)?;
        let now = guard.now();
        list.retain_mut(|sender| {
            if sender.is_closed() {
                return false;
            }
            match guard.engine().renew_flow(&sender.permit, now) {
                Ok(permit) => {
                    sender.permit = permit;
                    true
                }
                Err(_) => false,
            }
        });
        let ready = list.iter().position(Sender::is_ready)?;
        match list.get(ready).and_then(Sender::share) {
            Some(shared) => Some(shared),
            None => Some(list.swap_remove(ready)),
        }
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(&self, key: Key, sender: Sender) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|other, list| other.identity == key.identity && !list.is_empty());
        let list = kept.entry(key).or_default();
        // One connection that carries several requests at once is enough.
        if list.len() < MAX_KEPT && !list.iter().any(|other| other.share().is_some()) {
            list.push(sender);
        }
    }
}
