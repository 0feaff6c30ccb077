//! Rules, and entries of their lists, that no call can match; beyond what refuses a document.

use std::collections::HashSet;

use crate::policy::{Effect, Mode, Span};

use super::calls::{Calls, Matched};
use super::finding::Found;
use super::key::{Key, Keys, RuleKeys};
use super::kinds::Lint;

const NO_PORT: (&str, &str) = (
    "none of its targets listens on a port that it speaks of",
    "correct `ports`",
);
const DEAF: (&str, &str) = (
    "none of its targets listens on a port",
    "declare `ports` of the workloads that are meant, or remove it",
);

pub(super) fn check(keys: &Keys<'_>, calls: &Calls, found: &mut Found) {
    let policy = keys.policy;
    let zones = calls.arrivals().filter_map(|zone| policy.zones().get(zone));
    let arrivals: HashSet<&str> = zones.map(crate::zone::Zone::name).collect();
    for (at, rule) in keys.rules.iter().enumerate() {
        if rule.decl.mode == Mode::Off {
            continue;
        }
        let whole = rule.decl.name.span;
        if !calls.listens(at) {
            let said = if rule.decl.ports.is_empty() {
                DEAF
            } else {
                NO_PORT
            };
            never(rule, whole, said, found);
            continue;
        }
        let Some(matched) = calls.rule(at) else {
            continue;
        };
        if matched.from.iter().all(|matches| *matches) {
            continue;
        }
        if rule.decl.effect == Effect::Forbid {
            let what = "nobody of whom it speaks comes to one of its targets";
            never(rule, whole, (what, "correct `from`, or remove it"), found);
        } else if !matched.is_public && rule.from.iter().all(|key| *key == Key::Public) {
            never(rule, whole, NO_PORT, found);
        } else {
            let entries = rule.from.iter().zip(&rule.decl.from).zip(&matched.from);
            for ((key, entry), _) in entries.filter(|(_, matches)| !**matches) {
                let (what, help) = why(keys, (rule, matched), key, &arrivals);
                never(rule, entry.span, (&what, help), found);
            }
        }
    }
}

/// Why nobody comes of whom an entry of a permit speaks.
fn why(
    keys: &Keys<'_>,
    (rule, matched): (&RuleKeys<'_>, &Matched),
    key: &Key<'_>,
    arrivals: &HashSet<&str>,
) -> (String, &'static str) {
    let zone = match key {
        Key::Zone(zone) => Some(*zone),
        Key::Workload(name) => (keys.declaration(name))
            .and_then(|(decl, _)| decl.zone.as_ref())
            .map(|zone| &*zone.value),
        _ => None,
    };
    let trust = |zone: &str| {
        let zones = &keys.policy.document().zones;
        let zone = zones.iter().find(|decl| *decl.name.value == *zone);
        zone.map_or(0, |decl| decl.trust)
    };
    let least = rule.decl.require.zone_trust.map_or(0, |trust| trust.value);
    match zone {
        _ if *key == Key::Public && !matched.is_public => (
            "none of its targets takes callers without an SVID on a port that it speaks of"
                .to_owned(),
            "correct `ports`, or leave `public` out",
        ),
        Some(zone) if !arrivals.contains(zone) => (
            format!(
                "nobody is seen to arrive from the zone `{zone}`: its networks are none, lie behind a relay, or are those of narrower zones"
            ),
            "give the zone the networks that it stands for",
        ),
        Some(zone) if trust(zone) < least => (
            format!(
                "the zone `{zone}` has a trust of {}, and the permit requires {least}",
                trust(zone)
            ),
            "lower `zone_trust`, or leave these callers out",
        ),
        _ => (
            "nobody of whom it speaks comes from where its targets take calls, and is trusted enough there"
                .to_owned(),
            "correct where these callers stand, or leave them out",
        ),
    }
}

fn never(rule: &RuleKeys<'_>, span: Span, (what, help): (&str, &str), found: &mut Found) {
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
