//! Which ports of a target a rule speaks of.

use crate::policy::diagnostic::Report;
use crate::policy::document::{Effect, PortRange, Principal, RuleDecl, Span};
use crate::policy::workload::Workload;

use super::values;

/// The ports of a target that a rule speaks of; `None` where it speaks of none.
pub(super) fn rule_ports(
    decl: &RuleDecl,
    workload: &Workload,
    exact: bool,
    span: Span,
    report: &mut Report,
) -> Option<Vec<PortRange>> {
    let all_public =
        !decl.from.is_empty() && decl.from.iter().all(|from| from.value == Principal::Public);
    let some_public = decl.from.iter().any(|from| from.value == Principal::Public);
    if decl.effect == Effect::Permit && exact && some_public && workload.public_ports.is_empty() {
        report.error_with_help(
            span,
            format!(
                "the workload `{}` has no public port, so `public` can never reach it",
                workload.name
            ),
            "list the port under `public_ports` of the workload",
        );
        return None;
    }
    if !decl.ports.is_empty() {
        let ranges = values(&decl.ports);
        let listens = |range: &PortRange| {
            workload
                .ports
                .iter()
                .chain(&workload.public_ports)
                .any(|port| range.contains(*port))
        };
        if exact && decl.effect == Effect::Permit && !ranges.iter().any(listens) {
            report.error_with_help(
                span,
                format!(
                    "the workload `{}` listens on none of these ports, so the rule can never match",
                    workload.name
                ),
                format!("`{}` declares {}", workload.name, listed(workload)),
            );
        }
        return Some(ranges);
    }
    if decl.effect == Effect::Forbid {
        return Some(Vec::new());
    }
    // Those who show an SVID and those who do not each mean a port of their own (§3.4).
    let private = (!all_public).then(|| (workload.default_port(), &workload.ports));
    let public = some_public.then(|| (workload.default_public_port(), &workload.public_ports));
    let lists = || private.iter().chain(&public);
    let several = lists().any(|(port, declared)| port.is_none() && declared.len() > 1);
    let ports: Vec<_> = lists().filter_map(|(port, _)| port.map(single)).collect();
    if !several && !ports.is_empty() {
        return Some(ports);
    }
    // `to = any` and the like pass over workloads that listen on nothing; where one listens on several, say which.
    if exact || several {
        report.error_with_help(
            span,
            format!(
                "the permit `{}` names no port, and the workload `{}` declares {}",
                decl.name.value,
                workload.name,
                listed(workload)
            ),
            if exact {
                "write `ports = [..]` in the rule, or give the workload exactly one port"
            } else {
                "write `ports = [..]` in the rule"
            },
        );
    }
    None
}

fn listed(workload: &Workload) -> String {
    let mut ports: Vec<_> = workload
        .ports
        .iter()
        .chain(&workload.public_ports)
        .collect();
    ports.dedup();
    match ports.as_slice() {
        [] => "no port".to_owned(),
        [port] => format!("port {port}"),
        several => format!(
            "the ports {}",
            several
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

const fn single(port: u16) -> PortRange {
    PortRange {
        first: port,
        last: port,
    }
}
