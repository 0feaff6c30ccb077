//! What was decided, told to the audit before anybody else hears of it (law 6).

use super::Engine;
use super::about::About;
use crate::action::Action;
use crate::decision::{Decision, DecisionId, Denial};
use crate::flow::{Flow, FlowPermit};
use crate::obligation::Obligations;
use crate::policy::Outcome;
use crate::reason::{Reason, Stage, Verdict};
use crate::time::Timestamp;

impl Engine {
    /// Records a refusal that an enforcement point makes by itself, such as `identity_unproven` after a failed handshake or
    /// `path_ambiguous` before there is an action, and returns it.
    pub fn refuse(
        &self,
        flow: &Flow<'_>,
        action: Option<&Action<'_>>,
        stage: Stage,
        reason: Reason,
        now: Timestamp,
    ) -> Denial {
        let reason = if reason == Reason::Permitted {
            Reason::NotJudged
        } else {
            reason
        };
        let policy = self.policy();
        let decision = policy.decision(Outcome::denied(stage, reason), Vec::new());
        self.denied(
            decision,
            &About {
                flow,
                edge: None,
                policy: &policy,
                action,
                evidence: None,
                now,
            },
        )
    }

    /// The same on a flow that was permitted.
    pub fn refuse_on(
        &self,
        permit: &FlowPermit,
        action: Option<&Action<'_>>,
        reason: Reason,
        now: Timestamp,
    ) -> Denial {
        self.refuse(&permit.0.flow(), action, Stage::Action, reason, now)
    }

    /// Records a decision, and says whether it is a permit; one that cannot be recorded is none (law 6).
    pub(super) fn recorded(&self, decision: &Decision, about: &About<'_>) -> (DecisionId, bool) {
        let id = self.ids.next();
        let kept = self.sink.record(&about.record(id, decision));
        (id, decision.verdict == Verdict::Permit && kept.is_ok())
    }

    /// The denial of what was recorded as one, or could not be recorded as a permit.
    pub(super) fn unpermitted(
        &self,
        id: DecisionId,
        mut decision: Decision,
        about: &About<'_>,
    ) -> Denial {
        if decision.verdict == Verdict::Permit {
            decision.verdict = Verdict::Deny;
            decision.reason = Reason::AuditUnavailable;
            decision.obligations = Obligations::none();
            // One of several sinks may have kept the permit; the denial is told to it as well.
            let _ = self.sink.record(&about.record(id, &decision));
        }
        Denial { id, decision }
    }

    pub(super) fn denied(&self, decision: Decision, about: &About<'_>) -> Denial {
        let decision = Decision {
            verdict: Verdict::Deny,
            ..decision
        };
        let id = self.ids.next();
        // A denial stands whether or not it could be recorded; the sink reports its own failures.
        let _ = self.sink.record(&about.record(id, &decision));
        Denial { id, decision }
    }
}
