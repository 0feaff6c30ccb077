//! An explanation for a person in a hurry: the verdict first, then the stages, the rules, and what would have been permitted.

use std::io::Write as _;

use ztl_core::Verdict;
use ztl_core::policy::{Effect, Explanation, Mode, Recorded, Span, Walk};

use crate::exit::Failure;
use crate::json::escaped;
use crate::output::{Colour, Output};
use crate::places::Places;
use crate::policy_file::PolicyFile;

use super::record::{is_same_answer, is_same_policy};

/// Prints it.
pub(super) fn write(
    why: &Explanation,
    recorded: Option<&Recorded>,
    file: &PolicyFile,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut page = Page {
        why,
        file,
        places: Places::new(&file.text),
        out,
    };
    page.verdict()?;
    if let Some(recorded) = recorded {
        page.record(recorded)?;
    }
    page.stages()?;
    page.trust()?;
    page.rules("rules, the nearest first", &why.rules, why.more_rules)?;
    page.rules(
        "rules in shadow mode, which decide nothing",
        &why.shadow,
        why.more_shadow,
    )?;
    page.nearest()
}

struct Page<'a> {
    why: &'a Explanation,
    file: &'a PolicyFile,
    places: Places<'a>,
    out: &'a mut Output,
}

impl Page<'_> {
    /// A line, of which nothing reaches the terminal that it obeys (T30).
    fn line(&mut self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{}", escaped(text))?)
    }

    fn place(&self, span: Span) -> String {
        let line = self.places.of(span.start).line;
        format!("{}:{line}", self.file.name)
    }

    fn verdict(&mut self) -> Result<(), Failure> {
        let decision = &self.why.decision;
        let (word, colour) = match decision.verdict {
            Verdict::Permit => ("permitted", Colour::Green),
            Verdict::Deny => ("denied", Colour::Red),
        };
        let word = self.out.mark(word, colour);
        write!(self.out, "{word} ")?;
        let rule = decision.rule.as_deref();
        let rule = rule.map_or_else(String::new, |rule| format!(", rule `{rule}`"));
        let line = format!("at the {} stage: {}{rule}", decision.stage, decision.reason);
        self.line(&line)
    }

    fn record(&mut self, recorded: &Recorded) -> Result<(), Failure> {
        let rule = recorded.rule.as_deref();
        let rule = rule.map_or_else(String::new, |rule| format!(", rule `{rule}`"));
        let line = format!(
            "recorded as {}: {}{rule} (decision {})",
            recorded.verdict, recorded.reason, recorded.id
        );
        self.line(&line)?;
        if !is_same_policy(recorded, self.why) {
            self.line("  under another revision of the policy than this one")?;
        }
        if !is_same_answer(recorded, self.why) {
            self.line("  which is not what is said here: see what the record does not hold")?;
        }
        for missing in &recorded.missing {
            self.line(&format!("  the record does not hold {missing}"))?;
        }
        Ok(())
    }

    fn stages(&mut self) -> Result<(), Failure> {
        writeln!(self.out)?;
        for step in &self.why.steps {
            let word = match (step.passed, self.why.decision.verdict) {
                (true, _) => self.out.mark("passed", Colour::Green),
                (false, _) => self.out.mark("denied", Colour::Red),
            };
            let name = step.stage.as_str();
            write!(self.out, "{name:<8}  {word}  ")?;
            let facts: Vec<_> = step.facts.iter().collect();
            let facts: Vec<_> = facts
                .iter()
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            self.line(&facts.join(", "))?;
            if let Some(failed) = &step.failed {
                let line = format!(
                    "{:18}{}: expected {}, got {}",
                    "", failed.clause, failed.expected, failed.got
                );
                self.line(&line)?;
            }
        }
        Ok(())
    }

    fn trust(&mut self) -> Result<(), Failure> {
        let Some(scored) = &self.why.trust else {
            return Ok(());
        };
        let (score, base) = (scored.score.value(), scored.base);
        writeln!(self.out, "\ntrust score {score}, on a base of {base}:")?;
        for contribution in &scored.contributions {
            self.line(&format!("  {contribution}"))?;
        }
        Ok(())
    }

    fn rules(&mut self, title: &str, walks: &[Walk], more: usize) -> Result<(), Failure> {
        if walks.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n{title}:")?;
        for walk in walks {
            self.rule(walk)?;
        }
        if more > 0 {
            writeln!(self.out, "  and {more} more")?;
        }
        Ok(())
    }

    fn rule(&mut self, walk: &Walk) -> Result<(), Failure> {
        let shadow = match walk.mode {
            Mode::Enforce => "",
            Mode::Off => ", off",
            _ => ", in shadow",
        };
        let decided = if walk.decided { ", which decided" } else { "" };
        let line = format!(
            "  {}  {} `{}`{shadow}{decided}",
            self.place(walk.span),
            walk.effect.as_str(),
            walk.rule
        );
        self.line(&line)?;
        let Some(failed) = walk.failed() else {
            let line = match walk.effect {
                Effect::Permit if self.why.decision.verdict == Verdict::Deny => {
                    "      every clause that was judged holds"
                }
                Effect::Permit => "      every clause holds",
                Effect::Forbid => "      every clause matches, so it forbids",
            };
            return self.line(line);
        };
        let place = failed.span.map(|span| format!("  ({})", self.place(span)));
        let line = format!(
            "      {}: expected {}, got {}{}",
            failed.clause,
            failed.expected,
            failed.got,
            place.unwrap_or_default()
        );
        self.line(&line)
    }

    fn nearest(&mut self) -> Result<(), Failure> {
        if self.why.decision.verdict == Verdict::Permit {
            return Ok(());
        }
        writeln!(self.out)?;
        let nearest = &self.why.nearest;
        for one in &nearest.otherwise {
            let line = format!("would be permitted by `{}` if {one}", one.rule);
            self.line(&line)?;
        }
        for rule in &nearest.opaque {
            let line = format!(
                "`{rule}` hangs on a condition or an authorizer: what would satisfy it cannot be told"
            );
            self.line(&line)?;
        }
        if nearest.otherwise.is_empty() {
            self.line("nothing near it would be permitted")?;
        }
        Ok(())
    }
}
