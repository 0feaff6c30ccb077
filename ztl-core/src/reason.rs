//! Verdicts, stages and reasons: the closed words of a decision.

use core::fmt;
use core::str::FromStr;

use crate::word::{WordError, read};

/// The outcome of a decision. There is no third.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there will never be a third verdict, and a caller must match both"
)]
pub enum Verdict {
    /// Go on.
    Permit,
    /// Stop.
    Deny,
}

impl Verdict {
    /// `permit` or `deny`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
        }
    }
}

impl FromStr for Verdict {
    type Err = WordError;

    /// Reads `permit` or `deny`.
    fn from_str(text: &str) -> Result<Self, WordError> {
        let all = [Self::Permit, Self::Deny];
        read(text, all, Self::as_str, "a verdict: `permit` or `deny`")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which of the three steps a decision reached last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Proving the peer.
    Identity,
    /// Permitting the flow.
    Flow,
    /// Authorizing the action.
    Action,
}

impl Stage {
    /// `identity`, `flow` or `action`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Flow => "flow",
            Self::Action => "action",
        }
    }
}

impl FromStr for Stage {
    type Err = WordError;

    /// Reads `identity`, `flow` or `action`.
    fn from_str(text: &str) -> Result<Self, WordError> {
        let all = [Self::Identity, Self::Flow, Self::Action];
        read(
            text,
            all,
            Self::as_str,
            "a stage: `identity`, `flow` or `action`",
        )
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// Why a decision came out as it did. The codes are stable: a retired one is never used again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The stable code, in snake case.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

reasons! {
    /// A rule permits it and none forbids it.
    Permitted = "permitted",
    /// The peer proved nothing, or what it showed proves nothing.
    IdentityUnproven = "identity_unproven",
    /// The peer's proof is no longer valid.
    IdentityExpired = "identity_expired",
    /// The peer's proof was revoked.
    IdentityRevoked = "identity_revoked",
    /// The address it came from is in no zone, and the caller or the target is bound to one.
    ZoneUnknown = "zone_unknown",
    /// The caller belongs to another zone than the one it came from.
    ZoneMismatch = "zone_mismatch",
    /// No rule permits this flow.
    NoFlowPermitted = "no_flow_permitted",
    /// The flow was permitted once; what it rested on has changed since.
    FlowWithdrawn = "flow_withdrawn",
    /// The request target has more than one reading.
    PathAmbiguous = "path_ambiguous",
    /// The request asks for another host than the connection was made for, or than the workload answers to.
    Misdirected = "misdirected",
    /// The flow is permitted, but no rule on it names this action.
    NoActionPermitted = "no_action_permitted",
    /// A rule forbids it.
    Forbidden = "forbidden",
    /// The peer passes an identity on that it is not trusted to pass on.
    ForwardedUntrusted = "forwarded_untrusted",
    /// A rule names the action, and one of its requirements does not hold.
    RequirementUnmet = "requirement_unmet",
    /// A rule names the action, and what one of its requirements reads is not there.
    EvidenceMissing = "evidence_missing",
    /// A rule names the action, and what one of its requirements reads is too old.
    EvidenceStale = "evidence_stale",
    /// An authorizer or a condition of the rule said no.
    Objected = "objected",
    /// An authorizer or a condition of the rule failed.
    AuthorizerFailed = "authorizer_failed",
    /// A rule permits it, with an obligation that the enforcement point cannot discharge.
    ObligationUnknown = "obligation_unknown",
    /// A rule permits it, and whoever asks has asked too often. Or too many of its requests run at once, and no rule was asked.
    LimitExceeded = "limit_exceeded",
    /// A rule permits it, and its body is larger than the rule lets through.
    BodyTooLarge = "body_too_large",
    /// A rule permits it, and its body does not fit the schema.
    BodyUnfit = "body_unfit",
    /// The clock went back further than the skew allows.
    ClockUntrusted = "clock_untrusted",
    /// The decision could not be recorded, so it is not a permit.
    AuditUnavailable = "audit_unavailable",
    /// The request reached the service without having been judged.
    NotJudged = "not_judged",
}

impl FromStr for Reason {
    type Err = WordError;

    /// Reads a [`code`](Self::code), as a record has it. One of a later ztl is refused.
    fn from_str(text: &str) -> Result<Self, WordError> {
        read(
            text,
            Self::ALL.iter().copied(),
            Self::code,
            "a reason that is known",
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_snake_case_and_unique() {
        let mut codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert!(
            codes
                .iter()
                .all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        );
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }

    #[test]
    fn each_word_of_a_record_is_read_as_it_is_written() {
        for reason in Reason::ALL {
            assert_eq!(reason.to_string().parse(), Ok(*reason));
        }
        for verdict in [Verdict::Permit, Verdict::Deny] {
            assert_eq!(verdict.to_string().parse(), Ok(verdict));
        }
        for stage in [Stage::Identity, Stage::Flow, Stage::Action] {
            assert_eq!(stage.to_string().parse(), Ok(stage));
        }
        for text in ["", "Permit", "permitted ", "permit\n", "no_such_reason"] {
            assert!(text.parse::<Reason>().is_err(), "{text:?}");
            assert!(text.parse::<Verdict>().is_err(), "{text:?}");
            assert!(text.parse::<Stage>().is_err(), "{text:?}");
        }
        let error = "allow".parse::<Verdict>().expect_err("no verdict");
        assert_eq!(error.to_string(), "is not a verdict: `permit` or `deny`");
    }
}
