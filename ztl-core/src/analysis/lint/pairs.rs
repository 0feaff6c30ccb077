//! Rules compared with rules: what one makes of another.

use std::collections::HashMap;

use crate::policy::{ActionPattern, Effect, Mode, RuleDecl};

use super::calls::Calls;
use super::cover::{asks_no_more, covers};
use super::finding::Found;
use super::key::{Key, Keys, RuleKeys};
use super::kinds::Lint;

pub(super) fn check(keys: &Keys<'_>, calls: &Calls, found: &mut Found) {
    let flat = |rule: &RuleKeys<'_>| {
        let decl = rule.decl;
        let narrowed = decl.when.is_some() || !decl.subject.is_empty() || !decl.actors.is_empty();
        rule.counts(Effect::Forbid) && !narrowed
    };
    let forbids = Index::of(keys, flat, found);
    let permits = Index::of(keys, |rule| rule.counts(Effect::Permit), found);
    for (at, rule) in keys.rules.iter().enumerate() {
        match (rule.decl.effect, rule.decl.mode) {
            (_, Mode::Off) | (Effect::Forbid, Mode::Enforce) => {}
            (Effect::Permit, Mode::Enforce) => {
                if !shadowed(keys, at, rule, calls, &forbids, found) {
                    permit(keys, at, rule, &permits, found);
                }
            }
            (effect, Mode::Shadow) => {
                let wide = match effect {
                    Effect::Forbid => forbids.find(keys, at, rule, found, |_| true),
                    Effect::Permit => forbids.find(keys, at, rule, found, |_| true).or_else(|| {
                        permits.find(keys, at, rule, found, |(_, wide)| {
                            asks_no_more(wide, rule.decl)
                        })
                    }),
                };
                if let Some((_, wide)) = wide {
                    shadow(rule.decl, wide, found);
                }
            }
        }
    }
}

/// Whether forbids take away all that a permit lets through: one that covers it, else those that do together.
fn shadowed<'a>(
    keys: &Keys<'a>,
    at: usize,
    rule: &RuleKeys<'a>,
    calls: &Calls,
    forbids: &Index<'a>,
    found: &mut Found,
) -> bool {
    let names: Vec<&str> = match forbids.find(keys, at, rule, found, |_| true) {
        Some((_, forbid)) => vec![&forbid.name.value],
        None => match calls.rule(at) {
            Some(matched) if !matched.left && !matched.by.is_empty() => {
                let rules = matched.by.iter().filter_map(|rule| keys.policy.rule(*rule));
                rules.map(|rule| &*rule.name).collect()
            }
            _ => return false,
        },
    };
    let name = &rule.decl.name.value;
    let together = match names.as_slice() {
        [one] => format!("the forbid `{one}` takes all of it away"),
        all => format!(
            "the forbids `{}` together take all of it away",
            all.join("`, `")
        ),
    };
    found.add(
        Lint::ShadowedByForbid,
        rule.decl.name.span,
        format!("the permit `{name}` lets nothing through: {together}"),
        "narrow a forbid, or remove the permit",
    );
    true
}

