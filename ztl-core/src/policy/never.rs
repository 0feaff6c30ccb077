//! `[[never]]`: an assertion about the whole document, proved when it is loaded.
//!
//! Rules compare identities, zones and ports with what the document names, so callers that no rule tells apart need be tried
//! only once. The proof tries every declared workload, one undeclared workload for each pattern of the document, and a caller
//! without an SVID, each from every place it could come from, and asks the permits. Whoever is meant and believed by a target
//! (`asserted_by`) is tried as everyone who may stand where it stands (T12). Requirements are not counted as
//! protection, and neither are forbids that are conditional, narrowed to some actions, in shadow or off (T10).

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::analysis::{Chains, Counting, Hop, Mesh, Start, undeclared};
use crate::id::{IdPattern, SpiffeId};
use crate::zone::{Arrival, ZoneIdx};

use super::Policy;
use super::diagnostic::Report;
use super::document::{Effect, Mode, NeverDecl, PortRange, Principal, Target};
use super::pattern::ActionPattern;
use super::rule::{Rule, Who};
use super::workload::{Workload, WorkloadIdx};

pub(super) fn prove(policy: &Policy, report: &mut Report) {
    if policy.document.nevers.is_empty() {
        return;
    }
    let Some(everyone) = candidates(policy) else {
        too_long(policy, report);
        return;
    };
    let mut chains = None;
    for never in &policy.document.nevers {
        if !names_are_known(policy, never, report) {
            continue;
        }
        if let Some((rule, caller, target, port)) = counter_example(policy, never, &everyone) {
            report.error_with_help(
                never.name.span,
                format!("`{}` does not hold: the permit `{}` lets {caller} reach `{target}` on port {port}", never.name.value, rule.name),
                format!("narrow or remove the permit `{}`, or change the assertion", rule.name),
            );
        } else if never.transitive {
            let mesh = || Mesh::new(policy, HashSet::new(), Counting::Nothing).map(Chains::new);
            let Some(chains) = chains.get_or_insert_with(mesh) else {
                too_long(policy, report);
                return;
            };
            if let Some(hops) = chain(policy, never, &everyone, chains) {
                report.error_with_help(
                    never.name.span,
                    format!(
                        "`{}` does not hold over several hops: {hops}",
                        never.name.value
                    ),
                    "cut the chain at one of these permits, or change the assertion",
                );
            }
        }
    }
}

