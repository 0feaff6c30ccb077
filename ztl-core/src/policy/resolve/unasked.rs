//! Forbids of `any` that nobody would ask about a call to outside.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::diagnostic::Report;
use crate::policy::document::{Document, Effect, Mode, RuleDecl, Target};
use crate::policy::edge::calling;
use crate::policy::external::External;
use crate::policy::rule::{Caller, Rule, Who};
use crate::policy::workload::{Workload, WorkloadIdx};
use crate::zone::ZoneMap;

/// Refuses a forbid of `any` that hangs on what only a target knows where one of its callers may call outside: there it would
/// be passed over, and a forbid that cannot be judged has to fire (law 4).
pub(super) fn check(
    document: &Document,
    workloads: &[Workload],
    externals: &[External],
    rules: &[Rule],
    zones: &ZoneMap,
    report: &mut Report,
) {
    let decls = document.rules.iter().zip(rules);
    let mut hanging: Vec<_> = decls.filter(|(decl, _)| hangs(decl)).collect();
    if hanging.is_empty() {
        return;
    }
    let permitted = permitted(externals, rules);
    let others = permitted.iter();
    let others: Vec<_> = others
        .filter(|(who, _)| !matches!(who, Who::Workload(_)))
        .collect();
    let speaks = |who: &Who, caller: &Caller<'_>, effect| {
        who.speaks_of(caller, effect, zones).counts_for(effect)
    };
    for (index, workload) in (0..).map(WorkloadIdx).zip(workloads) {
        let caller = calling((index, workload));
        let others = others
            .iter()
            .filter(|(who, _)| speaks(who, &caller, Effect::Permit));
        let named = permitted.get(&Who::Workload(index)).into_iter();
        let ports = named.chain(others.map(|(_, ports)| *ports));
        let ports: BTreeSet<u16> = ports.flatten().copied().collect();
        hanging.retain(|(decl, rule)| {
            let covers = |port: &&u16| {
                let mut ranges = decl.ports.iter();
                decl.ports.is_empty() || ranges.any(|range| range.value.contains(**port))
            };
            let Some(port) = ports.iter().find(covers) else {
                return true;
            };
            let mut from = rule.from.iter();
            let falls = from.any(|who| speaks(who, &caller, Effect::Forbid));
            if falls {
                refuse(document, decl, workload, *port, report);
            }
            !falls
        });
    }
}

fn hangs(decl: &RuleDecl) -> bool {
    let any = decl.to.iter().any(|to| to.value == Target::Any);
    (decl.effect, decl.mode) == (Effect::Forbid, Mode::Enforce) && any && decl.is_conditional()
}

/// Who may call outside, and on which ports.
fn permitted<'a>(externals: &[External], rules: &'a [Rule]) -> BTreeMap<&'a Who, BTreeSet<u16>> {
    let mut permitted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for external in externals {
        for entry in &external.permits {
            let at = usize::try_from(entry.rule.0).ok();
            let from = at.and_then(|at| rules.get(at)).map(|rule| &rule.from);
            for who in from.into_iter().flatten() {
                let ports = external.ports.iter().copied();
                let ports = ports.filter(|port| entry.covers_port(*port));
                permitted.entry(who).or_default().extend(ports);
            }
        }
    }
    permitted
}

fn refuse(document: &Document, decl: &RuleDecl, caller: &Workload, port: u16, report: &mut Report) {
    let any = decl.to.iter().find(|to| to.value == Target::Any);
    report.error_with_help(
        any.map_or(decl.span, |any| any.span),
        format!(
            "the forbid `{}` hangs on what only a target knows, and outside the mesh, where `{}` may call port {port}, nobody judges it",
            decl.name.value, caller.name
        ),
        format!(
            "write `spiffe://{}/**` for all workloads in the place of `any`, and a forbid of its own for what is outside, without `when`, `subject` and `actors`",
            document.trust_domain.value
        ),
    );
}
