//! What documents say of destinations outside the mesh: of them no decision is compared, only what is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::document::{Parts, principals, required, shown, targets};
use crate::analysis::need::obligation_key;
use crate::policy::{
    Document, Effect, ExternalDecl, Mode, Principal, RuleDecl, Spanned, Target, WorkloadDecl,
};

pub(super) fn externals(document: &Document) -> Parts {
    let part = |external: &ExternalDecl| {
        let hosts: Vec<_> = external.hosts.iter().map(|host| &host.value).collect();
        let ports: Vec<_> = external.ports.iter().map(|port| port.value).collect();
        let mut text = format!("hosts {} and ports {}", shown(&hosts), shown(&ports));
        if !external.networks.is_empty() {
            let networks: BTreeSet<_> = external.networks.iter().map(|net| net.value).collect();
            let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
            text.push_str(&format!(" and networks {}", shown(&networks)));
        }
        (Arc::clone(&external.name.value), text)
    };
    document.externals.iter().map(part).collect()
}

/// Whether a rule speaks of a destination outside the mesh; a forbid of `any` speaks of them all.
fn is_outward(document: &Document, rule: &RuleDecl) -> bool {
    let forbids = rule.effect == Effect::Forbid && !document.externals.is_empty();
    let external = |to: &Spanned<Target>| match to.value {
        Target::External(_) => true,
        Target::Any => forbids,
        _ => false,
    };
    rule.mode != Mode::Off && rule.to.iter().any(external)
}

/// Whether a workload could call outside the mesh without a rule that names it.
pub(super) fn names_nobody(document: &Document) -> bool {
    let rules = document.rules.iter();
    let mut outward = rules.filter(|rule| is_outward(document, rule));
    outward.any(|rule| {
        let mut from = rule.from.iter();
        from.any(|from| !matches!(from.value, Principal::Workload(_)))
    })
}

/// Rules about destinations outside the mesh, of which no decision is compared.
pub(super) fn external_rules(document: &Document) -> Parts {
    let part = |rule: &RuleDecl| {
        // A key that is not looked at here would be one that nobody is told of.
        let RuleDecl {
            effect,
            name,
            mode: _,
            from,
            subject,
            actors,
            to,
            ports,
            actions,
            anonymous,
            require,
            oblige,
            when,
            why: _,
            controls: _,
            span: _,
        } = rule;
        let actions: Vec<_> = actions.iter().map(|one| one.value.to_string()).collect();
        let ports: Vec<_> = ports.iter().map(|one| one.value.to_string()).collect();
        let mut text = format!(
            "{} from {} to {} on ports {} with actions {}",
            effect.as_str(),
            principals(from),
            targets(to),
            shown(&ports),
            shown(&actions)
        );
        for (word, list) in [("subject", subject), ("actors", actors)] {
            if !list.is_empty() {
                let names = list.iter().map(|one| format!("{:?}", one.value));
                let names: BTreeSet<_> = names.collect();
                text.push_str(&format!(" with {word} {names:?}"));
            }
        }
        if *anonymous {
            text.push_str(" for anyone");
        }
        text.push_str(&required(require));
        if let Some(when) = when {
            text.push_str(&format!(" when {:?}", when.value));
        }
        if let Some(obliged) = obligation_key(oblige) {
            text.push_str(&format!(
                " obliged to limit, schema, max_body and log {obliged}"
            ));
        }
        (Arc::clone(&name.value), text)
    };
    document
        .rules
        .iter()
        .filter(|rule| is_outward(document, rule))
        .map(part)
        .collect()
}

/// The zones of workloads that both declare, where a rule of both about the outside could go by them.
pub(super) fn moved(old: &Document, new: &Document) -> Vec<(Arc<str>, String, String)> {
    if !(names_nobody(old) && names_nobody(new)) {
        return Vec::new();
    }
    let zones = |document: &Document| -> BTreeMap<Arc<str>, String> {
        let zone = |workload: &WorkloadDecl| {
            let zone = workload.zone.as_ref();
            let text = zone.map_or_else(
                || "in no zone".to_owned(),
                |it| format!("in zone `{}`", it.value),
            );
            (Arc::clone(&workload.name.value), text)
        };
        document.workloads.iter().map(zone).collect()
    };
    let (was, mut is) = (zones(old), zones(new));
    let both = was.into_iter().filter_map(|(name, was)| {
        let is = is.remove(&name)?;
        Some((name, was, is))
    });
    both.collect()
}
