//! A connection of raw bytes: authorized for `connect` before its first byte, and judged again for as long as it is open (law 8).
//! A judgement that could take long is made where nobody else waits for it, as those of requests are (T34).

#[cfg(feature = "serve")]
use core::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ztl_core::{Action, ActionPermit, Denial, Direction, Evidence, FlowPermit, Reason, Timestamp};

use super::connection::Live;
use super::grounds::Why;
use crate::gather::{Gathered, Scored};
use crate::guard::Guard;

/// How often it is judged while what it rests on changes under the judgement, before it is refused.
const TRIES: usize = 16;

/// The permits of the flow, whose other end is proved, and of the action.
pub(crate) type Authorized = (FlowPermit, ActionPermit);

#[derive(Default)]
pub(super) struct Raw {
    /// What the last judgement of the action rested on; nothing for a connection that carries requests.
    rests: Mutex<Option<Rests>>,
    /// Whether it waits to be judged again.
    #[cfg(feature = "serve")]
    again: core::sync::atomic::AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Rests {
    epoch: u64,
    evidence: u64,
    scored: Scored,
    until: Timestamp,
}

impl Rests {
    /// Whether what it was judged by is no longer so, whatever its score is.
    fn is_over(&self, guard: &Guard, now: Timestamp) -> bool {
        self.epoch != guard.engine().epoch()
            || self.evidence != guard.evidence_generation()
            || now >= self.until
    }

    /// Whether its score may be another, where scores have drifted so far.
    const fn may_drift(&self, drift: u64) -> bool {
        self.scored.is_any() && self.scored.drift != drift
    }
}

impl Live {
    /// Authorizes raw bytes on a connection whose flow is permitted. From then on they are judged again with everything else.
    pub(crate) async fn authorize_connect(
        self: &Arc<Self>,
        guard: &Guard,
    ) -> Result<Authorized, Denial> {
        #[cfg(feature = "serve")]
        if self.connects_heavily(guard) {
            return self.judge_connect_apart(guard).await;
        }
        self.judge_connect(guard)
    }

    /// Whether judging it could take so long that nobody must wait for it.
    #[cfg(feature = "serve")]
    fn connects_heavily(&self, guard: &Guard) -> bool {
        let asks = |flow| guard.engine().asks_heavy(&flow, Some(&Action::Connect));
        self.permit().is_some_and(asks)
    }

    /// Judges it on the threads that are there for it, in the peer's share of those.
    #[cfg(feature = "serve")]
    async fn judge_connect_apart(self: &Arc<Self>, guard: &Guard) -> Result<Authorized, Denial> {
        let flow = self.current(guard)?;
        let share = crate::authorize::caller(guard, &flow);
        let (tell, told) = tokio::sync::oneshot::channel();
        let (live, of) = (Arc::clone(self), guard.clone());
        let runs = guard.judging().run(&share, move || {
            // Whoever gave up waiting gets no judgement made for them.
            if !tell.is_closed() {
                let _ = tell.send(live.judge_connect(&of));
            }
        });
        if !runs {
            crate::watch::judgement_turned_away(guard);
        }
        told.await.unwrap_or_else(|_| {
            let failed = Reason::AuthorizerFailed;
            let engine = guard.engine();
            Err(engine.refuse_on(&flow, Some(&Action::Connect), failed, guard.now()))
        })
    }

