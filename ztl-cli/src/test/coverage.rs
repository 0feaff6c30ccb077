//! Which rules the tests exercise: each that decided one, and each in shadow that would have said something.

use std::collections::HashSet;
use std::io::Write;

use serde_json::{Value, json};
use ztl_core::policy::{Mode, Policy, RuleDecl};

use super::outcome::Outcome;
use crate::exit::Failure;
use crate::policy_file::{PolicyFile, place};

#[derive(Debug)]
pub(super) struct Coverage<'a> {
    /// Of the rules that are not off.
    rules: usize,
    never: Vec<&'a RuleDecl>,
}

impl<'a> Coverage<'a> {
    pub(super) fn of(policy: &'a Policy, outcomes: &[Outcome<'_>]) -> Self {
        let mut exercised: HashSet<&str> = HashSet::new();
        for decision in outcomes.iter().filter_map(Outcome::decision) {
            exercised.extend(decision.rule.as_deref());
            exercised.extend(decision.shadow.iter().map(|shadow| &*shadow.rule));
        }
        let counted: Vec<_> = policy
            .document()
            .rules
            .iter()
            .filter(|rule| rule.mode != Mode::Off)
            .collect();
        let rules = counted.len();
        let never = counted
            .into_iter()
            .filter(|rule| !exercised.contains(&*rule.name.value))
            .collect();
        Self { rules, never }
    }

    pub(super) fn json(&self) -> Value {
        let never: Vec<&str> = self.never.iter().map(|rule| &*rule.name.value).collect();
        json!({ "rules": self.rules, "exercised": self.rules - never.len(), "never": never })
    }

    pub(super) fn write(&self, file: &PolicyFile, out: &mut impl Write) -> Result<(), Failure> {
        let exercised = self.rules - self.never.len();
        writeln!(
            out,
            "coverage: {exercised} of {} rules decided a test",
            self.rules
        )?;
        for rule in &self.never {
            let (line, column) = place(&file.text, rule.span.start);
            let (kind, name) = (rule.effect.as_str(), &rule.name.value);
            writeln!(
                out,
                "  never exercised: {kind} `{name}` ({}:{line}:{column})",
                file.name
            )?;
        }
        Ok(())
    }
}