fn too_long(policy: &Policy, report: &mut Report) {
    let first = policy.document.nevers.first();
    report.error_with_help(
        first.map(|never| never.span).unwrap_or_default(),
        "the assertions cannot be proved: an id of the document is too long for another below it",
        "choose shorter ids",
    );
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
    everyone: &[Candidate],
) -> Option<(&'a Rule, String, &'a str, u16)> {
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
    // By where parties stand that a target believes: few tell targets apart.
    let mut by_places: HashMap<BTreeSet<Option<ZoneIdx>>, Meant<'_, '_>> = HashMap::new();
    for target in targets(policy, never) {
        let believed = believed(policy, target, &parties);
        let meant = by_places
            .entry(believed)
            .or_insert_with_key(|places| Meant::new(policy, &meant, everyone, places));
        for port in ports(target, never) {
            let speaking: Vec<_> = speaking(policy, target, port).collect();
            let permits: Vec<_> = speaking
                .iter()
                .filter(|rule| rule.effect == Effect::Permit && overlaps(&rule.actions, never))
                .collect();
            if permits.is_empty() {
                continue;
            }
            let forbids: Vec<_> = speaking.iter().filter(|rule| rule.forbids_flow()).collect();
            let names = |rule: &Rule, caller: &Candidate| {
                rule.from
                    .iter()
                    .any(|who| speaks_of(policy, who, caller, rule.effect))
            };
            for rule in permits {
                for who in &rule.from {
                    for caller in meant.permitted_by(who) {
                        let reachable = caller.id.is_some() || target.public_ports.contains(&port);
                        let placed = target.zone.is_none() || caller.zone.is_some();
                        if reachable && placed && !forbids.iter().any(|rule| names(rule, caller)) {
                            let mut called = describe(policy, caller);
                            if !is_meant(policy, never, caller) {
                                called.push_str(" (as whom somebody meant may come, being believed by the target's `asserted_by`)");
                            }
                            return Some((*rule, called, &target.name, port));
                        }
                    }
                }
            }
        }
    }
    None
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

/// The callers that an assertion means, found by whom a permit speaks of: and as whom they could come, being believed.
struct Meant<'p, 'e> {
    policy: &'p Policy,
    all: Vec<&'e Candidate>,
    by_workload: HashMap<WorkloadIdx, Vec<&'e Candidate>>,
    /// What other principals came to: few stand in many rules.
    known: HashMap<String, Vec<&'e Candidate>>,
}

impl<'p, 'e> Meant<'p, 'e> {
    /// Who is meant, and everyone with an SVID at the places where one stands who is believed.
    fn new(
        policy: &'p Policy,
        meant: &[&'e Candidate],
        everyone: &'e [Candidate],
        believed: &BTreeSet<Option<ZoneIdx>>,
    ) -> Self {
        let mut all = meant.to_vec();
        if !believed.is_empty() {
            let stands =
                |caller: &&Candidate| caller.id.is_some() && believed.contains(&caller.zone);
            all.extend(everyone.iter().filter(stands));
        }
        let mut by_workload: HashMap<_, Vec<_>> = HashMap::new();
        for caller in &all {
            if let Some(index) = caller.workload {
                by_workload.entry(index).or_default().push(*caller);
            }
        }
        Self {
            policy,
            all,
            by_workload,
            known: HashMap::new(),
        }
    }

    fn permitted_by(&mut self, who: &Who) -> &[&'e Candidate] {
        if let Who::Workload(index) = who {
            return self.by_workload.get(index).map_or(&[], Vec::as_slice);
        }
        let (policy, all) = (self.policy, &self.all);
        let speaks = |caller: &&&Candidate| speaks_of(policy, who, caller, Effect::Permit);
        self.known
            .entry(format!("{who:?}"))
            .or_insert_with(|| all.iter().filter(speaks).copied().collect())
    }
}

/// How several hops get to what the assertion rules out.
fn chain(
    policy: &Policy,
    never: &NeverDecl,
    everyone: &[Candidate],
    chains: &mut Chains<'_>,
) -> Option<String> {
    let callers = everyone
        .iter()
        .filter(|caller| is_meant(policy, never, caller));
    let mut starts = Vec::new();
    for caller in callers {
        match caller.workload {
            Some(index) => starts.push(Start::Taken(index)),
            None => {
                let here = |arrival: &&Arrival| policy.zones().index_of(arrival) == caller.zone;
                let places = chains.arrivals().iter().filter(here);
                starts.extend(places.map(|arrival| Start::Stranger {
                    id: caller.id.clone(),
                    arrival: *arrival,
                    called: describe(policy, caller),
                }));
            }
        }
    }
    let meant: HashSet<_> = targets(policy, never)
        .iter()
        .map(|target| target.name())
        .collect();
    let goal = |hop: &Hop<'_>| {
        let target = policy.workload(hop.target)?;
        let port = never.ports.is_empty()
            || never
                .ports
                .iter()
                .any(|range| range.value.contains(hop.port));
        let mut grants = hop.grants();
        let found = grants.find(|grant| overlaps(core::slice::from_ref(grant.pattern), never));
        found
            .filter(|_| port && meant.contains(target.name()))
            .map(|grant| grant.rule)
    };
    let links = chains.shortest(starts, goal)?;
    let links = links.iter().map(|link| {
        let rule = policy.rule(link.rule).map_or("", |rule| &rule.name);
        format!(
            "{} reaches `{}` on port {} (permit `{rule}`)",
            link.from, link.to, link.port
        )
    });
    Some(links.collect::<Vec<_>>().join(", "))
}

/// The enforced rules that speak of a port of the target.
fn speaking<'a>(
    policy: &'a Policy,
    target: &'a Workload,
    port: u16,
) -> impl Iterator<Item = &'a Rule> {
    target
        .rules()
        .filter(move |entry| entry.covers_port(port))
        .filter_map(|entry| policy.rule(entry.rule))
        .filter(|rule| rule.mode == Mode::Enforce)
}