    fn judge_connect(&self, guard: &Guard) -> Result<Authorized, Denial> {
        let (engine, action) = (guard.engine(), Action::Connect);
        let again = self.rests().is_some();
        let why = if again { Why::Changed } else { Why::Asked };
        let refuse = |flow: &FlowPermit, reason| {
            if again {
                engine.refuse_again(flow, Some(&action), reason, guard.now())
            } else {
                engine.refuse_on(flow, Some(&action), reason, guard.now())
            }
        };
        for _ in 0..TRIES {
            let (epoch, generation) = (engine.epoch(), guard.evidence_generation());
            let now = guard.now();
            let flow = self.current_for(guard, why)?;
            if flow.peer().is_none() && flow.host().is_none() {
                // Whoever proves nothing gets no raw stream, whatever a rule for `public` says.
                return Err(refuse(&flow, Reason::IdentityUnproven));
            }
            let gathered = Gathered::now(guard, &flow, None, None, now);
            let evidence = match self.direction {
                Direction::Ingress => gathered.beside(Evidence::none()),
                // Requirements are judged at the target's end, which has the facts.
                Direction::Egress => Evidence::none(),
            };
            let renew = || self.current_for(guard, why);
            let permit = if again {
                engine.authorize_again(&flow, renew, &action, &evidence, now)?
            } else {
                engine.authorize_or_renew(&flow, renew, &action, &evidence, now)?
            };
            if engine.epoch() == epoch {
                if !permit.obligations().is_empty() {
                    // Law 1: all of them are of requests, and nobody discharges them for bytes.
                    let (action, unknown) = (Some(&action), Reason::ObligationUnknown);
                    return Err(if again {
                        engine.refuse_permitted_again(&flow, &permit, action, unknown, now)
                    } else {
                        engine.refuse_permitted(&flow, &permit, action, unknown, now)
                    });
                }
                *self.rests() = Some(Rests {
                    epoch,
                    evidence: generation,
                    scored: match self.direction {
                        Direction::Ingress => gathered.scored(),
                        Direction::Egress => Scored::default(),
                    },
                    until: permit.expires_at(),
                });
                return Ok((flow, permit));
            }
        }
        let flow = self.current_for(guard, why)?;
        Err(refuse(&flow, Reason::FlowWithdrawn))
    }

    /// Judges raw bytes again where something that they rest on is another.
    pub(super) fn sweep_raw(self: &Arc<Self>, guard: &Guard, now: Timestamp) {
        let Some(rests) = *self.rests() else { return };
        if !rests.is_over(guard, now) {
            // Before the score is asked for: what drifts from here on has it asked for once more.
            let drift = guard.score_drift();
            if !rests.may_drift(drift) {
                return;
            }
            let outdated = |flow| rests.scored.is_outdated(guard, &flow, None, now);
            if !self.permit().is_some_and(outdated) {
                // Unless somebody has judged it meanwhile, by what they saw.
                if let Some(held) = self.rests().as_mut().filter(|held| **held == rests) {
                    held.scored.drift = drift;
                }
                return;
            }
        }
        #[cfg(feature = "serve")]
        if self.connects_heavily(guard) {
            // What changes from here on has it judged once more.
            *self.rests() = Some(Rests {
                epoch: guard.engine().epoch(),
                evidence: guard.evidence_generation(),
                scored: Scored::default(),
                until: Timestamp::MAX,
            });
            let raw = Arc::clone(self);
            return self.requests.again.add(self, guard, raw);
        }
        if self.judge_connect(guard).is_err() {
            self.revoke();
        }
    }

    /// Whether raw bytes rest on what may be another by now.
    pub(super) fn is_raw_behind(&self, guard: &Guard, now: Timestamp) -> bool {
        let rests = *self.rests();
        rests.is_some_and(|rests| rests.is_over(guard, now) || rests.may_drift(guard.score_drift()))
    }

    /// Whether it was authorized as raw bytes.
    #[cfg(feature = "serve")]
    pub(super) fn is_raw(&self) -> bool {
        self.rests().is_some()
    }

    fn rests(&self) -> MutexGuard<'_, Option<Rests>> {
        let rests = self.raw.rests.lock();
        rests.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "serve")]
impl super::again::Runs for Live {
    fn waits_again(&self) -> bool {
        self.raw.again.swap(true, Ordering::AcqRel)
    }

    fn judge_again(&self, guard: &Guard) {
        self.raw.again.store(false, Ordering::Release);
        if self.judge_connect(guard).is_err() {
            self.revoke();
        }
    }

    fn ends_unjudged(&self, guard: &Guard) {
        if let Ok(flow) = self.current_for(guard, Why::Changed) {
            let (engine, failed) = (guard.engine(), Reason::AuthorizerFailed);
            engine.refuse_again(&flow, Some(&Action::Connect), failed, guard.now());
        }
        self.revoke();
    }
}
