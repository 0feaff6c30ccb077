//! What a decision was about, for its record.

use crate::action::Action;
use crate::audit::{Inputs, Record};
use crate::decision::{Decision, DecisionId};
use crate::evidence::Evidence;
use crate::flow::Flow;
use crate::peer::{Peer, Proof};
use crate::policy::{Edge, Policy, RuleIdx};
use crate::time::Timestamp;

/// What a record is about, beside the decision.
pub(super) struct About<'a> {
    pub(super) flow: &'a Flow<'a>,
    pub(super) edge: Option<&'a Edge>,
    pub(super) policy: &'a Policy,
    pub(super) action: Option<&'a Action<'a>>,
    /// What was known beyond identity and route, and the rule that decided by it.
    pub(super) evidence: Option<(&'a Evidence<'a>, Option<RuleIdx>)>,
    pub(super) now: Timestamp,
}

impl<'a> About<'a> {
    /// The record of a decision.
    pub(super) fn record(&self, id: DecisionId, decision: &'a Decision) -> Record<'_> {
        let zone = match self.edge {
            Some(edge) => self.policy.edge_zone(edge),
            None => self
                .policy
                .zones()
                .zone_of(&self.flow.arrival)
                .map(crate::zone::Zone::name),
        };
        Record {
            id,
            time: self.now,
            decision,
            direction: self.flow.direction,
            me: self.flow.me,
            peer: self.flow.peer.map(Peer::id),
            asserted_by: match self.flow.peer.map(Peer::proof) {
                Some(Proof::Asserted { by, .. }) => Some(by),
                _ => None,
            },
            subject: self
                .edge
                .zip(self.evidence.and_then(|(evidence, _)| evidence.claims))
                .filter(|(edge, _)| edge.reads_token())
                .and_then(|(_, claims)| Some((claims.issuer()?, claims.subject()?))),
            addr: self.flow.arrival.addr(),
            zone,
            port: self.flow.port,
            action: self.action,
            inputs: match self.evidence {
                Some((evidence, Some(rule))) => {
                    Inputs::of(self.policy, rule, self.flow.direction, evidence)
                }
                _ => Inputs::none(),
            },
            revision: self.policy.revision(),
            revision_text: self.policy.revision_text(),
        }
    }
}
