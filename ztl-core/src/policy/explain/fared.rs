//! How one rule fared, clause by clause and without words.

use crate::action::Action;
use crate::clause::Clause;
use crate::flow::{AnyFlow, Direction};
use crate::policy::along::Along;
use crate::policy::asked::Asked;
use crate::policy::decide::Input;
use crate::policy::document::Effect;
use crate::policy::edge::Edge;
use crate::policy::requirement::Unmet;
use crate::policy::rule::{Caller, Rule, RuleIdx};
use crate::policy::{Aim, Mode, Policy};
use crate::time::Timestamp;

use super::misfit::Misfit;

/// What rules are walked against.
pub(super) struct Scene<'a, 'e> {
    pub(super) policy: &'a Policy,
    pub(super) input: &'a Input<'a>,
    pub(super) now: Timestamp,
    pub(super) caller: &'a Caller<'a>,
    /// None where nobody of that name is declared.
    pub(super) target: Option<Aim<'a>>,
    pub(super) edge: &'a Edge,
    pub(super) along: &'a Along<'e>,
    /// Whether the decision came as far as the action, so that requirements were judged.
    pub(super) at_action: bool,
}

/// How a rule fared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fared {
    pub(super) rule: RuleIdx,
    pub(super) effect: Effect,
    pub(super) mode: Mode,
    pub(super) to: bool,
    pub(super) from: bool,
    pub(super) port: bool,
    /// Of the pattern that comes nearest, with its place among the rule's; none where the rule names no action or none was
    /// asked for.
    pub(super) misfit: Option<(usize, Misfit)>,
    /// All that the rule asks for besides.
    pub(super) rest: Rest,
    /// Whether the rule says what it is there to say: a permit holds, a forbid fires.
    pub(super) applies: bool,
}

/// What a rule asks for beside ends and action.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rest {
    /// It was not judged, or nothing is asked for.
    Open,
    /// This many requirements hold, and all do.
    Held(usize),
    /// The first requirement that does not hold, by its place, and why.
    Unmet(usize, Unmet),
    /// A forbid is narrowed by this, which does not match.
    Narrowed(Clause),
}

impl<'a, 'e> Scene<'a, 'e> {
    pub(super) fn action(&self) -> Option<&'a Action<'a>> {
        self.input
            .action
            .as_ref()
            .and_then(|asked| asked.as_ref().ok())
    }

