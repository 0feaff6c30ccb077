//! Forbids that their caller could dodge.

use crate::policy::diagnostic::Report;
use crate::policy::document::{Document, Effect};
use crate::policy::rule::{Rule, RuleIdx, Who};
use crate::policy::workload::Workload;

/// A forbid by identity is no use beside a permit for `public` on the same port: the forbidden caller drops its SVID (T11).
pub(super) fn check(
    document: &Document,
    workloads: &[Workload],
    rules: &[Rule],
    report: &mut Report,
) {
    let rule_at = |index: RuleIdx| {
        let at = usize::try_from(index.0).ok()?;
        Some((rules.get(at)?, document.rules.get(at)?))
    };
    for workload in workloads {
        let speaking = || {
            workload
                .rules()
                .filter_map(|entry| rule_at(entry.rule).map(|(rule, decl)| (entry, rule, decl)))
        };
        let names_public = |rule: &Rule| rule.from.contains(&Who::Public);
        let opens = |port: &u16| {
            speaking().any(|(entry, rule, _)| {
                rule.effect == Effect::Permit && names_public(rule) && entry.covers_port(*port)
            })
        };
        let open: Vec<u16> = workload
            .public_ports
            .iter()
            .copied()
            .filter(opens)
            .collect();
        if open.is_empty() {
            continue;
        }
        for (entry, rule, decl) in speaking() {
            let by_identity = rule
                .from
                .iter()
                .any(|who| !matches!(who, Who::Zone(_) | Who::Public));
            if rule.effect == Effect::Forbid
                && by_identity
                && !names_public(rule)
                && open.iter().any(|port| entry.covers_port(*port))
            {
                report.error_with_help(
                    decl.name.span,
                    format!("the forbid `{}` can be dodged: `{}` takes callers without an SVID on a port it speaks of", rule.name, workload.name),
                    "add `public` to its `from`, or name the `ports` that are meant",
                );
            }
        }
    }
}
