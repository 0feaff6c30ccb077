//! Which calls there are out of the mesh, which are judged at the callers' ends alone.

use std::collections::HashSet;

use crate::analysis::outward::{Exit, Outward};
use crate::policy::{Effect, External, Mode, Rule, TargetRule, calling};

use super::calls::Calls;
use super::finding::Found;
use super::left::{Outcome, left};
use super::trial::Trial;

impl<'a> Trial<'a> {
    /// What is judged at the callers' ends alone.
    pub(super) fn outside(&self, calls: &mut Calls, found: &mut Found) {
        for external in self.policy.externals() {
            let about = external.permits.iter().chain(&external.forbids);
            let weight = about.filter_map(|entry| {
                let rule = self.policy.rule(entry.rule)?;
                Some(1 + (rule.from.len() + rule.actions.len() + entry.ports.len()) / 8)
            });
            let once = weight.sum::<usize>().saturating_mul(external.ports.len());
            let permits = external.permits.iter().chain(&external.shadow);
            for entry in permits.chain(&external.forbids) {
                if self.exits(external, (entry, once), calls, found).is_none() {
                    calls.open(entry.rule);
                }
            }
        }
    }

    /// Which workloads of whom a rule speaks call outside, and what is left of a permit there; `once` is what it takes to try one
    /// workload beside all rules about the destination. None where there was too much to try.
    fn exits(
        &self,
        external: &'a External,
        (entry, once): (&TargetRule, usize),
        calls: &mut Calls,
        found: &mut Found,
    ) -> Option<()> {
        let rule = self.policy.rule(entry.rule)?;
        let zones = self.policy.zones();
        let without = HashSet::new();
        let counts = (rule.effect, rule.mode) == (Effect::Permit, Mode::Enforce);
        let matched = calls.at(entry.rule)?;
        if !found.may_try(external.ports.len().saturating_mul(entry.ports.len()) / 64) {
            return None;
        }
        let mut ports = external.ports.iter();
        if !ports.any(|port| entry.covers_port(*port)) {
            return Some(());
        }
        matched.listens = true;
        for (at, who) in rule.from.iter().enumerate() {
            for comes in &self.callers {
                let known = matched.from.get(at) == Some(&true);
                if known && (matched.left || !counts) {
                    break;
                }
                // The declared ones are the first, and nobody else calls outside.
                let Some(me) = comes.seen.workload else {
                    break;
                };
                if !found.may_try(1) {
                    return None;
                }
                let caller = calling(me);
                let speaks = who.speaks_of(&caller, rule.effect, zones);
                if !speaks.counts_for(rule.effect) {
                    continue;
                }
                if rule.effect == Effect::Forbid {
                    matched.from.fill(true);
                    return Some(());
                }
                if let Some(entry) = matched.from.get_mut(at) {
                    *entry = true;
                }
                if !counts || matched.left {
                    continue;
                }
                if !found.may_try(once) {
                    return None;
                }
                let outward = Outward {
                    policy: self.policy,
                    external,
                    me,
                    without: &without,
                };
                let own = |exit: &Exit<'_>| entry.covers_port(exit.port);
                for Exit { edge, .. } in outward.exits().filter(own) {
                    match left(self.policy, entry.rule, &edge, found) {
                        Outcome::Passes => matched.left = true,
                        Outcome::Taken(by) => matched.by.extend(by),
                        Outcome::Unclear => return None,
                    }
                }
                let takes = |other: &&TargetRule| {
                    let forbid = self.policy.rule(other.rule);
                    let speaks = |one: &&Rule| one.forbids_flow() && one.speaks_of(&caller, zones);
                    let mut ports = external.ports.iter();
                    forbid.as_ref().is_some_and(speaks)
                        && ports.any(|port| entry.covers_port(*port) && other.covers_port(*port))
                };
                let forbids = external.forbids.iter().filter(takes);
                matched.by.extend(forbids.map(|forbid| forbid.rule));
            }
        }
        Some(())
    }
}
