//! Authorizing an action on a permitted flow.

use std::sync::Arc;

use super::Engine;
use crate::action::Action;
use crate::audit::{About, Occasion};
use crate::decision::Denial;
use crate::evidence::{Claims, Evidence};
use crate::flow::{ActionPermit, AnyFlow, Direction, FlowPermit, Permitted};
use crate::obligation::Obligations;
use crate::policy::{Edge, Judgement, Policy};
use crate::reason::{Reason, Stage};
use crate::time::Timestamp;

/// A flow as it was judged under one policy.
#[derive(Clone, Copy)]
struct Judged<'a> {
    permit: &'a FlowPermit,
    policy: &'a Policy,
    edge: &'a Edge,
    epoch: u64,
}

impl Engine {
    /// Step three: authorizes an action on a permitted flow, or denies it. Recorded either way. A permit that was made under
    /// an earlier policy is judged again first.
    ///
    /// # Errors
    /// [`Denial`].
    pub fn authorize(
        &self,
        permit: &FlowPermit,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
    ) -> Result<ActionPermit, Denial> {
        let asked = Occasion::Asked;
        self.check_permit(permit, self.trust_generation(), Some(action), now, asked)?;
        self.authorize_checked(permit, action, evidence, now, asked)
    }

    /// As [`authorize`](Self::authorize), for a permit whose connection can be proved again: where what it rests on was withdrawn,
    /// `renew` proves and permits first, and the action is authorized on that (T5). It is asked again where something is withdrawn
    /// meanwhile, at most 16 times.
    ///
    /// # Errors
    /// [`Denial`], that of `renew` among them.
    pub fn authorize_or_renew(
        &self,
        permit: &FlowPermit,
        renew: impl Fn() -> Result<FlowPermit, Denial>,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
    ) -> Result<ActionPermit, Denial> {
        self.authorize_renewed(permit, renew, action, evidence, now, Occasion::Asked)
    }

    /// The same for what runs already, judged again because something that it rests on may have changed (law 8). The record says so
    /// ([`Record::is_again`](crate::audit::Record::is_again)): nobody asked for anything.
    ///
    /// # Errors
    /// [`Denial`]: it is to be ended.
    pub fn authorize_again(
        &self,
        permit: &FlowPermit,
        renew: impl Fn() -> Result<FlowPermit, Denial>,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
    ) -> Result<ActionPermit, Denial> {
        self.authorize_renewed(permit, renew, action, evidence, now, Occasion::Again)
    }

    #[inline(always)]
    fn authorize_renewed(
        &self,
        permit: &FlowPermit,
        renew: impl Fn() -> Result<FlowPermit, Denial>,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
        occasion: Occasion,
    ) -> Result<ActionPermit, Denial> {
        let trust = self.trust_generation();
        if permit.0.engine == self.id && permit.0.trust_generation != trust {
            for _ in 0..16 {
                let trust = self.trust_generation();
                let renewed = renew()?;
                // Compared with what was read before: what changes from here on is a change after the decision.
                if renewed.0.trust_generation == trust {
                    self.check_permit(&renewed, trust, Some(action), now, occasion)?;
                    return self.authorize_checked(&renewed, action, evidence, now, occasion);
                }
            }
        }
        self.check_permit(permit, trust, Some(action), now, occasion)?;
        self.authorize_checked(permit, action, evidence, now, occasion)
    }

    #[inline(always)]
    fn authorize_checked(
        &self,
        permit: &FlowPermit,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
        occasion: Occasion,
    ) -> Result<ActionPermit, Denial> {
        // T18: what a test helper made is good only at an engine that was made for tests.
        if evidence.claims.is_some_and(Claims::is_test_only) && !self.for_tests {
            return Err(self.refuse_made_up(permit, action, now, occasion));
        }
        // What was permitted under the policy in force is judged by what the permit brings along.
        let Permitted { in_force, edge, .. } = &*permit.0;
        if in_force.epoch == self.epoch() {
            let on = Judged {
                permit,
                policy: &in_force.policy,
                edge,
                epoch: in_force.epoch,
            };
            return self.authorize_on(on, action, evidence, now, occasion);
        }
        self.authorize_anew(permit, action, evidence, now, occasion)
    }

    /// On a permit of an earlier policy: permits the flow again, under the one in force, and authorizes the action on that.
    #[cold]
    fn authorize_anew(
        &self,
        permit: &FlowPermit,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
        occasion: Occasion,
    ) -> Result<ActionPermit, Denial> {
        let in_force = self.current.load_full();
        let policy = &*in_force.policy;
        let mut edge = Edge::default();
        let outcome = self.judge_flow(policy, &permit.0.flow(), now, &mut edge);
        if outcome.is_permit() {
            let on = Judged {
                permit,
                policy,
                edge: &edge,
                epoch: in_force.epoch,
            };
            return self.authorize_on(on, action, evidence, now, occasion);
        }
        let mut judged = policy.judged(outcome, None);
        self.explain_denial(policy, &edge, Some(action), &mut judged);
        let about = About {
            flow: AnyFlow::Kept(&permit.0),
            edge: Some(&edge),
            policy,
            action: Some(action),
            evidence: None,
            occasion,
            now,
        };
        Err(self.denied(judged, &about))
    }

    #[inline(always)]
    fn authorize_on(
        &self,
        on: Judged<'_>,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
        occasion: Occasion,
    ) -> Result<ActionPermit, Denial> {
        let direction = on.permit.direction();
        let plain = (on.policy).judge_plain_action(on.edge, direction, action, evidence);
        match plain {
            Some(plain) => self.concluded(on, plain, action, evidence, now, occasion),
            None => self.authorize_at_length(on, action, evidence, now, occasion),
        }
    }

