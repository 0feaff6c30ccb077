//! What a rule says by itself.

use crate::policy::{ActionPattern, Effect, Mode, Policy, Principal, RuleDecl, Span, Target};

use super::finding::Found;
use super::kinds::Lint;
use super::pattern::Read;

pub(super) fn check(policy: &Policy, found: &mut Found) {
    for rule in &policy.document().rules {
        mode(rule, found);
        if rule.effect == Effect::Permit && rule.mode != Mode::Off {
            any_to_any(rule, found);
            alternatives(rule, found);
            any_action(rule, found);
        }
    }
}

fn mode(rule: &RuleDecl, found: &mut Found) {
    let (kind, name) = (rule.effect.as_str(), &rule.name.value);
    match rule.mode {
        Mode::Enforce => {}
        Mode::Shadow => found.add(
            Lint::RuleInShadow,
            rule.span,
            format!("the {kind} `{name}` is in shadow: it is recorded and changes no decision"),
            "write `mode = \"enforce\"` once its records show what you expect",
        ),
        Mode::Off => found.add(
            Lint::RuleOff,
            rule.span,
            format!("the {kind} `{name}` is off: it is checked and then ignored"),
            "remove it if it is no longer needed",
        ),
    }
}

fn any_to_any(rule: &RuleDecl, found: &mut Found) {
    let from_any = rule.from.iter().any(|from| from.value == Principal::Any);
    let to_any = rule.to.iter().any(|to| to.value == Target::Any);
    if from_any && to_any {
        let name = &rule.name.value;
        found.add(
            Lint::PermitAnyToAny,
            rule.span,
            format!(
                "the permit `{name}` lets every workload that has an SVID reach every workload"
            ),
            "name the callers or the targets: one stolen identity reaches all of this",
        );
    }
}

/// What an entry of a list speaks of. Entries that speak of different facts read as if all had to hold (rule 34).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fact<'a> {
    Identity,
    Zone,
    Label(&'a str),
    Other,
}

fn alternatives(rule: &RuleDecl, found: &mut Found) {
    let from = rule.from.iter().map(|from| {
        let fact = match &from.value {
            Principal::Workload(_) | Principal::Id(_) => Fact::Identity,
            Principal::Zone(_) => Fact::Zone,
            Principal::Label { key, .. } => Fact::Label(key),
            Principal::Public | Principal::Any => Fact::Other,
        };
        (fact, from.span)
    });
    let to = rule.to.iter().map(|to| {
        let fact = match &to.value {
            Target::Workload(_) | Target::Id(_) => Fact::Identity,
            Target::Zone(_) => Fact::Zone,
            Target::Label { key, .. } => Fact::Label(key),
            Target::External(_) | Target::Any => Fact::Other,
        };
        (fact, to.span)
    });
    for (key, entry) in [("from", mixed(from)), ("to", mixed(to))] {
        if let Some((span, what)) = entry {
            let name = &rule.name.value;
            found.add(
                Lint::ListMeansOr,
                span,
                format!("`{key}` of the permit `{name}` lists {what}: one of them is enough, they need not hold together"),
                "if all of it must hold, name the one entry that says so, such as the workload; if each alone is meant, write a permit for each",
            );
        }
    }
}

/// The first entry that speaks of another fact than those before it.
fn mixed<'a>(entries: impl Iterator<Item = (Fact<'a>, Span)>) -> Option<(Span, &'static str)> {
    let (mut identity, mut zone, mut label) = (false, false, None);
    for (fact, span) in entries {
        match fact {
            Fact::Identity => identity = true,
            Fact::Zone => zone = true,
            Fact::Label(key) if label.is_some_and(|have| have != key) => {
                return Some((span, "labels of different keys"));
            }
            Fact::Label(key) => label = Some(key),
            Fact::Other => {}
        }
        if zone && identity {
            return Some((span, "a zone beside an identity"));
        }
        if zone && label.is_some() {
            return Some((span, "a zone beside a label"));
        }
    }
    None
}

/// `any` in the very list that names more (rule 38).
fn any_action(rule: &RuleDecl, found: &mut Found) {
    let any = ActionPattern::Any;
    if !rule.actions.iter().any(|action| action.value == any) {
        return;
    }
    for action in &rule.actions {
        if action.value != any && Read::new(&any).permits_all_of(&Read::new(&action.value)) {
            let name = &rule.name.value;
            found.add(
                Lint::AnyBesideSpecific,
                action.span,
                format!("`any` in the same list of the permit `{name}` already covers this action"),
                "remove `any`, or the actions that it makes void",
            );
        }
    }
}
