//! Obligations of a permit, with the limits that they name.

use std::sync::Arc;

use crate::obligation::{Obligations, Obliged};
use crate::policy::diagnostic::Report;
use crate::policy::document::Oblige;

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
    pub(super) fn obligations(&self, oblige: &Oblige, report: &mut Report) -> Obligations {
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
