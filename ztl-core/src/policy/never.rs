//! `[[never]]`: an assertion about the whole document, proved when it is loaded.
//!
//! Rules compare identities, zones and ports with what the document names, so callers that no rule tells apart need be tried
//! only once. The proof tries every declared workload, one undeclared workload for each pattern of the document, and a caller
//! without an SVID, each from every place it could come from, and asks the permits. Requirements are not counted as
//! protection, and neither are forbids that are conditional, narrowed to some actions, in shadow or off (T10).

use crate::id::{IdPattern, SpiffeId};
use crate::zone::ZoneIdx;

use super::Policy;
use super::diagnostic::Report;
use super::document::{Effect, Mode, NeverDecl, PortRange, Principal, Target};
use super::pattern::ActionPattern;
use super::rule::{Rule, Who};
use super::workload::{Workload, WorkloadIdx};

pub(super) fn prove(policy: &Policy, report: &mut Report) {
    for never in &policy.document.nevers {
        if !names_are_known(policy, never, report) {
            continue;
        }
        if let Some((rule, caller, target, port)) = counter_example(policy, never) {
            report.error_with_help(
                never.name.span,
                format!("`{}` does not hold: the permit `{}` lets {caller} reach `{target}` on port {port}", never.name.value, rule.name),
                format!("narrow or remove the permit `{}`, or change the assertion", rule.name),
            );
        }
    }
}

/// A caller that no rule can tell from another one like it.
#[derive(Clone, Debug)]
struct Candidate {
    id: Option<SpiffeId>,
    workload: Option<WorkloadIdx>,
    zone: Option<ZoneIdx>,
}

fn counter_example<'a>(
    policy: &'a Policy,
    never: &NeverDecl,
) -> Option<(&'a Rule, String, &'a str, u16)> {
    let candidates: Vec<_> = candidates(policy)
        .into_iter()
        .filter(|caller| is_meant(policy, never, caller))
        .collect();
    for target in targets(policy, never) {
        for port in ports(target, never) {
            for caller in &candidates {
                if let Some(rule) = permitting(policy, never, caller, target, port) {
                    return Some((rule, describe(policy, caller), &target.name, port));
                }
            }
        }
    }
    None
}

/// The permit through which the caller reaches the target, where no forbid of the whole flow stands before it.
fn permitting<'a>(
    policy: &'a Policy,
    never: &NeverDecl,
    caller: &Candidate,
    target: &'a Workload,
    port: u16,
) -> Option<&'a Rule> {
    let reachable = caller.id.is_some() || target.public_ports.contains(&port);
    let placed = target.zone.is_none() || caller.zone.is_some();
    if !reachable || !placed {
        return None;
    }
    let speaking = || {
        target
            .rules()
            .filter(|entry| entry.covers_port(port))
            .filter_map(|entry| policy.rule(entry.rule))
            .filter(|rule| {
                rule.mode == Mode::Enforce
                    && rule
                        .from
                        .iter()
                        .any(|who| speaks_of(policy, who, caller, rule.effect))
            })
    };
    if speaking().any(Rule::forbids_flow) {
        return None;
    }
    speaking().find(|rule| rule.effect == Effect::Permit && overlaps(&rule.actions, never))
}

fn overlaps(actions: &[ActionPattern], never: &NeverDecl) -> bool {
    never.actions.is_empty()
        || actions.iter().any(|action| {
            never
                .actions
                .iter()
                .any(|never| never.value.may_overlap(action))
        })
}

fn speaks_of(policy: &Policy, who: &Who, caller: &Candidate, effect: Effect) -> bool {
    match who {
        Who::Workload(index) => caller.workload == Some(*index),
        Who::Id(pattern) => caller.id.as_ref().is_some_and(|id| pattern.matches(id)),
        Who::Label { key, value } => match caller.workload.and_then(|index| policy.workload(index))
        {
            Some(workload) => workload
                .labels
                .get(key)
                .map_or(effect == Effect::Forbid, |have| have == value),
            None => effect == Effect::Forbid,
        },
        // A zone nested in another is the longest prefix there; what only a wider zone forbids is not counted as protection.
        Who::Zone(zone) => match effect {
            Effect::Permit => caller.id.is_some() && caller.zone == Some(*zone),
            Effect::Forbid => caller.zone.is_none_or(|place| place == *zone),
        },
        Who::Public => caller.id.is_none(),
        Who::Any => caller.id.is_some(),
    }
}

