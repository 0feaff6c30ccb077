//! The stages identity and flow: who calls, from where, and whether any rule lets them.

use std::borrow::Cow;

use crate::flow::{Direction, Flow};
use crate::id::SpiffeId;
use crate::peer::{Peer, Proof};
use crate::reason::{Reason, Stage};
use crate::time::Timestamp;
use crate::zone::ZoneIdx;

use super::Policy;
use super::decide::Outcome;
use super::index::{Kind, Line, Shares};
use super::rule::{Caller, Place, RuleIdx};
use super::workload::{Workload, WorkloadIdx};

/// What speaks of one flow, and the facts that its rules share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edge {
    pub(super) shares: Shares,
    pub(super) port: u16,
    pub(super) zone: Option<ZoneIdx>,
    pub(super) target: Option<WorkloadIdx>,
    /// The workload that the caller proved itself to be, where it may pass ids on.
    pub(super) forwarder: Option<WorkloadIdx>,
    /// Whether an enforced forbid could speak of an action on this flow.
    pub(super) has_forbids: bool,
    /// Whether a shadow rule could speak of this flow or of an action on it.
    pub(super) has_shadow: bool,
    reads_token: bool,
}

impl Edge {
    /// The workload that is called.
    pub(crate) const fn target(&self) -> Option<WorkloadIdx> {
        self.target
    }

    /// Whether any rule on this flow could read a token.
    pub(crate) const fn reads_token(&self) -> bool {
        self.reads_token
    }
}

impl Policy {
    /// Stages identity and flow. The edge holds what speaks of this flow even where it is denied, for shadow rules.
    pub(crate) fn judge_flow(&self, flow: &Flow<'_>, now: Timestamp) -> (Edge, Outcome) {
        self.with_ends(
            flow,
            now,
            |target, caller| self.judge_edge(target, caller, flow),
            |outcome| (Edge::default(), outcome),
        )
    }

