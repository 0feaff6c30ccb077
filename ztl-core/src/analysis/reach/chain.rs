//! A chain of hops from one of several starts to a goal: what a transitive assertion rules out.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::step::{Hop, Mesh};
use crate::analysis::edge::Grant;
use crate::analysis::outward::Exit;
use crate::id::SpiffeId;
use crate::policy::{ActionPattern, Aim, External, RuleIdx, WorkloadIdx};
use crate::zone::Arrival;

/// Where a chain may begin.
pub(crate) enum Start {
    /// A declared workload that was taken over.
    Taken(WorkloadIdx),
    /// A caller that is not declared, or shows nothing, and what to call it.
    Stranger {
        id: Option<SpiffeId>,
        arrival: Arrival,
        called: String,
    },
}

/// What of a hop a chain goes by: little, since a mesh can have as many as it has pairs of workloads.
pub(crate) struct Step<'a> {
    pub(crate) target: WorkloadIdx,
    pub(crate) port: u16,
    pub(crate) grants: Granted<'a>,
}

impl<'a> Step<'a> {
    fn of(hop: &Hop<'a>) -> Self {
        Self {
            target: hop.target,
            port: hop.port,
            grants: granted(hop.grants()),
        }
    }
}

/// The same of a way out of the mesh.
pub(crate) struct Way<'a> {
    pub(crate) external: &'a External,
    pub(crate) port: u16,
    pub(crate) grants: Granted<'a>,
}

impl<'a> Way<'a> {
    fn of(exit: &Exit<'a>) -> Self {
        Self {
            external: exit.external,
            port: exit.port,
            grants: granted(exit.edge.permits.iter()),
        }
    }
}

/// Which permits grant it, and what they permit there.
type Granted<'a> = Box<[(RuleIdx, &'a ActionPattern)]>;

fn granted<'e, 'a: 'e>(grants: impl Iterator<Item = &'e Grant<'a>>) -> Granted<'a> {
    grants.map(|grant| (grant.rule, grant.pattern)).collect()
}

/// One hop of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) from: String,
    pub(crate) to: Arc<str>,
    pub(crate) port: u16,
    pub(crate) rule: RuleIdx,
    /// The link before it.
    before: Option<usize>,
}

/// A mesh in which chains are looked for, with what was found out already.
pub(crate) struct Chains<'a> {
    mesh: Mesh<'a>,
    steps: HashMap<WorkloadIdx, Vec<Step<'a>>>,
    ways: HashMap<WorkloadIdx, Vec<Way<'a>>>,
}

impl<'a> Chains<'a> {
    pub(crate) fn new(mesh: Mesh<'a>) -> Self {
        Self {
            mesh,
            steps: HashMap::new(),
            ways: HashMap::new(),
        }
    }

    /// Whether no more may be tried: that none was found says nothing, then.
    pub(crate) const fn is_spent(&self) -> bool {
        self.mesh.is_spent()
    }

    /// Every place.
    pub(crate) fn arrivals(&self) -> &[Arrival] {
        self.mesh.arrivals()
    }

    /// The shortest chain from any start to a hop of which `goal` names a rule, or to a way out of the mesh of which `out` does.
    pub(crate) fn shortest(
        &mut self,
        starts: Vec<Start>,
        goal: impl Fn(&Step<'a>) -> Option<RuleIdx>,
        out: impl Fn(&Way<'a>) -> Option<RuleIdx>,
    ) -> Option<Vec<Link>> {
        let mut links: Vec<Link> = Vec::new();
        let mut taken = HashSet::new();
        let mut queue = VecDeque::new();
        for start in starts {
            match start {
                Start::Taken(index) => {
                    if taken.insert(index) {
                        queue.push_back((index, None));
                    }
                }
                Start::Stranger {
                    id,
                    arrival,
                    called,
                } => {
                    let hops = self.mesh.hops_of_stranger(id.as_ref(), arrival);
                    let steps: Vec<_> = hops.iter().map(Step::of).collect();
                    if let Some(end) = follow(
                        &self.mesh, &steps, &called, None, &goal, &mut links, &mut taken,
                        &mut queue,
                    ) {
                        return Some(unroll(&links, end));
                    }
                }
            }
        }
        while let Some((index, before)) = queue.pop_front() {
            let mesh = &self.mesh;
            let steps = self
                .steps
                .entry(index)
                .or_insert_with(|| mesh.hops_of(index).iter().map(Step::of).collect());
            let called = mesh
                .policy
                .workload(index)
                .map(|one| format!("`{}`", one.name()));
            let called = called.unwrap_or_default();
            let ways = self.ways.entry(index);
            for way in ways.or_insert_with(|| mesh.exits_of(index).iter().map(Way::of).collect()) {
                if let Some(rule) = out(way) {
                    let mut chain = before.map_or_else(Vec::new, |at| unroll(&links, at));
                    chain.push(Link {
                        from: called,
                        to: Aim::External(way.external).name().into(),
                        port: way.port,
                        rule,
                        before,
                    });
                    return Some(chain);
                }
            }
            if let Some(end) = follow(
                mesh, steps, &called, before, &goal, &mut links, &mut taken, &mut queue,
            ) {
                return Some(unroll(&links, end));
            }
        }
        None
    }
}

/// Adds a link for every hop to a workload that was not taken yet; returns the one that is at the goal.
#[expect(clippy::too_many_arguments, reason = "the state of one search")]
fn follow<'a>(
    mesh: &Mesh<'a>,
    steps: &[Step<'a>],
    from: &str,
    before: Option<usize>,
    goal: &impl Fn(&Step<'a>) -> Option<RuleIdx>,
    links: &mut Vec<Link>,
    taken: &mut HashSet<WorkloadIdx>,
    queue: &mut VecDeque<(WorkloadIdx, Option<usize>)>,
) -> Option<usize> {
    for step in steps {
        let reached = goal(step);
        let Some(rule) = reached.or_else(|| step.grants.first().map(|(rule, _)| *rule)) else {
            continue;
        };
        if reached.is_none() && !taken.insert(step.target) {
            continue;
        }
        let to = mesh.policy.workload(step.target)?.shared_name();
        links.push(Link {
            from: from.to_owned(),
            to,
            port: step.port,
            rule,
            before,
        });
        let at = links.len() - 1;
        if reached.is_some() {
            return Some(at);
        }
        queue.push_back((step.target, Some(at)));
    }
    None
}

fn unroll(links: &[Link], end: usize) -> Vec<Link> {
    let mut chain = Vec::new();
    let mut at = Some(end);
    while let Some(link) = at.and_then(|at| links.get(at)) {
        chain.push(link.clone());
        at = link.before;
    }
    chain.reverse();
    chain
}
