//! What the permits make of each workload.

use std::collections::{HashMap, HashSet};

use crate::policy::{ActionPattern, Effect, Workload, WorkloadDecl};

use super::calls::{Calls, Reached};
use super::cover::listened;
use super::finding::Found;
use super::key::{Key, Keys, RuleKeys};
use super::kinds::Lint;

pub(super) fn check<'a>(keys: &Keys<'a>, calls: &Calls, found: &mut Found) {
    let permits = || keys.rules.iter().filter(|rule| rule.counts(Effect::Permit));
    let callers: HashSet<&Key<'_>> = permits().flat_map(|rule| &rule.from).collect();
    let mut targets: HashMap<&Key<'a>, Vec<&RuleKeys<'a>>> = HashMap::new();
    for rule in permits() {
        for to in &rule.to {
            let rules = targets.entry(to).or_default();
            if !rules.last().is_some_and(|last| core::ptr::eq(*last, rule)) {
                rules.push(rule);
            }
        }
    }
    let declared = keys.policy.document().workloads.iter();
    let declared = declared.zip(keys.policy.workloads()).enumerate();
    for (at, (decl, workload)) in declared {
        let meant = keys.wider(&Key::Workload(workload.name()));
        let listens = !decl.ports.is_empty() || !decl.public_ports.is_empty();
        let called = meant.iter().any(|key| targets.contains_key(key));
        if listens && !called {
            unreachable(decl, "no enforced permit has it as `to`", found);
        } else if listens && calls.reached(at) == Reached::ByNobody {
            let what = "what enforced permits have it as `to` matches no call, or is taken away by forbids";
            unreachable(decl, what, found);
        }
        if !meant.iter().any(|key| callers.contains(key)) {
            without_egress(decl, found);
        }
        let speaking = meant.iter().filter_map(|key| targets.get(key)).flatten();
        raw_and_http(workload, speaking.copied(), found);
    }
}

fn unreachable(decl: &WorkloadDecl, what: &str, found: &mut Found) {
    let name = &decl.name.value;
    found.add(
        Lint::UnreachableWorkload,
        decl.name.span,
        format!("nobody may reach the workload `{name}`: {what}"),
        "write a permit, or remove its ports if it only calls others",
    );
}

fn without_egress(decl: &WorkloadDecl, found: &mut Found) {
    let name = &decl.name.value;
    found.add(
        Lint::WorkloadWithoutEgress,
        decl.name.span,
        format!("the workload `{name}` may call nobody: no enforced permit has it as `from`"),
        "nothing to do if it only answers",
    );
}

/// A port is handed raw streams or an HTTP server; one of the two permits on it speaks to nobody.
fn raw_and_http<'a: 'k, 'k>(
    workload: &Workload,
    speaking: impl Iterator<Item = &'k RuleKeys<'a>>,
    found: &mut Found,
) {
    let mut raw: HashMap<u16, &RuleKeys<'_>> = HashMap::new();
    let mut http: HashMap<u16, (&RuleKeys<'_>, usize)> = HashMap::new();
    let mut ports: HashSet<u16> = HashSet::new();
    for rule in speaking {
        if !found.may_compare(rule.decl.actions.len() + workload.ports().len() + 1) {
            return;
        }
        for (at, action) in rule.decl.actions.iter().enumerate() {
            for port in listened(rule, workload) {
                if action.value == ActionPattern::Connect {
                    raw.entry(port).or_insert(rule);
                } else {
                    http.entry(port).or_insert((rule, at));
                }
                ports.insert(port);
            }
        }
    }
    let mut ports: Vec<_> = ports.into_iter().collect();
    ports.sort_unstable();
    for port in ports {
        let (Some(raw), Some((rule, at))) = (raw.get(&port), http.get(&port)) else {
            continue;
        };
        let Some(action) = rule.decl.actions.get(*at) else {
            continue;
        };
        found.add(
            Lint::RawAndHttpPort,
            action.span,
            format!(
                "`{}` in the permit `{}` is a request, and the permit `{}` takes port {port} of `{}` for raw bytes",
                action.value, rule.decl.name.value, raw.decl.name.value, workload.name()
            ),
            "a port speaks HTTP or it does not: give each its own port, or remove one of the two",
        );
        return;
    }
}
