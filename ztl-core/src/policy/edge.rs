//! The stages identity and flow: who calls, from where, and whether any rule lets them.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::action::Action;
use crate::authorizer::Reads;
use crate::flow::{Direction, Flow};
use crate::id::SpiffeId;
use crate::peer::{Peer, Proof};
use crate::reason::{Reason, Stage};
use crate::time::Timestamp;
use crate::web_host::Outside;
use crate::zone::ZoneIdx;

use super::Policy;
use super::external::Aim;
use super::index::{Kind, Line, Lines, Shares};
use super::judgement::Outcome;
use super::limits::MOST_AT_ONCE;
use super::rule::{Caller, Place, RuleIdx};
use super::workload::{Workload, WorkloadIdx};

/// What speaks of one flow, and the facts that its rules share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edge {
    pub(super) shares: Shares,
    pub(super) port: u16,
    pub(super) zone: Option<ZoneIdx>,
    /// A workload, or beyond the last of them a destination outside the mesh.
    pub(super) target: Option<WorkloadIdx>,
    /// The workload that judges.
    me: Option<WorkloadIdx>,
    /// The workload that the caller proved itself to be, where it may pass ids on.
    pub(super) forwarder: Option<WorkloadIdx>,
    /// Whether an enforced forbid could speak of an action on this flow.
    pub(super) has_forbids: bool,
    /// Whether a shadow rule could speak of this flow or of an action on it.
    pub(super) has_shadow: bool,
    /// Whether nothing but plain permits could speak of an action on this flow.
    pub(super) is_plain: bool,
    reads_token: bool,
    reads: Reads,
    asks_heavy: bool,
}

impl Edge {
    /// The workload that judges.
    pub(crate) const fn me(&self) -> Option<WorkloadIdx> {
        self.me
    }

    /// Who is called: a workload, or beyond the last of them a destination outside the mesh.
    pub(crate) const fn target(&self) -> Option<WorkloadIdx> {
        self.target
    }

    /// The port that is called.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The workload that the caller proved itself to be, where it may pass ids on.
    pub(crate) const fn forwarder(&self) -> Option<WorkloadIdx> {
        self.forwarder
    }

    /// Whether any rule on this flow could read a token.
    pub(crate) const fn reads_token(&self) -> bool {
        self.reads_token
    }

    /// Which evidence beside a token any rule about the target could read.
    pub(crate) const fn reads(&self) -> Reads {
        self.reads
    }

    /// Whether the rules about the target could ask a condition or an authorizer that may take long, or too many conditions.
    pub(crate) const fn could_ask_heavy(&self) -> bool {
        self.asks_heavy
    }
}

impl Policy {
    /// Stages identity and flow. The edge, a new one, takes what speaks of this flow even where it is denied, for shadow rules.
    pub(crate) fn judge_flow(&self, flow: &Flow<'_>, now: Timestamp, edge: &mut Edge) -> Outcome {
        let mut mapped = None;
        match self.ends(flow, now, &mut mapped) {
            Ok((target, caller)) => self.judge_edge(target, &caller, flow, edge),
            Err(outcome) => outcome,
        }
    }

