//! What the engine says of its decisions to whoever may read the policy.

use crate::action::Action;
use crate::obligation::Obligations;
use crate::policy::{Edge, Explanation, Input, Judgement, Outcome, Policy, explain_as};
use crate::reason::{Reason, Stage, Verdict};
use crate::time::Timestamp;

use super::Engine;

impl Engine {
    /// Whether each denial carries what it hung on: the deciding rule, or the one that came nearest, and its first clause
    /// that failed ([`Decision::near`](crate::Decision)), which its record then has as well. Off where this is not called.
    #[must_use]
    pub fn explain_denials(self, explains: bool) -> Self {
        Self { explains, ..self }
    }

    /// Explains what [`permit_flow`](Self::permit_flow) and [`authorize`](Self::authorize) would say to this, under the
    /// policy in force and with the obligations that the enforcement point discharges. Records nothing, permits nothing, and
    /// leaves the clock's guard as it is.
    #[must_use]
    pub fn explain(&self, input: &Input<'_>, now: Timestamp) -> Explanation {
        let policy = self.policy();
        let refused = if !self.clock.would_trust(now) {
            Some(Reason::ClockUntrusted)
        } else if input.flow.is_test_only() && !self.for_tests {
            Some(Reason::IdentityUnproven)
        } else {
            None
        };
        match refused {
            Some(reason) => {
                let outcome = Outcome::denied(Stage::Identity, reason);
                let decision = policy.judged(outcome, None).decision();
                Explanation::of(&policy, input, now, decision)
            }
            None => explain_as(&policy, input, now, &|decision| {
                if !self.discharges(&decision.obligations) {
                    decision.verdict = Verdict::Deny;
                    decision.reason = Reason::ObligationUnknown;
                    decision.obligations = Obligations::none();
                }
            }),
        }
    }

    /// Says what a denial hung on, where that is asked for.
    #[inline(always)]
    pub(super) fn explain_denial<'p>(
        &self,
        policy: &'p Policy,
        edge: &Edge,
        action: Option<&Action<'_>>,
        judged: &mut Judgement<'p>,
    ) {
        if self.explains && !judged.outcome.is_permit() {
            judged.near = policy.near(edge, action, judged);
        }
    }
}
