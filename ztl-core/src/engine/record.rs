//! What was decided, told to the audit before anybody else hears of it (law 6).

use super::Engine;
use crate::action::Action;
use crate::audit::{About, Occasion, Record};
use crate::decision::{DecisionId, Denial};
use crate::flow::{ActionPermit, AnyFlow, Flow, FlowPermit};
use crate::policy::{Judgement, Outcome};
use crate::reason::{Reason, Stage};
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
        let flow = AnyFlow::Asked(flow);
        self.refuse_any(flow, action, (stage, reason), now, Occasion::Asked)
    }

    /// The same of a flow that was open, and was to be judged again: nobody asked for anything
    /// ([`Record::is_again`](crate::audit::Record::is_again)).
    pub fn refuse_flow_again(
        &self,
        flow: &Flow<'_>,
        stage: Stage,
        reason: Reason,
        now: Timestamp,
    ) -> Denial {
        let flow = AnyFlow::Asked(flow);
        self.refuse_any(flow, None, (stage, reason), now, Occasion::Again)
    }

    pub(super) fn refuse_any(
        &self,
        flow: AnyFlow<'_>,
        action: Option<&Action<'_>>,
        (stage, reason): (Stage, Reason),
        now: Timestamp,
        occasion: Occasion,
    ) -> Denial {
        let policy = self.policy();
        let about = About {
            flow,
            edge: None,
            policy: &policy,
            action,
            evidence: None,
            occasion,
            now,
        };
        let judged = policy.judged(Outcome::denied(stage, reason), None);
        self.denied(judged, &about)
    }

    /// The same on a flow that was permitted.
    pub fn refuse_on(
        &self,
        permit: &FlowPermit,
        action: Option<&Action<'_>>,
        reason: Reason,
        now: Timestamp,
    ) -> Denial {
        let (flow, end) = (AnyFlow::Kept(&permit.0), (Stage::Action, reason));
        self.refuse_any(flow, action, end, now, Occasion::Asked)
    }

    /// The same of what runs already, and was to be judged again: nobody asked for anything
    /// ([`Record::is_again`](crate::audit::Record::is_again)).
    pub fn refuse_again(
        &self,
        permit: &FlowPermit,
        action: Option<&Action<'_>>,
        reason: Reason,
        now: Timestamp,
    ) -> Denial {
        let (flow, end) = (AnyFlow::Kept(&permit.0), (Stage::Action, reason));
        self.refuse_any(flow, action, end, now, Occasion::Again)
    }

    /// Records that what was permitted is refused after all, because an obligation of the permit does not come about: a limit, a
    /// schema, a largest body, a log. The record names the rule that had permitted, as far as its policy is still in force.
    pub fn refuse_permitted(
        &self,
        flow: &FlowPermit,
        permit: &ActionPermit,
        action: Option<&Action<'_>>,
        reason: Reason,
        now: Timestamp,
    ) -> Denial {
        self.refuse_obliged(flow, permit, action, (reason, Occasion::Unmet), now)
    }

    /// The same of what runs already, and was judged again: nobody asked for anything
    /// ([`Record::is_again`](crate::audit::Record::is_again)).
    pub fn refuse_permitted_again(
        &self,
        flow: &FlowPermit,
        permit: &ActionPermit,
        action: Option<&Action<'_>>,
        reason: Reason,
        now: Timestamp,
    ) -> Denial {
        self.refuse_obliged(flow, permit, action, (reason, Occasion::Again), now)
    }

    fn refuse_obliged(
        &self,
        flow: &FlowPermit,
        permit: &ActionPermit,
        action: Option<&Action<'_>>,
        (reason, occasion): (Reason, Occasion),
        now: Timestamp,
    ) -> Denial {
        let in_force = self.current.load_full();
        let mut outcome = Outcome::denied(Stage::Action, reason);
        if permit.engine == self.id && permit.epoch == in_force.epoch {
            outcome.rule = permit.rule_at;
        }
        let about = About {
            flow: AnyFlow::Kept(&flow.0),
            edge: None,
            policy: &in_force.policy,
            action,
            evidence: None,
            occasion,
            now,
        };
        self.denied(in_force.policy.judged(outcome, None), &about)
    }

    /// Records how something was judged, and says whether it is a permit; one that cannot be recorded is none (law 6).
    #[inline(always)]
    pub(super) fn recorded(&self, judged: &Judgement<'_>, about: &About<'_>) -> (DecisionId, bool) {
        let id = self.ids.next();
        let kept = self.sink.record(&Record::new(id, judged, about));
        (id, judged.outcome.is_permit() && kept.is_ok())
    }

    /// The denial of what was recorded as one, or could not be recorded as a permit.
    #[inline(always)]
    pub(super) fn unpermitted(
        &self,
        id: DecisionId,
        judged: &mut Judgement<'_>,
        about: &About<'_>,
    ) -> Denial {
        if judged.outcome.is_permit() {
            judged.outcome.deny(Reason::AuditUnavailable);
            self.record_again(id, judged, about);
        }
        Denial {
            id,
            decision: judged.decision(),
        }
    }

    /// One of several sinks may have kept the permit; the denial is told to it as well.
    #[cold]
    fn record_again(&self, id: DecisionId, judged: &Judgement<'_>, about: &About<'_>) {
        let _ = self.sink.record(&Record::new(id, judged, about));
    }

    pub(super) fn denied(&self, mut judged: Judgement<'_>, about: &About<'_>) -> Denial {
        if judged.outcome.is_permit() {
            judged.outcome.deny(Reason::NotJudged);
        }
        let id = self.ids.next();
        // A denial stands whether or not it could be recorded; the sink reports its own failures.
        let _ = self.sink.record(&Record::new(id, &judged, about));
        Denial {
            id,
            decision: judged.decision(),
        }
    }
}
