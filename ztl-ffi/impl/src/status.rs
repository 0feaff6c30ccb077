//! Numbers that C sees: statuses, stages, reasons. Each is written out and never used again for anything else.

use ztl_core::{Lack, Reason, Stage};

/// What a call came to: `ZTL_OK`, `ZTL_DENIED` or one of `ZTL_ERR_*`. Everything but `ZTL_OK` means no.
pub type ztl_status = i32;

/// The call did what it says; of a call that decides: permitted. There is no other success.
pub const ZTL_OK: ztl_status = 0;
/// The engine denied, and recorded why.
pub const ZTL_DENIED: ztl_status = -1;
/// An argument cannot be meant: NULL, a wrong handle, a wrong size, a number out of its range.
pub const ZTL_ERR_ARG: ztl_status = -2;
/// A text is not UTF-8.
pub const ZTL_ERR_UTF8: ztl_status = -3;
/// The policy was refused; the one in force stays.
pub const ZTL_ERR_POLICY: ztl_status = -4;
/// The audit file cannot be opened. A record that cannot be written later is a denial, `ZTL_REASON_AUDIT_UNAVAILABLE`.
pub const ZTL_ERR_AUDIT: ztl_status = -5;
/// The operating system did not give what was needed.
pub const ZTL_ERR_SYSTEM: ztl_status = -6;
/// The library panicked, which is a bug in it. The call was refused; the engine stays usable.
pub const ZTL_ERR_PANIC: ztl_status = -7;
/// The bundle of a trust domain was refused; the one in force stays.
pub const ZTL_ERR_BUNDLE: ztl_status = -8;
/// The host's own SVID was refused: do not show it.
pub const ZTL_ERR_SVID: ztl_status = -9;
/// An issuer of tokens, or its keys, were refused; what was in force stays.
pub const ZTL_ERR_KEYS: ztl_status = -10;
/// A token was refused. Nothing is decided by that, and nothing recorded.
pub const ZTL_ERR_TOKEN: ztl_status = -11;
/// This library was built without it.
pub const ZTL_ERR_UNSUPPORTED: ztl_status = -12;
/// Revocation lists were refused; those in force stay.
pub const ZTL_ERR_CRL: ztl_status = -13;
/// Too many bad tokens came from this caller: this one was not looked at. Nothing is decided by that, and nothing recorded.
pub const ZTL_ERR_BUDGET: ztl_status = -14;

/// No stage was reached: nothing was decided.
pub const ZTL_STAGE_NONE: u32 = 0;
/// Proving the peer.
pub const ZTL_STAGE_IDENTITY: u32 = 1;
/// Permitting the flow.
pub const ZTL_STAGE_FLOW: u32 = 2;
/// Authorizing the action.
pub const ZTL_STAGE_ACTION: u32 = 3;

