//! The decision: a pure function of the policy, the facts and the time (law 3).
//!
//! 1. *Identity*: the caller proved who it is and the proof has not expired; or it proved nothing and the port is public.
//! 2. *Flow*: it comes from where its workload stands; no forbid without actions and condition matches; an enforced permit
//!    matches caller, target and port.
//! 3. *Action*: the path has one reading; no forbid covers the action; a permit of this flow names the action and all it
//!    requires holds.
//!
//! Whatever no rule names is denied.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::action::Action;
use crate::decision::{Decision, Lack, ShadowOutcome};
use crate::evidence::Evidence;
use crate::flow::{Direction, Flow};
use crate::id::SpiffeId;
use crate::obligation::Obligations;
use crate::path::PathError;
use crate::peer::{Peer, Proof};
use crate::reason::{Reason, Stage, Verdict};
use crate::time::Timestamp;
use crate::zone::ZoneIdx;

use super::Policy;
use super::along::Along;
use super::asked::Asked;
use super::document::Effect;
use super::requirement::Unmet;
use super::rule::{Caller, Match, Place, Rule, RuleIdx, TargetRule, Who};
use super::workload::{Workload, WorkloadIdx};

/// The rules that speak of one flow, and the facts they share. Most flows have few, which stand in the permit itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edge {
    /// The enforced forbids, then the enforced permits, then the shadow rules, each in document order.
    rules: SmallVec<[RuleIdx; 8]>,
    permits_at: usize,
    shadow_at: usize,
    pub(super) zone: Option<ZoneIdx>,
    pub(super) target: Option<WorkloadIdx>,
    /// The workload that the caller proved itself to be, where it may pass ids on.
    forwarder: Option<WorkloadIdx>,
    /// Whether any rule on this flow could read a token.
    reads_token: bool,
}

impl Edge {
    /// Whether any rule on this flow could read a token.
    pub(crate) const fn reads_token(&self) -> bool {
        self.reads_token
    }

    fn forbids(&self) -> &[RuleIdx] {
        self.rules.get(..self.permits_at).unwrap_or_default()
    }

    fn permits(&self) -> &[RuleIdx] {
        self.rules
            .get(self.permits_at..self.shadow_at)
            .unwrap_or_default()
    }

    fn shadow(&self) -> &[RuleIdx] {
        self.rules.get(self.shadow_at..).unwrap_or_default()
    }
}

/// How a step ended, and by which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) stage: Stage,
    pub(crate) reason: Reason,
    pub(crate) rule: Option<RuleIdx>,
    pub(crate) lack: Option<Lack>,
    /// Until when what the outcome rests on is good.
    pub(crate) until: Timestamp,
    /// Whether the rule's obligations have to be discharged.
    obliges: bool,
}

impl Outcome {
    const fn new(stage: Stage, reason: Reason, rule: Option<RuleIdx>) -> Self {
        Self {
            stage,
            reason,
            rule,
            lack: None,
            until: Timestamp::MAX,
            obliges: false,
        }
    }

    /// A denial that no rule made.
    pub(crate) const fn denied(stage: Stage, reason: Reason) -> Self {
        Self::new(stage, reason, None)
    }

    pub(crate) fn is_permit(&self) -> bool {
        self.reason == Reason::Permitted
    }
}

/// What a decision is asked about, for [`decide`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Input<'a> {
    /// The flow.
    pub flow: Flow<'a>,
    /// What is asked for on it; `None` asks for the flow alone. A target with two readings is an `Err`.
    pub action: Option<Result<Action<'a>, PathError>>,
    /// What else is known.
    pub evidence: Evidence<'a>,
}

impl<'a> Input<'a> {
    /// Asks for the flow alone.
    #[must_use]
    pub fn new(flow: Flow<'a>) -> Self {
        Self {
            flow,
            action: None,
            evidence: Evidence::none(),
        }
    }

    /// Asks for an action on the flow.
    #[must_use]
    pub fn with_action(mut self, action: Result<Action<'a>, PathError>) -> Self {
        self.action = Some(action);
        self
    }

    /// Adds evidence.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Evidence<'a>) -> Self {
        self.evidence = evidence;
        self
    }
}

