//! A connection of raw bytes: authorized for `connect` before its first byte, and judged again for as long as it is open (law 8).

use std::sync::{Mutex, PoisonError};

use ztl_core::{Action, ActionPermit, Denial, Direction, Evidence, FlowPermit, Reason, Timestamp};

use super::connection::Live;
use crate::gather::Gathered;
use crate::guard::Guard;

/// How often it is judged while what it rests on changes under the judgement, before it is refused.
const TRIES: usize = 16;

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
    pub(crate) fn authorize_connect(
        &self,
        guard: &Guard,
    ) -> Result<(FlowPermit, ActionPermit), Denial> {
        let engine = guard.engine();
        for _ in 0..TRIES {
            let (epoch, generation) = (engine.epoch(), guard.evidence_generation());
            let now = guard.now();
            let flow = self.current(guard)?;
            let gathered = Gathered::now(guard, &flow, None, None, now);
            let evidence = match self.direction {
                Direction::Ingress => gathered.beside(Evidence::none()),
                // Requirements are judged at the target's end, which has the facts.
                Direction::Egress => Evidence::none(),
            };
            let renew = || self.current(guard);
            let permit =
                engine.authorize_or_renew(&flow, renew, &Action::Connect, &evidence, now)?;
            if engine.epoch() == epoch {
                *self.rests() = Some(Rests {
                    epoch,
                    evidence: generation,
                    until: permit.expires_at(),
                });
                return Ok((flow, permit));
            }
        }
        let flow = self.current(guard)?;
        Err(engine.refuse_on(
            &flow,
            Some(&Action::Connect),
            Reason::FlowWithdrawn,
            guard.now(),
        ))
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
