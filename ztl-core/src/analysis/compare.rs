//! One action on one edge, under two policies: could it be permitted under one and denied under the other.
//!
//! What is not known when documents are compared, the evidence, the conditions and the authorizers, is free: evidence is made
//! up, and a condition or an authorizer may agree, disagree or fail, though the same text asked about the same parameters does
//! the same under both. Of two permits the stricter is thereby the one whose requirements are a superset or are met only by
//! evidence that meets the other's; permits of which neither is the stricter differ in both directions (T10).

use std::collections::BTreeSet;

use crate::action::Action;
use crate::authorizer::Reads;
use crate::policy::{Policy, RuleIdx};

use super::edge::{Edge, Grant, Variable, Veto};
use super::facts::MadeUp;

/// An action on an edge.
pub(crate) struct Cell<'e, 'a> {
    policy: &'a Policy,
    /// The flow itself is denied.
    closed: bool,
    /// A forbid that covers it whatever the facts are.
    forbidden: Option<RuleIdx>,
    /// The conditions that must all be false.
    conditions: Vec<(Variable, Reads)>,
    grants: Vec<(&'e Grant<'a>, BTreeSet<Variable>)>,
}

impl<'e, 'a> Cell<'e, 'a> {
    pub(crate) fn of(policy: &'a Policy, edge: Option<&'e Edge<'a>>, action: &Action<'_>) -> Self {
        let mut cell = Self {
            policy,
            closed: edge.is_none(),
            forbidden: None,
            conditions: Vec::new(),
            grants: Vec::new(),
        };
        let Some(edge) = edge else {
            return cell;
        };
        for veto in edge.forbids.iter().filter(|veto| veto.covers(action)) {
            match veto.condition(action) {
                Some(condition) => cell.conditions.push(condition),
                None => cell.forbidden = cell.forbidden.or(Some(veto.rule)),
            }
        }
        let granted = edge
            .permits
            .iter()
            .filter(|grant| grant.pattern.permits(action));
        cell.grants = granted
            .map(|grant| (grant, grant.variables().into_iter().collect()))
            .collect();
        cell
    }

    /// How this could be permitted while `other` is not: the permit, and evidence with which it holds. The evidence is none
    /// where none could be made up that meets the permit, which is then taken to be more than the other.
    pub(crate) fn beyond(
        &self,
        other: &Self,
        beside: &str,
    ) -> Option<(&'e Grant<'a>, Option<MadeUp>)> {
        if self.forbidden.is_some() {
            return None;
        }
        let refuted: BTreeSet<&Variable> = self.conditions.iter().map(|(one, _)| one).collect();
        let mut reads = Reads::nothing();
        for (_, read) in &self.conditions {
            reads = reads.and(*read);
        }
        // The first for which nothing could be made up; one with evidence is a better answer.
        let mut unclear = None;
        for (grant, agreed) in &self.grants {
            if agreed.iter().any(|one| refuted.contains(one)) {
                continue;
            }
            let mut any = false;
            for evidence in MadeUp::meeting(&grant.need, reads, beside) {
                if !evidence.meets(&grant.need, self.policy) || !evidence.has(reads) {
                    continue;
                }
                any = true;
                if !other.holds_wherever(&evidence, agreed, &refuted) {
                    return Some((grant, Some(evidence)));
                }
            }
            if !any && !other.holds_for_the_same(grant, agreed, &refuted) {
                unclear = unclear.or(Some((*grant, None)));
            }
        }
        unclear
    }

    /// Whether this rule could permit it: no forbid covers it whatever the facts are, and no condition on which one fires is
    /// among those that the rule asks for.
    pub(crate) fn could_pass(&self, rule: RuleIdx) -> bool {
        let refuted: BTreeSet<&Variable> = self.conditions.iter().map(|(one, _)| one).collect();
        let mut grants = self.grants.iter().filter(|(grant, _)| grant.rule == rule);
        self.forbidden.is_none()
            && grants.any(|(_, agreed)| !agreed.iter().any(|one| refuted.contains(one)))
    }

    /// Whether no evidence decides here.
    pub(crate) fn reads_nothing(&self) -> bool {
        let asks_nothing = |grant: &Grant<'_>| grant.need.asks_nothing();
        self.conditions.is_empty() && self.grants.iter().all(|(grant, _)| asks_nothing(grant))
    }

    /// In short why this is not permitted, where it is not: alike for what is denied alike.
    pub(crate) fn shortfall(&self) -> (bool, Option<RuleIdx>, Option<RuleIdx>) {
        let nearest = self.grants.first().map(|(grant, _)| grant.rule);
        (self.closed, self.forbidden, nearest)
    }

    /// Whether it is permitted with this evidence where nothing more agrees and nothing more is refuted.
    fn holds_wherever(
        &self,
        evidence: &MadeUp,
        agreed: &BTreeSet<Variable>,
        refuted: &BTreeSet<&Variable>,
    ) -> bool {
        self.passes(refuted)
            && self
                .conditions
                .iter()
                .all(|(_, reads)| evidence.has(*reads))
            && self.grants.iter().any(|(grant, needed)| {
                follow(needed, agreed) && evidence.meets(&grant.need, self.policy)
            })
    }

    /// The same, for evidence of which is known only that it meets another permit.
    fn holds_for_the_same(
        &self,
        other: &Grant<'_>,
        agreed: &BTreeSet<Variable>,
        refuted: &BTreeSet<&Variable>,
    ) -> bool {
        self.passes(refuted)
            && self.grants.iter().any(|(grant, needed)| {
                follow(needed, agreed) && grant.need.key() == other.need.key()
            })
    }

    fn passes(&self, refuted: &BTreeSet<&Variable>) -> bool {
        self.forbidden.is_none() && self.conditions.iter().all(|(one, _)| refuted.contains(one))
    }
}

/// Whether all of these are true wherever all of those are.
fn follow(these: &BTreeSet<Variable>, those: &BTreeSet<Variable>) -> bool {
    let follows = |one: &Variable| those.iter().any(|other| one.follows_from(other));
    these.iter().all(follows)
}

/// What of an edge counts, in a form that can be compared: the same here is the same decision.
pub(crate) fn key_of_grant(grant: &Grant<'_>) -> String {
    format!("{:?}", (grant.pattern.to_string(), grant.need.key()))
}

/// The same for a forbid.
pub(crate) fn key_of_veto(veto: &Veto<'_>) -> String {
    let pattern = veto.pattern.map(ToString::to_string);
    let variable = veto.is_conditional().then(|| veto.variable());
    format!("{:?}", (pattern, variable, veto.of_peer))
}
