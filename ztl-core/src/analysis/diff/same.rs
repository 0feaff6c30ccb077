//! What is the same under both documents, and which ports no rule tells apart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::analysis::among::Among;
use crate::analysis::edge::Need;
use crate::id::SpiffeId;
use crate::policy::{Effect, Mode, Policy, TargetRule, Who, Workload};

pub(super) fn zone_name(policy: &Policy, workload: &Workload) -> Option<Arc<str>> {
    let zone = policy.zones().get(workload.zone?)?;
    Some(zone.name().into())
}

/// What stands around rules and workloads, for a comparison.
pub(super) fn world(policy: &Policy) -> String {
    let document = policy.document();
    let zones = document.zones.iter().map(|zone| {
        let networks: BTreeSet<_> = zone.networks.iter().map(|net| net.value).collect();
        (&zone.name.value, zone.trust, networks)
    });
    let zones: BTreeMap<_, _> = zones
        .map(|(name, trust, networks)| (name, (trust, networks)))
        .collect();
    let relays: BTreeSet<_> = document.relays.iter().map(|net| net.value).collect();
    let aliases: BTreeSet<_> = document.aliases.iter().map(|alias| &alias.value).collect();
    format!(
        "{zones:?} {relays:?} {aliases:?} {}",
        document.trust_domain.value
    )
}

/// What a target is and all that enforced rules say of it, for a comparison: in any order.
pub(super) fn rules_text(policy: &Policy, target: Option<&Workload>) -> Option<BTreeSet<String>> {
    let target = target?;
    let mut texts = BTreeSet::new();
    texts.insert(format!(
        "{:?} {:?} {:?}",
        target.zone.is_some(),
        target.ports,
        target.public_ports
    ));
    texts.extend(target.rules().filter_map(|entry| rule_text(policy, entry)));
    Some(texts)
}

/// All that an enforced rule says of one target, for a comparison.
pub(super) fn rule_text(policy: &Policy, entry: &TargetRule) -> Option<String> {
    let rule = policy
        .rule(entry.rule)
        .filter(|rule| rule.mode == Mode::Enforce)?;
    let at = usize::try_from(entry.rule.0).ok()?;
    let decl = policy.document().rules.get(at)?;
    let from: BTreeSet<String> = rule.from.iter().map(|who| who_text(policy, who)).collect();
    let actions: BTreeSet<String> = rule.actions.iter().map(ToString::to_string).collect();
    let when = decl.when.as_ref().map(|when| &when.value);
    // Those of a permit are among its needs.
    let parties = [&rule.subject, &rule.actors].map(|list| Among::named(policy, list));
    let trust = decl.require.zone_trust.map(|trust| trust.value);
    let need = Need::of(policy, rule, decl).key();
    Some(format!(
        "{:?} {from:?} {:?} {actions:?} {when:?} {parties:?} {trust:?} {need}",
        rule.effect, entry.ports
    ))
}

fn who_text(policy: &Policy, who: &Who) -> String {
    match who {
        Who::Workload(index) => {
            let id = policy.workload(*index).map(Workload::id);
            format!("id {}", id.map(SpiffeId::as_str).unwrap_or_default())
        }
        Who::Id(pattern) => format!("id {pattern}"),
        Who::Label { key, value } => format!("label {:?}", (key, value)),
        Who::Zone(zone) => {
            let zone = policy.zones().get(*zone);
            format!(
                "zone {}",
                zone.map(crate::zone::Zone::name).unwrap_or_default()
            )
        }
        Who::Public => "public".to_owned(),
        Who::Any => "any".to_owned(),
    }
}

/// Ports of the target that no rule tells apart, those that it declares first.
pub(super) fn port_classes(targets: [Option<&Workload>; 2]) -> Vec<Vec<u16>> {
    let mut ports: BTreeSet<u16> = BTreeSet::new();
    for target in targets.into_iter().flatten() {
        ports.extend(target.ports.iter().chain(&target.public_ports));
        for range in target.rules().flat_map(|entry| &entry.ports) {
            ports.extend([range.first, range.last]);
            ports.extend(range.first.checked_sub(1).filter(|port| *port > 0));
            ports.extend(range.last.checked_add(1));
        }
    }
    // A port that nothing names, for forbids without ports.
    ports.extend([1]);
    let mut classes: BTreeMap<(bool, Vec<bool>), Vec<u16>> = BTreeMap::new();
    for port in ports {
        let mut key = Vec::new();
        for target in targets.into_iter().flatten() {
            key.push(target.public_ports.contains(&port));
            key.extend(target.rules().map(|entry| entry.covers_port(port)));
        }
        let declared = targets
            .into_iter()
            .flatten()
            .any(|target| target.listens_on(port));
        let class = classes.entry((!declared, key)).or_default();
        if declared || class.is_empty() {
            class.push(port);
        }
    }
    classes.into_values().collect()
}

/// What a permit of this name requires.
pub(super) fn requires(policy: &Policy, name: &str) -> Vec<String> {
    let rules = policy.document().rules.iter().zip(policy.rules());
    let named = rules.into_iter().find(|(_, rule)| &*rule.name == name);
    named
        .filter(|(decl, _)| decl.effect == Effect::Permit)
        .map(|(decl, rule)| Need::of(policy, rule, decl).all_texts())
        .unwrap_or_default()
}
