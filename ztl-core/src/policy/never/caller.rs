//! The callers that an assertion is tried with.

use core::cell::Cell;
use std::collections::{BTreeSet, HashMap};

use crate::analysis::undeclared;
use crate::id::{IdPattern, SpiffeId};
use crate::policy::Policy;
use crate::policy::document::{Effect, NeverDecl, Principal};
use crate::policy::limits::{MAX_CALLERS, MAX_TRIED};
use crate::policy::rule::Who;
use crate::policy::workload::{Workload, WorkloadIdx};
use crate::zone::ZoneIdx;

/// Why assertions cannot be proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unprovable {
    /// An id is too long for another below it.
    LongId,
    /// There are too many callers.
    Callers,
    /// There are too many hops.
    Hops,
}

/// How many more callers may be tried over all assertions.
pub(super) struct Tries(Cell<usize>);

impl Tries {
    pub(super) const fn new(tries: usize) -> Self {
        Self(Cell::new(tries))
    }

    /// Whether so many may be tried, which are taken from what is left.
    pub(super) fn may(&self, tries: usize) -> bool {
        self.0.set(self.0.get().saturating_sub(tries));
        !self.are_spent()
    }

    /// No more may be tried: that nobody was found says nothing, then.
    pub(super) const fn are_spent(&self) -> bool {
        self.0.get() == 0
    }
}

/// A caller that no rule can tell from another one like it.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) id: Option<SpiffeId>,
    pub(super) workload: Option<WorkloadIdx>,
    pub(super) zone: Option<ZoneIdx>,
}

/// The callers that an assertion means, found by whom a permit speaks of: and as whom they could come, being believed.
pub(super) struct Meant<'p, 'e> {
    policy: &'p Policy,
    tries: &'p Tries,
    all: Vec<&'e Candidate>,
    by_workload: HashMap<WorkloadIdx, Vec<&'e Candidate>>,
    /// What other principals came to: few stand in many rules.
    known: HashMap<String, Vec<&'e Candidate>>,
}

impl<'p, 'e> Meant<'p, 'e> {
    /// Who is meant, and everyone with an SVID at the places where one stands who is believed.
    pub(super) fn new(
        policy: &'p Policy,
        tries: &'p Tries,
        meant: &[&'e Candidate],
        everyone: &'e [Candidate],
        believed: &BTreeSet<Option<ZoneIdx>>,
    ) -> Self {
        let mut all = Vec::new();
        if tries.may(meant.len()) {
            all.extend_from_slice(meant);
        }
        if !believed.is_empty() && tries.may(everyone.len()) {
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
            tries,
            all,
            by_workload,
            known: HashMap::new(),
        }
    }

    pub(super) const fn tries(&self) -> &'p Tries {
        self.tries
    }

    pub(super) fn permitted_by(&mut self, who: &Who) -> &[&'e Candidate] {
        if let Who::Workload(index) = who {
            return self.by_workload.get(index).map_or(&[], Vec::as_slice);
        }
        let (policy, tries, all) = (self.policy, self.tries, &self.all);
        let speaks = |caller: &&&Candidate| speaks_of(policy, who, caller, Effect::Permit);
        self.known.entry(format!("{who:?}")).or_insert_with(|| {
            let may = tries.may(all.len());
            let all = all.iter().filter(|_| may);
            all.filter(speaks).copied().collect()
        })
    }
}

pub(super) fn speaks_of(policy: &Policy, who: &Who, caller: &Candidate, effect: Effect) -> bool {
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
pub(super) fn candidates(policy: &Policy) -> Result<Vec<Candidate>, Unprovable> {
    let undeclared = undeclared(&[policy], &asserted(policy)).ok_or(Unprovable::LongId)?;
    let unplaced = |workload: &&Workload| workload.zone.is_none();
    let unplaced = policy.workloads().iter().filter(unplaced).count();
    let everywhere = unplaced + undeclared.len() + 1;
    let places = policy.zones().iter().count() + 1;
    let count = everywhere
        .saturating_mul(places)
        .saturating_add(policy.workloads().len());
    if count > MAX_CALLERS || count.saturating_mul(policy.document().nevers.len()) > MAX_TRIED {
        return Err(Unprovable::Callers);
    }
    let mut callers: Vec<Candidate> = Vec::with_capacity(count);
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
    for id in undeclared {
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
    Ok(callers)
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

/// The declared workloads, each as it sees itself: they alone call outside the mesh.
pub(super) fn at_home(policy: &Policy) -> Vec<Candidate> {
    let workloads = policy.workloads().iter();
    let numbered = workloads.zip((0_u32..).map(WorkloadIdx));
    let at_home = numbered.map(|(workload, index)| Candidate {
        id: Some(workload.id.clone()),
        workload: Some(index),
        zone: workload.zone,
    });
    at_home.collect()
}

/// Whether the assertion's `from` means this caller. One who could drop its SVID is meant as `public` too (T11).
pub(super) fn is_meant(policy: &Policy, never: &NeverDecl, caller: &Candidate) -> bool {
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

pub(super) fn describe(policy: &Policy, caller: &Candidate) -> String {
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
