//! Kept connections, by target and port. One is used again only while its flow is permitted (T21).

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;
use ztl_core::SpiffeId;

use super::sender::Sender;
use crate::guard::Guard;
use crate::live::State;

/// Most connections kept to one target.
const MAX_KEPT: usize = 32;
/// How long a connection is kept that nobody uses.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// What a connection is kept under. The policy and the bundles are checked when it is taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) to: To,
    pub(super) port: u16,
    /// Counts the changes of our own SVID: a connection ends with the identity that it was proved with. None outside the mesh, where
    /// none is shown.
    pub(super) identity: Option<u64>,
}

/// Who is called. Neither is ever taken for the other, whatever its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum To {
    Workload {
        name: Box<str>,
        /// What the policy says its SPIFFE ID is: a name can come to mean somebody else.
        id: SpiffeId,
    },
    /// Outside the mesh, by its name in lower case.
    Host(Box<str>),
}

impl Key {
    /// The name of who is called.
    pub(super) fn name(&self) -> &str {
        match &self.to {
            To::Workload { name, .. } | To::Host(name) => name,
        }
    }
}

struct Kept {
    sender: Sender,
    used: Instant,
}

/// The kept connections of a guard.
#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<Key, Vec<Kept>>>);

impl Pool {
    /// A connection to who still is the named workload, whose flow is still permitted; what is not, is dropped.
    pub(super) fn take(&self, key: &Key, guard: &Guard) -> Option<Sender> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let list = kept.get_mut(key)?;
        list.retain(|kept| {
            !kept.sender.is_closed()
                && kept.sender.live.state() == State::Open
                && kept.sender.live.current(guard).is_ok()
        });
        let ready = list.iter().position(|kept| kept.sender.is_ready())?;
        let shared = list.get_mut(ready).and_then(|kept| {
            kept.used = Instant::now();
            kept.sender.share()
        });
        Some(shared.unwrap_or_else(|| list.swap_remove(ready).sender))
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(&self, key: Key, sender: Sender) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, list| !list.is_empty());
        let list = kept.entry(key).or_default();
        let used = Instant::now();
        // One connection that carries several requests at once is enough.
        if let Some(shared) = list.iter_mut().find(|kept| kept.sender.carries_several()) {
            shared.used = used;
        } else if list.len() < MAX_KEPT && !sender.is_closed() && sender.live.state() == State::Open
        {
            list.push(Kept { sender, used });
        }
    }

    /// Drops what is closed, what nobody has used for a minute, and what was made under an earlier SVID of ours.
    pub(crate) fn sweep(&self, identity: u64, now: Instant) {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pool.retain(|key, list| {
            list.retain(|kept| {
                !kept.sender.is_closed() && now.duration_since(kept.used) < MAX_IDLE
            });
            key.identity.is_none_or(|under| under == identity) && !list.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Live;
    use std::sync::Arc;
    use ztl_core::audit::MemorySink;
    use ztl_core::policy::Policy;
    use ztl_core::{Arrival, Engine, Flow, Timestamp};

    fn key(identity: u64) -> Key {
        let identity = Some(identity);
        Key {
            to: To::Workload {
                name: "db".into(),
                id: SpiffeId::parse("spiffe://prod.example/db").expect("id"),
            },
            port: 8443,
            identity,
        }
    }

    /// A connection to nobody, with a permit that says nothing of it: here only time counts.
    async fn sender() -> (Sender, tokio::io::DuplexStream) {
        let policy = Policy::from_toml(
            "schema = 1\ntrust_domain = 'prod.example'\n[workloads.db]\nid = 'spiffe://prod.example/db'\n\
             public_ports = [443]\n[[permit]]\nname = 'hello'\nfrom = 'public'\nto = 'db'\nanonymous = true\n\
             actions = ['GET /hello']\n",
        )
        .unwrap_or_else(|error| panic!("{error}"));
        let engine = Engine::new(policy, Arc::new(MemorySink::new(9))).expect("engine");
        let flow = Flow::ingress("db", 443, Arrival::unknown(), None);
        let permit = engine
            .permit_flow(&flow, Timestamp::from_unix_secs(1_790_000_000))
            .expect("permit");
        let (near, far) = tokio::io::duplex(64);
        let sender = Sender::over(near, Arc::new(Live::for_test(permit)))
            .await
            .expect("http");
        (sender, far)
    }

    #[tokio::test]
    async fn t35_what_nobody_uses_for_a_minute_is_dropped() {
        let (pool, mine) = (Pool::default(), key(0));
        let (sender, _far) = sender().await;
        pool.put(mine.clone(), sender);
        let put = Instant::now();
        let kept = || pool.0.lock().expect("lock").len();
        pool.sweep(0, put + MAX_IDLE / 2);
        assert_eq!(kept(), 1);
        pool.sweep(0, put + MAX_IDLE);
        assert_eq!(kept(), 0);
    }
}
