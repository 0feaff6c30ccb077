//! The decision: a pure function of the policy, the facts and the time (law 3).
//!
//! 1. *Identity*: the caller proved who it is and the proof has not expired; or it proved nothing and the port is public.
//! 2. *Flow*: it comes from where its workload stands; no forbid without actions and condition matches; an enforced permit
//!    matches caller, target and port.
//! 3. *Action*: the path has one reading; no forbid covers the action; a permit of this flow names the action and all it
//!    requires holds.
//!
//! Whatever no rule names is denied.

use std::sync::Arc;

use crate::action::Action;
use crate::decision::{Decision, ShadowOutcome};
use crate::evidence::Evidence;
use crate::flow::{AnyFlow, Direction, Flow};
use crate::path::{CanonicalPath, PathError};
use crate::reason::{Reason, Stage, Verdict};
use crate::time::Timestamp;

use super::Policy;
use super::along::{Along, Aside};
use super::asked::Asked;
use super::document::Effect;
use super::edge::Edge;
use super::index::{Kind, Line, Lines};
use super::judgement::{Beside, Judgement, Outcome};
use super::kinds::Kinds;
use super::requirement::Unmet;
use super::rule::{Match, RuleIdx, Who};
use super::shape::Shape;

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
    judge(policy, input, now).decision()
}

/// Judges what [`decide`] decides.
pub(crate) fn judge<'p>(policy: &'p Policy, input: &Input<'_>, now: Timestamp) -> Judgement<'p> {
    let flow = AnyFlow::Asked(&input.flow);
    let mut edge = Edge::default();
    let mut outcome = policy.judge_flow(&input.flow, now, &mut edge);
    let action = match &input.action {
        None => None,
        Some(Ok(action)) => Some(action),
        Some(Err(_)) => {
            if outcome.is_permit() {
                outcome = Outcome::new(Stage::Action, Reason::PathAmbiguous, None);
            }
            edge.has_shadow = false;
            None
        }
    };
    if let (Some(action), true) = (action, outcome.is_permit()) {
        return policy.judge_action(&edge, flow, action, &input.evidence, now);
    }
    let shadow = policy.shadows(&edge, flow, action, &input.evidence, now);
    policy.judged(outcome, shadow)
}

