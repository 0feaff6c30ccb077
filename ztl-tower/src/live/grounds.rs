//! What an open connection rests on, and its judgement.

use std::sync::Arc;

use ztl_core::{Denial, Direction, Flow, FlowPermit, Peer, Reason, Stage, Timestamp};
use ztl_mtls::{Generations, ProveError, Proved, Purpose};

use super::connection::{Live, State};
use crate::guard::Guard;

/// How often a connection is judged while what it rests on changes under the judgement, before it is refused.
const TRIES: usize = 16;

/// What the last judgement rested on.
pub(super) struct Grounds {
    pub(super) permit: FlowPermit,
    pub(super) epoch: u64,
    pub(super) trust: u64,
    pub(super) generations: Option<Generations>,
    /// When the chain has to be proved again though nothing changes.
    pub(super) until: Timestamp,
}

/// What was there before a connection was judged for the first time: to be taken before its handshake.
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    epoch: u64,
    trust: u64,
}

impl Begun {
    pub(crate) fn now(guard: &Guard) -> Self {
        Self {
            epoch: guard.engine().epoch(),
            trust: guard.engine().trust_generation(),
        }
    }
}

/// Why a connection is judged, which its record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Somebody asks for something on it.
    Asked,
    /// Something that it rests on changed, and nobody asked for anything (law 8).
    Changed,
}

impl Why {
    fn permit(self, guard: &Guard, flow: &Flow<'_>, now: Timestamp) -> Result<FlowPermit, Denial> {
        match self {
            Self::Asked => guard.engine().permit_flow(flow, now),
            Self::Changed => guard.engine().permit_flow_again(flow, now),
        }
    }

    fn refuse(
        self,
        guard: &Guard,
        flow: &Flow<'_>,
        (stage, reason): (Stage, Reason),
        now: Timestamp,
    ) -> Denial {
        let engine = guard.engine();
        match self {
            Self::Asked => engine.refuse(flow, None, stage, reason, now),
            Self::Changed => engine.refuse_flow_again(flow, stage, reason, now),
        }
    }
}

impl Live {
    /// The handshake is done: what proved the peer, and how its flow was judged. Whether that still holds is judged at once where
    /// anything changed meanwhile.
    ///
    /// Tells whether it is permitted; where not, that has been recorded.
    pub(crate) fn begin(
        &self,
        guard: &Guard,
        begun: Begun,
        permit: FlowPermit,
        proved: Option<&Proved>,
    ) -> bool {
        let until = proved.map_or(Timestamp::MAX, Proved::holds_until);
        if let Some(proved) = proved {
            let _ = self.chain.set(proved.chain().clone());
        }
        if let Some(host) = permit.host() {
            let _ = self.host.set(host.clone());
        }
        self.grounds.store(Some(Arc::new(Grounds {
            until: until.min(permit.expires_at()),
            permit,
            epoch: begun.epoch,
            trust: begun.trust,
            generations: proved.map(Proved::generations),
        })));
        !self.is_stale(guard, guard.now()) || self.judge(guard, Why::Asked).is_ok()
    }

    /// The permit of the last judgement, however old.
    pub(crate) fn permit(&self) -> Option<FlowPermit> {
        self.grounds
            .load()
            .as_ref()
            .map(|grounds| grounds.permit.clone())
    }

    /// A permit that rests on what is in force now, for what somebody asks for; where something changed, the connection is judged
    /// first (T5).
    ///
    /// # Errors
    /// [`Denial`]: it is no longer permitted, and revoked.
    pub(crate) fn current(&self, guard: &Guard) -> Result<FlowPermit, Denial> {
        self.current_for(guard, Why::Asked)
    }

    /// The same, for whoever asks or for what runs.
    ///
    /// # Errors
    /// [`Denial`]: it is no longer permitted, and revoked.
    pub(super) fn current_for(&self, guard: &Guard, why: Why) -> Result<FlowPermit, Denial> {
        {
            let grounds = self.grounds.load();
            if self.state() == State::Revoked {
                // Whatever would be said of it now: it has ended.
                let peer = grounds.as_ref().and_then(|grounds| grounds.permit.peer());
                let (flow, now) = (self.flow(guard, peer), guard.now());
                let ended = (Stage::Flow, Reason::FlowWithdrawn);
                return Err(why.refuse(guard, &flow, ended, now));
            }
            if let Some(grounds) = grounds.as_ref()
                && grounds.epoch == guard.engine().epoch()
                && grounds.trust == guard.engine().trust_generation()
            {
                return Ok(grounds.permit.clone());
            }
        }
        self.judge(guard, why)
    }

    /// Judges the connection again: proves the chain, permits the flow. Refused, it is revoked.
    pub(super) fn judge(&self, guard: &Guard, why: Why) -> Result<FlowPermit, Denial> {
        let judged = self.judged(guard, why);
        match &judged {
            Ok(grounds) => self.grounds.store(Some(Arc::clone(grounds))),
            Err(_) => self.revoke(),
        }
        judged.map(|grounds| grounds.permit.clone())
    }

