//! Evidence beside the token and the header fields: gathered for the rules that could read it, and for no others (T34).

use ztl_core::{Attributes, Claims, Evidence, FlowPermit, Timestamp, TrustScore};

use crate::guard::Guard;

/// What is known of a caller and its request.
pub(crate) struct Gathered {
    trust_score: Option<TrustScore>,
    posture: Option<Attributes>,
    /// What the service said, which is not asked again.
    pub(crate) context: Option<Attributes>,
}

impl Gathered {
    /// What is known now of whoever has these claims, beside what the service said.
    pub(crate) fn now(
        guard: &Guard,
        flow: &FlowPermit,
        claims: Option<&Claims>,
        context: Option<Attributes>,
        now: Timestamp,
    ) -> Self {
        Self {
            trust_score: guard.trust_score(flow, claims, now),
            posture: guard.posture(flow, claims, now),
            context,
        }
    }

    /// The same with this.
    pub(crate) fn beside<'a>(&'a self, evidence: Evidence<'a>) -> Evidence<'a> {
        let mut all = evidence;
        all.trust_score = self.trust_score;
        all.posture = self.posture.as_ref();
        all.context = self.context.as_ref();
        all
    }
}
