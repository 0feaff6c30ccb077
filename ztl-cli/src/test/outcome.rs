//! What came of one test.

use core::fmt;

use serde_json::{Value, json};
use ztl_core::policy::{Policy, Query, QueryError, decision_json};
use ztl_core::{Decision, Timestamp};

use super::cases::Case;

#[derive(Debug)]
pub(super) struct Outcome<'a> {
    pub(super) case: &'a Case<'a>,
    got: Result<Decision, QueryError>,
}

impl<'a> Outcome<'a> {
    pub(super) fn of(case: &'a Case<'a>, policy: &Policy, now: Timestamp) -> Self {
        let got = Query::from_map(&case.test.request).and_then(|query| query.decide(policy, now));
        Self { case, got }
    }

    /// Whether all that the test states came out so.
    pub(super) fn holds(&self) -> bool {
        let Ok(got) = &self.got else { return false };
        let test = &self.case.test;
        let reason = test.reason.as_deref();
        let rule = test.rule.as_deref();
        got.verdict == test.expect
            && reason.is_none_or(|reason| reason == got.reason.code())
            && rule.is_none_or(|rule| got.rule.as_deref() == Some(rule))
    }

    pub(super) fn decision(&self) -> Option<&Decision> {
        self.got.as_ref().ok()
    }

    /// What the test states.
    pub(super) fn expected(&self) -> String {
        let test = &self.case.test;
        said(
            test.expect.as_str(),
            test.reason.as_deref(),
            test.rule.as_deref(),
        )
    }

    /// What the policy said.
    pub(super) fn came_out(&self) -> String {
        match &self.got {
            Ok(got) => {
                let (verdict, reason) = (got.verdict.as_str(), Some(got.reason.code()));
                let by = said(verdict, reason, got.rule.as_deref());
                format!("{by}, at the {} stage", got.stage)
            }
            Err(error) => format!("no answer: {error}"),
        }
    }

    pub(super) fn json(&self) -> Value {
        let test = &self.case.test;
        let got = self
            .decision()
            .and_then(|got| serde_json::from_str::<Value>(&decision_json(got)).ok());
        json!({
            "name": self.case.name,
            "file": self.case.file,
            "line": self.case.line,
            "ok": self.holds(),
            "expect": {
                "verdict": test.expect.as_str(),
                "reason": test.reason.as_deref(),
                "rule": test.rule.as_deref(),
            },
            "got": got,
            "error": self.got.as_ref().err().map(ToString::to_string),
        })
    }
}

impl fmt::Display for Outcome<'_> {
    /// The name; where the test fails also what was expected and what came out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.case.name)?;
        if self.holds() {
            return Ok(());
        }
        write!(f, "\n        expected  {}", self.expected())?;
        write!(f, "\n        got       {}", self.came_out())
    }
}

fn said(verdict: &str, reason: Option<&str>, rule: Option<&str>) -> String {
    let mut text = verdict.to_owned();
    if let Some(reason) = reason {
        text.push_str(&format!(" ({reason})"));
    }
    if let Some(rule) = rule {
        text.push_str(&format!(" by rule `{rule}`"));
    }
    text
}
