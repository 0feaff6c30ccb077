//! What an assertion names.

use std::sync::Arc;

use crate::policy::Policy;
use crate::policy::diagnostic::Report;
use crate::policy::document::{NeverDecl, Principal, Target};
use crate::policy::workload::Workload;

use super::caller::{Candidate, is_meant};
use super::targets;

/// An assertion about nothing proves nothing.
pub(super) fn are_known(
    policy: &Policy,
    never: &NeverDecl,
    at_home: &[Candidate],
    report: &mut Report,
) -> bool {
    let zone_known = |name: &str| policy.zones().iter().any(|zone| zone.name() == name);
    let label_known = |key: &str, value: &str| {
        policy.workloads().iter().any(|workload| {
            workload
                .labels
                .get(key)
                .is_some_and(|have| **have == *value)
        })
    };
    let external_known = |name: &str| policy.externals().iter().any(|one| one.name() == name);
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
            Target::External(name) if !external_known(name) => {
                missing(to.span, "external destination", name)
            }
            _ => {}
        }
    }
    known && are_stated(policy, never, report) && can_be_broken(policy, never, at_home, report)
}

/// As of a forbid: an assertion by a fact must not be dodged by a workload that does not state it.
fn are_stated(policy: &Policy, never: &NeverDecl, report: &mut Report) -> bool {
    let mut stated = true;
    let mut state = |span, fact: &str, has: &dyn Fn(&Workload) -> bool| {
        let mut workloads = policy.workloads().iter();
        if let Some(without) = workloads.find(|workload| !has(workload)) {
            stated = false;
            let name = without.name();
            report.error_with_help(
                span,
                format!("this assertion speaks of {fact}, and the workload `{name}` states none"),
                format!("state {fact} on every workload: an assertion must not be dodged through a fact that is not stated"),
            );
        }
    };
    let labelled = |key: &Arc<str>| {
        let key = Arc::clone(key);
        (format!("the label `{key}`"), move |workload: &Workload| {
            workload.labels.contains_key(&key)
        })
    };
    for from in &never.from {
        if let Principal::Label { key, .. } = &from.value {
            let (fact, has) = labelled(key);
            state(from.span, &fact, &has);
        }
    }
    for to in &never.to {
        match &to.value {
            Target::Label { key, .. } => {
                let (fact, has) = labelled(key);
                state(to.span, &fact, &has);
            }
            Target::Zone(_) => state(to.span, "a zone", &|workload| workload.zone.is_some()),
            _ => {}
        }
    }
    stated
}

/// Over one hop nobody but a declared workload calls outside the mesh.
fn can_be_broken(
    policy: &Policy,
    never: &NeverDecl,
    at_home: &[Candidate],
    report: &mut Report,
) -> bool {
    let mut to = never.to.iter();
    let outside = to.all(|to| matches!(to.value, Target::External(_)));
    let mut callers = at_home.iter();
    if !outside || never.transitive || callers.any(|caller| is_meant(policy, never, caller)) {
        return true;
    }
    let mut from = never.from.iter();
    let (whom, others) = if from.all(|from| from.value == Principal::Public) {
        ("a workload, and not `public`", "`public` reaches")
    } else {
        (
            "a declared workload, and `from` means none",
            "those reach whom `from` means",
        )
    };
    report.error_with_help(
        never.from.first().map(|from| from.span).unwrap_or_default(),
        format!(
            "`{}` can never be broken: who calls outside the mesh is {whom}",
            never.name.value
        ),
        format!(
            "write `transitive = true` to rule out every way there over workloads that {others}"
        ),
    );
    false
}
