//! Authorizing an action on a permitted flow.

use super::Engine;
use super::about::About;
use crate::action::Action;
use crate::decision::{Decision, Denial};
use crate::evidence::Evidence;
use crate::flow::{ActionPermit, FlowPermit};
use crate::obligation::Obligations;
use crate::policy::{Edge, Policy};
use crate::reason::{Reason, Stage, Verdict};
use crate::time::Timestamp;

/// A flow as it was judged under one policy.
#[derive(Clone, Copy)]
struct Judged<'a> {
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
        self.check_permit(permit, self.trust_generation(), now)?;
        self.authorize_checked(permit, action, evidence, now)
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
        let trust = self.trust_generation();
        if permit.0.engine == self.id && permit.0.trust_generation != trust {
            for _ in 0..16 {
                let trust = self.trust_generation();
                let renewed = renew()?;
                // Compared with what was read before: what changes from here on is a change after the decision.
                if renewed.0.trust_generation == trust {
                    self.check_permit(&renewed, trust, now)?;
                    return self.authorize_checked(&renewed, action, evidence, now);
                }
            }
        }
        self.check_permit(permit, trust, now)?;
        self.authorize_checked(permit, action, evidence, now)
    }

    fn authorize_checked(
        &self,
        permit: &FlowPermit,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
    ) -> Result<ActionPermit, Denial> {
        // What was permitted under the policy in force is judged by what the permit brings along.
        if permit.0.epoch == self.epoch() {
            let judged = Judged {
                policy: &permit.0.policy,
                edge: &permit.0.edge,
                epoch: permit.0.epoch,
            };
            return self.authorize_on(judged, permit, action, evidence, now);
        }
        self.authorize_anew(permit, action, evidence, now)
    }

    /// On a permit of an earlier policy: permits the flow again, under the one in force, and authorizes the action on that.
    #[cold]
    fn authorize_anew(
        &self,
        permit: &FlowPermit,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
    ) -> Result<ActionPermit, Denial> {
        let in_force = self.current.load_full();
        let (policy, flow) = (&*in_force.policy, permit.0.flow());
        let (edge, outcome) = self.judge_flow(policy, &flow, now);
        if outcome.is_permit() {
            let judged = Judged {
                policy,
                edge: &edge,
                epoch: in_force.epoch,
            };
            return self.authorize_on(judged, permit, action, evidence, now);
        }
        let mut decision = policy.decision(outcome, Vec::new());
        self.explain_denial(policy, &edge, Some(action), &mut decision);
        let about = About {
            flow: &flow,
            edge: Some(&edge),
            policy,
            action: Some(action),
            evidence: None,
            now,
        };
        Err(self.denied(decision, &about))
    }

    fn authorize_on(
        &self,
        judged: Judged<'_>,
        permit: &FlowPermit,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
    ) -> Result<ActionPermit, Denial> {
        let Judged {
            policy,
            edge,
            epoch,
        } = judged;
        let flow = permit.0.flow();
        let outcome = policy.judge_action(edge, &flow, action, evidence, now);
        let shadow = policy.shadows(edge, &flow, Some(action), evidence, now);
        let mut decision = policy.decision(outcome, shadow);
        self.check_obligations(&mut decision);
        self.explain_denial(policy, edge, Some(action), &mut decision);
        let about = About {
            flow: &flow,
            edge: Some(edge),
            policy,
            action: Some(action),
            evidence: Some((evidence, outcome.rule)),
            now,
        };
        let (id, permitted) = self.recorded(&decision, &about);
        if !permitted {
            return Err(self.unpermitted(id, decision, &about));
        }
        Ok(ActionPermit {
            engine: self.id,
            epoch,
            trust_generation: permit.0.trust_generation,
            id,
            rule: decision.rule.unwrap_or_else(|| "".into()),
            expires_at: outcome.until.min(permit.expires_at()),
            obligations: decision.obligations,
        })
    }

    /// Whether an action permit was made by this engine under the policy in force, and has not expired.
    #[must_use]
    pub fn is_current(&self, permit: &ActionPermit, now: Timestamp) -> bool {
        permit.engine == self.id
            && permit.epoch == self.epoch()
            && permit.trust_generation == self.trust_generation()
            && now < permit.expires_at
    }

    /// Whether a permit is this engine's, and still good (T5).
    pub(super) fn check_permit(
        &self,
        permit: &FlowPermit,
        trust_generation: u64,
        now: Timestamp,
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
        let stage = if reason == Reason::FlowWithdrawn {
            Stage::Flow
        } else {
            Stage::Identity
        };
        Err(self.refuse(&permit.0.flow(), None, stage, reason, now))
    }

    /// A permit with an obligation that nobody would discharge is none.
    pub(super) fn check_obligations(&self, decision: &mut Decision) {
        if !self.discharges.contains(decision.obligations.kinds()) {
            decision.verdict = Verdict::Deny;
            decision.reason = Reason::ObligationUnknown;
            decision.obligations = Obligations::none();
        }
    }
}