/// Decides. The same inputs give the same decision for ever; [`Engine`](crate::Engine) adds the snapshot and the record.
///
/// ```
/// use ztl_core::policy::{Input, Policy, decide};
/// use ztl_core::{Arrival, Flow, Reason, Timestamp};
///
/// let policy = Policy::from_toml("schema = 1\ntrust_domain = 'prod.example'\n\
///     [workloads.db]\nid = 'spiffe://prod.example/db'\nports = [5432]\n")?;
/// let flow = Flow::ingress("db", 5432, Arrival::unknown(), None);
/// let decision = decide(&policy, &Input::new(flow), Timestamp::from_unix_secs(1_790_000_000));
/// assert_eq!(decision.reason, Reason::IdentityUnproven);
/// # Ok::<(), ztl_core::policy::LoadError>(())
/// ```
#[must_use]
pub fn decide(policy: &Policy, input: &Input<'_>, now: Timestamp) -> Decision {
    let (mut edge, mut outcome) = policy.judge_flow(&input.flow, now);
    let action = match &input.action {
        None => None,
        Some(Ok(action)) => Some(action),
        Some(Err(_)) => {
            if outcome.is_permit() {
                outcome = Outcome::new(Stage::Action, Reason::PathAmbiguous, None);
            }
            edge.rules.truncate(edge.shadow_at);
            None
        }
    };
    if let (Some(action), true) = (action, outcome.is_permit()) {
        outcome = policy.judge_action(&edge, &input.flow, action, &input.evidence, now);
    }
    let shadow = policy.shadows(&edge, &input.flow, action, &input.evidence, now);
    policy.decision(outcome, shadow)
}

impl Policy {
    pub(crate) fn decision(&self, outcome: Outcome, shadow: Vec<ShadowOutcome>) -> Decision {
        let rule = outcome.rule.and_then(|index| self.rule(index));
        Decision {
            verdict: if outcome.is_permit() {
                Verdict::Permit
            } else {
                Verdict::Deny
            },
            stage: outcome.stage,
            reason: outcome.reason,
            rule: rule.map(|rule| Arc::clone(&rule.name)),
            shadow,
            lack: outcome.lack,
            obligations: rule
                .filter(|_| outcome.obliges)
                .map_or_else(Obligations::none, |rule| rule.obligations.clone()),
        }
    }

