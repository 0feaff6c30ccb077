//! Permitting a flow, now and again.

use std::sync::Arc;

use super::Engine;
use crate::action::Action;
use crate::audit::{About, Occasion};
use crate::decision::Denial;
use crate::evidence::Evidence;
use crate::flow::{AnyFlow, Flow, FlowPermit, Permitted};
use crate::peer::Peer;
use crate::policy::{Edge, Input, Outcome, Policy, judge};
use crate::reason::{Reason, Stage};
use crate::time::Timestamp;
use crate::web_host::{Outside, WebHost};

impl Engine {
    /// Step two: permits a flow, or denies it. Recorded either way.
    ///
    /// # Errors
    /// [`Denial`] at stage identity or flow.
    pub fn permit_flow(&self, flow: &Flow<'_>, now: Timestamp) -> Result<FlowPermit, Denial> {
        // Read before the policy, so that what changes in between is noticed at the first action.
        self.permit_flow_proved_at(flow, self.trust_generation(), None, now, Occasion::Asked)
    }

    /// The same for a connection that is open already, judged again because something that it rests on may have changed (law 8). The
    /// record says so ([`Record::is_again`](crate::audit::Record::is_again)): nobody asked for anything.
    ///
    /// # Errors
    /// [`Denial`]: it is to be ended.
    pub fn permit_flow_again(&self, flow: &Flow<'_>, now: Timestamp) -> Result<FlowPermit, Denial> {
        self.permit_flow_proved_at(flow, self.trust_generation(), None, now, Occasion::Again)
    }

    /// What is asked for on the flow, where anything is, stands in the record of a denial alone: a permit of it is another decision.
    fn permit_flow_proved_at(
        &self,
        flow: &Flow<'_>,
        trust_generation: u64,
        action: Option<&Action<'_>>,
        now: Timestamp,
        occasion: Occasion,
    ) -> Result<FlowPermit, Denial> {
        let in_force = self.current.load_full();
        let policy = &in_force.policy;
        let mut edge = Edge::default();
        let outcome = self.judge_flow(policy, flow, now, &mut edge);
        let any = AnyFlow::Asked(flow);
        let shadow = policy.shadows(&edge, any, None, &Evidence::none(), now);
        let mut judged = policy.judged(outcome, shadow);
        let action = action.filter(|_| !outcome.is_permit());
        self.explain_denial(policy, &edge, action, &mut judged);
        let about = About {
            flow: any,
            edge: Some(&edge),
            policy,
            action,
            evidence: None,
            occasion,
            now,
        };
        let (id, permitted) = self.recorded(&judged, &about);
        if !permitted {
            return Err(self.unpermitted(id, &mut judged, &about));
        }
        drop(judged);
        Ok(FlowPermit(Arc::new(Permitted {
            engine: self.id,
            id,
            direction: flow.direction,
            peer: flow.peer.cloned(),
            host: flow.outside.and_then(Outside::proved).cloned(),
            expires_at: flow.expires_at(),
            arrival: flow.arrival,
            trust_generation,
            rule: outcome.rule,
            edge,
            in_force,
        })))
    }

    /// Permits the flow of an earlier permit again, under the policy in force: what a live connection asks when something
    /// changed (law 8). A permit that is still current is returned as it is.
    ///
    /// # Errors
    /// [`Denial`] where the flow would no longer be permitted.
    pub fn renew_flow(&self, permit: &FlowPermit, now: Timestamp) -> Result<FlowPermit, Denial> {
        self.renew_flow_proved(permit, None, now)
    }

    /// As [`renew_flow`](Self::renew_flow), for an action that is to be authorized on what it returns: where the flow is denied, the
    /// record says what was asked for. Keep what it returns, or each action on the old permit is one more record of a flow.
    ///
    /// # Errors
    /// [`Denial`] where the flow would no longer be permitted.
    pub fn renew_flow_for(
        &self,
        permit: &FlowPermit,
        action: &Action<'_>,
        now: Timestamp,
    ) -> Result<FlowPermit, Denial> {
        self.renew_flow_proved(permit, Some(action), now)
    }

