//! Rules, and entries of their lists, that no call can match; beyond what refuses a document.

use std::collections::HashMap;

use crate::policy::{Effect, Mode, PortRange, Span, Spanned, ZoneDecl};

use super::finding::Found;
use super::key::{Key, Keys, RuleKeys};
use super::kinds::Lint;

pub(super) fn check(keys: &Keys<'_>, found: &mut Found) {
    let document = keys.policy.document();
    // The trust of each zone that somebody can be seen to arrive from.
    let arrivals: HashMap<&str, u8> = document
        .zones
        .iter()
        .filter(|zone| somebody_arrives(zone, keys))
        .map(|zone| (&*zone.name.value, zone.trust))
        .collect();
    let ports = Ports::of(keys);
    for rule in keys.rules.iter().filter(|rule| rule.decl.mode != Mode::Off) {
        if !listens(rule, &ports) {
            never(
                rule,
                rule.decl.name.span,
                "none of its targets listens on a port that it speaks of",
                "correct `ports`",
                found,
            );
            continue;
        }
        if rule.decl.effect == Effect::Permit {
            callers(keys, rule, &arrivals, found);
        }
    }
}

fn somebody_arrives(zone: &ZoneDecl, keys: &Keys<'_>) -> bool {
    let relays = &keys.policy.document().relays;
    zone.networks.iter().any(|network| {
        !relays
            .iter()
            .any(|relay| relay.value.contains(&network.value))
    })
}

/// The callers of a permit that can never come.
fn callers(keys: &Keys<'_>, rule: &RuleKeys<'_>, arrivals: &HashMap<&str, u8>, found: &mut Found) {
    let least = rule.decl.require.zone_trust.map_or(0, |trust| trust.value);
    let zone_of = |key: &Key<'_>| match key {
        Key::Zone(zone) => Some((*zone).to_owned()),
        Key::Workload(name) => {
            let (decl, _) = keys.declaration(name)?;
            decl.zone.as_ref().map(|zone| zone.value.to_string())
        }
        _ => None,
    };
    for (key, entry) in rule.from.iter().zip(&rule.decl.from) {
        let Some(zone) = zone_of(key) else { continue };
        let (what, help) = match arrivals.get(&*zone) {
            None => (
                format!(
                    "nobody is seen to arrive from the zone `{zone}`, whose networks are none or lie behind a relay"
                ),
                "give the zone the networks that it stands for",
            ),
            Some(trust) if *trust < least => (
                format!(
                    "the zone `{zone}` has a trust of {trust}, and the permit requires {least}"
                ),
                "lower `zone_trust`, or leave these callers out",
            ),
            Some(_) => continue,
        };
        never(rule, entry.span, &what, help, found);
    }
}

fn never(rule: &RuleKeys<'_>, span: Span, what: &str, help: &str, found: &mut Found) {
    let (kind, name) = (rule.decl.effect.as_str(), &rule.decl.name.value);
    let entry = if span == rule.decl.name.span {
        ""
    } else {
        "this caller of "
    };
    found.add(
        Lint::NeverMatching,
        span,
        format!("{entry}the {kind} `{name}` can never match: {what}"),
        help,
    );
}

fn listens(rule: &RuleKeys<'_>, ports: &Ports<'_>) -> bool {
    let outward = |key: &Key<'_>| matches!(key, Key::External(_));
    let public_only = !rule.from.is_empty() && rule.from.iter().all(|key| *key == Key::Public);
    if rule.decl.ports.is_empty() || rule.to.iter().any(outward) {
        return true;
    }
    let listening = if public_only {
        &ports.public
    } else {
        &ports.all
    };
    rule.to.iter().any(|to| {
        listening
            .get(to)
            .is_some_and(|ports| any_in(ports, &rule.decl.ports))
    })
}

fn any_in(sorted: &[u16], ranges: &[Spanned<PortRange>]) -> bool {
    ranges.iter().any(|range| {
        let next = sorted.partition_point(|port| *port < range.value.first);
        sorted
            .get(next)
            .is_some_and(|port| *port <= range.value.last)
    })
}

/// The ports on which the workloads of a key listen, in order.
struct Ports<'a> {
    all: HashMap<Key<'a>, Vec<u16>>,
    public: HashMap<Key<'a>, Vec<u16>>,
}

impl<'a> Ports<'a> {
    fn of(keys: &Keys<'a>) -> Self {
        let (mut all, mut public): (HashMap<_, Vec<u16>>, HashMap<_, Vec<u16>>) =
            Default::default();
        for workload in keys.policy.workloads() {
            for key in keys.wider(&Key::Workload(workload.name())) {
                let ports = all.entry(key.clone()).or_default();
                ports.extend(workload.ports());
                ports.extend(workload.public_ports());
                public
                    .entry(key)
                    .or_default()
                    .extend(workload.public_ports());
            }
        }
        for ports in all.values_mut().chain(public.values_mut()) {
            ports.sort_unstable();
            ports.dedup();
        }
        Self { all, public }
    }
}
