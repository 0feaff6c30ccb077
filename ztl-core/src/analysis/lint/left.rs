//! What forbids leave of a permit.

use std::collections::{BTreeSet, HashMap};

use crate::analysis::asked::ActionSpace;
use crate::analysis::compare::Cell;
use crate::analysis::edge::{Edge, Grant, Need, Veto};
use crate::policy::{Caller, Policy, Rule, RuleIdx, TargetRule, Workload};

use super::finding::Found;

/// Most actions that are tried for one permit beside some forbids.
const MAX_ACTIONS: usize = 10_000;

/// Why an edge is not tried on which rules tell more actions apart.
const ACTIONS: (&str, &str) = (
    "the rules about one target tell too many actions apart to try each",
    "what is reported is true, and there may be more; fewer path parameters beside each other make fewer kinds of paths",
);

/// What a try came to.
pub(super) enum Outcome {
    Passes,
    /// These forbids take all of it.
    Taken(BTreeSet<RuleIdx>),
    /// There is too much to try.
    Unclear,
}

/// A permit, and the forbids beside it, each with whether it speaks of the peer.
type Tried = (RuleIdx, Vec<(RuleIdx, bool)>);

/// The rules about one target that a call there meets.
pub(super) struct At<'a> {
    pub(super) target: &'a Workload,
    pub(super) forbids: Vec<(&'a TargetRule, &'a Rule, RuleIdx)>,
    /// What it takes to see which of them speak of a caller.
    weight: usize,
    /// What permits came to beside forbids: the same ones take the same away.
    tried: HashMap<Tried, Option<BTreeSet<RuleIdx>>>,
}

impl<'a> At<'a> {
    /// `weights` says of each rule what it takes to see whether it speaks of a caller.
    pub(super) fn new(policy: &'a Policy, target: &'a Workload, weights: &[usize]) -> Self {
        let weight = |entry: &TargetRule| weights.get(usize::try_from(entry.rule.0).ok()?);
        let weight = target.forbids.iter().filter_map(weight).sum();
        let forbids = target.forbids.iter().filter_map(|entry| {
            let rule = policy.rule(entry.rule)?;
            Some((entry, rule, entry.rule))
        });
        Self {
            target,
            forbids: forbids.collect(),
            weight,
            tried: HashMap::new(),
        }
    }

    /// What the forbids leave of a permit for one caller, from one place, on one port.
    pub(super) fn outcome(
        &mut self,
        policy: &'a Policy,
        caller: &Caller<'_>,
        (index, rule): (RuleIdx, &'a Rule),
        port: u16,
        found: &mut Found,
    ) -> Outcome {
        if !found.may_try(self.weight) {
            return Outcome::Unclear;
        }
        let mut speaking = Vec::new();
        for (entry, forbid, at) in &self.forbids {
            if !entry.covers_port(port) {
                continue;
            }
            let of_peer = forbid.speaks_of(caller, policy.zones());
            if of_peer && forbid.forbids_flow() {
                return Outcome::Taken(BTreeSet::from([*at]));
            }
            if of_peer || forbid.forbids_parties() {
                speaking.push((*at, of_peer));
            }
        }
        if speaking.is_empty() {
            return Outcome::Passes;
        }
        match self.tried.get(&(index, speaking.clone())) {
            Some(None) => return Outcome::Passes,
            Some(Some(by)) => return Outcome::Taken(by.clone()),
            None => {}
        }
        let decl = |index: RuleIdx| {
            let at = usize::try_from(index.0).ok()?;
            policy.document().rules.get(at)
        };
        let mut edge = Edge::default();
        for (at, of_peer) in &speaking {
            if let Some((rule, decl)) = policy.rule(*at).zip(decl(*at)) {
                (edge.forbids).extend(Veto::of(policy, (*at, rule, decl), *of_peer));
            }
        }
        if let Some(decl) = decl(index) {
            let need = Need::of(policy, rule, decl);
            edge.permits = Grant::of(index, rule, &need).collect();
        }
        let outcome = left(policy, index, &edge, found);
        let known = match &outcome {
            Outcome::Passes => None,
            Outcome::Taken(by) => Some(by.clone()),
            Outcome::Unclear => return outcome,
        };
        self.tried.insert((index, speaking), known);
        outcome
    }
}

/// What the forbids of an edge leave of a permit.
pub(super) fn left(policy: &Policy, rule: RuleIdx, edge: &Edge<'_>, found: &mut Found) -> Outcome {
    let apart = |grant: &Grant<'_>| {
        let mut forbids = edge.forbids.iter();
        !forbids.any(|veto| {
            veto.pattern
                .is_none_or(|one| one.forbids_some_of(grant.pattern))
        })
    };
    let rules = edge.forbids.len() + edge.permits.len();
    let pairs = edge.permits.len().saturating_mul(edge.forbids.len());
    if !found.may_try(1 + rules + pairs / 16) {
        return Outcome::Unclear;
    }
    let mut own = edge.permits.iter().filter(|grant| grant.rule == rule);
    if own.any(apart) {
        return Outcome::Passes;
    }
    let mut space = ActionSpace::default();
    for grant in edge.permits.iter().filter(|grant| grant.rule == rule) {
        space.add(Some(grant.pattern), true);
    }
    for veto in &edge.forbids {
        space.add(veto.pattern, false);
    }
    let Ok(actions) = space.actions(MAX_ACTIONS) else {
        // As much was walked.
        if found.may_try(MAX_ACTIONS) {
            found.cut(ACTIONS);
        }
        return Outcome::Unclear;
    };
    if !found.may_try(actions.len()) {
        return Outcome::Unclear;
    }
    let mut by = BTreeSet::new();
    for asked in &actions {
        let Some(action) = asked.action() else {
            continue;
        };
        if !found.may_try(rules) {
            return Outcome::Unclear;
        }
        let cell = Cell::of(policy, Some(edge), &action);
        if cell.could_pass(rule) {
            return Outcome::Passes;
        }
        let mut granted = Vec::new();
        for grant in edge.permits.iter().filter(|grant| grant.rule == rule) {
            if grant.pattern.permits(&action) {
                granted.extend(grant.variables());
            }
        }
        for veto in edge.forbids.iter().filter(|veto| veto.covers(&action)) {
            let takes = veto
                .condition(&action)
                .is_none_or(|(one, _)| granted.contains(&one));
            by.extend(takes.then_some(veto.rule));
        }
    }
    Outcome::Taken(by)
}