    /// Stages identity and flow. The edge holds what speaks of this flow even where it is denied, for shadow rules.
    pub(crate) fn judge_flow(&self, flow: &Flow<'_>, now: Timestamp) -> (Edge, Outcome) {
        let unpermitted = |reason| (Edge::default(), Outcome::new(Stage::Flow, reason, None));
        let identity = |reason| (Edge::default(), Outcome::new(Stage::Identity, reason, None));
        let Some(me) = self.workload_named(flow.me) else {
            return unpermitted(Reason::NoFlowPermitted);
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
                    return unpermitted(Reason::NoFlowPermitted);
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
        self.judge_edge(target, &caller, flow)
    }

    fn judge_edge(
        &self,
        (index, target): (WorkloadIdx, &Workload),
        caller: &Caller<'_>,
        flow: &Flow<'_>,
    ) -> (Edge, Outcome) {
        let speaks = |entry: &&TargetRule| {
            let rule = self
                .rule(entry.rule)
                .filter(|_| entry.covers_port(flow.port));
            rule.is_some_and(|rule| {
                let speaks = |who: &Who| who.speaks_of(caller, rule.effect, self.zones());
                rule.from
                    .iter()
                    .any(|who| speaks(who).counts_for(rule.effect))
            })
        };
        let mut edge = Edge {
            zone: caller.place.zone(self.zones()),
            target: Some(index),
            forwarder: caller.workload.map(|(index, _)| index).filter(|_| {
                // Whom another party asserts cannot vouch for a third.
                matches!(flow.peer.map(Peer::proof), Some(Proof::X509 { .. }))
            }),
            ..Edge::default()
        };
        edge.rules
            .extend(target.forbids.iter().filter(speaks).map(|entry| entry.rule));
        edge.permits_at = edge.rules.len();
        edge.rules
            .extend(target.permits.iter().filter(speaks).map(|entry| entry.rule));
        edge.shadow_at = edge.rules.len();
        edge.rules
            .extend(target.shadow.iter().filter(speaks).map(|entry| entry.rule));
        edge.reads_token = self.could_read_token(target, &edge, flow);
        let permit = edge.permits().first().copied();
        let whole = |index: &&RuleIdx| self.rule(**index).is_some_and(Rule::forbids_flow);
        let forbid = edge.forbids().iter().find(whole).copied();
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

    /// Stage action, on an edge whose flow is permitted.
    pub(crate) fn judge_action(
        &self,
        edge: &Edge,
        flow: &Flow<'_>,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
    ) -> Outcome {
        let ingress = flow.direction == Direction::Ingress;
        if ingress && !self.may_forward(edge, evidence) {
            return Outcome::new(Stage::Action, Reason::ForwardedUntrusted, None);
        }
        let along = Along::new(self, evidence, now);
        let asked = Asked {
            policy: self,
            edge,
            flow,
            action,
            evidence,
            along: &along,
            now,
        };
        let mut of_peer = self.rules_of(edge.forbids());
        let of_peer = of_peer.find(|(_, rule)| asked.forbid_fires(rule));
        let all = edge.target.and_then(|target| self.workload(target));
        let all = all.map_or(&[][..], |target| &target.forbids);
        let of_others = asked.forbids_of_others(all, edge.forbids()).next();
        let forbid = of_peer.into_iter().chain(of_others);
        if let Some(index) = forbid.map(|(index, _)| index).min() {
            return Outcome::new(Stage::Action, Reason::Forbidden, Some(index));
        }
        let mut nearest: Option<(RuleIdx, Unmet)> = None;
        for (index, rule) in self.rules_of(edge.permits()) {
            match asked.permit_holds(rule) {
                None => {}
                Some(Ok(until)) => {
                    return Outcome {
                        until,
                        // As requirements are: where the facts are, at the target.
                        obliges: ingress,
                        ..Outcome::new(Stage::Action, Reason::Permitted, Some(index))
                    };
                }
                Some(Err(unmet)) => nearest = nearest.or(Some((index, unmet))),
            }
        }
        match nearest {
            Some((index, unmet)) => Outcome {
                lack: Some(unmet.lack),
                ..Outcome::new(Stage::Action, unmet.reason, Some(index))
            },
            None => Outcome::new(Stage::Action, Reason::NoActionPermitted, None),
        }
    }

    /// What the shadow rules of an edge would have said: of the action where one is given, else of the flow.
    pub(crate) fn shadows(
        &self,
        edge: &Edge,
        flow: &Flow<'_>,
        action: Option<&Action<'_>>,
        evidence: &Evidence<'_>,
        now: Timestamp,
    ) -> Vec<ShadowOutcome> {
        let target = edge.target.and_then(|target| self.workload(target));
        let Some(target) = target.filter(|target| !target.shadow.is_empty()) else {
            return Vec::new();
        };
        let along = Along::new(self, evidence, now);
        let asked = action.map(|action| Asked {
            policy: self,
            edge,
            flow,
            action,
            evidence,
            along: &along,
            now,
        });
        let would = |rule: &Rule| match (&asked, rule.effect) {
            (None, Effect::Permit) => Some(Verdict::Permit),
            (None, Effect::Forbid) => rule.forbids_flow().then_some(Verdict::Deny),
            (Some(asked), Effect::Permit) => {
                matches!(asked.permit_holds(rule), Some(Ok(_))).then_some(Verdict::Permit)
            }
            (Some(asked), Effect::Forbid) => asked.forbid_fires(rule).then_some(Verdict::Deny),
        };
        let of_peer = self.rules_of(edge.shadow());
        let of_peer = of_peer.filter_map(|(index, rule)| Some((index, rule, would(rule)?)));
        let mut shadow: Vec<_> = of_peer.collect();
        if let Some(asked) = &asked {
            let of_others = asked.forbids_of_others(&target.shadow, edge.shadow());
            shadow.extend(of_others.map(|(index, rule)| (index, rule, Verdict::Deny)));
            shadow.sort_by_key(|(index, ..)| *index);
        }
        let said = shadow.into_iter().map(|(_, rule, would)| ShadowOutcome {
            rule: Arc::clone(&rule.name),
            would,
        });
        said.collect()
    }

    /// Whether an id that the peer passes on, if there is one, is among those that its workload `forwards` (T12).
    fn may_forward(&self, edge: &Edge, evidence: &Evidence<'_>) -> bool {
        let Some(forwarded) = evidence.forwarded else {
            return true;
        };
        let forwarder = edge.forwarder.and_then(|index| self.workload(index));
        let (Some(forwarder), Some(party)) = (forwarder, self.forwarded_party(forwarded)) else {
            return false;
        };
        forwarder
            .forwards
            .iter()
            .any(|who| *who == Who::Any || who.speaks_of_party(&party, self) == Match::Yes)
    }

    /// Whether a rule of the edge reads a token, or a forbid of the target speaks of somebody who could come along in one.
    fn could_read_token(&self, target: &Workload, edge: &Edge, flow: &Flow<'_>) -> bool {
        let of_edge = edge.rules.iter().filter_map(|index| self.rule(*index));
        let others = target.forbids.iter().chain(&target.shadow);
        let mut others = others.filter(|entry| entry.covers_port(flow.port));
        of_edge.into_iter().any(Rule::reads_token)
            || flow.direction == Direction::Ingress
                && others.any(|entry| self.rule(entry.rule).is_some_and(Rule::forbids_parties))
    }

    pub(crate) fn edge_zone(&self, edge: &Edge) -> Option<&str> {
        edge.zone
            .and_then(|zone| self.zones().get(zone))
            .map(crate::zone::Zone::name)
    }

    fn rules_of<'a>(&'a self, indexes: &'a [RuleIdx]) -> impl Iterator<Item = (RuleIdx, &'a Rule)> {
        indexes
            .iter()
            .filter_map(|index| self.rule(*index).map(|rule| (*index, rule)))
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