    /// Hands on who is called and who calls, where both are known and the caller proved enough; else why not.
    #[inline(always)]
    pub(super) fn with_ends<T>(
        &self,
        flow: &Flow<'_>,
        now: Timestamp,
        judge: impl FnOnce((WorkloadIdx, &Workload), &Caller<'_>) -> T,
        refuse: impl Fn(Outcome) -> T,
    ) -> T {
        let unpermitted = || refuse(Outcome::new(Stage::Flow, Reason::NoFlowPermitted, None));
        let identity = |reason| refuse(Outcome::new(Stage::Identity, reason, None));
        let Some(me) = self.workload_named(flow.me) else {
            return unpermitted();
        };
        if flow.peer.is_some_and(|peer| now >= peer.expires_at()) {
            return identity(Reason::IdentityExpired);
        }
        let mapped = match flow.peer {
            None => None,
            Some(peer) => match self.primary_id(peer.id()) {
                None => return identity(Reason::IdentityUnproven),
                mapped => mapped,
            },
        };
        let peer_id = mapped.as_deref();
        let declared = peer_id.and_then(|id| self.workload_with_id(id));
        let (target, caller) = match flow.direction {
            Direction::Ingress => {
                if !proves_enough(flow.peer, me.1, flow.port) {
                    return identity(Reason::IdentityUnproven);
                }
                (
                    me,
                    Caller {
                        id: peer_id,
                        workload: declared,
                        place: Place::Arrival(flow.arrival),
                    },
                )
            }
            Direction::Egress => {
                // Whom I speak to has to be a workload of the policy that proved itself with its own certificate.
                let Some(target) = declared else {
                    return unpermitted();
                };
                if !matches!(flow.peer.map(Peer::proof), Some(Proof::X509 { .. })) {
                    return identity(Reason::IdentityUnproven);
                }
                (
                    target,
                    Caller {
                        id: Some(&me.1.id),
                        workload: Some(me),
                        place: Place::Declared(me.1.zone),
                    },
                )
            }
        };
        judge(target, &caller)
    }

    fn judge_edge(
        &self,
        (index, target): (WorkloadIdx, &Workload),
        caller: &Caller<'_>,
        flow: &Flow<'_>,
    ) -> (Edge, Outcome) {
        let edge = self.edge(index, caller, flow);
        let permit = self.first(&edge, Kind::Permit, |_| true);
        let forbid = self.first(&edge, Kind::Forbid, |line| line.forbids_flow);
        let misplaced = match caller.place {
            Place::Arrival(_) => misplacement(caller, target, edge.zone),
            Place::Declared(_) => None,
        };
        let outcome = match (misplaced, forbid, permit) {
            (Some(reason), _, _) => Outcome::new(Stage::Flow, reason, None),
            (None, Some(rule), _) => Outcome::new(Stage::Flow, Reason::Forbidden, Some(rule)),
            (None, None, Some(rule)) => Outcome::new(Stage::Flow, Reason::Permitted, Some(rule)),
            (None, None, None) => Outcome::new(Stage::Flow, Reason::NoFlowPermitted, None),
        };
        (edge, outcome)
    }

    fn edge(&self, target: WorkloadIdx, caller: &Caller<'_>, flow: &Flow<'_>) -> Edge {
        let mut edge = Edge {
            shares: self.index.shares(target, caller, self.zones()),
            port: flow.port,
            zone: caller.place.zone(self.zones()),
            target: Some(target),
            forwarder: caller.workload.map(|(index, _)| index).filter(|_| {
                // Whom another party asserts cannot vouch for a third.
                matches!(flow.peer.map(Peer::proof), Some(Proof::X509 { .. }))
            }),
            ..Edge::default()
        };
        let brief = self.index.brief(target);
        edge.has_forbids = brief.has_forbids;
        edge.has_shadow = brief.has_shadow;
        edge.reads_token = brief.reads_token && self.could_read_token(&edge, flow);
        edge
    }

    /// Whether a rule of the edge reads a token, or a forbid of the target speaks of somebody who could come along in one.
    fn could_read_token(&self, edge: &Edge, flow: &Flow<'_>) -> bool {
        let kinds = [Kind::Forbid, Kind::Permit, Kind::Shadow];
        let of_peer = |kind| {
            let mut lines = (edge.shares.iter()).flat_map(|share| self.index.lines(*share, kind));
            lines.any(|line| line.reads_token && line.covers_port(flow.port))
        };
        let of_others = |kind| {
            let target = edge.target.filter(|_| flow.direction == Direction::Ingress);
            let mut lines = target
                .map(|target| self.index.about_parties(target, kind))
                .into_iter()
                .flatten();
            lines.any(|line| line.covers_port(flow.port))
        };
        kinds
            .into_iter()
            .any(|kind| of_peer(kind) || of_others(kind))
    }

    /// The first rule in document order of those of a kind that speak of a flow.
    fn first(&self, edge: &Edge, kind: Kind, counts: impl Fn(&Line) -> bool) -> Option<RuleIdx> {
        let of_share = |share| {
            let mut lines = self.index.lines(share, kind).iter();
            lines.find(|line| line.covers_port(edge.port) && counts(line))
        };
        let firsts = edge.shares.iter().filter_map(|share| of_share(*share));
        firsts.map(|line| line.rule).min()
    }

    pub(crate) fn edge_zone(&self, edge: &Edge) -> Option<&str> {
        edge.zone
            .and_then(|zone| self.zones().get(zone))
            .map(crate::zone::Zone::name)
    }

    /// The id in the primary trust domain, where it was shown in an alias of it (rule 28, T13). None where it does not fit.
    pub(crate) fn primary_id<'a>(&self, id: &'a SpiffeId) -> Option<Cow<'a, SpiffeId>> {
        if self.is_alias(id.trust_domain_name()) {
            id.with_trust_domain(self.trust_domain())
                .ok()
                .map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(id))
        }
    }
}

/// Whether what the caller showed is enough on this port.
fn proves_enough(peer: Option<&Peer>, target: &Workload, port: u16) -> bool {
    match peer.map(Peer::proof) {
        Some(Proof::X509 { .. }) => true,
        Some(Proof::Asserted { by, .. }) => target.is_asserted_by(by),
        None => target.public_ports.contains(&port),
    }
}

/// A workload with a zone calls only from there, and takes calls only from places that are known.
fn misplacement(caller: &Caller<'_>, target: &Workload, zone: Option<ZoneIdx>) -> Option<Reason> {
    let bound = caller.workload.and_then(|(_, workload)| workload.zone);
    match (bound, target.zone, zone) {
        (Some(_), _, None) | (None, Some(_), None) => Some(Reason::ZoneUnknown),
        (Some(bound), _, Some(zone)) if bound != zone => Some(Reason::ZoneMismatch),
        _ => None,
    }
}
