//! One hop: what somebody who has taken over a workload can do next.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::analysis::edge::{Edge, Grant, Question, Seen};
use crate::analysis::{caller, place};
use crate::id::SpiffeId;
use crate::policy::{Effect, Policy, RuleIdx, Who, Workload, WorkloadIdx};
use crate::zone::Arrival;

/// What of a rule's requirements counts as protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    /// What the document alone decides: the trust of the caller's zone.
    Known,
    /// Nothing.
    Nothing,
}

/// How somebody shows itself to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Presented {
    /// With the SVID of the workload.
    Svid,
    /// Without one (T11).
    Public,
    /// As anyone, being a party that the target believes (T12).
    Asserted,
}

impl Presented {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Svid => "svid",
            Self::Public => "public",
            Self::Asserted => "asserted",
        }
    }
}

/// What can be done at one port of one target.
pub(crate) struct Hop<'a> {
    pub(crate) target: WorkloadIdx,
    pub(crate) port: u16,
    pub(crate) presented: Presented,
    /// From every place from which the flow is permitted.
    pub(crate) edges: Vec<Edge<'a>>,
}

impl<'a> Hop<'a> {
    pub(crate) fn grants(&self) -> impl Iterator<Item = &Grant<'a>> {
        self.edges.iter().flat_map(|edge| &edge.permits)
    }
}

/// A policy, with whom every workload could call.
pub(crate) struct Mesh<'a> {
    pub(crate) policy: &'a Policy,
    without: HashSet<RuleIdx>,
    counting: Counting,
    arrivals: Vec<Arrival>,
    /// For each workload in document order, the targets of which an enforced permit may speak for it.
    callees: Vec<BTreeSet<WorkloadIdx>>,
    /// Everyone that a party could say that a caller is; only where a target believes one.
    everyone: Vec<Option<SpiffeId>>,
}

impl<'a> Mesh<'a> {
    /// None where an id is too long for another below it.
    pub(crate) fn new(
        policy: &'a Policy,
        without: HashSet<RuleIdx>,
        counting: Counting,
    ) -> Option<Self> {
        let believing = policy
            .workloads()
            .iter()
            .any(|one| !one.asserted_by.is_empty());
        let everyone = if believing {
            caller::callers(&[policy])?
        } else {
            Vec::new()
        };
        let mut mesh = Self {
            policy,
            without,
            counting,
            arrivals: place::arrivals(&[policy]),
            callees: vec![BTreeSet::new(); policy.workloads().len()],
            everyone,
        };
        mesh.index();
        Some(mesh)
    }

    fn index(&mut self) {
        // Few principals stand in many rules.
        let mut known: HashMap<String, Vec<usize>> = HashMap::new();
        for (target, index) in self.policy.workloads().iter().zip(0_u32..) {
            let target_index = WorkloadIdx(index);
            let mut callers = BTreeSet::new();
            for entry in &target.permits {
                let whos = self.policy.rule(entry.rule).into_iter();
                for who in whos.flat_map(|rule| &rule.from) {
                    match who {
                        Who::Workload(index) => callers.extend(usize::try_from(index.0)),
                        who => {
                            let meant = known
                                .entry(format!("{who:?}"))
                                .or_insert_with(|| could_mean(self.policy, who));
                            callers.extend(meant.iter().copied());
                        }
                    }
                }
            }
            for party in &target.asserted_by {
                let named = self.policy.workload_named(party);
                callers.extend(named.and_then(|(index, _)| usize::try_from(index.0).ok()));
            }
            for at in callers {
                if let Some(callees) = self.callees.get_mut(at) {
                    callees.insert(target_index);
                }
            }
        }
    }

