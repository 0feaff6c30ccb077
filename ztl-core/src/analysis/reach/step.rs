//! One hop: what somebody who has taken over a workload can do next.

use core::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::analysis::edge::{Edge, Grant, Question, Seen};
use crate::analysis::outward::{Exit, Outward};
use crate::analysis::{caller, place};
use crate::id::SpiffeId;
use crate::policy::{Aim, Effect, Policy, RuleIdx, Who, Workload, WorkloadIdx};
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

    fn has(&self, one: &Grant<'_>) -> bool {
        let same =
            |grant: &Grant<'_>| grant.rule == one.rule && core::ptr::eq(grant.pattern, one.pattern);
        self.grants().any(same)
    }
}

/// A policy, with whom every workload could call.
pub(crate) struct Mesh<'a> {
    pub(crate) policy: &'a Policy,
    without: HashSet<RuleIdx>,
    counting: Counting,
    arrivals: Vec<Arrival>,
    /// For each workload in document order, the targets of which an enforced permit may speak for it, those outside the mesh
    /// behind the workloads.
    callees: Vec<BTreeSet<WorkloadIdx>>,
    /// Everyone that a party could say that a caller is; only where a target believes one.
    everyone: Vec<Option<SpiffeId>>,
    /// How many more calls may be tried.
    left: Cell<usize>,
}

impl<'a> Mesh<'a> {
    /// In which so many calls may be tried, who could call whom among them. None where an id is too long for another below it.
    pub(crate) fn new(
        policy: &'a Policy,
        without: HashSet<RuleIdx>,
        counting: Counting,
        tries: usize,
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
            left: Cell::new(tries),
        };
        mesh.index();
        Some(mesh)
    }

    /// Whether no more may be tried: what is found is not all, then.
    pub(crate) const fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    fn may_try(&self, calls: usize) -> bool {
        self.left.set(self.left.get().saturating_sub(calls));
        !self.is_spent()
    }

    fn index(&mut self) {
        // Few principals stand in many rules.
        let mut known: HashMap<String, Vec<usize>> = HashMap::new();
        let targets = self.policy.workloads().iter().map(Aim::Workload);
        let targets = targets.chain(self.policy.externals().iter().map(Aim::External));
        for (target, index) in targets.zip(0_u32..) {
            let target_index = WorkloadIdx(index);
            let mut callers = BTreeSet::new();
            for entry in target.permits() {
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
            let believed = target.workload().map(|target| &target.asserted_by);
            for party in believed.into_iter().flatten() {
                let named = self.policy.workload_named(party);
                callers.extend(named.and_then(|(index, _)| usize::try_from(index.0).ok()));
            }
            if !self.may_try(callers.len()) {
                return;
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
        let others = callees.iter().filter(|index| **index != workload);
        let places = self.places_of(taken);
        others
            .flat_map(|index| self.hops_between(taken, *index, &places))
            .collect()
    }

    /// The same, of one target.
    fn hops_between(
        &self,
        taken: &Workload,
        index: WorkloadIdx,
        places: &[Arrival],
    ) -> Vec<Hop<'a>> {
        let Some(target) = self.policy.workload(index) else {
            return Vec::new();
        };
        let own = [Some(taken.id.clone())];
        let mut hops = self.hops(target, index, Presented::Svid, &own, places);
        hops.extend(self.hops(target, index, Presented::Public, &[None], places));
        if target.is_asserted_by(&taken.name) {
            let (shown, everyone) = (Presented::Asserted, &self.everyone);
            hops.extend(self.hops(target, index, shown, everyone, places));
        }
        hops
    }

    /// What can be done at a workload with another that was taken over.
    pub(crate) fn hops_to(&self, target: WorkloadIdx, taken: WorkloadIdx) -> Vec<Hop<'a>> {
        match self.policy.workload(taken) {
            Some(one) => self.hops_between(one, target, &self.places_of(one)),
            None => Vec::new(),
        }
    }

    /// What a workload's own guard lets out of the mesh.
    pub(crate) fn exits_of(&self, workload: WorkloadIdx) -> Vec<Exit<'a>> {
        let at = usize::try_from(workload.0).ok();
        let callees = at.and_then(|at| self.callees.get(at));
        let Some((me, callees)) = self.policy.workload(workload).zip(callees) else {
            return Vec::new();
        };
        let outside = u32::try_from(self.policy.workloads().len()).map(WorkloadIdx);
        let outside = outside.into_iter().flat_map(|first| callees.range(first..));
        let outside = outside.filter_map(|index| match self.policy.aim(*index)? {
            Aim::External(external) => Some(external),
            Aim::Workload(_) => None,
        });
        let outside = outside.take_while(|external| self.may_try(external.ports.len()));
        let exits = outside.flat_map(|external| {
            let outward = Outward {
                policy: self.policy,
                external,
                me: (workload, me),
                without: &self.without,
            };
            outward.exits().collect::<Vec<_>>()
        });
        exits.collect()
    }

    /// By target, the workloads of which an enforced permit may speak there.
    pub(crate) fn callers(&self) -> HashMap<WorkloadIdx, Vec<WorkloadIdx>> {
        let mut callers: HashMap<_, Vec<_>> = HashMap::new();
        for (callees, index) in self.callees.iter().zip((0_u32..).map(WorkloadIdx)) {
            for target in callees.iter().filter(|target| **target != index) {
                callers.entry(*target).or_default().push(index);
            }
        }
        callers
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
                    if !self.may_try(1) {
                        return Vec::new();
                    }
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
                    // Where nothing is asked beside, one of several places that grant the same is enough.
                    let counts = self.counting == Counting::Known;
                    if counts || !edge.permits.iter().all(|grant| hop.has(grant)) {
                        hop.edges.push(edge);
                    }
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
