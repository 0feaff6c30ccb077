//! How a question was judged, before anybody is told.

use std::sync::Arc;

use crate::clause::{Clause, Near};
use crate::decision::{Decision, Lack, ShadowOutcome};
use crate::flow::Direction;
use crate::obligation::Obligations;
use crate::reason::{Reason, Stage, Verdict};
use crate::time::Timestamp;

use super::Policy;
use super::along::{Aside, Heard, Said};
use super::rule::{Rule, RuleIdx};

/// How a step ended, and by which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) stage: Stage,
    pub(crate) reason: Reason,
    pub(crate) rule: Option<RuleIdx>,
    pub(crate) lack: Option<Lack>,
    /// Until when what the outcome rests on is good.
    pub(crate) until: Timestamp,
    obliges: Obliges,
}

/// Whose obligations have to be discharged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obliges {
    Nobody,
    /// The rule.
    Rule,
    /// The rule and its authorizers, as it was said beside.
    Said,
}

impl Outcome {
    pub(super) const fn new(stage: Stage, reason: Reason, rule: Option<RuleIdx>) -> Self {
        Self {
            stage,
            reason,
            rule,
            lack: None,
            until: Timestamp::MAX,
            obliges: Obliges::Nobody,
        }
    }

    /// A denial that no rule made.
    pub(crate) const fn denied(stage: Stage, reason: Reason) -> Self {
        Self::new(stage, reason, None)
    }

    /// An action that a rule permits until then.
    pub(super) fn authorized(rule: RuleIdx, until: Timestamp, direction: Direction) -> Self {
        Self {
            until,
            // As requirements are: where the facts are, at the target.
            obliges: match direction {
                Direction::Ingress => Obliges::Rule,
                Direction::Egress => Obliges::Nobody,
            },
            ..Self::new(Stage::Action, Reason::Permitted, Some(rule))
        }
    }

    /// What the rule's authorizers said that it obliges to is to be discharged too.
    pub(super) fn obliges_as_said(&mut self) {
        self.obliges = Obliges::Said;
    }

    /// The same question, denied for another reason than a rule gives.
    pub(crate) fn deny(&mut self, reason: Reason) {
        self.reason = reason;
        self.obliges = Obliges::Nobody;
    }

    pub(crate) fn verdict(&self) -> Verdict {
        if self.is_permit() {
            Verdict::Permit
        } else {
            Verdict::Deny
        }
    }

    pub(crate) fn is_permit(&self) -> bool {
        self.reason == Reason::Permitted
    }
}

/// How a question was judged: a decision that nobody was told yet.
#[derive(Debug)]
pub(crate) struct Judgement<'p> {
    pub(crate) outcome: Outcome,
    /// The rule of the outcome.
    pub(crate) rule: Option<&'p Rule>,
    /// In one box what few judgements have, so that most are made and dropped at one look.
    beside: Option<Box<Beside>>,
    /// What a denial hung on, where that is asked for.
    pub(crate) near: Option<(&'p Rule, Clause)>,
}

/// What else is known of a judgement.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// What shadow rules would have said.
    shadow: Vec<ShadowOutcome>,
    /// What the condition or the authorizer that a denial hangs on said, or those of a permit.
    said: Aside,
}

impl Beside {
    pub(super) fn of(shadow: Vec<ShadowOutcome>) -> Self {
        Self { shadow, said: None }
    }
}

impl Judgement<'_> {
    /// What shadow rules would have said.
    #[inline]
    pub(crate) fn shadow(&self) -> &[ShadowOutcome] {
        self.beside.as_ref().map_or(&[], |beside| &beside.shadow)
    }

    /// What the condition or the authorizer that a denial hangs on said beside, or those of a permit.
    pub(crate) fn said(&self) -> Option<&Said> {
        self.heard()?.said.as_ref()
    }

    /// That, and by what it was said.
    pub(crate) fn heard(&self) -> Option<&Heard> {
        self.beside.as_ref()?.said.as_deref()
    }

    pub(super) fn say(&mut self, said: Box<Heard>) {
        self.beside.get_or_insert_default().said = Some(said);
    }

    /// What the permit that decided obliges to.
    #[inline]
    pub(crate) fn obligations(&self) -> Option<&Obligations> {
        match (self.outcome.obliges, self.said()) {
            (Obliges::Nobody, _) => None,
            (Obliges::Said, Some(Said::Obliges(all))) => Some(all),
            _ => self.rule.map(|rule| &rule.obligations),
        }
    }

    /// The decision that it comes to, which takes along what shadow rules would have said.
    #[inline(always)]
    pub(crate) fn decision(&mut self) -> Decision {
        Decision {
            verdict: self.outcome.verdict(),
            stage: self.outcome.stage,
            reason: self.outcome.reason,
            rule: self.rule.map(|rule| Arc::clone(&rule.name)),
            obligations: self.obligations().cloned().unwrap_or_default(),
            shadow: (self.beside.take()).map_or_else(Vec::new, |beside| beside.shadow),
            lack: self.outcome.lack,
            near: self.near.map(|(rule, clause)| Near {
                rule: Arc::clone(&rule.name),
                clause,
            }),
        }
    }
}

impl Drop for Judgement<'_> {
    /// Mostly there is nothing to drop, which is seen here at one look.
    #[inline(always)]
    fn drop(&mut self) {
        #[cold]
        #[inline(never)]
        fn forget(_: Box<Beside>) {}
        if let Some(beside) = self.beside.take() {
            forget(beside);
        }
    }
}

impl Policy {
    /// An outcome with the rule that made it, and what shadow rules would have said.
    #[inline]
    pub(crate) fn judged(&self, outcome: Outcome, beside: Option<Box<Beside>>) -> Judgement<'_> {
        Judgement {
            outcome,
            rule: outcome.rule.and_then(|index| self.rule(index)),
            beside,
            near: None,
        }
    }
}