/// One caller for everything that rules can tell apart.
fn candidates(policy: &Policy) -> Vec<Candidate> {
    let mut callers: Vec<Candidate> = Vec::new();
    let zones: Vec<Option<ZoneIdx>> = (0..policy.zones().iter().count())
        .filter_map(|at| u16::try_from(at).ok().map(|at| Some(ZoneIdx(at))))
        .chain([None])
        .collect();
    for (at, workload) in policy.workloads().iter().enumerate() {
        let index = u32::try_from(at).ok().map(WorkloadIdx);
        let places = workload
            .zone
            .map_or_else(|| zones.clone(), |zone| vec![Some(zone)]);
        callers.extend(places.into_iter().map(|zone| Candidate {
            id: Some(workload.id.clone()),
            workload: index,
            zone,
        }));
    }
    for id in undeclared(policy) {
        callers.extend(zones.iter().map(|zone| Candidate {
            id: Some(id.clone()),
            workload: None,
            zone: *zone,
        }));
    }
    callers.extend(zones.iter().map(|zone| Candidate {
        id: None,
        workload: None,
        zone: *zone,
    }));
    callers
}

/// An undeclared id for every pattern of the document: the exact one, or one below that nothing else names.
fn undeclared(policy: &Policy) -> Vec<SpiffeId> {
    let mut ids = Vec::new();
    let rules = policy.rules.iter().flat_map(|rule| rule.from.iter());
    let patterns = rules.filter_map(|who| match who {
        Who::Id(pattern) => Some(pattern.clone()),
        _ => None,
    });
    let nevers = policy
        .document
        .nevers
        .iter()
        .flat_map(|never| never.from.iter())
        .filter_map(|from| match &from.value {
            Principal::Id(pattern) => Some(pattern.clone()),
            _ => None,
        });
    let stranger = IdPattern::TrustDomain(policy.trust_domain().clone());
    for pattern in patterns.chain(nevers).chain([stranger]) {
        let id = match pattern {
            IdPattern::Exact(id) => Ok(id),
            IdPattern::Below(id) => SpiffeId::parse(&format!("{id}/ztl.undeclared")),
            IdPattern::TrustDomain(domain) => {
                SpiffeId::parse(&format!("spiffe://{domain}/ztl.undeclared"))
            }
        };
        let fresh = id.map(|id| policy.primary_id(&id).into_owned()).ok();
        ids.extend(fresh.filter(|id| policy.workload_with_id(id).is_none()));
    }
    ids.sort();
    ids.dedup();
    ids
}

/// Whether the assertion's `from` means this caller. One who could drop its SVID is meant as `public` too (T11).
fn is_meant(policy: &Policy, never: &NeverDecl, caller: &Candidate) -> bool {
    never.from.iter().any(|from| match &from.value {
        Principal::Workload(name) => {
            let named = policy.by_name.get(name).copied();
            let home = named
                .and_then(|index| policy.workload(index))
                .and_then(|workload| workload.zone);
            caller.workload == named && named.is_some()
                || caller.id.is_none() && (home.is_none() || caller.zone == home)
        }
        Principal::Id(pattern) => caller
            .id
            .as_ref()
            .is_none_or(|id| pattern.matches(id) || pattern.matches(&policy.primary_id(id))),
        Principal::Label { key, value } => {
            match caller.workload.and_then(|index| policy.workload(index)) {
                Some(workload) => workload.labels.get(key) == Some(value),
                None => caller.id.is_none(),
            }
        }
        Principal::Zone(name) => caller
            .zone
            .and_then(|zone| policy.zones().get(zone))
            .is_some_and(|zone| zone.name() == &**name),
        Principal::Public => caller.id.is_none(),
        Principal::Any => true,
    })
}

