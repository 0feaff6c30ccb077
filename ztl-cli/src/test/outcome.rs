//! What came of one test.

use core::fmt;

use serde_json::{Value, json};
use ztl_core::policy::{Policy, Query, QueryError, TestDecl, decision_json};
use ztl_core::{Decision, Timestamp};

#[derive(Debug)]
pub(super) struct Outcome<'a> {
    test: &'a TestDecl,
    got: Result<Decision, QueryError>,
}

impl<'a> Outcome<'a> {
    pub(super) fn of(test: &'a TestDecl, policy: &Policy, now: Timestamp) -> Self {
        let got = Query::from_map(&test.request).and_then(|query| query.decide(policy, now));
        Self { test, got }
    }

    /// Whether all that the test states came out so.
    pub(super) fn holds(&self) -> bool {
        let Ok(got) = &self.got else { return false };
        got.verdict == self.test.expect
            && self
                .test
                .reason
                .as_deref()
                .is_none_or(|reason| reason == got.reason.code())
            && self
                .test
                .rule
                .as_deref()
                .is_none_or(|rule| got.rule.as_deref() == Some(rule))
    }

    pub(super) fn decision(&self) -> Option<&Decision> {
        self.got.as_ref().ok()
    }

    pub(super) fn json(&self) -> Value {
        let TestDecl {
            name,
            expect,
            reason,
            rule,
            ..
        } = self.test;
        let got = self
            .decision()
            .and_then(|got| serde_json::from_str::<Value>(&decision_json(got)).ok());
        json!({
            "name": **name,
            "ok": self.holds(),
            "expect": { "verdict": expect.as_str(), "reason": reason.as_deref(), "rule": rule.as_deref() },
            "got": got,
            "error": self.got.as_ref().err().map(ToString::to_string),
        })
    }
}

impl fmt::Display for Outcome<'_> {
    /// The name; where the test fails also what was expected and what came out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TestDecl {
            name,
            expect,
            reason,
            rule,
            ..
        } = self.test;
        f.write_str(name)?;
        if self.holds() {
            return Ok(());
        }
        write!(
            f,
            "\n        expected  {}",
            said(expect.as_str(), reason.as_deref(), rule.as_deref())
        )?;
        match &self.got {
            Ok(got) => {
                let (verdict, reason) = (got.verdict.as_str(), Some(got.reason.code()));
                let by = said(verdict, reason, got.rule.as_deref());
                write!(f, "\n        got       {by}, at the {} stage", got.stage)
            }
            Err(error) => write!(f, "\n        got       no answer: {error}"),
        }
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
