//! `[[never]]`: an assertion about the whole document, proved when it is loaded.
//!
//! Rules compare identities, zones and ports with what the document names, so callers that no rule tells apart need be tried
//! only once. The proof tries every declared workload, one undeclared workload for each pattern of the document, and a caller
//! without an SVID, each from every place it could come from, and asks the permits. Whoever is meant and believed by a target
//! (`asserted_by`) is tried as everyone who may stand where it stands (T12). Requirements are not counted as
//! protection, and neither are forbids that are conditional, narrowed to some actions, in shadow or off (T10).
//!
//! Outside the mesh nobody but the caller's own guard judges. There it is proved what guards let out: of every declared workload
//! that is meant, as it sees itself; and over several hops of every one that can be had to call.

mod call;
mod caller;
mod names;
mod witness;

use std::collections::HashSet;

use serde_json::Value;

use crate::analysis::{Chains, Counting, Mesh, Start, Step, Way};
use crate::zone::Arrival;

use self::call::{Counter, overlaps};
use self::caller::{Candidate, Tries, Unprovable, at_home, candidates, describe, is_meant};
use self::witness::Witnesses;
use super::Policy;
use super::diagnostic::Report;
use super::document::{NeverDecl, Target};
use super::external::External;
use super::limits::{MAX_HOPS_TRIED, MAX_TRIED};
use super::workload::Workload;

pub(super) fn prove(policy: &Policy, report: &mut Report) {
    prove_within(policy, MAX_TRIED, MAX_HOPS_TRIED, report);
}

/// The same, with so many callers tried at most, and so many calls for those that are transitive.
fn prove_within(policy: &Policy, tries: usize, hops: usize, report: &mut Report) {
    if policy.document.nevers.is_empty() {
        return;
    }
    let everyone = match candidates(policy) {
        Ok(everyone) => everyone,
        Err(why) => return refuse(policy, why, report),
    };
    let at_home = at_home(policy);
    let mut chains = None;
    let mut witnesses = Witnesses::of(policy);
    let tries = Tries::new(tries);
    for never in &policy.document.nevers {
        if !names::are_known(policy, never, &at_home, report) {
            continue;
        }
        let inside = call::inside(policy, never, &everyone, &tries);
        let found = inside.or_else(|| call::outward(policy, never, &at_home, &tries));
        if tries.are_spent() {
            return refuse(policy, Unprovable::Callers, report);
        }
        if let Some(found) = found {
            let witness = witnesses.find(never, &found);
            let Counter {
                rule,
                called,
                aim,
                port,
                ..
            } = found;
            let mut help = format!(
                "narrow or remove the permit `{}`, or change the assertion",
                rule.name
            );
            if let Some(witness) = witness {
                let witness = Value::Object(witness);
                help.push_str(&format!(
                    "; without the assertion this is permitted: {witness}"
                ));
            }
            report.error_with_help(
                never.name.span,
                format!(
                    "`{}` does not hold: the permit `{}` lets {called} reach `{}` on port {port}",
                    never.name.value,
                    rule.name,
                    aim.name()
                ),
                help,
            );
        } else if never.transitive {
            let mesh = || Mesh::new(policy, HashSet::new(), Counting::Nothing, hops);
            let mesh = || mesh().map(Chains::new);
            let Some(chains) = chains.get_or_insert_with(mesh) else {
                return refuse(policy, Unprovable::LongId, report);
            };
            let found = chain(policy, never, &everyone, chains);
            if chains.is_spent() {
                return refuse(policy, Unprovable::Hops, report);
            }
            if let Some(hops) = found {
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

/// Assertions that cannot be proved refuse the document.
fn refuse(policy: &Policy, why: Unprovable, report: &mut Report) {
    let (why, help) = match why {
        Unprovable::LongId => (
            "an id of the document is too long for another below it",
            "choose shorter ids",
        ),
        Unprovable::Callers => (
            "there are too many callers to try, for a workload without a zone, and one that is not declared, could come from every zone",
            "give workloads a `zone`, or write fewer zones, assertions or `asserted_by`",
        ),
        Unprovable::Hops => (
            "there are too many hops to try those that are transitive",
            "give workloads a `zone`, or write narrower permits, or fewer zones or transitive assertions",
        ),
    };
    let first = policy.document.nevers.first();
    report.error_with_help(
        first.map(|never| never.span).unwrap_or_default(),
        format!("the assertions cannot be proved: {why}"),
        help,
    );
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
    let covers = |port: u16| {
        let mut ports = never.ports.iter();
        never.ports.is_empty() || ports.any(|range| range.value.contains(port))
    };
    let goal = |step: &Step<'_>| {
        let target = policy.workload(step.target)?;
        let mut grants = step.grants.iter();
        let found = grants.find(|(_, pattern)| overlaps(core::slice::from_ref(*pattern), never));
        found
            .filter(|_| covers(step.port) && meant.contains(target.name()))
            .map(|(rule, _)| *rule)
    };
    let meant_outside: HashSet<_> = outside(policy, never).map(External::name).collect();
    let out = |way: &Way<'_>| {
        let mut grants = way.grants.iter();
        let found = grants.find(|(_, pattern)| overlaps(core::slice::from_ref(*pattern), never));
        found
            .filter(|_| covers(way.port) && meant_outside.contains(way.external.name()))
            .map(|(rule, _)| *rule)
    };
    let links = chains.shortest(starts, goal, out)?;
    let links = links.iter().map(|link| {
        let rule = policy.rule(link.rule).map_or("", |rule| &rule.name);
        format!(
            "{} reaches `{}` on port {} (permit `{rule}`)",
            link.from, link.to, link.port
        )
    });
    Some(links.collect::<Vec<_>>().join(", "))
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

/// The destinations outside the mesh that an assertion means: as in a forbid, `any` is more than every workload.
fn outside<'a>(policy: &'a Policy, never: &NeverDecl) -> impl Iterator<Item = &'a External> {
    let meant = |external: &&External| {
        never.to.iter().any(|to| match &to.value {
            Target::External(name) => external.name == *name,
            Target::Any => true,
            _ => false,
        })
    };
    policy.externals().iter().filter(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of an assertion that holds where only so much may be tried.
    fn said(tries: usize, hops: usize) -> String {
        let mut text = "schema = 1\ntrust_domain = 'td'\n".to_owned();
        for at in 0..8 {
            text.push_str(&format!(
                "[workloads.w{at}]\nid = 'spiffe://td/w{at}'\nports = 80\nasserted_by = 'w{at}'\n"
            ));
        }
        text.push_str(
            "[[permit]]\nfrom = 'any'\nto = 'any'\nactions = 'GET /health'\n\
             [[never]]\nfrom = 'w0'\nto = 'w1'\nactions = 'GET /secret'\ntransitive = true\n",
        );
        let policy = Policy::from_toml(&text).expect("it holds");
        let mut report = Report::default();
        prove_within(&policy, tries, hops, &mut report);
        if report.is_empty() {
            return String::new();
        }
        report.into_error(None, &text).to_string()
    }

    #[test]
    fn t10_an_assertion_that_cannot_be_tried_whole_refuses_the_document() {
        assert_eq!(said(10_000, 10_000), "");
        // Not to the end, wherever it ends.
        for tries in 0..12 {
            let callers = said(tries, 10_000);
            assert!(
                callers.contains("too many callers to try"),
                "{tries}: {callers}"
            );
        }
        for hops in 0..=100 {
            let hops = said(10_000, hops);
            assert!(hops.contains("too many hops to try"), "{hops}");
        }
    }
}
