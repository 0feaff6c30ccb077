//! What is reached outside the mesh, and who reaches it.
//!
//! There only the guard of the workload that calls judges. So what is told is what guards let out: of the workload itself, and
//! of all that can be had to call. Who skips its own guard is held by the network alone.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::step::Mesh;
use super::walk::uses;
use super::{Use, texts};
use crate::analysis::outward::Exit;
use crate::policy::{External, Policy, WorkloadIdx};

/// What the guard of one workload lets out to one port of a destination outside the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReachExit {
    /// Which hop this is: 1 from the start.
    pub hop: usize,
    /// Who calls.
    pub from: Arc<str>,
    /// The name of the destination, without `external:`.
    pub to: Arc<str>,
    /// The hosts that it stands for.
    pub hosts: Vec<Arc<str>>,
    /// On which port.
    pub port: u16,
    /// Whether who calls is reached with nothing but what was taken over.
    pub freely: bool,
    /// What it can ask for, by rule. Nothing is required outside the mesh.
    pub uses: Vec<Use>,
}

impl ReachExit {
    /// None where forbids take all of it.
    pub(super) fn of(
        policy: &Policy,
        from: Arc<str>,
        hop: usize,
        freely: bool,
        exit: &Exit<'_>,
    ) -> Option<Self> {
        let uses = uses(policy, core::slice::from_ref(&exit.edge));
        (!uses.is_empty()).then(|| Self {
            hop,
            from,
            to: Arc::clone(&exit.external.name),
            hosts: exit.external.hosts.clone(),
            port: exit.port,
            freely,
            uses,
        })
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "hop": self.hop,
            "from": &*self.from,
            "to": format!("external:{}", self.to),
            "hosts": texts(&self.hosts),
            "port": self.port,
            "freely": self.freely,
            "uses": self.uses.iter().map(Use::to_json).collect::<Value>(),
        })
    }
}

/// Who reaches a destination outside the mesh.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReachedBy {
    /// Its name, without `external:`.
    pub external: Arc<str>,
    /// The hosts that it stands for.
    pub hosts: Vec<Arc<str>>,
    /// Every workload with which it can be reached, the nearest first and each once.
    pub callers: Vec<ReachedFrom>,
    /// What the guards of the nearest let out.
    pub exits: Vec<ReachExit>,
}

/// A workload with which a destination outside the mesh can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReachedFrom {
    /// Its name.
    pub workload: Arc<str>,
    /// After how many hops at the least: 1 where its own guard lets it out.
    pub hops: usize,
    /// Whom it calls on the shortest way there; none where its own guard lets it out.
    pub over: Option<Arc<str>>,
    /// Whether nothing is required on some way there.
    pub freely: bool,
}

impl ReachedBy {
    /// As documented in docs/analysis.md.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let callers = self.callers.iter().map(|one| {
            json!({
                "workload": &*one.workload,
                "hops": one.hops,
                "over": one.over.as_deref(),
                "freely": one.freely,
            })
        });
        json!({
            "start": format!("external:{}", self.external),
            "hosts": texts(&self.hosts),
            "callers": callers.collect::<Value>(),
            "exits": self.exits.iter().map(ReachExit::to_json).collect::<Value>(),
        })
    }
}

/// Backwards, hop by hop, from those whose guards let them out.
pub(super) fn walk_back(
    mesh: &Mesh<'_>,
    (target, external): (WorkloadIdx, &External),
    most: usize,
) -> ReachedBy {
    let policy = mesh.policy;
    let callers = mesh.callers();
    let mut found = ReachedBy {
        external: Arc::clone(&external.name),
        hosts: external.hosts.clone(),
        callers: Vec::new(),
        exits: Vec::new(),
    };
    // Hops, and over whom.
    let mut known: BTreeMap<WorkloadIdx, (usize, Option<WorkloadIdx>)> = BTreeMap::new();
    let (mut order, mut queue) = (Vec::new(), VecDeque::new());
    let direct = callers.get(&target).into_iter().flatten();
    for caller in direct.filter(|_| most > 0) {
        let exits = mesh.exits_of(*caller).into_iter();
        let exits = exits.filter(|exit| exit.external.name == external.name);
        let told = |exit| ReachExit::of(policy, name(policy, *caller), 1, true, &exit);
        let before = found.exits.len();
        found.exits.extend(exits.filter_map(told));
        if found.exits.len() > before {
            known.insert(*caller, (1, None));
            order.push(*caller);
            queue.push_back(*caller);
        }
    }
    let mut free: HashMap<WorkloadIdx, Vec<WorkloadIdx>> = HashMap::new();
    let mut freely: HashSet<_> = order.iter().copied().collect();
    let mut next = order.clone();
    while let Some(over) = queue.pop_front() {
        let hops = known.get(&over).map_or(1, |(hops, _)| *hops) + 1;
        if hops > most {
            continue;
        }
        for caller in callers.get(&over).into_iter().flatten() {
            let edges = mesh.hops_to(over, *caller);
            let uses: Vec<_> = (edges.iter())
                .flat_map(|edge| uses(policy, &edge.edges))
                .collect();
            if uses.is_empty() {
                continue;
            }
            if uses.iter().any(|one| one.requires.is_empty()) {
                free.entry(over).or_default().push(*caller);
            }
            known.entry(*caller).or_insert_with(|| {
                order.push(*caller);
                queue.push_back(*caller);
                (hops, Some(over))
            });
        }
    }
    while let Some(over) = next.pop() {
        let more = free.get(&over).into_iter().flatten();
        next.extend(more.filter(|caller| freely.insert(**caller)));
    }
    found.callers = (order.into_iter())
        .filter_map(|caller| {
            let (hops, over) = known.get(&caller)?;
            Some(ReachedFrom {
                workload: name(policy, caller),
                hops: *hops,
                over: over.map(|over| name(policy, over)),
                freely: freely.contains(&caller),
            })
        })
        .collect();
    found
}

/// What a workload is called.
pub(super) fn name(policy: &Policy, index: WorkloadIdx) -> Arc<str> {
    let workload = policy.workload(index);
    workload.map_or_else(|| "".into(), |one| one.shared_name())
}