fn targets<'a>(policy: &'a Policy, never: &NeverDecl) -> Vec<&'a Workload> {
    let zone_name = |workload: &Workload| {
        workload
            .zone
            .and_then(|zone| policy.zones().get(zone))
            .map(|zone| zone.name().to_owned())
    };
    let meant = |workload: &&Workload| {
        never.to.iter().any(|to| match &to.value {
            Target::Workload(name) => workload.name == *name,
            Target::Id(pattern) => pattern.matches(&workload.id),
            Target::Label { key, value } => workload.labels.get(key) == Some(value),
            Target::Zone(name) => zone_name(workload).is_some_and(|zone| zone == **name),
            Target::External(_) => false,
            Target::Any => true,
        })
    };
    policy.workloads().iter().filter(meant).collect()
}

/// Every port of the target that a rule could tell apart and the assertion means.
fn ports(target: &Workload, never: &NeverDecl) -> Vec<u16> {
    let meant = |port: &u16| {
        never.ports.is_empty() || never.ports.iter().any(|range| range.value.contains(*port))
    };
    let named = target
        .rules()
        .flat_map(|entry| entry.ports.iter())
        .flat_map(|range: &PortRange| [range.first, range.last]);
    let asserted = never
        .ports
        .iter()
        .flat_map(|range| [range.value.first, range.value.last]);
    let mut ports: Vec<u16> = target
        .ports
        .iter()
        .chain(&target.public_ports)
        .copied()
        .chain(named)
        .chain(asserted)
        .filter(meant)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn names_are_known(policy: &Policy, never: &NeverDecl, report: &mut Report) -> bool {
    let zone_known = |name: &str| policy.zones().iter().any(|zone| zone.name() == name);
    let label_known = |key: &str, value: &str| {
        policy.workloads().iter().any(|workload| {
            workload
                .labels
                .get(key)
                .is_some_and(|have| **have == *value)
        })
    };
    let mut known = true;
    let mut missing = |span, kind: &str, name: &str| {
        known = false;
        report.error_with_help(
            span,
            format!("there is no {kind} `{name}`"),
            "an assertion about nothing proves nothing",
        );
    };
    for from in &never.from {
        match &from.value {
            Principal::Workload(name) if !policy.by_name.contains_key(name) => {
                missing(from.span, "workload", name)
            }
            Principal::Zone(name) if !zone_known(name) => missing(from.span, "zone", name),
            Principal::Label { key, value } if !label_known(key, value) => {
                missing(from.span, "label", &format!("{key}={value}"))
            }
            _ => {}
        }
    }
    for to in &never.to {
        match &to.value {
            Target::Workload(name) if !policy.by_name.contains_key(name) => {
                missing(to.span, "workload", name)
            }
            Target::Zone(name) if !zone_known(name) => missing(to.span, "zone", name),
            Target::Label { key, value } if !label_known(key, value) => {
                missing(to.span, "label", &format!("{key}={value}"))
            }
            Target::External(name) => {
                missing(to.span, "workload behind the external destination", name)
            }
            _ => {}
        }
    }
    known
}

fn describe(policy: &Policy, caller: &Candidate) -> String {
    let zone = caller
        .zone
        .and_then(|zone| policy.zones().get(zone))
        .map_or_else(String::new, |zone| format!(" from zone `{}`", zone.name()));
    match (
        &caller.id,
        caller.workload.and_then(|index| policy.workload(index)),
    ) {
        (_, Some(workload)) => format!("`{}`{zone}", workload.name),
        (Some(id), None) if id.path().ends_with("/ztl.undeclared") => {
            format!("an undeclared workload such as `{id}`{zone}")
        }
        (Some(id), None) => format!("`{id}`{zone}"),
        (None, None) => format!("a caller without an SVID{zone}"),
    }
}
