//! What a caller may know of a decision about it (law 7).

use core::fmt;

use serde_json::{Value, json};

use super::Explanation;
use crate::decision::Lack;
use crate::reason::{Reason, Stage, Verdict};

/// An explanation for the caller: what the wire tells it anyhow, and no rule, no zone, nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redacted {
    /// Permit or deny.
    pub verdict: Verdict,
    /// The last stage that was reached: where it was closed, or answered.
    pub stage: Stage,
    /// What the caller itself can mend.
    pub needs: Option<Needs>,
}

/// What a caller can mend: what `WWW-Authenticate` or the status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Needs {
    /// A target with one reading: 400.
    Target,
    /// A token that is good: `Bearer`, or `invalid_token` (RFC 6750 §3.1).
    Token,
    /// A token with more scope: `insufficient_scope` (RFC 6750 §3.1).
    Scope,
    /// A stronger login: `insufficient_user_authentication` (RFC 9470 §3).
    Login,
}

impl Needs {
    /// A stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Token => "token",
            Self::Scope => "scope",
            Self::Login => "login",
        }
    }
}

impl Explanation {
    /// What the caller may know of it.
    #[must_use]
    pub const fn redacted(&self) -> Redacted {
        let decision = &self.decision;
        let needs = match (decision.reason, decision.lack) {
            (Reason::PathAmbiguous, _) => Some(Needs::Target),
            (_, Some(Lack::Token)) => Some(Needs::Token),
            (_, Some(Lack::Scope)) => Some(Needs::Scope),
            (_, Some(Lack::Mfa)) => Some(Needs::Login),
            _ => None,
        };
        Redacted {
            verdict: decision.verdict,
            stage: decision.stage,
            needs,
        }
    }
}

impl Redacted {
    /// As one JSON object: `verdict`, `stage`, `needs` (`null` where the caller can mend nothing).
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "verdict": self.verdict.as_str(),
            "stage": self.stage.as_str(),
            "needs": self.needs.map(Needs::code),
        })
    }
}

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Permit => "permitted",
            Verdict::Deny => "denied",
        };
        write!(f, "{word} at the {} stage", self.stage)?;
        f.write_str(match self.needs {
            None => "",
            Some(Needs::Target) => "; the request target has to have one reading",
            Some(Needs::Token) => "; a good token is needed",
            Some(Needs::Scope) => "; a token with more scope is needed",
            Some(Needs::Login) => "; a stronger login is needed",
        })
    }
}
