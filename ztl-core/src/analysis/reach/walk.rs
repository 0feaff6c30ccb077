//! Hop by hop over everything that can be reached.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::outside::{ReachExit, name};
use super::step::Mesh;
use super::{Reach, ReachEdge, Reached, Use};
use crate::analysis::asked::{ActionSpace, Asked};
use crate::analysis::edge::{Edge, Grant, Veto};
use crate::policy::{Policy, RuleIdx, WorkloadIdx};

/// Most actions that are tried to see whether a forbid leaves anything of a permit. Past it something is taken to be left.
const MAX_TRIED: usize = 10_000;

pub(super) fn walk(mesh: &Mesh<'_>, start: WorkloadIdx, most: usize) -> Reach {
    let policy = mesh.policy;
    let mut hops = HashMap::from([(start, 0)]);
    let mut order = Vec::new();
    let mut edges = Vec::new();
    let mut out = Vec::new();
    let mut free: HashMap<WorkloadIdx, Vec<WorkloadIdx>> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(from) = queue.pop_front() {
        let hop = hops.get(&from).copied().unwrap_or_default() + 1;
        if hop > most {
            continue;
        }
        out.extend(
            mesh.exits_of(from)
                .into_iter()
                .map(|exit| (from, hop, exit)),
        );
        for next in mesh.hops_of(from) {
            let uses = uses(policy, &next.edges);
            if uses.is_empty() {
                continue;
            }
            let edge = ReachEdge {
                hop,
                from: name(policy, from),
                shown_as: next.presented.as_str(),
                to: name(policy, next.target),
                port: next.port,
                uses,
            };
            if edge.is_free() {
                free.entry(from).or_default().push(next.target);
            }
            edges.push(edge);
            hops.entry(next.target).or_insert_with(|| {
                queue.push_back(next.target);
                order.push((next.target, hop));
                hop
            });
        }
    }
    let freely = freely(start, &free);
    let reached = order.into_iter().map(|(index, hops)| Reached {
        workload: name(policy, index),
        hops,
        freely: freely.contains(&index),
    });
    let exits = out.into_iter().filter_map(|(from, hop, exit)| {
        let freely = freely.contains(&from);
        ReachExit::of(policy, name(policy, from), hop, freely, &exit)
    });
    Reach {
        start: name(policy, start),
        reached: reached.collect(),
        edges,
        exits: exits.collect(),
    }
}

/// What can be reached over free edges alone.
fn freely(
    start: WorkloadIdx,
    free: &HashMap<WorkloadIdx, Vec<WorkloadIdx>>,
) -> HashSet<WorkloadIdx> {
    let mut found = HashSet::from([start]);
    let mut next = vec![start];
    while let Some(from) = next.pop() {
        let more = free.get(&from).into_iter().flatten();
        next.extend(more.filter(|index| found.insert(**index)));
    }
    found
}

/// What can be asked for, by rule, from whatever place.
pub(super) fn uses(policy: &Policy, edges: &[Edge<'_>]) -> Vec<Use> {
    let mut uses: BTreeMap<RuleIdx, Use> = BTreeMap::new();
    let name = |index| policy.rule(index).map(|rule| Arc::clone(&rule.name));
    for edge in edges {
        for grant in &edge.permits {
            let Some(except) = left_of(grant, edge) else {
                continue;
            };
            let Some(rule) = name(grant.rule) else {
                continue;
            };
            let one = uses.entry(grant.rule).or_insert_with(|| Use {
                rule,
                actions: Vec::new(),
                requires: grant.need.texts(),
                except: Vec::new(),
                unless: Vec::new(),
            });
            let action = grant.pattern.to_string();
            if !one.actions.contains(&action) {
                one.actions.push(action);
            }
            let conditional =
                (edge.forbids.iter()).filter(|veto| veto.of_peer && veto.is_conditional());
            let may_fire = conditional.filter(|veto| {
                let covers =
                    |pattern: &crate::policy::ActionPattern| pattern.forbids_some_of(grant.pattern);
                veto.pattern.is_none_or(covers)
            });
            add(&mut one.except, except.into_iter().filter_map(name));
            add(&mut one.unless, may_fire.filter_map(|veto| name(veto.rule)));
        }
    }
    uses.into_values().collect()
}

fn add(names: &mut Vec<Arc<str>>, more: impl Iterator<Item = Arc<str>>) {
    for name in more {
        if !names.contains(&name) {
            names.push(name);
        }
    }
}

/// The forbids that take a part of it away; none where they take it all.
fn left_of(grant: &Grant<'_>, edge: &Edge<'_>) -> Option<Vec<RuleIdx>> {
    let forbids: Vec<&Veto<'_>> = edge
        .forbids
        .iter()
        .filter(|veto| !veto.is_conditional())
        .collect();
    if forbids.is_empty() {
        return Some(Vec::new());
    }
    let mut space = ActionSpace::default();
    space.add(Some(grant.pattern), true);
    for veto in &forbids {
        space.add(veto.pattern, false);
    }
    let Ok(actions) = space.actions(MAX_TRIED) else {
        return Some(forbids.iter().map(|veto| veto.rule).collect());
    };
    let (mut left, mut except) = (false, Vec::new());
    for action in actions.iter().filter_map(Asked::action) {
        if !grant.pattern.permits(&action) {
            continue;
        }
        let mut covering = forbids
            .iter()
            .filter(|veto| veto.covers(&action))
            .peekable();
        left |= covering.peek().is_none();
        except.extend(covering.map(|veto| veto.rule));
    }
    left.then_some(except)
}