    /// Who is called, where nobody of that name is declared.
    pub(super) fn called(&self) -> &'a str {
        self.input.flow.called()
    }

    /// Whether what only the target knows, and only of a request, was judged.
    pub(super) fn judges_requirements(&self) -> bool {
        let ingress = self.input.flow.direction == Direction::Ingress;
        self.at_action && ingress && self.action().is_some()
    }

    pub(super) fn asked(&self) -> Option<Asked<'a, 'e>> {
        let action = self.action()?;
        let (flow, evidence) = (AnyFlow::Asked(&self.input.flow), &self.input.evidence);
        Some(Asked::new(
            self.policy,
            self.edge,
            flow,
            action,
            evidence,
            self.along,
            self.now,
        ))
    }

    /// Walks one rule. `port` is none where the rule does not speak of the target.
    pub(super) fn walk(&self, index: RuleIdx, port: Option<bool>) -> Option<Fared> {
        let rule = self.policy.rule(index)?;
        let zones = self.policy.zones();
        let mut from = rule.speaks_of(self.caller, zones);
        let asked = self.asked();
        let ingress = self.input.flow.direction == Direction::Ingress;
        if rule.effect == Effect::Forbid && asked.is_some() && ingress && self.at_action {
            from |= self.along.are_forbidden(rule);
        }
        let misfit = match rule.effect {
            Effect::Permit => self.nearest_pattern(rule),
            Effect::Forbid => self.uncovered(rule),
        };
        let mut fared = Fared {
            rule: index,
            effect: rule.effect,
            mode: rule.mode,
            to: port.is_some(),
            from,
            port: port.unwrap_or(true),
            misfit,
            rest: Rest::Open,
            applies: false,
        };
        let structure = fared.first().is_none();
        let judged = asked.filter(|_| structure && self.at_action);
        match (rule.effect, judged) {
            (Effect::Permit, Some(asked)) => fared.rest = asked_of_permit(&asked, rule),
            (Effect::Forbid, Some(asked)) if !asked.forbid_fires(rule) => {
                fared.rest = Rest::Narrowed(self.narrowed_by(rule));
            }
            // Whatever narrows it further is judged at the action.
            (Effect::Forbid, None) if structure && rule.is_conditional() => {
                fared.rest = Rest::Narrowed(narrowing(rule));
            }
            _ => {}
        }
        fared.applies = fared.first().is_none();
        Some(fared)
    }

    fn nearest_pattern(&self, rule: &Rule) -> Option<(usize, Misfit)> {
        let action = self.action()?;
        let misfits = rule.actions.iter().map(|one| Misfit::of(one, action));
        misfits
            .enumerate()
            .min_by_key(|(at, misfit)| (misfit.count(), *at))
    }

    /// Whether the patterns of a forbid cover what is asked; the flow alone is covered only where it names none.
    fn uncovered(&self, rule: &Rule) -> Option<(usize, Misfit)> {
        if rule.actions.is_empty() {
            return None;
        }
        let action = self.action();
        let covers = action.map(|action| {
            let mut patterns = rule.actions.iter();
            patterns.position(|pattern| pattern.forbids(action))
        });
        let at = covers.flatten();
        let misfit = Misfit {
            action: at.is_none(),
            ..Misfit::default()
        };
        Some((at.unwrap_or(0), misfit))
    }

    /// Which clause keeps a forbid that covers the action from firing.
    fn narrowed_by(&self, rule: &Rule) -> Clause {
        if self.input.flow.direction == Direction::Egress {
            return narrowing(rule);
        }
        if !rule.subject.is_empty() && !self.along.subject_is_forbidden(&rule.subject) {
            Clause::Subject
        } else if !rule.actors.is_empty() && !self.along.actors_are_forbidden(&rule.actors) {
            Clause::Actors
        } else {
            Clause::When
        }
    }
}

fn asked_of_permit(asked: &Asked<'_, '_>, rule: &Rule) -> Rest {
    if asked.flow.direction() == Direction::Egress {
        return Rest::Open;
    }
    match asked.first_unmet(rule) {
        None => Rest::Held(rule.require.len()),
        Some((at, unmet)) => Rest::Unmet(at, unmet),
    }
}

/// The first clause that narrows a forbid beside its ends and actions.
fn narrowing(rule: &Rule) -> Clause {
    if !rule.subject.is_empty() {
        Clause::Subject
    } else if !rule.actors.is_empty() {
        Clause::Actors
    } else {
        Clause::When
    }
}

impl Fared {
    /// The first clause that failed.
    pub(super) fn first(&self) -> Option<Clause> {
        let misfit = self.misfit.and_then(|(_, misfit)| misfit.first());
        if !self.to {
            Some(Clause::To)
        } else if !self.from {
            Some(Clause::From)
        } else if !self.port {
            Some(Clause::Port)
        } else if misfit.is_some() {
            misfit
        } else {
            match self.rest {
                Rest::Open | Rest::Held(_) => None,
                Rest::Unmet(_, unmet) => Some(unmet.lack.into()),
                Rest::Narrowed(clause) => Some(clause),
            }
        }
    }

    /// How many clauses held.
    pub(super) fn held(&self) -> usize {
        let ends = [self.to, self.from, self.port];
        let ends = ends.into_iter().filter(|held| *held).count();
        let action = self.misfit.map_or(0, |(_, misfit)| 3 - misfit.count());
        let rest = match self.rest {
            Rest::Open | Rest::Narrowed(_) => 0,
            Rest::Held(count) | Rest::Unmet(count, _) => count,
        };
        ends + action + rest
    }
}