fn overlaps(actions: &[ActionPattern], never: &NeverDecl) -> bool {
    never.actions.is_empty()
        || actions.iter().any(|action| {
            never
                .actions
                .iter()
                .any(|never| never.value.forbids_some_of(action))
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

/// One caller for everything that rules can tell apart. None where one cannot be made.
fn candidates(policy: &Policy) -> Option<Vec<Candidate>> {
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
    for id in undeclared(&[policy], &asserted(policy))? {
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
    Some(callers)
}

/// What the assertions name beside the rules.
fn asserted(policy: &Policy) -> Vec<IdPattern> {
    let nevers = policy.document.nevers.iter();
    let named = nevers.flat_map(|never| never.from.iter());
    named
        .filter_map(|from| match &from.value {
            Principal::Id(pattern) => policy.primary_pattern(pattern),
            _ => None,
        })
        .collect()
}

/// Whether the assertion's `from` means this caller. One who could drop its SVID is meant as `public` too (T11).
fn is_meant(policy: &Policy, never: &NeverDecl, caller: &Candidate) -> bool {
    never.from.iter().any(|from| match &from.value {
        Principal::Workload(name) => {
            let named = policy.workload_named(name);
            let home = named.and_then(|(_, workload)| workload.zone);
            caller.workload.is_some() && caller.workload == named.map(|(index, _)| index)
                || caller.id.is_none() && (home.is_none() || caller.zone == home)
        }
        Principal::Id(pattern) => {
            let pattern = policy.primary_pattern(pattern);
            let meant = |id: &SpiffeId| pattern.as_ref().is_none_or(|pattern| pattern.matches(id));
            caller.id.as_ref().is_none_or(meant)
        }
        Principal::Label { key, value } => {
            match caller.workload.and_then(|index| policy.workload(index)) {
                Some(workload) => workload.labels.get(key) == Some(value),
                None => caller.id.is_none(),
            }
        }
        // As a forbid would: an unknown place may be there, and a place within it, or around it, overlaps it.
        Principal::Zone(name) => match caller.zone {
            None => true,
            Some(place) => policy
                .zones()
                .named(name)
                .is_none_or(|zone| policy.zones().overlap(zone, place)),
        },
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
            Target::Id(pattern) => policy
                .primary_pattern(pattern)
                .is_none_or(|pattern| pattern.matches(&workload.id)),
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
        .flat_map(ends);
    let asserted = never.ports.iter().flat_map(|range| ends(&range.value));
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

/// The ends of a range, and what lies right beside them.
fn ends(range: &PortRange) -> [u16; 4] {
    [
        range.first.saturating_sub(1).max(1),
        range.first,
        range.last,
        range.last.saturating_add(1),
    ]
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
            Principal::Workload(name) if policy.workload_by_name(name).is_none() => {
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
            Target::Workload(name) if policy.workload_by_name(name).is_none() => {
                missing(to.span, "workload", name)
            }
            Target::Zone(name) if !zone_known(name) => missing(to.span, "zone", name),
            Target::Label { key, value } if !label_known(key, value) => {
                missing(to.span, "label", &format!("{key}={value}"))
            }
            Target::Id(pattern) if targets(policy, never).is_empty() => {
                missing(to.span, "declared workload", &pattern.to_string())
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
        (Some(id), None) => format!("an undeclared workload such as `{id}`{zone}"),
        (None, None) => format!("a caller without an SVID{zone}"),
    }
}
