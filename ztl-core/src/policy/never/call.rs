//! One call that an assertion rules out and a permit lets through.

use std::collections::{BTreeSet, HashMap};

use crate::policy::Policy;
use crate::policy::document::{Effect, NeverDecl, PortRange};
use crate::policy::external::Aim;
use crate::policy::pattern::ActionPattern;
use crate::policy::rule::Rule;
use crate::policy::workload::{Workload, WorkloadIdx};
use crate::zone::ZoneIdx;

use super::caller::{Candidate, Meant, Tries, describe, is_meant, speaks_of};
use super::{outside, targets};

/// Most sets of callers that are kept of one assertion, since each may hold them all.
const MAX_KEPT: usize = 16;

/// What shows that an assertion does not hold.
pub(super) struct Counter<'a> {
    pub(super) rule: &'a Rule,
    pub(super) caller: Candidate,
    /// What to call the caller.
    pub(super) called: String,
    pub(super) aim: Aim<'a>,
    pub(super) port: u16,
}

/// Among the workloads.
pub(super) fn inside<'a>(
    policy: &'a Policy,
    never: &NeverDecl,
    everyone: &[Candidate],
    tries: &'a Tries,
) -> Option<Counter<'a>> {
    if !tries.may(everyone.len()) {
        return None;
    }
    let meant: Vec<_> = everyone
        .iter()
        .filter(|caller| is_meant(policy, never, caller))
        .collect();
    let mut parties: HashMap<WorkloadIdx, BTreeSet<Option<ZoneIdx>>> = HashMap::new();
    for caller in &meant {
        if let Some(index) = caller.workload {
            parties.entry(index).or_default().insert(caller.zone);
        }
    }
    // By where parties stand that a target believes: mostly few tell targets apart.
    let mut by_places: HashMap<BTreeSet<Option<ZoneIdx>>, Meant<'_, '_>> = HashMap::new();
    targets(policy, never).into_iter().find_map(|target| {
        let believed = believed(policy, target, &parties);
        if by_places.len() == MAX_KEPT && !by_places.contains_key(&believed) {
            by_places.clear();
        }
        let meant = by_places
            .entry(believed)
            .or_insert_with_key(|places| Meant::new(policy, tries, &meant, everyone, places));
        let_through(policy, never, Aim::Workload(target), meant)
    })
}

/// From a workload out of the mesh, where its own guard alone judges.
pub(super) fn outward<'a>(
    policy: &'a Policy,
    never: &NeverDecl,
    at_home: &[Candidate],
    tries: &'a Tries,
) -> Option<Counter<'a>> {
    let mut outside = outside(policy, never).peekable();
    outside.peek()?;
    if !tries.may(at_home.len()) {
        return None;
    }
    let meant: Vec<_> = at_home
        .iter()
        .filter(|caller| is_meant(policy, never, caller))
        .collect();
    let mut meant = Meant::new(policy, tries, &meant, at_home, &BTreeSet::new());
    outside.find_map(|external| let_through(policy, never, Aim::External(external), &mut meant))
}

/// A permit that lets somebody through who is meant.
fn let_through<'a>(
    policy: &'a Policy,
    never: &NeverDecl,
    target: Aim<'a>,
    meant: &mut Meant<'_, '_>,
) -> Option<Counter<'a>> {
    for port in ports(target, never) {
        let speaking = target.enforced(policy, port).map(|(_, rule, _)| rule);
        let speaking: Vec<_> = speaking.collect();
        let permits: Vec<_> = speaking
            .iter()
            .filter(|rule| rule.effect == Effect::Permit && overlaps(&rule.actions, never))
            .collect();
        if permits.is_empty() {
            continue;
        }
        let forbids: Vec<_> = speaking.iter().filter(|rule| rule.forbids_flow()).collect();
        let names = |rule: &Rule, caller: &Candidate| {
            let mut from = rule.from.iter();
            from.any(|who| speaks_of(policy, who, caller, rule.effect))
        };
        let tries = meant.tries();
        for rule in permits {
            for who in &rule.from {
                let callers = meant.permitted_by(who).iter();
                let mut callers = callers.take_while(|_| tries.may(forbids.len() + 1));
                let through = callers.find(|caller| {
                    takes(target, port, caller) && !forbids.iter().any(|rule| names(rule, caller))
                });
                let Some(caller) = through else { continue };
                let mut called = describe(policy, caller);
                if !is_meant(policy, never, caller) {
                    called.push_str(" (as whom somebody meant may come, being believed by the target's `asserted_by`)");
                }
                return Some(Counter {
                    rule,
                    caller: (*caller).clone(),
                    called,
                    aim: target,
                    port,
                });
            }
        }
    }
    None
}

/// Whether such a caller comes as far as to the rules.
fn takes(target: Aim<'_>, port: u16, caller: &Candidate) -> bool {
    // Whoever calls outside is known to itself.
    target.workload().is_none_or(|target| {
        let reachable = caller.id.is_some() || target.public_ports.contains(&port);
        let placed = target.zone.is_none() || caller.zone.is_some();
        reachable && placed
    })
}

/// Where those stand whom the assertion means and of whom the target believes who a caller is (T12).
fn believed(
    policy: &Policy,
    target: &Workload,
    parties: &HashMap<WorkloadIdx, BTreeSet<Option<ZoneIdx>>>,
) -> BTreeSet<Option<ZoneIdx>> {
    let named = target.asserted_by.iter();
    let named = named.filter_map(|party| policy.workload_named(party));
    let places = named.filter_map(|(index, _)| parties.get(&index));
    places.flatten().copied().collect()
}

/// Whether one of these could be what the assertion rules out.
pub(super) fn overlaps(actions: &[ActionPattern], never: &NeverDecl) -> bool {
    never.actions.is_empty()
        || actions.iter().any(|action| {
            never
                .actions
                .iter()
                .any(|never| never.value.forbids_some_of(action))
        })
}

/// Every port of the target that a rule could tell apart and the assertion means.
fn ports(target: Aim<'_>, never: &NeverDecl) -> Vec<u16> {
    let meant = |port: &u16| {
        never.ports.is_empty() || never.ports.iter().any(|range| range.value.contains(*port))
    };
    let named = target
        .rules()
        .flat_map(|entry| entry.ports.iter())
        .flat_map(ends);
    let asserted = never.ports.iter().flat_map(|range| ends(&range.value));
    let mut ports: Vec<u16> = target
        .ports()
        .chain(named)
        .chain(asserted)
        .filter(meant)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The ends of a range, and what lies right beside them.
fn ends(range: &PortRange) -> [u16; 4] {
    [
        range.first.saturating_sub(1).max(1),
        range.first,
        range.last,
        range.last.saturating_add(1),
    ]
}
