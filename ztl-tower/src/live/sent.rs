//! What was asked for on a connection to a host outside the mesh: authorized again where the policy is another (law 8). A workload has
//! a guard that cuts what it no longer permits; out there nobody else would.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Method;
use ztl_core::{Action, Evidence, Timestamp};

use super::connection::Live;
use super::grounds::Why;
use crate::guard::Guard;

/// Most targets that a connection is asked for: with the last of them it takes no further request.
const MAX_TARGETS: usize = 64;

/// The targets of what may run on a connection; none on one to a workload.
#[derive(Default)]
pub(super) struct Sent(Mutex<State>);

#[derive(Default)]
struct State {
    /// The policy under which all of them were authorized, or an earlier one.
    epoch: u64,
    /// By path: no rule reads a query.
    targets: Vec<(Method, Box<str>)>,
}

/// What became of the requests that a connection carried before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// It carries one at a time (HTTP/1.1).
    AreOver,
    /// It carries several, and nobody here sees which run still (HTTP/2).
    MayRun,
}

impl Live {
    /// A request is sent that was authorized when `epoch` was the policy's, or later.
    pub(crate) fn sends(&self, epoch: u64, (method, path): (&Method, &str), earlier: Earlier) {
        let mut state = self.sent();
        if earlier == Earlier::AreOver {
            state.targets.clear();
        }
        // T5: whoever has looked at the others meanwhile did not know of this one.
        state.epoch = if state.targets.is_empty() {
            epoch
        } else {
            state.epoch.min(epoch)
        };
        let known = |(of, at): &(Method, Box<str>)| of == method && **at == *path;
        if !state.targets.iter().any(known) {
            state.targets.push((method.clone(), path.into()));
        }
        if state.targets.len() >= MAX_TARGETS {
            drop(state);
            // What runs on it runs on.
            self.drain(Timestamp::MAX);
        }
    }

    /// Judges again what was authorized under an earlier policy. One that is denied ends the connection: nobody here can end it alone.
    pub(super) fn sweep_sent(&self, guard: &Guard) {
        let targets = {
            let mut state = self.sent();
            let epoch = guard.engine().epoch();
            if state.targets.is_empty() || state.epoch == epoch {
                return;
            }
            // First: what changes from here on has all judged once more.
            state.epoch = epoch;
            state.targets.clone()
        };
        let permitted = |(method, path): &(Method, Box<str>)| {
            let action = Action::request(method.as_str(), path).ok()?;
            let renew = || self.current_for(guard, Why::Changed);
            let flow = renew().ok()?;
            let (engine, now) = (guard.engine(), guard.now());
            let judged = engine.authorize_again(&flow, renew, &action, &Evidence::none(), now);
            judged.ok()
        };
        if !targets.iter().all(|target| permitted(target).is_some()) {
            self.revoke();
        }
    }

    /// Whether what was asked for rests on what may be another by now.
    pub(super) fn is_sent_behind(&self, guard: &Guard) -> bool {
        let state = self.sent();
        !state.targets.is_empty() && state.epoch != guard.engine().epoch()
    }

    fn sent(&self) -> MutexGuard<'_, State> {
        self.sent.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
