//! One action on one edge, asked of one rule after the other.

use core::cell::{Cell, RefCell};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::action::Action;
use crate::authorizer::Facts;
use crate::evidence::{Claims, Evidence};
use crate::flow::{AnyFlow, Direction};
use crate::time::Timestamp;

use super::Policy;
use super::along::{Along, Aside};
use super::document::{Effect, Mode};
use super::edge::Edge;
use super::index::{Kind, Line, PartyLines};
use super::kinds::Kinds;
use super::pattern::ActionPattern;
use super::requirement::{Given, Unmet, reads_are_fresh, with_facts};
use super::rule::{Rule, RuleIdx};
use super::workload::{Workload, WorkloadIdx};

/// The parameters of a path, by name and decoded.
type Params = Vec<(Arc<str>, String)>;

/// An action on an edge, as one rule after the other is asked about it.
pub(super) struct Asked<'a, 'e> {
    pub(super) policy: &'a Policy,
    pub(super) edge: &'a Edge,
    pub(super) flow: AnyFlow<'a>,
    pub(super) action: &'a Action<'a>,
    /// The kind of the action.
    kind: Kinds,
    pub(super) evidence: &'a Evidence<'a>,
    pub(super) along: &'a Along<'e>,
    pub(super) now: Timestamp,
    /// Until when what forbids read is good that did not fire for it: a permit rests on that as well (law 8).
    rests: Cell<Timestamp>,
    /// The rules with a condition or an authorizer that were asked and said no: one that stands in several tables says the same in
    /// each (T34).
    in_vain: RefCell<SmallVec<[RuleIdx; 4]>>,
}

impl<'a, 'e> Asked<'a, 'e> {
    #[inline]
    pub(super) fn new(
        policy: &'a Policy,
        edge: &'a Edge,
        flow: AnyFlow<'a>,
        action: &'a Action<'a>,
        evidence: &'a Evidence<'a>,
        along: &'a Along<'e>,
        now: Timestamp,
    ) -> Self {
        Self {
            policy,
            edge,
            flow,
            action,
            kind: Kinds::of(action),
            evidence,
            along,
            now,
            rests: Cell::new(Timestamp::MAX),
            in_vain: RefCell::default(),
        }
    }

    /// Until when no forbid fires that was asked so far, as far as evidence goes.
    pub(super) const fn rests_until(&self) -> Timestamp {
        self.rests.get()
    }

    fn rests_on(&self, until: Timestamp) {
        self.rests.set(self.rests.get().min(until));
    }

    fn was_in_vain(&self, rule: RuleIdx) -> bool {
        self.in_vain.borrow().contains(&rule)
    }
}

impl Policy {
    /// How many steps a condition of a rule about a target may take (T34). Outside the mesh none is asked.
    fn steps(&self, target: Option<WorkloadIdx>, mode: Mode) -> u32 {
        target.map_or(0, |target| self.index.steps(target, mode))
    }
}

impl Asked<'_, '_> {
    /// Whether a forbid covers the action. What cannot be told is forbidden (rule 7).
    pub(super) fn forbid_fires(&self, rule: &Rule) -> bool {
        let covering = || {
            rule.actions
                .iter()
                .filter(|pattern| pattern.forbids(self.action))
        };
        if !rule.actions.is_empty() && covering().next().is_none() {
            return false;
        }
        if !rule.is_conditional() {
            return true;
        }
        let Some(resource) = self.action.resource() else {
            // On a raw stream nothing that a condition asks about is known.
            return true;
        };
        if self.flow.direction() == Direction::Egress {
            // Egress has not the facts; the target judges it again with them.
            return false;
        }
        let (subject, actors) = (&rule.subject, &rule.actors);
        if !subject.is_empty() && !self.along.subject_is_forbidden(subject)
            || !actors.is_empty() && !self.along.actors_are_forbidden(actors)
        {
            // Whom a token names is known while it is good.
            let claims = self.evidence.claims;
            self.rests_on(claims.map_or(Timestamp::MAX, Claims::expires_at));
            return false;
        }
        let Some(condition) = &rule.when else {
            return true;
        };
        let fires = |params: Params| {
            self.given(rule, &params, |given| {
                let asked = |facts: &Facts<'_>| condition.holds(facts);
                let Ok(until) = reads_are_fresh(condition.reads(), given) else {
                    return true;
                };
                let fires = with_facts(given, condition.reads(), asked) != Some(false);
                if !fires {
                    self.rests_on(until);
                }
                fires
            })
        };
        if rule.actions.is_empty() {
            return fires(Params::new());
        }
        covering().any(|pattern| match pattern.template() {
            None => fires(Params::new()),
            // Covered in a looser view only: what its parameters are cannot be told.
            Some(template) => template.params(resource.path()).is_none_or(fires),
        })
    }