    /// Who is called and who calls, where both are known and the caller proved enough. An id in an alias is kept in `mapped` as the
    /// one that it means.
    ///
    /// # Errors
    /// How the flow ends without that.
    #[inline(always)]
    pub(super) fn ends<'a>(
        &'a self,
        flow: &'a Flow<'_>,
        now: Timestamp,
        mapped: &'a mut Option<SpiffeId>,
    ) -> Result<((WorkloadIdx, Aim<'a>), Caller<'a>), Outcome> {
        let unpermitted = Outcome::new(Stage::Flow, Reason::NoFlowPermitted, None);
        let identity = |reason| Outcome::new(Stage::Identity, reason, None);
        let me = self.workload_named(flow.me).ok_or(unpermitted)?;
        if now >= flow.expires_at() {
            return Err(identity(Reason::IdentityExpired));
        }
        let peer_id = match flow.peer.map(Peer::id) {
            Some(id) if self.is_aliased(id) => {
                let primary = id.with_trust_domain(self.trust_domain());
                let primary = primary.map_err(|_| identity(Reason::IdentityUnproven))?;
                Some(&*mapped.insert(primary))
            }
            id => id,
        };
        if let Some(outside) = flow.outside {
            let (index, external) = self.outside_named(outside.name()).ok_or(unpermitted)?;
            let Outside::Proved(host) = outside else {
                return Err(identity(Reason::IdentityUnproven));
            };
            // T27: the address that was proved, not another one of that name.
            if host.addr().is_some_and(|addr| !external.admits(addr)) {
                return Err(unpermitted);
            }
            return Ok(((index, Aim::External(external)), calling(me)));
        }
        let declared = peer_id.and_then(|id| self.workload_with_id(id));
        let (target, caller) = match flow.direction {
            Direction::Ingress => {
                if !proves_enough(flow.peer, me.1, flow.port) {
                    return Err(identity(Reason::IdentityUnproven));
                }
                let caller = Caller {
                    id: peer_id,
                    workload: declared,
                    place: Place::Arrival(&flow.arrival),
                };
                (me, caller)
            }
            Direction::Egress => {
                // Whom I speak to has to be a workload of the policy that proved itself with its own certificate.
                let target = declared.ok_or(unpermitted)?;
                if !matches!(flow.peer.map(Peer::proof), Some(Proof::X509 { .. })) {
                    return Err(identity(Reason::IdentityUnproven));
                }
                (target, calling(me))
            }
        };
        Ok(((target.0, Aim::Workload(target.1)), caller))
    }

    fn judge_edge(
        &self,
        (index, target): (WorkloadIdx, Aim<'_>),
        caller: &Caller<'_>,
        flow: &Flow<'_>,
        edge: &mut Edge,
    ) -> Outcome {
        self.fill(edge, index, caller, flow);
        let misplaced = match caller.place {
            Place::Arrival(_) => misplacement(caller, target.workload(), edge.zone),
            Place::Declared(_) => None,
        };
        if let Some(reason) = misplaced {
            return Outcome::new(Stage::Flow, reason, None);
        }
        if edge.has_forbids
            && let Some(rule) = self.first(edge, Kind::Forbid, |line| line.forbids_flow)
        {
            return Outcome::new(Stage::Flow, Reason::Forbidden, Some(rule));
        }
        match self.first(edge, Kind::Permit, |_| true) {
            Some(rule) => Outcome::new(Stage::Flow, Reason::Permitted, Some(rule)),
            None => Outcome::new(Stage::Flow, Reason::NoFlowPermitted, None),
        }
    }

    #[inline]
    fn fill(&self, edge: &mut Edge, target: WorkloadIdx, caller: &Caller<'_>, flow: &Flow<'_>) {
        let declared = caller.workload.map(|(index, _)| index);
        edge.port = flow.port;
        edge.zone = caller.place.zone(self.zones());
        edge.target = Some(target);
        edge.me = match flow.direction {
            Direction::Ingress => Some(target),
            Direction::Egress => declared,
        };
        edge.forwarder = declared.filter(|_| {
            // Whom another party asserts cannot vouch for a third.
            matches!(flow.peer.map(Peer::proof), Some(Proof::X509 { .. }))
        });
        (self.index).share(target, caller, self.zones(), &mut edge.shares);
        let brief = self.index.brief(target);
        edge.has_forbids = brief.has_forbids;
        edge.has_shadow = brief.has_shadow;
        edge.reads = brief.reads;
        edge.asks_heavy = brief.asks_heavy;
        edge.is_plain = !brief.has_shadow
            && (brief.is_plain
                || !brief.has_forbids
                    && (edge.shares.iter()).all(|share| self.index.is_plain(*share)));
        edge.reads_token = brief.reads_token && self.could_read_token(edge, flow);
    }

    /// Whether the rules about some target could ask a condition or an authorizer that may take long, or too many conditions.
    pub(crate) fn could_ask_heavy(&self) -> bool {
        self.index.could_ask_heavy()
    }

    /// Whether judging an action on the edge could ask a condition or an authorizer that may take long, or so many conditions that they
    /// do together (T34). Who comes along with the caller is not known before that, so it may be whomever a forbid speaks of (T12).
    pub(crate) fn asks_heavy(&self, edge: &Edge, action: &Action<'_>) -> bool {
        let (mut asked, mut counted) = (0_u32, SmallVec::<[RuleIdx; 8]>::new());
        let asks = |line: &Line| {
            let Some(rule) = (self.rule(line.rule)).filter(|_| line.covers_port(edge.port)) else {
                return false;
            };
            let times = rule.times_about(action);
            // What speaks of the caller in two ways is asked once.
            if times > 0 && rule.asks_condition() && !counted.contains(&line.rule) {
                counted.push(line.rule);
                asked = asked.saturating_add(times);
            }
            times > 0 && (rule.asks_heavy() || asked > MOST_AT_ONCE)
        };
        let of_peer = edge.shares.iter().flat_map(|share| {
            let of = |kind| self.index.lines(*share, kind).about(action);
            (of(Kind::Forbid).chain(of(Kind::Permit))).chain(of(Kind::Shadow))
        });
        let of_others = edge.target.into_iter().flat_map(|target| {
            let of = |kind| self.index.about_parties(target, kind).about(action);
            of(Kind::Forbid).chain(of(Kind::Shadow))
        });
        of_peer.chain(of_others).any(asks)
    }

    /// Whether a rule of the edge reads a token, or a forbid of the target speaks of somebody who could come along in one.
    fn could_read_token(&self, edge: &Edge, flow: &Flow<'_>) -> bool {
        let kinds = [Kind::Forbid, Kind::Permit, Kind::Shadow];
        let of_peer = |kind| {
            let mut lines =
                (edge.shares.iter()).flat_map(|share| self.index.lines(*share, kind).iter());
            lines.any(|line| line.reads_token && line.covers_port(flow.port))
        };
        let of_others = |kind| {
            let target = edge.target.filter(|_| flow.direction == Direction::Ingress);
            let mut lines = target
                .map(|target| self.index.about_parties(target, kind))
                .into_iter()
                .flat_map(Lines::iter);
            lines.any(|line| line.covers_port(flow.port))
        };
        kinds
            .into_iter()
            .any(|kind| of_peer(kind) || of_others(kind))
    }

    /// The first rule in document order of those of a kind that speak of a flow.
    #[inline]
    fn first(&self, edge: &Edge, kind: Kind, counts: impl Fn(&Line) -> bool) -> Option<RuleIdx> {
        let mut first: Option<RuleIdx> = None;
        for share in &edge.shares {
            let mut lines = self.index.lines(*share, kind).iter();
            if let Some(line) = lines.find(|line| line.covers_port(edge.port) && counts(line)) {
                first = Some(first.map_or(line.rule, |before| before.min(line.rule)));
            }
        }
        first
    }

    pub(crate) fn edge_zone(&self, edge: &Edge) -> Option<&str> {
        edge.zone
            .and_then(|zone| self.zones().get(zone))
            .map(crate::zone::Zone::name)
    }

    fn is_aliased(&self, id: &SpiffeId) -> bool {
        !self.document.aliases.is_empty() && self.is_alias(id.trust_domain_name())
    }

    /// The id in the primary trust domain, where it was shown in an alias of it (rule 28, T13). None where it does not fit.
    pub(crate) fn primary_id<'a>(&self, id: &'a SpiffeId) -> Option<Cow<'a, SpiffeId>> {
        if self.is_aliased(id) {
            id.with_trust_domain(self.trust_domain())
                .ok()
                .map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(id))
        }
    }
}

/// A workload that calls, as it sees itself.
pub(crate) fn calling<'a>(me: (WorkloadIdx, &'a Workload)) -> Caller<'a> {
    Caller {
        id: Some(&me.1.id),
        workload: Some(me),
        place: Place::Declared(me.1.zone),
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
fn misplacement(
    caller: &Caller<'_>,
    target: Option<&Workload>,
    zone: Option<ZoneIdx>,
) -> Option<Reason> {
    let bound = caller.workload.and_then(|(_, workload)| workload.zone);
    match (bound, target.and_then(|target| target.zone), zone) {
        (Some(_), _, None) | (None, Some(_), None) => Some(Reason::ZoneUnknown),
        (Some(bound), _, Some(zone)) if bound != zone => Some(Reason::ZoneMismatch),
        _ => None,
    }
}
