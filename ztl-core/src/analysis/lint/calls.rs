//! Which calls there are for the rules of a document, found by trying one of each kind that the rules tell apart.
//!
//! Callers, places, ports and actions that no rule tells apart are answered alike, so that one of each is enough
//! (`analysis::caller`, `analysis::place`, `analysis::asked`). What is no fact of the document is free: a requirement may be met,
//! and a forbid that has a condition, or speaks of somebody who comes along, may not fire (T10); only where a permit asks for
//! the very condition that a forbid fires on can the two never both pass.
//!
//! What a target's end judges is tried where it listens, and what is outside the mesh at the caller's end. How much may be tried
//! is bounded; of what was not tried to the end nothing is said.

use std::collections::BTreeSet;

use crate::policy::{Policy, RuleIdx};
use crate::zone::ZoneIdx;

use super::finding::Found;
use super::trial::Trial;

/// What is known of one rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Matched {
    /// A target listens on a port that it speaks of.
    pub(super) listens: bool,
    /// One of these ports takes callers without an SVID.
    pub(super) is_public: bool,
    /// For each entry of `from`, whether somebody of whom it speaks comes to a target. Of a forbid only the first that does is
    /// looked for.
    pub(super) from: Vec<bool>,
    /// Something that it permits is left by the forbids.
    pub(super) left: bool,
    /// The forbids that took away what was tried.
    pub(super) by: BTreeSet<RuleIdx>,
    /// Not all of it was tried.
    is_open: bool,
}

impl Matched {
    /// Whether a target listens is not known either.
    fn open(&mut self) {
        (self.is_open, self.listens) = (true, true);
    }
}

/// What is known of every rule and workload.
#[derive(Debug, Default)]
pub(super) struct Calls {
    rules: Vec<Matched>,
    /// By workload.
    reached: Vec<Reached>,
    /// Where somebody is seen to arrive from.
    arrivals: Vec<ZoneIdx>,
}

/// What is known of a workload that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// Somebody may ask something of it.
    BySomebody,
    ByNobody,
    /// Not all of it was tried.
    Open,
}

impl Calls {
    pub(super) fn of(policy: &Policy, found: &mut Found) -> Self {
        let rules = policy.rules().map(|rule| Matched {
            from: vec![false; rule.from.len()],
            ..Matched::default()
        });
        let mut calls = Self {
            rules: rules.collect(),
            reached: vec![Reached::ByNobody; policy.workloads().len()],
            arrivals: Vec::new(),
        };
        match Trial::new(policy, found) {
            Some(mut trial) => {
                trial.inside(&mut calls, found);
                trial.outside(&mut calls, found);
                calls.arrivals = trial.zones().collect();
            }
            None => calls.open_all(),
        }
        calls
    }

    /// Whether one of its targets listens on a port that a rule speaks of; that needs no trying.
    pub(super) fn listens(&self, index: usize) -> bool {
        self.rules.get(index).is_some_and(|rule| rule.listens)
    }

    /// None where not all of it was tried.
    pub(super) fn rule(&self, index: usize) -> Option<&Matched> {
        self.rules.get(index).filter(|rule| !rule.is_open)
    }

    pub(super) fn reached(&self, workload: usize) -> Reached {
        self.reached.get(workload).copied().unwrap_or(Reached::Open)
    }

    /// The zones that somebody is seen to arrive from.
    pub(super) fn arrivals(&self) -> impl Iterator<Item = ZoneIdx> {
        self.arrivals.iter().copied()
    }

    pub(super) fn at(&mut self, index: RuleIdx) -> Option<&mut Matched> {
        self.rules.get_mut(usize::try_from(index.0).ok()?)
    }

    pub(super) fn reach(&mut self, workload: usize, found: Reached) {
        let known = self.reached.get_mut(workload);
        if let Some(known) = known.filter(|known| **known != Reached::BySomebody) {
            *known = found;
        }
    }

    /// Says nothing of a rule.
    pub(super) fn open(&mut self, index: RuleIdx) {
        if let Some(rule) = self.at(index) {
            rule.open();
        }
    }

    fn open_all(&mut self) {
        self.rules.iter_mut().for_each(Matched::open);
        self.reached.fill(Reached::Open);
    }
}