    /// What [`authorize_on`](Self::authorize_on) does where more than plain permits may speak of the action: apart from it, so that it
    /// stays short.
    #[inline(never)]
    fn authorize_at_length(
        &self,
        on: Judged<'_>,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
        occasion: Occasion,
    ) -> Result<ActionPermit, Denial> {
        let flow = AnyFlow::Kept(&on.permit.0);
        let judged = (on.policy).judge_any_action(on.edge, flow, action, evidence, now);
        self.concluded(on, judged, action, evidence, now, occasion)
    }

    /// Records how an action was judged, and makes the permit or the denial.
    #[inline(always)]
    fn concluded<'p>(
        &self,
        on: Judged<'p>,
        mut judged: Judgement<'p>,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
        occasion: Occasion,
    ) -> Result<ActionPermit, Denial> {
        let Judged {
            permit,
            policy,
            edge,
            epoch,
        } = on;
        // A permit with an obligation that nobody would discharge is none.
        let obligations = judged.obligations();
        if obligations.is_some_and(|obligations| !self.discharges(obligations)) {
            judged.outcome.deny(Reason::ObligationUnknown);
        }
        let obligations = judged.obligations().cloned().unwrap_or_default();
        let (rule, rule_at) = (judged.rule, judged.outcome.rule);
        let expires_at = judged.outcome.until.min(permit.expires_at());
        self.explain_denial(policy, edge, Some(action), &mut judged);
        let about = About {
            flow: AnyFlow::Kept(&permit.0),
            edge: Some(edge),
            policy,
            action: Some(action),
            evidence: Some(evidence),
            occasion,
            now,
        };
        let (id, permitted) = self.recorded(&judged, &about);
        if !permitted {
            return Err(self.unpermitted(id, &mut judged, &about));
        }
        Ok(ActionPermit {
            engine: self.id,
            epoch,
            trust_generation: permit.0.trust_generation,
            id,
            expires_at,
            obligations,
            rule_at,
            rule: rule.map_or_else(|| "".into(), |rule| Arc::clone(&rule.name)),
        })
    }

    /// Whether authorizing this action, or where none is given any action, could ask what may take long, a condition
    /// ([`Condition::is_heavy`](crate::authorizer::Condition::is_heavy)) or an authorizer
    /// ([`Authorizer::is_heavy`](crate::authorizer::Authorizer::is_heavy)), or more than eight conditions, so that it has to be done where
    /// nobody else waits for it (T34). Permits, forbids and shadow rules count, and so do forbids of anybody who could come along with the caller. For a
    /// permit of an earlier policy: whether any rule of the one in force could. Egress asks none.
    #[must_use]
    pub fn asks_heavy(&self, permit: &FlowPermit, action: Option<&Action<'_>>) -> bool {
        let Permitted {
            in_force,
            edge,
            direction,
            ..
        } = &*permit.0;
        if *direction == Direction::Egress {
            false
        } else if in_force.epoch == self.epoch() {
            edge.could_ask_heavy()
                && action.is_none_or(|action| in_force.policy.asks_heavy(edge, action))
        } else {
            self.policy().could_ask_heavy()
        }
    }

    /// Whether an action permit was made by this engine under the policy in force, and has not expired.
    #[must_use]
    pub fn is_current(&self, permit: &ActionPermit, now: Timestamp) -> bool {
        permit.engine == self.id
            && permit.epoch == self.epoch()
            && permit.trust_generation == self.trust_generation()
            && now < permit.expires_at
    }

    /// Whether a permit is this engine's, and still good (T5). What is asked for on it, where anything is, stands in the record.
    #[inline(always)]
    pub(super) fn check_permit(
        &self,
        permit: &FlowPermit,
        trust_generation: u64,
        action: Option<&Action<'_>>,
        now: Timestamp,
        occasion: Occasion,
    ) -> Result<(), Denial> {
        let reason = if permit.0.engine != self.id || permit.0.trust_generation != trust_generation
        {
            Reason::FlowWithdrawn
        } else if !self.clock.trusts(now) {
            Reason::ClockUntrusted
        } else if now >= permit.expires_at() {
            Reason::IdentityExpired
        } else {
            return Ok(());
        };
        Err(self.refuse_permit(permit, action, reason, now, occasion))
    }

    #[cold]
    fn refuse_permit(
        &self,
        permit: &FlowPermit,
        action: Option<&Action<'_>>,
        reason: Reason,
        now: Timestamp,
        occasion: Occasion,
    ) -> Denial {
        let stage = if reason == Reason::FlowWithdrawn {
            Stage::Flow
        } else {
            Stage::Identity
        };
        let flow = AnyFlow::Kept(&permit.0);
        self.refuse_any(flow, action, (stage, reason), now, occasion)
    }

    /// Of claims that nobody verified. None of them is recorded.
    #[cold]
    fn refuse_made_up(
        &self,
        permit: &FlowPermit,
        action: &Action<'_>,
        now: Timestamp,
        occasion: Occasion,
    ) -> Denial {
        let (flow, end) = (
            AnyFlow::Kept(&permit.0),
            (Stage::Action, Reason::EvidenceMissing),
        );
        self.refuse_any(flow, Some(action), end, now, occasion)
    }

    /// Whether all of that is discharged by the enforcement point.
    #[inline]
    pub(super) fn discharges(&self, obligations: &Obligations) -> bool {
        obligations.is_empty() || self.discharges.contains(obligations.kinds())
    }
}