    /// The rules of the target whose forbids speak of somebody who comes along with the peer, table by table (T12).
    pub(super) fn about_others(&self, kind: Kind) -> PartyLines<'_> {
        let nobody = self.evidence.claims.is_none() && self.evidence.forwarded.is_none();
        let mut lines = PartyLines::new();
        // Egress has not the facts; the target judges it again with them.
        let (Some(target), Direction::Ingress, false) =
            (self.edge.target, self.flow.direction(), nobody)
        else {
            return lines;
        };
        let index = &self.policy.index;
        let parties = self.along.parties();
        if let (Ok(subject), Ok(actors)) = (&parties.subject, &parties.actors) {
            for party in subject.iter().chain(actors).chain(&parties.forwarded) {
                lines.extend(index.about_party(target, kind, party, self.policy));
            }
        } else {
            // Who cannot be read may be anybody.
            lines.push(index.about_parties(target, kind));
        }
        lines
    }

    /// Whether a forbid that speaks of the peer, or of somebody who comes along, covers the action.
    pub(super) fn line_fires(&self, line: &Line) -> bool {
        let forbids = |line: &&Line| line.effect == Effect::Forbid;
        let rule = (Some(line).filter(forbids)).filter(|line| line.covers_port(self.edge.port));
        let Some(rule) = rule.and_then(|line| self.policy.rule(line.rule)) else {
            return false;
        };
        if self.was_in_vain(line.rule) {
            return false;
        }
        let fires = self.forbid_fires(rule);
        if !fires && rule.when.is_some() {
            self.in_vain.borrow_mut().push(line.rule);
        }
        fires
    }

    /// Whether a permit that speaks of the peer names the action, and if so whether all it requires holds. None too where its
    /// condition or authorizer was asked before, and it does not.
    #[inline]
    pub(super) fn line_holds(&self, line: &Line) -> Option<Result<Timestamp, Unmet>> {
        if !line.could_name(self.kind, self.edge.port) {
            return None;
        }
        match (&line.plain, self.action.resource()) {
            (Some(path), Some(resource)) => {
                path.matches(resource.path()).then_some(Ok(Timestamp::MAX))
            }
            _ => self.rule_holds(line.rule),
        }
    }

    fn rule_holds(&self, index: RuleIdx) -> Option<Result<Timestamp, Unmet>> {
        if self.was_in_vain(index) {
            return None;
        }
        let rule = self.policy.rule(index)?;
        let told = self.permit_holds(rule)?;
        // What asks nobody may be asked again: to keep it in mind would cost more, and room (P3).
        if told.is_err() && rule.reads_params() {
            self.in_vain.borrow_mut().push(index);
        }
        Some(told)
    }

    /// Whether a permit names the action, and if so whether all it requires holds.
    fn permit_holds(&self, rule: &Rule) -> Option<Result<Timestamp, Unmet>> {
        let mut naming = rule
            .actions
            .iter()
            .filter(|pattern| pattern.permits(self.action));
        let first = naming.next()?;
        // Requirements are judged where the facts are: at the target.
        if self.flow.direction() == Direction::Egress || rule.require.is_empty() {
            return Some(Ok(Timestamp::MAX));
        }
        if !rule.reads_params() {
            return Some(self.requirements_hold(rule, &Params::new()));
        }
        // Each pattern that names the action is asked about with parameters of its own.
        let mut nearest = None;
        for pattern in core::iter::once(first).chain(naming) {
            let params = self.params(pattern);
            let held = self.requirements_hold(rule, &params);
            if held.is_ok() {
                return Some(held);
            }
            let said = self.along.take_said();
            nearest = nearest.or(Some((held, said)));
        }
        let (unmet, said) = nearest?;
        self.along.keep_said(said);
        Some(unmet)
    }

    fn requirements_hold(&self, rule: &Rule, params: &Params) -> Result<Timestamp, Unmet> {
        self.given(rule, params, |given| {
            rule.require
                .iter()
                .try_fold(Timestamp::MAX, |until, requirement| {
                    requirement.check(given).map(|more| until.min(more))
                })
        })
    }

    /// The first requirement of a permit that names the action that does not hold, and why: by the place of the requirement,
    /// and as the pattern that names the action first asks it. None where the permit holds.
    pub(super) fn first_unmet(&self, rule: &Rule) -> Option<(usize, Unmet)> {
        let held = self.permit_holds(rule)?;
        drop(self.along.take_said());
        let Err(_) = held else {
            return None;
        };
        let mut patterns = rule.actions.iter();
        let naming = patterns.find(|pattern| pattern.permits(self.action))?;
        let unmet = self.given(rule, &self.params(naming), |given| {
            let checks = rule.require.iter().map(|one| one.check(given)).enumerate();
            let mut unmet = checks.filter_map(|(at, held)| Some((at, held.err()?)));
            unmet.next()
        });
        drop(self.along.take_said());
        unmet
    }

    /// What a condition or an authorizer of the rule says beside yes and no, as it is first asked.
    pub(super) fn aside(&self, rule: &Rule) -> Aside {
        self.along.take_said();
        match rule.effect {
            Effect::Forbid => drop(self.forbid_fires(rule)),
            Effect::Permit => drop(self.permit_holds(rule)),
        }
        self.along.take_said()
    }

    fn params(&self, pattern: &ActionPattern) -> Params {
        let path = self.action.resource().map(crate::action::Resource::path);
        let template = pattern.template();
        template
            .zip(path)
            .and_then(|(template, path)| template.params(path))
            .unwrap_or_default()
    }

    fn given<T>(&self, rule: &Rule, params: &Params, judge: impl Fn(&Given<'_, '_>) -> T) -> T {
        let zone = self
            .edge
            .zone
            .and_then(|zone| self.policy.zones().get(zone));
        let facts = |ask: &mut dyn FnMut(&Facts<'_>)| {
            let peer = self.flow.peer();
            let caller = peer.and_then(|peer| self.policy.primary_id(peer.id()));
            let workload = (caller.as_deref()).and_then(|id| self.policy.workload_with_id(id));
            let workload = workload.map(|(_, workload)| workload);
            ask(&Facts {
                peer,
                caller: caller.as_deref(),
                workload: workload.map(Workload::name),
                labels: workload.map(|workload| &workload.labels),
                zone: zone.map(crate::zone::Zone::name),
                target: self
                    .edge
                    .target
                    .and_then(|index| self.policy.workload(index))
                    .map_or("", |workload| workload.name()),
                action: self.action,
                params,
                claims: self.evidence.claims,
                trust_score: self.evidence.trust_score,
                posture: self.evidence.posture,
                context: self.evidence.context,
                steps: self.policy.steps(self.edge.target, rule.mode),
                now: self.now,
            });
        };
        judge(&Given {
            evidence: self.evidence,
            along: self.along,
            zone_trust: zone.map(crate::zone::Zone::trust),
            facts: &facts,
            obligations: &rule.obligations,
            now: self.now,
        })
    }
}