impl Policy {
    /// Stage action, on an edge whose flow is permitted: with what was said beside, and what shadow rules would have said.
    pub(crate) fn judge_action(
        &self,
        edge: &Edge,
        flow: AnyFlow<'_>,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
    ) -> Judgement<'_> {
        let plain = self.judge_plain_action(edge, flow.direction(), action, evidence);
        plain.unwrap_or_else(|| self.judge_any_action(edge, flow, action, evidence, now))
    }

    /// The same of an action that nothing but plain permits can speak of; none of any other.
    #[inline(always)]
    pub(crate) fn judge_plain_action(
        &self,
        edge: &Edge,
        direction: Direction,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
    ) -> Option<Judgement<'_>> {
        let Action::Request(resource) = action else {
            return None;
        };
        let path = resource.canonical();
        if !edge.is_plain || evidence.forwarded.is_some() || path.is_escaped() {
            return None;
        }
        let first = self.first_plain(edge, Shape::of(Kinds::of(action), path), path);
        let outcome = match first {
            Some(first) => Outcome::authorized(first, Timestamp::MAX, direction),
            None => Outcome::denied(Stage::Action, Reason::NoActionPermitted),
        };
        Some(self.judged(outcome, None))
    }

    /// The same, whatever the rules of the edge are.
    #[inline(never)]
    pub(crate) fn judge_any_action(
        &self,
        edge: &Edge,
        flow: AnyFlow<'_>,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
    ) -> Judgement<'_> {
        let ingress = flow.direction() == Direction::Ingress;
        let (outcome, said) = if ingress && !self.may_forward(edge, evidence) {
            let outcome = Outcome::new(Stage::Action, Reason::ForwardedUntrusted, None);
            (outcome, None)
        } else {
            let along = Along::new(self, evidence, now);
            self.ask_rules(&Asked::new(self, edge, flow, action, evidence, &along, now))
        };
        let shadow = self.shadows(edge, flow, Some(action), evidence, now);
        let mut judged = self.judged(outcome, shadow);
        if let Some(said) = said {
            judged.say(said);
        }
        judged
    }

    /// How the rules of an edge say that an action ends, and what was said beside.
    fn ask_rules(&self, asked: &Asked<'_, '_>) -> (Outcome, Aside) {
        if let Some((first, said)) = (asked.edge.has_forbids)
            .then(|| self.first_forbid(asked))
            .flatten()
        {
            let outcome = Outcome::new(Stage::Action, Reason::Forbidden, Some(first));
            return (outcome, said);
        }
        self.first_permit(asked)
    }

    /// The first permit in document order that names the action, on an edge where nothing else can speak of it.
    #[inline(never)]
    fn first_plain(&self, edge: &Edge, shape: Shape, path: &CanonicalPath<'_>) -> Option<RuleIdx> {
        let mut first: Option<RuleIdx> = None;
        for share in &edge.shares {
            if let Some(permits) = self.index.permits(*share)
                && let Some(line) = permits.first_plain(shape, path, edge.port)
            {
                first = Some(first.map_or(line.rule, |before| before.min(line.rule)));
            }
        }
        first
    }

    /// The first forbid in document order that covers the action, and what was said where it fires for that.
    fn first_forbid(&self, asked: &Asked<'_, '_>) -> Option<(RuleIdx, Aside)> {
        let shares = asked.edge.shares.iter();
        let of_peer = shares.map(|share| self.index.lines(*share, Kind::Forbid));
        let of_others = asked.about_others(Kind::Forbid);
        let first = |lines: &Lines| {
            let fires = lines
                .about(asked.action)
                .find(|line| asked.line_fires(line));
            fires.map(|line| (line.rule, asked.along.take_said()))
        };
        let each = of_peer.chain(of_others).filter_map(first);
        each.min_by_key(|(rule, _)| *rule)
    }

    /// The first permit in document order that holds, or the first that names the action and does not.
    fn first_permit(&self, asked: &Asked<'_, '_>) -> (Outcome, Aside) {
        let mut held: Option<(RuleIdx, Timestamp, Aside)> = None;
        let mut nearest: Option<(RuleIdx, Unmet, Aside)> = None;
        for share in &asked.edge.shares {
            for line in self.index.lines(*share, Kind::Permit).about(asked.action) {
                if (held.as_ref()).is_some_and(|(first, ..)| *first <= line.rule) {
                    break;
                }
                let Some(told) = asked.line_holds(line) else {
                    continue;
                };
                let said = asked.along.take_said();
                let is_nearer = |(first, _, _): &(RuleIdx, Unmet, Aside)| line.rule < *first;
                match told {
                    Ok(until) => held = Some((line.rule, until, said)),
                    Err(unmet) if nearest.as_ref().is_none_or(is_nearer) => {
                        nearest = Some((line.rule, unmet, said));
                    }
                    Err(_) => {}
                }
            }
        }
        match (held, nearest) {
            (Some((index, until, said)), _) => {
                let until = until.min(asked.rests_until());
                let mut outcome = Outcome::authorized(index, until, asked.flow.direction());
                if said.is_some() {
                    outcome.obliges_as_said();
                }
                (outcome, said)
            }
            (None, Some((index, unmet, said))) => {
                let mut outcome = Outcome::new(Stage::Action, unmet.reason, Some(index));
                outcome.lack = Some(unmet.lack);
                (outcome, said)
            }
            (None, None) => {
                let outcome = Outcome::new(Stage::Action, Reason::NoActionPermitted, None);
                (outcome, None)
            }
        }
    }

    /// What the shadow rules of an edge would have said: of the action where one is given, else of the flow.
    #[inline(always)]
    pub(crate) fn shadows(
        &self,
        edge: &Edge,
        flow: AnyFlow<'_>,
        action: Option<&Action<'_>>,
        evidence: &Evidence<'_>,
        now: Timestamp,
    ) -> Option<Box<Beside>> {
        (edge.has_shadow).then(|| self.ask_shadows(edge, flow, action, evidence, now))
    }

    #[inline(never)]
    fn ask_shadows(
        &self,
        edge: &Edge,
        flow: AnyFlow<'_>,
        action: Option<&Action<'_>>,
        evidence: &Evidence<'_>,
        now: Timestamp,
    ) -> Box<Beside> {
        let along = Along::new(self, evidence, now);
        let asked =
            action.map(|action| Asked::new(self, edge, flow, action, evidence, &along, now));
        let would = |line: &Line| match (&asked, line.effect) {
            (None, Effect::Permit) => Some(Verdict::Permit),
            (None, Effect::Forbid) => line.forbids_flow.then_some(Verdict::Deny),
            (Some(asked), Effect::Permit) => {
                let holds = matches!(asked.line_holds(line), Some(Ok(_)));
                asked.along.take_said();
                holds.then_some(Verdict::Permit)
            }
            (Some(asked), Effect::Forbid) => asked.line_fires(line).then_some(Verdict::Deny),
        };
        let lines = edge.shares.iter().flat_map(|share| {
            let lines = self.index.lines(*share, Kind::Shadow).iter();
            lines.filter(|line| share.counts(line.effect))
        });
        let mut lines: Vec<&Line> = lines.filter(|line| line.covers_port(edge.port)).collect();
        if let Some(asked) = &asked {
            let of_others = asked.about_others(Kind::Shadow);
            let of_others = of_others.into_iter().flat_map(Lines::iter);
            lines.extend(of_others.filter(|line| line.effect == Effect::Forbid));
        }
        // What speaks of the caller in two ways is asked once, and speaks once.
        lines.sort_by_key(|line| line.rule);
        lines.dedup_by_key(|line| line.rule);
        let named = lines.into_iter().filter_map(|line| {
            let would = would(line)?;
            let rule = Arc::clone(&self.rule(line.rule)?.name);
            Some(ShadowOutcome { rule, would })
        });
        Box::new(Beside::of(named.collect()))
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
}
