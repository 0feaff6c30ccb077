//! Permitting a flow, now and again.

use std::sync::Arc;

use super::Engine;
use super::about::About;
use crate::action::Action;
use crate::decision::Denial;
use crate::evidence::Evidence;
use crate::flow::{Direction, Flow, FlowPermit, Permitted};
use crate::peer::Peer;
use crate::policy::{Edge, Input, Outcome, Policy, Workload, decide};
use crate::reason::{Reason, Stage, Verdict};
use crate::time::Timestamp;

impl Engine {
    /// Step two: permits a flow, or denies it. Recorded either way.
    ///
    /// # Errors
    /// [`Denial`] at stage identity or flow.
    pub fn permit_flow(&self, flow: &Flow<'_>, now: Timestamp) -> Result<FlowPermit, Denial> {
        // Read before the policy, so that what changes in between is noticed at the first action.
        self.permit_flow_proved_at(flow, self.trust_generation(), now)
    }

    fn permit_flow_proved_at(
        &self,
        flow: &Flow<'_>,
        trust_generation: u64,
        now: Timestamp,
    ) -> Result<FlowPermit, Denial> {
        let in_force = self.current.load_full();
        let policy = &in_force.policy;
        let (edge, outcome) = self.judge_flow(policy, flow, now);
        let shadow = policy.shadows(&edge, flow, None, &Evidence::none(), now);
        let mut decision = policy.decision(outcome, shadow);
        self.explain_denial(policy, &edge, None, &mut decision);
        let about = About {
            flow,
            edge: Some(&edge),
            policy,
            action: None,
            evidence: None,
            now,
        };
        let (id, permitted) = self.recorded(&decision, &about);
        if !permitted {
            return Err(self.unpermitted(id, decision, &about));
        }
        Ok(FlowPermit(Arc::new(Permitted {
            engine: self.id,
            direction: flow.direction,
            me: match (flow.direction, edge.target()) {
                (Direction::Ingress, Some(me)) => policy.shared_name(me),
                _ => policy.workload_by_name(flow.me).map(Workload::shared_name),
            }
            .unwrap_or_else(|| flow.me.into()),
            peer: flow.peer.cloned(),
            arrival: flow.arrival,
            port: flow.port,
            epoch: in_force.epoch,
            trust_generation,
            policy: Arc::clone(policy),
            edge,
            id,
            rule: decision.rule,
        })))
    }

    /// Permits the flow of an earlier permit again, under the policy in force: what a live connection asks when something
    /// changed (law 8). A permit that is still current is returned as it is.
    ///
    /// # Errors
    /// [`Denial`] where the flow would no longer be permitted.
    pub fn renew_flow(&self, permit: &FlowPermit, now: Timestamp) -> Result<FlowPermit, Denial> {
        self.check_permit(permit, self.trust_generation(), now)?;
        if permit.0.epoch == self.epoch() {
            Ok(permit.clone())
        } else {
            // The proof is the old one, and so is what it rests on.
            self.permit_flow_proved_at(&permit.0.flow(), permit.0.trust_generation, now)
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
        let unproved = Flow {
            direction: Direction::Egress,
            me,
            peer: None,
            arrival: crate::zone::Arrival::unknown(),
            port,
        };
        let Some(workload) = policy.workload_by_name(target) else {
            let decision = policy.decision(
                Outcome::denied(Stage::Flow, Reason::NoFlowPermitted),
                Vec::new(),
            );
            let about = About {
                flow: &unproved,
                edge: None,
                policy: &policy,
                action: Some(action),
                evidence: None,
                now,
            };
            return Err(self.denied(decision, &about));
        };
        let peer = Peer::foreseen(workload.id().clone());
        let flow = Flow::egress(me, port, &peer);
        let mut decision = decide(&policy, &Input::new(flow).with_action(Ok(*action)), now);
        if decision.verdict == Verdict::Permit {
            return Ok(());
        }
        if self.explains {
            let (edge, _) = policy.judge_flow(&flow, now);
            self.explain_denial(&policy, &edge, Some(action), &mut decision);
        }
        Err(self.denied(
            decision,
            &About {
                flow: &flow,
                edge: None,
                policy: &policy,
                action: Some(action),
                evidence: None,
                now,
            },
        ))
    }

    pub(super) fn judge_flow(
        &self,
        policy: &Policy,
        flow: &Flow<'_>,
        now: Timestamp,
    ) -> (Edge, Outcome) {
        if !self.clock.trusts(now) {
            return (
                Edge::default(),
                Outcome::denied(Stage::Identity, Reason::ClockUntrusted),
            );
        }
        // T18: what a test helper made is good only at an engine that was made for tests.
        if flow.peer.is_some_and(Peer::is_test_only) && !self.for_tests {
            return (
                Edge::default(),
                Outcome::denied(Stage::Identity, Reason::IdentityUnproven),
            );
        }
        policy.judge_flow(flow, now)
    }
}
