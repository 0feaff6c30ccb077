//! An explanation as JSON.

use serde_json::{Value, json};

use super::{Checked, Explanation, Nearest, Step, Walk};
use crate::policy::document::{Effect, Mode, Span};
use crate::policy::query::decision_json;
use crate::trust::{self, Scored, Signal};

/// The text of a document, to say on which line something stands.
struct Lines {
    /// Where each line begins.
    starts: Vec<usize>,
}

impl Lines {
    fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = ends.map(|(at, _)| at.saturating_add(1));
        Self {
            starts: core::iter::once(0).chain(starts).collect(),
        }
    }

    fn line(&self, span: Span) -> usize {
        self.starts.partition_point(|start| *start <= span.start)
    }
}

impl Explanation {
    /// As one JSON object, described in docs/explain.md. `text` is the document's own, for the numbers of lines.
    #[must_use]
    pub fn json(&self, text: &str) -> Value {
        let lines = Lines::of(text);
        let walks = |walks: &[Walk]| -> Vec<Value> {
            let walks = walks.iter();
            walks.map(|walk| walk.json(&lines)).collect()
        };
        let decision = decision_json(&self.decision);
        let decision: Value = serde_json::from_str(&decision).unwrap_or(Value::Null);
        json!({
            "decision": decision,
            "now": self.now.as_unix_secs(),
            "revision": self.revision.to_string(),
            "stages": self.steps.iter().map(|step| step.json(&lines)).collect::<Vec<_>>(),
            "trust": self.trust.as_ref().map(scored),
            "rules": walks(&self.rules),
            "more_rules": self.more_rules,
            "shadow": walks(&self.shadow),
            "more_shadow": self.more_shadow,
            "nearest": self.nearest.json(),
        })
    }
}

fn scored(scored: &Scored) -> Value {
    let signals = scored.contributions.iter().map(|one| {
        let signal = one.signal.as_ref();
        let points = match one.effect {
            trust::Effect::Adds(points) => i64::from(points),
            trust::Effect::Takes(points) => -i64::from(points),
            _ => 0,
        };
        json!({
            "name": one.weighed.name(),
            "of": one.weighed.of().as_str(),
            "value": signal.map(Signal::value),
            "source": signal.map(Signal::source),
            "age": signal.map(|_| one.age.as_secs()),
            "effect": one.effect.code(),
            "points": points,
            "zeroes": one.zeroes(),
            "text": one.to_string(),
        })
    });
    json!({
        "score": scored.score.value(),
        "base": scored.base,
        "signals": signals.collect::<Vec<_>>(),
    })
}

impl Step {
    fn json(&self, lines: &Lines) -> Value {
        let facts = self.facts.iter();
        let facts = facts.map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
        json!({
            "stage": self.stage.as_str(),
            "passed": self.passed,
            "facts": facts.collect::<Value>(),
            "failed": self.failed.as_ref().map(|failed| failed.json(lines)),
        })
    }
}

impl Walk {
    fn json(&self, lines: &Lines) -> Value {
        let mode = match self.mode {
            Mode::Enforce => "enforce",
            Mode::Shadow => "shadow",
            Mode::Off => "off",
        };
        json!({
            "rule": &*self.rule,
            "effect": Effect::as_str(self.effect),
            "mode": mode,
            "line": lines.line(self.span),
            "decided": self.decided,
            "matches": self.matches,
            "failed": self.failed().map(|failed| failed.clause.code()),
            "clauses": self.clauses.iter().map(|one| one.json(lines)).collect::<Vec<_>>(),
        })
    }
}

impl Checked {
    fn json(&self, lines: &Lines) -> Value {
        json!({
            "clause": self.clause.code(),
            "held": self.held,
            "expected": self.expected,
            "got": self.got,
            "line": self.span.map(|span| lines.line(span)),
        })
    }
}

impl Nearest {
    fn json(&self) -> Value {
        let otherwise = self.otherwise.iter().map(|one| {
            let changes = one.changes.iter();
            let changes =
                changes.map(|change| json!({ "clause": change.clause.code(), "to": change.to }));
            json!({
                "rule": &*one.rule,
                "changes": changes.collect::<Vec<_>>(),
                "text": one.to_string(),
            })
        });
        let opaque = self.opaque.iter().map(|rule| &**rule);
        json!({
            "permitted_if": otherwise.collect::<Vec<_>>(),
            "unverifiable": opaque.collect::<Vec<_>>(),
            "decisions": self.decisions,
        })
    }
}
