//! What a denial hung on, at a price that every denial can pay: only the edge's own rules are looked at, and few of them.

use crate::action::Action;
use crate::clause::Clause;
use crate::policy::Policy;
use crate::policy::edge::Edge;
use crate::policy::index::Kind;
use crate::policy::judgement::Judgement;
use crate::policy::kinds::Kinds;
use crate::policy::rule::{Rule, RuleIdx};
use crate::policy::shape::Shape;
use crate::reason::Reason;

use super::misfit::Misfit;

/// How many permits are compared with what was asked.
const FEW_RULES: usize = 4;
/// How many patterns of one permit are.
const FEW_PATTERNS: usize = 8;

impl Policy {
    /// The rule that a denial hung on, and its first clause that failed. None where no rule came near.
    pub(crate) fn near<'p>(
        &'p self,
        edge: &Edge,
        action: Option<&Action<'_>>,
        judged: &Judgement<'p>,
    ) -> Option<(&'p Rule, Clause)> {
        let outcome = &judged.outcome;
        if let Some(rule) = judged.rule {
            let clause = match (outcome.reason, outcome.lack) {
                (Reason::Forbidden, _) => Clause::Forbid,
                (Reason::ObligationUnknown, _) => Clause::Oblige,
                (_, lack) => lack?.into(),
            };
            return Some((rule, clause));
        }
        let (rule, clause) = match (outcome.reason, action) {
            (Reason::NoActionPermitted, Some(action)) => self.nearest_on(edge, action)?,
            (Reason::NoFlowPermitted, _) => self.nearest_to(edge)?,
            _ => return None,
        };
        Some((self.rule(rule)?, clause))
    }

    /// Of the permits of a flow the one whose patterns come nearest to an action: the first that differs in one aspect only.
    fn nearest_on(&self, edge: &Edge, action: &Action<'_>) -> Option<(RuleIdx, Clause)> {
        let kind = Kinds::of(action);
        let plain = action.resource().filter(|asked| asked.upgrade().is_none());
        let plain =
            plain.map(|asked| (asked.canonical(), Shape::of(Kinds::ALL, asked.canonical())));
        let mut left = FEW_RULES;
        let mut nearest: Option<(usize, RuleIdx, Clause)> = None;
        'all: for share in &edge.shares {
            let lines = self.index.lines(*share, Kind::Permit).iter();
            for line in lines.filter(|line| line.covers_port(edge.port)) {
                if left == 0 {
                    break 'all;
                }
                left -= 1;
                let (count, clause) = match &plain {
                    Some((path, shape)) if line.plain.is_some() => match line.names(kind) {
                        // The method it is not, so the path it is.
                        true => return Some((line.rule, Clause::Path)),
                        false if line.has_plain_path(*shape, path) => (1, Clause::Method),
                        false => (2, Clause::Method),
                    },
                    _ => match self.misfit(line.rule, action) {
                        Some(misfit) => misfit,
                        None => continue,
                    },
                };
                if count == 1 {
                    return Some((line.rule, clause));
                }
                if nearest.is_none_or(|(most, rule, _)| (count, line.rule) < (most, rule)) {
                    nearest = Some((count, line.rule, clause));
                }
            }
        }
        nearest.map(|(_, rule, clause)| (rule, clause))
    }

    /// In how many aspects the nearest pattern of a permit differs, and the first of them.
    #[inline(never)]
    fn misfit(&self, rule: RuleIdx, action: &Action<'_>) -> Option<(usize, Clause)> {
        let patterns = self.rule(rule).map_or(&[][..], |rule| &rule.actions);
        let patterns = patterns.iter().take(FEW_PATTERNS);
        let misfits = patterns.map(|pattern| Misfit::of(pattern, action));
        let misfit = misfits.min_by_key(|misfit| misfit.count())?;
        Some((misfit.count(), misfit.first()?))
    }

    /// Of the permits of a target the first that speaks of the caller, on other ports; else the first on this port.
    fn nearest_to(&self, edge: &Edge) -> Option<(RuleIdx, Clause)> {
        let mut own =
            (edge.shares.iter()).flat_map(|share| self.index.lines(*share, Kind::Permit).iter());
        if let Some(line) = own.next() {
            return Some((line.rule, Clause::Port));
        }
        let permits = self.aim(edge.target?)?.permits();
        let few = || permits.iter().take(FEW_RULES);
        let nearest = few()
            .find(|entry| entry.covers_port(edge.port))
            .or_else(|| few().next());
        nearest.map(|entry| (entry.rule, Clause::From))
    }
}