/// Nothing was decided; also what zeroed memory says.
pub const ZTL_REASON_NOT_JUDGED: u32 = 0;
/// A rule permits it and none forbids it.
pub const ZTL_REASON_PERMITTED: u32 = 1;
/// The peer proved nothing, or what it showed proves nothing.
pub const ZTL_REASON_IDENTITY_UNPROVEN: u32 = 2;
/// The peer's proof is no longer valid.
pub const ZTL_REASON_IDENTITY_EXPIRED: u32 = 3;
/// The peer's proof was revoked.
pub const ZTL_REASON_IDENTITY_REVOKED: u32 = 4;
/// The address it came from is in no zone, and the caller or the target is bound to one.
pub const ZTL_REASON_ZONE_UNKNOWN: u32 = 5;
/// The caller belongs to another zone than the one it came from.
pub const ZTL_REASON_ZONE_MISMATCH: u32 = 6;
/// No rule permits this flow.
pub const ZTL_REASON_NO_FLOW_PERMITTED: u32 = 7;
/// The flow was permitted once; what it rested on has changed since.
pub const ZTL_REASON_FLOW_WITHDRAWN: u32 = 8;
/// The request target has more than one reading.
pub const ZTL_REASON_PATH_AMBIGUOUS: u32 = 9;
/// The flow is permitted, but no rule on it names this action.
pub const ZTL_REASON_NO_ACTION_PERMITTED: u32 = 10;
/// A rule forbids it.
pub const ZTL_REASON_FORBIDDEN: u32 = 11;
/// A rule names the action, and one of its requirements does not hold.
pub const ZTL_REASON_REQUIREMENT_UNMET: u32 = 12;
/// A rule names the action, and what one of its requirements reads is not there.
pub const ZTL_REASON_EVIDENCE_MISSING: u32 = 13;
/// A rule names the action, and what one of its requirements reads is too old.
pub const ZTL_REASON_EVIDENCE_STALE: u32 = 14;
/// An authorizer or a condition of the rule said no.
pub const ZTL_REASON_OBJECTED: u32 = 15;
/// An authorizer or a condition of the rule failed.
pub const ZTL_REASON_AUTHORIZER_FAILED: u32 = 16;
/// The clock went back further than the skew allows.
pub const ZTL_REASON_CLOCK_UNTRUSTED: u32 = 17;
/// The decision could not be recorded, so it is not a permit.
pub const ZTL_REASON_AUDIT_UNAVAILABLE: u32 = 18;
/// The peer passes an identity on that it is not trusted to pass on.
pub const ZTL_REASON_FORWARDED_UNTRUSTED: u32 = 19;
/// A rule permits it, with an obligation that the enforcement point cannot discharge.
pub const ZTL_REASON_OBLIGATION_UNKNOWN: u32 = 20;
/// A rule permits it, and whoever asks has asked too often.
pub const ZTL_REASON_LIMIT_EXCEEDED: u32 = 21;
/// A rule permits it, and its body is larger than the rule lets through.
pub const ZTL_REASON_BODY_TOO_LARGE: u32 = 22;
/// A rule permits it, and its body does not fit the schema.
pub const ZTL_REASON_BODY_UNFIT: u32 = 23;
/// The request asks for another host than the connection was made for, or than the workload answers to.
pub const ZTL_REASON_MISDIRECTED: u32 = 24;
/// A reason that this version of the ABI has no number for.
pub const ZTL_REASON_OTHER: u32 = 255;

/// Nothing was lacking, or another thing than what a rule requires was why.
pub const ZTL_LACK_NONE: u32 = 0;
/// No token, or one that is expired, or from another issuer or for another audience: ask for one (RFC 6750 §3).
pub const ZTL_LACK_TOKEN: u32 = 1;
/// The token names no subject, or one that the rule does not speak of; or such an id was passed on.
pub const ZTL_LACK_SUBJECT: u32 = 2;
/// The token names no actors, or one that the rule does not speak of.
pub const ZTL_LACK_ACTORS: u32 = 3;
/// The token lacks a scope.
pub const ZTL_LACK_SCOPE: u32 = 4;
/// The token lacks a claim.
pub const ZTL_LACK_CLAIM: u32 = 5;
/// The user proved themselves with too little (RFC 9470 §3).
pub const ZTL_LACK_MFA: u32 = 6;
/// The trust score is missing, stale or too low.
pub const ZTL_LACK_TRUST_SCORE: u32 = 7;
/// The zone the caller came from is unknown or trusted too little.
pub const ZTL_LACK_ZONE_TRUST: u32 = 8;
/// A header field is missing or has another value.
pub const ZTL_LACK_HEADER: u32 = 9;
/// The condition of the rule did not hold.
pub const ZTL_LACK_CONDITION: u32 = 10;
/// An authorizer of the rule objected.
pub const ZTL_LACK_AUTHORIZER: u32 = 11;
/// Something that this version of the ABI has no number for.
pub const ZTL_LACK_OTHER: u32 = 255;

pub(crate) const fn lack_number(lack: Lack) -> u32 {
    match lack {
        Lack::Token => ZTL_LACK_TOKEN,
        Lack::Subject => ZTL_LACK_SUBJECT,
        Lack::Actors => ZTL_LACK_ACTORS,
        Lack::Scope => ZTL_LACK_SCOPE,
        Lack::Claim => ZTL_LACK_CLAIM,
        Lack::Mfa => ZTL_LACK_MFA,
        Lack::TrustScore => ZTL_LACK_TRUST_SCORE,
        Lack::ZoneTrust => ZTL_LACK_ZONE_TRUST,
        Lack::Header => ZTL_LACK_HEADER,
        Lack::Condition => ZTL_LACK_CONDITION,
        Lack::Authorizer => ZTL_LACK_AUTHORIZER,
        _ => ZTL_LACK_OTHER,
    }
}

