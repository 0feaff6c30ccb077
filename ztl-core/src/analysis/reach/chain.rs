//! A chain of hops from one of several starts to a goal: what a transitive assertion rules out.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::step::{Hop, Mesh};
use crate::analysis::outward::Exit;
use crate::id::SpiffeId;
use crate::policy::{Aim, RuleIdx, WorkloadIdx};
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
    hops: HashMap<WorkloadIdx, Vec<Hop<'a>>>,
    exits: HashMap<WorkloadIdx, Vec<Exit<'a>>>,
}

impl<'a> Chains<'a> {
    pub(crate) fn new(mesh: Mesh<'a>) -> Self {
        Self {
            mesh,
            hops: HashMap::new(),
            exits: HashMap::new(),
        }
    }

    /// Every place.
    pub(crate) fn arrivals(&self) -> &[Arrival] {
        self.mesh.arrivals()
    }

    /// The shortest chain from any start to a hop of which `goal` names a rule, or to a way out of the mesh of which `out` does.
    pub(crate) fn shortest(
        &mut self,
        starts: Vec<Start>,
        goal: impl Fn(&Hop<'a>) -> Option<RuleIdx>,
        out: impl Fn(&Exit<'a>) -> Option<RuleIdx>,
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
                    if let Some(end) = follow(
                        &self.mesh, &hops, &called, None, &goal, &mut links, &mut taken, &mut queue,
                    ) {
                        return Some(unroll(&links, end));
                    }
                }
            }
        }
        while let Some((index, before)) = queue.pop_front() {
            let mesh = &self.mesh;
            let hops = self
                .hops
                .entry(index)
                .or_insert_with(|| mesh.hops_of(index));
            let called = mesh
                .policy
                .workload(index)
                .map(|one| format!("`{}`", one.name()));
            let called = called.unwrap_or_default();
            let exits = self.exits.entry(index);
            for exit in exits.or_insert_with(|| mesh.exits_of(index)) {
                if let Some(rule) = out(exit) {
                    let mut chain = before.map_or_else(Vec::new, |at| unroll(&links, at));
                    chain.push(Link {
                        from: called,
                        to: Aim::External(exit.external).name().into(),
                        port: exit.port,
                        rule,
                        before,
                    });
                    return Some(chain);
                }
            }
            if let Some(end) = follow(
                mesh, hops, &called, before, &goal, &mut links, &mut taken, &mut queue,
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
    hops: &[Hop<'a>],
    from: &str,
    before: Option<usize>,
    goal: &impl Fn(&Hop<'a>) -> Option<RuleIdx>,
    links: &mut Vec<Link>,
    taken: &mut HashSet<WorkloadIdx>,
    queue: &mut VecDeque<(WorkloadIdx, Option<usize>)>,
) -> Option<usize> {
    for hop in hops {
        let reached = goal(hop);
        let Some(rule) = reached.or_else(|| hop.grants().next().map(|grant| grant.rule)) else {
            continue;
        };
        if reached.is_none() && !taken.insert(hop.target) {
            continue;
        }
        let to = mesh.policy.workload(hop.target)?.shared_name();
        links.push(Link {
            from: from.to_owned(),
            to,
            port: hop.port,
            rule,
            before,
        });
        let at = links.len() - 1;
        if reached.is_some() {
            return Some(at);
        }
        queue.push_back((hop.target, Some(at)));
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
