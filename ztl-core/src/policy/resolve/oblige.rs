//! Obligations of a permit, with the limits that they name.

use std::sync::Arc;

use crate::obligation::{Obligations, Obliged};
use crate::policy::diagnostic::Report;
use crate::policy::document::{Effect, Oblige, RuleDecl};
use crate::policy::pattern::ActionPattern;

use super::names::{Names, unknown};

impl Names<'_> {
    /// Every override of a limit is one of a workload that the document declares (rule 11).
    pub(super) fn overrides(&self, report: &mut Report) {
        let limits = self.document.limits.iter();
        for name in limits.flat_map(|limit| &limit.overrides) {
            if !self.by_name.contains_key(&name.value) {
                let known = self.by_name.keys().map(|name| &**name);
                unknown(
                    report,
                    name.span,
                    "workload",
                    &name.value,
                    known,
                    "workloads",
                );
            }
        }
    }

    /// What a permit obliges to.
    pub(super) fn obligations(&self, decl: &RuleDecl, report: &mut Report) -> Obligations {
        let oblige = &decl.oblige;
        check_raw(decl, report);
        let declared = &self.document.limits;
        let limit = oblige.limit.as_ref().and_then(|name| {
            let found = declared.iter().find(|decl| decl.name.value == name.value);
            if found.is_none() {
                let known = declared.iter().map(|decl| &*decl.name.value);
                unknown(report, name.span, "limit", &name.value, known, "limits");
            }
            found.map(|decl| Arc::clone(&decl.limit))
        });
        Obligations::new(Obliged {
            limit,
            schema: oblige
                .schema
                .as_ref()
                .map(|schema| Arc::clone(&schema.value)),
            max_body: oblige.max_body.map(|bytes| bytes.value),
            log: oblige.log.clone(),
        })
    }
}

/// All obligations are of requests: raw bytes have no body, no header field, and nothing that could be counted but themselves. A
/// permit that obliges would never grant them (law 1).
fn check_raw(decl: &RuleDecl, report: &mut Report) {
    let raw = |pattern: &ActionPattern| *pattern == ActionPattern::Connect;
    let found = decl.actions.iter().find(|action| raw(&action.value));
    let Some(connect) = found.filter(|_| decl.effect == Effect::Permit && !decl.oblige.is_empty())
    else {
        return;
    };
    let (name, what) = (&decl.name.value, keys(&decl.oblige).join("`, `"));
    let help = match decl.actions.iter().all(|action| raw(&action.value)) {
        true => {
            "remove `[permit.oblige]`; a raw stream is narrowed by `from`, `ports` and `[permit.require]`, and stands in the audit"
        }
        false => "write a permit of its own for `connect`, without `[permit.oblige]`",
    };
    report.error_with_help(
        connect.span,
        format!("`connect` in the permit `{name}` can never be granted: it obliges to `{what}`, which nobody can discharge for raw bytes"),
        help,
    );
}

/// The keys that are written.
fn keys(oblige: &Oblige) -> Vec<&'static str> {
    // Every obligation is named, so that a new one is not forgotten.
    let Oblige {
        limit,
        schema,
        max_body,
        log,
        made_from: _,
    } = oblige;
    let written = [
        ("limit", limit.is_some()),
        ("schema", schema.is_some()),
        ("max_body", max_body.is_some()),
        ("log", log.is_some()),
    ];
    let written = written.into_iter().filter(|(_, written)| *written);
    written.map(|(key, _)| key).collect()
}