    fn judged(&self, guard: &Guard, why: Why) -> Result<Arc<Grounds>, Denial> {
        let engine = guard.engine();
        let refuse = |peer: Option<&Peer>, stage, reason| {
            let flow = self.flow(guard, peer);
            why.refuse(guard, &flow, (stage, reason), guard.now())
        };
        let last = self.grounds.load_full();
        let peer = last.as_ref().and_then(|last| last.permit.peer());
        for _ in 0..TRIES {
            // Before anything is judged: a change after it shows in the comparison below, or makes the permit stale.
            let (epoch, trust, now) = (engine.epoch(), engine.trust_generation(), guard.now());
            if now >= self.own_not_after(guard) {
                return Err(refuse(peer, Stage::Identity, Reason::IdentityExpired));
            }
            let purpose = match self.direction {
                Direction::Ingress => Purpose::Client,
                Direction::Egress => Purpose::Server,
            };
            let proofs = guard.prover().generations();
            let kept = last
                .as_ref()
                .filter(|last| last.generations == Some(proofs) && now < last.until);
            let chain = self.chain.get();
            let (proved, generations, until) = if let (Some(_), Some(last)) = (chain, kept) {
                // Nothing that it rests on has changed but the policy: the proof stands.
                (last.permit.peer().cloned(), Some(proofs), last.until)
            } else if let Some(chain) = chain {
                let proved = guard.prover().prove_again(chain, now, purpose);
                let proved = proved.map_err(|error| {
                    let (stage, reason) = reason_of(&error);
                    let denial = refuse(peer, stage, reason);
                    tracing::info!(target: "ztl", workload = guard.name(), decision = %denial.id(), %error, "peer no longer proved");
                    denial
                })?;
                let (under, until) = (proved.generations(), proved.holds_until());
                (Some(proved.into_peer()), Some(under), until)
            } else {
                (None, None, Timestamp::MAX)
            };
            let permit = match &self.named {
                None => why.permit(guard, &self.flow(guard, proved.as_ref()), now)?,
                #[cfg(feature = "client")]
                Some(named) => {
                    let Some(proved) = &proved else {
                        return Err(refuse(peer, Stage::Identity, Reason::IdentityUnproven));
                    };
                    let judge = || why.permit(guard, &self.flow(guard, Some(proved)), now);
                    match crate::egress::as_named(guard, proved.id(), named, judge) {
                        Some(judged) => judged?,
                        // The name is somebody else's now.
                        None => return Err(refuse(peer, Stage::Flow, Reason::FlowWithdrawn)),
                    }
                }
                #[cfg(not(feature = "client"))]
                Some(_) => return Err(refuse(peer, Stage::Flow, Reason::FlowWithdrawn)),
            };
            if engine.trust_generation() == trust
                && generations.is_none_or(|under| under == guard.prover().generations())
            {
                return Ok(Arc::new(Grounds {
                    until: until.min(permit.expires_at()),
                    permit,
                    epoch,
                    trust,
                    generations,
                }));
            }
        }
        Err(refuse(peer, Stage::Flow, Reason::FlowWithdrawn))
    }

    fn flow<'a>(&'a self, guard: &'a Guard, peer: Option<&'a Peer>) -> Flow<'a> {
        if let Some(host) = self.host.get() {
            return Flow::external(guard.name(), self.port, host);
        }
        match (self.direction, peer) {
            (Direction::Ingress, _) => Flow::ingress(guard.name(), self.port, self.arrival, peer),
            (Direction::Egress, Some(peer)) => Flow::egress(guard.name(), self.port, peer),
            (Direction::Egress, None) => Flow::egress_unproved(guard.name(), self.port),
        }
    }

    /// Whether it has to be judged again: something that it rests on is another or has ended, or nobody can tell, for the clock was set
    /// back (T23).
    pub(super) fn is_stale(&self, guard: &Guard, now: Timestamp) -> bool {
        let grounds = self.grounds.load();
        grounds.as_ref().is_some_and(|grounds| {
            grounds.epoch != guard.engine().epoch()
                || grounds.trust != guard.engine().trust_generation()
                || grounds
                    .generations
                    .is_some_and(|under| under != guard.prover().generations())
                || now >= grounds.until
                || now >= self.own_not_after(guard)
                || guard.engine().is_set_back(now)
        })
    }

    /// Whether its peer's id is denied: asked before anything that costs more.
    pub(super) fn is_denied(&self, guard: &Guard) -> bool {
        let grounds = self.grounds.load();
        let peer = grounds.as_ref().and_then(|grounds| grounds.permit.peer());
        peer.is_some_and(|peer| guard.prover().revocation().denies_id(peer.id()))
    }
}

/// Why a peer that was proved is no longer.
fn reason_of(error: &ProveError) -> (Stage, Reason) {
    match error.reason() {
        // What would prove it now was taken away.
        Reason::IdentityUnproven => (Stage::Flow, Reason::FlowWithdrawn),
        reason => (Stage::Identity, reason),
    }
}
