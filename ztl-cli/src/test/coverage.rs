//! What the tests exercise: the rules that decided one, and the clauses that one turned on.
//!
//! A rule is asked in this order: target, caller, port, action, requirements. A test meets a clause, or comes as far as to it and
//! does not meet it. What comes after a clause that no entry met is not exercised by that test.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;

use serde_json::{Value, json};
use ztl_core::policy::{Effect, Mode, RuleDecl, Target};
use ztl_core::{Decision, Reason, ShadowOutcome, Stage, Verdict};

use super::asked::{Asked, Called, matches};
use super::clause::{Clause, Kind, clauses, lacking, requirements};
use super::outcome::Outcome;
use crate::exit::Failure;
use crate::json;
use crate::places::Places;
use crate::policy_file::PolicyFile;

/// A rule that is not off.
#[derive(Debug)]
struct Covered<'a> {
    decl: &'a RuleDecl,
    clauses: Vec<Clause>,
    exercised: bool,
}

#[derive(Debug)]
pub(super) struct Coverage<'a> {
    rules: Vec<Covered<'a>>,
}

impl<'a> Coverage<'a> {
    pub(super) fn of(file: &'a PolicyFile, outcomes: &[Outcome<'_>]) -> Self {
        let document = file.policy.document();
        let counted = document.rules.iter().filter(|rule| rule.mode != Mode::Off);
        let mut rules: Vec<_> = counted
            .map(|decl| Covered {
                decl,
                clauses: clauses(decl, &file.text),
                exercised: false,
            })
            .collect();
        let mut named: HashSet<&str> = HashSet::new();
        let mut by_target: BTreeMap<_, Vec<(Asked<'_>, &Decision)>> = BTreeMap::new();
        for outcome in outcomes {
            let Some(decision) = outcome.decision() else {
                continue;
            };
            named.extend(decision.rule.as_deref());
            named.extend(decision.shadow.iter().map(|shadow| &*shadow.rule));
            if let Some(asked) = Asked::of(&outcome.case.test.request, &file.policy) {
                by_target
                    .entry(asked.called.key())
                    .or_default()
                    .push((asked, decision));
            }
        }
        for rule in &mut rules {
            rule.exercised = named.contains(&*rule.decl.name.value);
        }
        for tests in by_target.values() {
            let Some((first, _)) = tests.first() else {
                continue;
            };
            for rule in &mut rules {
                if rule.is_to(first.called, file) {
                    for (asked, decision) in tests {
                        rule.judge(asked, decision);
                    }
                }
            }
        }
        Self { rules }
    }

    /// The exercised part of what all clauses can come to, rounded down. A document without rules has nothing to exercise.
    pub(super) fn percent(&self) -> u8 {
        let (exercised, all) = self.outcomes();
        let percent = exercised
            .saturating_mul(100)
            .checked_div(all)
            .unwrap_or(100);
        u8::try_from(percent).unwrap_or(100)
    }

    fn outcomes(&self) -> (usize, usize) {
        let clauses = || self.rules.iter().flat_map(|rule| &rule.clauses);
        let all = clauses().map(Clause::outcomes).sum::<usize>();
        let missing = clauses()
            .map(|clause| clause.missing().count())
            .sum::<usize>();
        (all - missing, all)
    }

    fn never(&self) -> impl Iterator<Item = &Covered<'a>> {
        self.rules.iter().filter(|rule| !rule.exercised)
    }

    pub(super) fn json(&self, places: &Places<'_>) -> Value {
        let never: Vec<&str> = self.never().map(|rule| &*rule.decl.name.value).collect();
        let (exercised, all) = self.outcomes();
        let missing = self.rules.iter().flat_map(|rule| {
            let place = places.of(rule.decl.span.start);
            rule.clauses.iter().flat_map(move |clause| {
                clause.missing().map(move |never| {
                    json!({
                        "rule": *rule.decl.name.value,
                        "line": place.line,
                        "column": place.column,
                        "kind": clause.kind.as_str(),
                        "clause": clause.text,
                        "never": never,
                    })
                })
            })
        });
        json!({
            "rules": self.rules.len(),
            "exercised": self.rules.len() - never.len(),
            "never": never,
            "clauses": {
                "outcomes": all,
                "exercised": exercised,
                "percent": self.percent(),
                "missing": missing.collect::<Vec<_>>(),
            },
        })
    }

    pub(super) fn write(
        &self,
        file: &PolicyFile,
        places: &Places<'_>,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let rules = self.rules.len();
        let decided = rules - self.never().count();
        writeln!(out, "coverage: {decided} of {rules} rules decided a test")?;
        let (exercised, all) = self.outcomes();
        let percent = self.percent();
        writeln!(
            out,
            "          {exercised} of {all} outcomes of their clauses came about ({percent} %)"
        )?;
        for rule in &self.rules {
            let place = places.of(rule.decl.span.start);
            let (kind, name) = (rule.decl.effect.as_str(), &rule.decl.name.value);
            let at = format!("({}:{}:{})", file.name, place.line, place.column);
            if !rule.exercised {
                writeln!(out, "  never exercised: {kind} `{name}` {at}")?;
                continue;
            }
            let missing = rule.clauses.iter().filter_map(|clause| {
                let never: Vec<_> = clause.missing().collect();
                let text = json::escaped(&clause.text);
                (!never.is_empty()).then(|| {
                    format!(
                        "{} `{text}` never {}",
                        clause.kind.as_str(),
                        never.join(" nor ")
                    )
                })
            });
            let missing: Vec<_> = missing.collect();
            if !missing.is_empty() {
                writeln!(out, "  {kind} `{name}` {at}: {}", missing.join("; "))?;
            }
        }
        Ok(())
    }
}