fn permit<'a>(
    keys: &Keys<'a>,
    at: usize,
    rule: &RuleKeys<'a>,
    permits: &Index<'a>,
    found: &mut Found,
) {
    let name = &rule.decl.name.value;
    // Of two that say the same the later one is too much.
    let adds_nothing = |wide: &(usize, &RuleDecl)| {
        // The first permit that holds says what its caller is obliged to.
        let obliges_alike = wide.0 < at || wide.1.oblige.is_empty() && rule.decl.oblige.is_empty();
        obliges_alike
            && asks_no_more(wide.1, rule.decl)
            && (wide.0 < at || !asks_no_more(rule.decl, wide.1) || {
                let wide = keys.rules.get(wide.0);
                wide.is_none_or(|wide| !covers(keys, rule, wide))
            })
    };
    let Some((_, wide)) = permits.find(keys, at, rule, found, adds_nothing) else {
        return;
    };
    let other = &wide.name.value;
    let same = asks_no_more(rule.decl, wide);
    let names_any = |rule: &RuleDecl| {
        rule.actions
            .iter()
            .any(|one| one.value == ActionPattern::Any)
    };
    let (lint, message, help) = if names_any(wide) && !names_any(rule.decl) {
        let void = if same { "" } else { ", and asks for less" };
        (
            Lint::AnyBesideSpecific,
            format!(
                "`any` in the permit `{other}` covers all actions of the permit `{name}`{void}"
            ),
            "name the actions that are meant in the wider permit; permits are alternatives, the most specific one does not win",
        )
    } else if same {
        (
            Lint::DuplicatePermit,
            format!("the permit `{name}` adds nothing to the permit `{other}`"),
            "remove one of the two",
        )
    } else {
        (
            Lint::VoidRequirement,
            format!(
                "what the permit `{name}` requires holds nobody back: the permit `{other}` lets the same through and asks for less"
            ),
            "narrow the wider permit, or require the same there; permits are alternatives",
        )
    };
    found.add(lint, rule.decl.name.span, message, help);
}

fn shadow(rule: &RuleDecl, wide: &RuleDecl, found: &mut Found) {
    let (kind, name) = (rule.effect.as_str(), &rule.name.value);
    let (wide_kind, other) = (wide.effect.as_str(), &wide.name.value);
    found.add(
        Lint::ShadowWithoutEffect,
        rule.name.span,
        format!("the {kind} `{name}` in shadow would change nothing: the enforced {wide_kind} `{other}` already settles all that it speaks of"),
        "remove it, or narrow the enforced rule that it is to replace",
    );
}

/// Rules by each pair of a caller and a target that they name.
struct Index<'a> {
    by_edge: HashMap<(Key<'a>, Key<'a>), Vec<usize>>,
}

impl<'a> Index<'a> {
    fn of(keys: &Keys<'a>, counts: impl Fn(&RuleKeys<'a>) -> bool, found: &mut Found) -> Self {
        let mut by_edge: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, rule) in keys.rules.iter().enumerate() {
            let edges = rule.from.len().saturating_mul(rule.to.len());
            if !counts(rule) || !found.may_compare(edges) {
                continue;
            }
            for from in &rule.from {
                for to in &rule.to {
                    let rules = by_edge.entry((from.clone(), to.clone())).or_default();
                    if rules.last() != Some(&at) {
                        rules.push(at);
                    }
                }
            }
        }
        Self { by_edge }
    }

    /// The first other rule that speaks of everything that this one speaks of, and is `fit`.
    fn find(
        &self,
        keys: &Keys<'a>,
        at: usize,
        rule: &RuleKeys<'a>,
        found: &mut Found,
        fit: impl Fn(&(usize, &'a RuleDecl)) -> bool,
    ) -> Option<(usize, &'a RuleDecl)> {
        let (from, to) = (rule.from.first()?, rule.to.first()?);
        let (from, to) = (keys.wider(from), keys.wider(to));
        let mut nearest: Option<(usize, &'a RuleDecl)> = None;
        for from in &from {
            for to in &to {
                for other in self
                    .by_edge
                    .get(&(from.clone(), to.clone()))
                    .into_iter()
                    .flatten()
                {
                    if *other == at || nearest.is_some_and(|(nearest, _)| nearest <= *other) {
                        continue;
                    }
                    let Some(wide) = keys.rules.get(*other) else {
                        continue;
                    };
                    let steps = 1
                        + wide
                            .decl
                            .actions
                            .len()
                            .saturating_mul(rule.decl.actions.len())
                        + rule.from.len()
                        + rule.to.len();
                    if !found.may_compare(steps) {
                        return nearest;
                    }
                    if covers(keys, wide, rule) && fit(&(*other, wide.decl)) {
                        nearest = Some((*other, wide.decl));
                    }
                }
            }
        }
        nearest
    }
}