pub(crate) const fn stage_number(stage: Stage) -> u32 {
    match stage {
        Stage::Identity => ZTL_STAGE_IDENTITY,
        Stage::Flow => ZTL_STAGE_FLOW,
        Stage::Action => ZTL_STAGE_ACTION,
        _ => ZTL_STAGE_NONE,
    }
}

pub(crate) const fn reason_number(reason: Reason) -> u32 {
    match reason {
        Reason::NotJudged => ZTL_REASON_NOT_JUDGED,
        Reason::Permitted => ZTL_REASON_PERMITTED,
        Reason::IdentityUnproven => ZTL_REASON_IDENTITY_UNPROVEN,
        Reason::IdentityExpired => ZTL_REASON_IDENTITY_EXPIRED,
        Reason::IdentityRevoked => ZTL_REASON_IDENTITY_REVOKED,
        Reason::ZoneUnknown => ZTL_REASON_ZONE_UNKNOWN,
        Reason::ZoneMismatch => ZTL_REASON_ZONE_MISMATCH,
        Reason::NoFlowPermitted => ZTL_REASON_NO_FLOW_PERMITTED,
        Reason::FlowWithdrawn => ZTL_REASON_FLOW_WITHDRAWN,
        Reason::PathAmbiguous => ZTL_REASON_PATH_AMBIGUOUS,
        Reason::NoActionPermitted => ZTL_REASON_NO_ACTION_PERMITTED,
        Reason::Forbidden => ZTL_REASON_FORBIDDEN,
        Reason::RequirementUnmet => ZTL_REASON_REQUIREMENT_UNMET,
        Reason::EvidenceMissing => ZTL_REASON_EVIDENCE_MISSING,
        Reason::EvidenceStale => ZTL_REASON_EVIDENCE_STALE,
        Reason::Objected => ZTL_REASON_OBJECTED,
        Reason::AuthorizerFailed => ZTL_REASON_AUTHORIZER_FAILED,
        Reason::ClockUntrusted => ZTL_REASON_CLOCK_UNTRUSTED,
        Reason::AuditUnavailable => ZTL_REASON_AUDIT_UNAVAILABLE,
        Reason::ForwardedUntrusted => ZTL_REASON_FORWARDED_UNTRUSTED,
        Reason::ObligationUnknown => ZTL_REASON_OBLIGATION_UNKNOWN,
        Reason::LimitExceeded => ZTL_REASON_LIMIT_EXCEEDED,
        Reason::BodyTooLarge => ZTL_REASON_BODY_TOO_LARGE,
        Reason::BodyUnfit => ZTL_REASON_BODY_UNFIT,
        Reason::Misdirected => ZTL_REASON_MISDIRECTED,
        _ => ZTL_REASON_OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_reason_has_its_own_number() {
        let numbers: HashSet<_> = Reason::ALL
            .iter()
            .map(|reason| reason_number(*reason))
            .collect();
        assert_eq!(numbers.len(), Reason::ALL.len());
        assert!(
            !numbers.contains(&ZTL_REASON_OTHER),
            "a reason of ztl-core has no number"
        );
    }

    #[test]
    fn reasons_are_called_as_in_the_audit() {
        let status = include_str!("status.rs");
        for reason in Reason::ALL {
            let line = format!(
                "pub const ZTL_REASON_{}: u32 = {};",
                reason.code().to_uppercase(),
                reason_number(*reason)
            );
            assert!(status.contains(&line), "{line}");
        }
    }

    #[test]
    fn every_stage_has_its_own_number() {
        let numbers = [Stage::Identity, Stage::Flow, Stage::Action].map(stage_number);
        assert_eq!(numbers, [1, 2, 3]);
    }

    #[test]
    fn t8_all_that_is_not_ok_is_below_zero_and_different() {
        let all = [
            ZTL_DENIED,
            ZTL_ERR_ARG,
            ZTL_ERR_UTF8,
            ZTL_ERR_POLICY,
            ZTL_ERR_AUDIT,
            ZTL_ERR_SYSTEM,
            ZTL_ERR_PANIC,
            ZTL_ERR_BUNDLE,
            ZTL_ERR_SVID,
            ZTL_ERR_KEYS,
            ZTL_ERR_TOKEN,
            ZTL_ERR_UNSUPPORTED,
            ZTL_ERR_CRL,
            ZTL_ERR_BUDGET,
        ];
        assert!(all.iter().all(|status| *status < ZTL_OK));
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }
}