impl Covered<'_> {
    /// Notes what each entry makes of these; says whether any entry met it.
    fn note(&mut self, kind: Kind, met: impl Fn(usize) -> bool) -> bool {
        let mut any = false;
        for clause in self.clauses.iter_mut().filter(|clause| clause.kind == kind) {
            let met = met(clause.at);
            clause.met |= met;
            clause.unmet |= !met;
            any |= met;
        }
        any
    }

    fn is_to(&mut self, called: Called<'_>, file: &PolicyFile) -> bool {
        let rule = self.decl;
        self.note(Kind::To, |at| {
            let Some(to) = rule.to.get(at) else {
                return false;
            };
            match (called, &to.value) {
                (Called::Workload(decl, workload), to) => match to {
                    Target::Workload(name) => decl.name.value == *name,
                    Target::Id(pattern) => matches(pattern, workload.id(), &file.policy),
                    Target::Label { key, value } => decl.labels.get(key) == Some(value),
                    Target::Zone(name) => {
                        decl.zone.as_ref().is_some_and(|zone| zone.value == *name)
                    }
                    Target::Any => true,
                    _ => false,
                },
                (Called::External(external), Target::External(name)) => *external.name() == **name,
                // In a forbid `any` is more than every workload, where it hangs on nothing that only a target knows.
                (Called::External(_), Target::Any) => {
                    rule.effect == Effect::Forbid && !rule.is_conditional()
                }
                (Called::External(_), _) => false,
            }
        })
    }

    fn judge(&mut self, asked: &Asked<'_>, decision: &Decision) {
        let rule = self.decl;
        let misplaced = matches!(decision.reason, Reason::ZoneUnknown | Reason::ZoneMismatch);
        if decision.stage == Stage::Identity || misplaced {
            return;
        }
        let from = |at: usize| {
            rule.from
                .get(at)
                .is_some_and(|from| asked.is_from(&from.value, rule.effect))
        };
        if !self.note(Kind::From, from) {
            return;
        }
        let speaks = if rule.ports.is_empty() {
            asked.speaks_of_port(rule, None)
        } else {
            self.note(Kind::Port, |at| {
                let range = rule.ports.get(at);
                range.is_some_and(|range| asked.speaks_of_port(rule, Some(range.value)))
            })
        };
        if !speaks || decision.stage != Stage::Action {
            return;
        }
        let Some(action) = asked.action() else { return };
        let covered = |at: usize| {
            rule.actions
                .get(at)
                .is_some_and(|pattern| match rule.effect {
                    Effect::Permit => pattern.value.permits(&action),
                    Effect::Forbid => pattern.value.forbids(&action),
                })
        };
        self.note(Kind::Action, covered);
        self.require(decision);
    }

    /// What a decision says of the requirements: all held, or all before the one that did not.
    fn require(&mut self, decision: &Decision) {
        let name = &self.decl.name.value;
        let keys = requirements(self.decl);
        let decided = decision.rule.as_ref() == Some(name);
        let would =
            |shadow: &ShadowOutcome| shadow.rule == *name && shadow.would == Verdict::Permit;
        let held = if decision.shadow.iter().any(would)
            || decided && decision.verdict == Verdict::Permit
        {
            keys.len()
        } else if let (true, Some(lack)) = (decided, decision.lack) {
            let of = |wanted: &&str| keys.iter().position(|key| key == wanted);
            let Some(at) = lacking(lack).iter().find_map(of) else {
                return;
            };
            at
        } else {
            return;
        };
        for clause in self
            .clauses
            .iter_mut()
            .filter(|clause| clause.kind == Kind::Require)
        {
            clause.met |= clause.at < held;
            clause.unmet |= clause.at == held;
        }
    }
}
