//! One action on one edge, asked of one rule after the other.

use std::sync::Arc;

use crate::action::Action;
use crate::authorizer::Facts;
use crate::evidence::Evidence;
use crate::flow::{Direction, Flow};
use crate::time::Timestamp;

use super::Policy;
use super::decide::Edge;
use super::requirement::{Given, Unmet, reads_are_fresh, with_facts};
use super::rule::Rule;

/// An action on an edge, as one rule after the other is asked about it.
pub(super) struct Asked<'a> {
    pub(super) policy: &'a Policy,
    pub(super) edge: &'a Edge,
    pub(super) flow: &'a Flow<'a>,
    pub(super) action: &'a Action<'a>,
    pub(super) evidence: &'a Evidence<'a>,
    pub(super) now: Timestamp,
}

impl Asked<'_> {
    /// Whether a forbid covers the action. What cannot be told is forbidden (rule 7).
    pub(super) fn forbid_fires(&self, rule: &Rule) -> bool {
        let covered = rule.actions.is_empty()
            || rule
                .actions
                .iter()
                .any(|pattern| pattern.forbids(self.action));
        if !covered {
            return false;
        }
        match &rule.when {
            None => true,
            // On a raw stream nothing that a condition asks about is known.
            Some(_) if matches!(self.action, Action::Connect) => true,
            // Egress has not the facts; the target judges it again with them.
            Some(_) if self.flow.direction == Direction::Egress => false,
            Some(condition) => self.given(rule, |given| {
                reads_are_fresh(condition.reads(), given).is_err()
                    || !matches!(
                        with_facts(given, condition.reads(), |facts| condition.holds(facts)),
                        Some(Ok(false))
                    )
            }),
        }
    }

    /// Whether a permit names the action, and if so whether all it requires holds.
    pub(super) fn permit_holds(&self, rule: &Rule) -> Option<Result<Timestamp, Unmet>> {
        if !rule
            .actions
            .iter()
            .any(|pattern| pattern.permits(self.action))
        {
            return None;
        }
        // Requirements are judged where the facts are: at the target.
        if self.flow.direction == Direction::Egress || rule.require.is_empty() {
            return Some(Ok(Timestamp::MAX));
        }
        Some(self.given(rule, |given| {
            rule.require
                .iter()
                .try_fold(Timestamp::MAX, |until, requirement| {
                    requirement.check(given).map(|more| until.min(more))
                })
        }))
    }

    fn given<T>(&self, rule: &Rule, judge: impl Fn(&Given<'_>) -> T) -> T {
        let zone = self
            .edge
            .zone
            .and_then(|zone| self.policy.zones().get(zone));
        let facts = |ask: &mut dyn FnMut(&Facts<'_>)| {
            let params = self.params(rule);
            ask(&Facts {
                peer: self.flow.peer,
                zone: zone.map(crate::zone::Zone::name),
                target: self
                    .edge
                    .target
                    .and_then(|index| self.policy.workload(index))
                    .map_or("", |workload| workload.name()),
                action: self.action,
                params: &params,
                claims: self.evidence.claims,
                trust_score: self.evidence.trust_score,
                now: self.now,
            });
        };
        judge(&Given {
            evidence: self.evidence,
            zone_trust: zone.map(crate::zone::Zone::trust),
            facts: &facts,
            now: self.now,
        })
    }

    fn params(&self, rule: &Rule) -> Vec<(Arc<str>, String)> {
        let Some(resource) = self.action.resource() else {
            return Vec::new();
        };
        rule.actions
            .iter()
            .filter(|pattern| pattern.permits(self.action) || pattern.forbids(self.action))
            .find_map(|pattern| {
                pattern
                    .template()
                    .and_then(|template| template.params(resource.path()))
            })
            .unwrap_or_default()
    }
}