    fn renew_flow_proved(
        &self,
        permit: &FlowPermit,
        action: Option<&Action<'_>>,
        now: Timestamp,
    ) -> Result<FlowPermit, Denial> {
        let trust = self.trust_generation();
        self.check_permit(permit, trust, action, now, Occasion::Asked)?;
        if permit.0.in_force.epoch == self.epoch() {
            Ok(permit.clone())
        } else {
            // The proof is the old one, and so is what it rests on.
            let trust = permit.0.trust_generation;
            self.permit_flow_proved_at(&permit.0.flow(), trust, action, now, Occasion::Asked)
        }
    }

    /// What [`permit_flow`](Self::permit_flow) and [`authorize`](Self::authorize) would say to an egress flow to a declared
    /// workload that had proved itself: asked before anything is dialled, so that what the policy does not name costs no
    /// connection. Permits nothing; only a denial is recorded.
    ///
    /// # Errors
    /// [`Denial`].
    pub fn foresee_egress(
        &self,
        me: &str,
        target: &str,
        port: u16,
        action: &Action<'_>,
        now: Timestamp,
    ) -> Result<(), Denial> {
        let policy = self.policy();
        let unproved = Flow::egress_unproved(me, port);
        let about = About {
            flow: AnyFlow::Asked(&unproved),
            edge: None,
            policy: &policy,
            action: Some(action),
            evidence: None,
            occasion: Occasion::Asked,
            now,
        };
        let Some(workload) = policy.workload_by_name(target) else {
            let judged = Outcome::denied(Stage::Flow, Reason::NoFlowPermitted);
            let judged = policy.judged(judged, None);
            return Err(self.denied(judged, &about));
        };
        let peer = Peer::foreseen(workload.id().clone());
        let flow = Flow::egress(me, port, &peer);
        self.foresee(&policy, &flow, action, now)
    }

    /// The same of a host outside the mesh that had proved itself, at an address that it may have.
    ///
    /// # Errors
    /// [`Denial`].
    pub fn foresee_external(
        &self,
        me: &str,
        host: &str,
        port: u16,
        action: &Action<'_>,
        now: Timestamp,
    ) -> Result<(), Denial> {
        let policy = self.policy();
        let proved = WebHost::foreseen(host, None);
        let flow = Flow::external(me, port, &proved);
        self.foresee(&policy, &flow, action, now)
    }

    /// Judges what would be, and records only a denial.
    fn foresee(
        &self,
        policy: &Policy,
        flow: &Flow<'_>,
        action: &Action<'_>,
        now: Timestamp,
    ) -> Result<(), Denial> {
        let mut judged = judge(policy, &Input::new(*flow).with_action(Ok(*action)), now);
        if judged.outcome.is_permit() {
            return Ok(());
        }
        if self.explains {
            let mut edge = Edge::default();
            policy.judge_flow(flow, now, &mut edge);
            self.explain_denial(policy, &edge, Some(action), &mut judged);
        }
        let about = About {
            flow: AnyFlow::Asked(flow),
            edge: None,
            policy,
            action: Some(action),
            evidence: None,
            occasion: Occasion::Asked,
            now,
        };
        Err(self.denied(judged, &about))
    }

    #[inline(always)]
    pub(super) fn judge_flow(
        &self,
        policy: &Policy,
        flow: &Flow<'_>,
        now: Timestamp,
        edge: &mut Edge,
    ) -> Outcome {
        if !self.clock.trusts(now) {
            return Outcome::denied(Stage::Identity, Reason::ClockUntrusted);
        }
        // T18: what a test helper made is good only at an engine that was made for tests.
        if flow.is_test_only() && !self.for_tests {
            return Outcome::denied(Stage::Identity, Reason::IdentityUnproven);
        }
        policy.judge_flow(flow, now, edge)
    }
}
