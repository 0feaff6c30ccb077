//! Rules about destinations outside the mesh, and what such a rule cannot ask for.
//!
//! Only the caller's end judges there: nobody who would know a token or a score stands at the other. So a rule that needs one
//! refuses the document, instead of being read there as if it did not.

use std::collections::HashMap;

use crate::policy::diagnostic::Report;
use crate::policy::document::{Document, Effect, PortRange, Principal, RuleDecl, Spanned, Target};
use crate::policy::external::External;
use crate::policy::workload::WorkloadIdx;

use super::names::{Names, unknown};
use super::values;

/// The destinations outside the mesh. A host is one destination: it stands in one section.
pub(super) fn externals(document: &Document, report: &mut Report) -> Vec<External> {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for decl in &document.externals {
        for host in &decl.hosts {
            if let Some(owner) = owners.insert(&host.value, &decl.name.value) {
                report.error_with_help(
                    host.span,
                    format!(
                        "the host `{}` already stands in `external.{owner}`",
                        host.value
                    ),
                    "a host stands in one section, once; rules tell its ports apart by `ports`",
                );
            }
        }
    }
    document.externals.iter().map(External::declared).collect()
}

impl Names<'_> {
    /// The destinations outside the mesh that a rule speaks of, numbered on from the last workload, each with its ports.
    pub(super) fn outward(
        &self,
        decl: &RuleDecl,
        externals: &[External],
        report: &mut Report,
    ) -> Vec<(WorkloadIdx, Vec<PortRange>)> {
        let mut found = Vec::new();
        let number = |at: usize| {
            let at = self.document.workloads.len().checked_add(at)?;
            u32::try_from(at).ok().map(WorkloadIdx)
        };
        for to in &decl.to {
            match &to.value {
                Target::External(name) => {
                    let at = externals.iter().position(|one| one.name == *name);
                    let Some((at, external)) = at.and_then(|at| Some((at, externals.get(at)?)))
                    else {
                        let known = externals.iter().map(External::name);
                        unknown(
                            report,
                            to.span,
                            "external destination",
                            name,
                            known,
                            "external",
                        );
                        continue;
                    };
                    check(decl, to, report);
                    if let Some(ports) = ports(decl, external, to, report) {
                        found.extend(number(at).map(|number| (number, ports)));
                    }
                }
                // In a forbid `any` is more than every workload: who is cut off is cut off from outside as well. One that hangs
                // on what only a target knows says nothing of what has no target's end.
                Target::Any if decl.effect == Effect::Forbid && !decl.is_conditional() => {
                    let all = (0..externals.len()).filter_map(number);
                    found.extend(all.map(|number| (number, values(&decl.ports))));
                }
                _ => {}
            }
        }
        found
    }
}

/// The ports that the rule speaks of there; none where that is none.
fn ports(
    decl: &RuleDecl,
    external: &External,
    to: &Spanned<Target>,
    report: &mut Report,
) -> Option<Vec<PortRange>> {
    let ranges: Vec<PortRange> = values(&decl.ports);
    if decl.effect == Effect::Forbid {
        return Some(ranges);
    }
    let ports = external.ports_in(&ranges);
    if ports.is_empty() {
        let declared: Vec<_> = external.ports.iter().map(ToString::to_string).collect();
        report.error_with_help(
            to.span,
            format!(
                "`external:{}` has none of these ports, so the rule can never match",
                external.name
            ),
            format!("its `ports` are {}", declared.join(", ")),
        );
        return None;
    }
    Some(ports)
}

/// Refuses what nobody would judge.
fn check(decl: &RuleDecl, to: &Spanned<Target>, report: &mut Report) {
    let (effect, name) = (decl.effect.as_str(), &decl.name.value);
    if decl.effect == Effect::Forbid {
        if decl.is_conditional() {
            report.error_with_help(
                to.span,
                format!("the {effect} `{name}` hangs on what only a target knows, and outside the mesh nobody judges it"),
                "write a forbid of its own for what is outside, without `when`, `subject` and `actors`",
            );
        }
        return;
    }
    let requires = !decl.require.is_empty() || decl.is_conditional();
    if requires || !decl.oblige.is_empty() {
        let what = if requires { "requires" } else { "obliges to" };
        report.error_with_help(
            to.span,
            format!("the {effect} `{name}` {what} something, and outside the mesh nobody judges it"),
            "write a permit of its own for what is outside; it is narrowed by `from`, `ports` and `actions` alone",
        );
    }
    let public = decl
        .from
        .iter()
        .find(|from| from.value == Principal::Public);
    if let Some(from) = public {
        report.error(
            from.span,
            format!("the {effect} `{name}` can never match: who calls outside the mesh is a workload, and not `public`"),
        );
    }
}