    /// What can be done with a workload that was taken over.
    pub(crate) fn hops_of(&self, workload: WorkloadIdx) -> Vec<Hop<'a>> {
        let at = usize::try_from(workload.0).ok();
        let callees = at.and_then(|at| self.callees.get(at));
        let Some((taken, callees)) = self.policy.workload(workload).zip(callees) else {
            return Vec::new();
        };
        let places = self.places_of(taken);
        let mut hops = Vec::new();
        for index in callees.iter().filter(|index| **index != workload) {
            let Some(target) = self.policy.workload(*index) else {
                continue;
            };
            hops.extend(self.hops(
                target,
                *index,
                Presented::Svid,
                &[Some(taken.id.clone())],
                &places,
            ));
            hops.extend(self.hops(target, *index, Presented::Public, &[None], &places));
            if target.is_asserted_by(&taken.name) {
                hops.extend(self.hops(
                    target,
                    *index,
                    Presented::Asserted,
                    &self.everyone,
                    &places,
                ));
            }
        }
        hops
    }

    /// What a caller can do that was not declared, or shows nothing.
    pub(crate) fn hops_of_stranger(&self, id: Option<&SpiffeId>, arrival: Arrival) -> Vec<Hop<'a>> {
        let presented = id.map_or(Presented::Public, |_| Presented::Svid);
        let targets = self
            .policy
            .workloads()
            .iter()
            .zip((0_u32..).map(WorkloadIdx));
        targets
            .flat_map(|(target, index)| {
                self.hops(target, index, presented, &[id.cloned()], &[arrival])
            })
            .collect()
    }

    /// Where a workload's connections come from.
    pub(crate) fn places_of(&self, workload: &Workload) -> Vec<Arrival> {
        let zones = self.policy.zones();
        let here = |arrival: &&Arrival| {
            workload.zone.is_none() || zones.index_of(arrival) == workload.zone
        };
        self.arrivals.iter().filter(here).copied().collect()
    }

    /// Every place.
    pub(crate) fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }

    fn hops(
        &self,
        target: &'a Workload,
        index: WorkloadIdx,
        presented: Presented,
        callers: &[Option<SpiffeId>],
        places: &[Arrival],
    ) -> Vec<Hop<'a>> {
        let public = presented == Presented::Public;
        let declared: BTreeSet<u16> = match public {
            true => target.public_ports.iter().copied().collect(),
            false => target
                .ports
                .iter()
                .chain(&target.public_ports)
                .copied()
                .collect(),
        };
        let seen: Vec<_> = callers
            .iter()
            .filter(|id| presented != Presented::Asserted || id.is_some())
            .filter_map(|id| Seen::of(self.policy, id.as_ref()))
            .collect();
        let mut hops = BTreeMap::new();
        for port in declared {
            for caller in &seen {
                for arrival in places {
                    let edge = Question {
                        policy: self.policy,
                        target,
                        port,
                        caller,
                        arrival: *arrival,
                        without: &self.without,
                    }
                    .edge_counting(self.counting == Counting::Known);
                    let Some(edge) = edge.filter(|edge| !edge.permits.is_empty()) else {
                        continue;
                    };
                    let hop = hops.entry(port).or_insert_with(|| Hop {
                        target: index,
                        port,
                        presented,
                        edges: Vec::new(),
                    });
                    hop.edges.push(edge);
                }
            }
        }
        hops.into_values().collect()
    }
}

/// The workloads that a permit's principal could mean, from some place.
fn could_mean(policy: &Policy, who: &Who) -> Vec<usize> {
    let meant = |workload: &Workload| match who {
        Who::Zone(zone) => workload.zone.is_none_or(|home| home == *zone),
        // Whoever has an SVID can leave it at home.
        Who::Public => true,
        who => {
            let seen = Seen {
                id: Some(workload.id.clone()),
                workload: policy.workload_with_id(&workload.id),
            };
            who.speaks_of(
                &seen.from(&const { Arrival::unknown() }),
                Effect::Permit,
                policy.zones(),
            )
            .counts_for(Effect::Permit)
        }
    };
    let workloads = policy.workloads().iter().enumerate();
    workloads
        .filter(|(_, workload)| meant(workload))
        .map(|(at, _)| at)
        .collect()
}
