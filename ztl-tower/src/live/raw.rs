//! A connection of raw bytes: authorized for `connect` before its first byte, and judged again for as long as it is open (law 8).

use std::sync::{Mutex, PoisonError};

use ztl_core::{
    Action, ActionPermit, Denial, Direction, Evidence, FlowPermit, Peer, Reason, Timestamp,
};

use super::connection::Live;
use crate::gather::Gathered;
use crate::guard::Guard;

/// How often it is judged while what it rests on changes under the judgement, before it is refused.
const TRIES: usize = 16;

/// Who may send raw bytes, and the permits of the flow and of the action.
pub(crate) type Authorized = (Peer, FlowPermit, ActionPermit);

/// What the last judgement of the action rested on; nothing for a connection that carries requests.
#[derive(Default)]
pub(super) struct Raw(Mutex<Option<Rests>>);

#[derive(Clone, Copy)]
struct Rests {
    epoch: u64,
    evidence: u64,
    until: Timestamp,
}

impl Live {
    /// Authorizes raw bytes on a connection whose flow is permitted. From then on they are judged again with everything else.
    pub(crate) fn authorize_connect(&self, guard: &Guard) -> Result<Authorized, Denial> {
        let (engine, action) = (guard.engine(), Action::Connect);
        for _ in 0..TRIES {
            let (epoch, generation) = (engine.epoch(), guard.evidence_generation());
            let now = guard.now();
            let flow = self.current(guard)?;
            let Some(peer) = flow.peer().cloned() else {
                // Whoever proves nothing gets no raw stream, whatever a rule for `public` says.
                let unproven = Reason::IdentityUnproven;
                return Err(engine.refuse_on(&flow, Some(&action), unproven, now));
            };
            let gathered = Gathered::now(guard, &flow, None, None, now);
            let evidence = match self.direction {
                Direction::Ingress => gathered.beside(Evidence::none()),
                // Requirements are judged at the target's end, which has the facts.
                Direction::Egress => Evidence::none(),
            };
            let renew = || self.current(guard);
            let permit = engine.authorize_or_renew(&flow, renew, &action, &evidence, now)?;
            if engine.epoch() == epoch {
                if !permit.obligations().is_empty() {
                    // Law 1: all of them are of requests, and nobody discharges them for bytes.
                    let unknown = Reason::ObligationUnknown;
                    let action = Some(&action);
                    return Err(engine.refuse_permitted(&flow, &permit, action, unknown, now));
                }
                *self.rests() = Some(Rests {
                    epoch,
                    evidence: generation,
                    until: permit.expires_at(),
                });
                return Ok((peer, flow, permit));
            }
        }
        let flow = self.current(guard)?;
        let withdrawn = Reason::FlowWithdrawn;
        Err(engine.refuse_on(&flow, Some(&action), withdrawn, guard.now()))
    }

    /// Judges raw bytes again where something that they rest on is another.
    pub(super) fn sweep_raw(&self, guard: &Guard, now: Timestamp) {
        let Some(rests) = *self.rests() else { return };
        let stands = rests.epoch == guard.engine().epoch()
            && rests.evidence == guard.evidence_generation()
            && now < rests.until;
        if !stands && self.authorize_connect(guard).is_err() {
            self.revoke();
        }
    }

    fn rests(&self) -> std::sync::MutexGuard<'_, Option<Rests>> {
        self.raw.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
