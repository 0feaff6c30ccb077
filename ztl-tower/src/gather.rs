//! Evidence beside the token and the header fields: gathered for the rules that could read it, and for no others (T34).

use ztl_core::{Attributes, Claims, Evidence, FlowPermit, Timestamp, TrustScore};

use crate::guard::Guard;

/// What is known of a caller and its request.
pub(crate) struct Gathered {
    /// The drift of scores before this one was asked for.
    drift: u64,
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
        let scored = flow.reads_trust_score();
        Self {
            drift: if scored { guard.score_drift() } else { 0 },
            trust_score: guard.trust_score(flow, claims, now),
            posture: guard.posture(flow, claims, now),
            context,
        }
    }

    /// What of it may drift.
    pub(crate) fn scored(&self) -> Scored {
        Scored {
            drift: self.drift,
            score: self.trust_score.as_ref().map(TrustScore::value),
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

/// By which trust score something was judged; none where no rule asks for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scored {
    /// The drift of scores before it was asked for.
    pub(crate) drift: u64,
    score: Option<u8>,
}

impl Scored {
    /// Whether a score was looked at.
    pub(crate) const fn is_any(self) -> bool {
        self.score.is_some()
    }

    /// Whether whoever has these claims would get another score now.
    pub(crate) fn is_outdated(
        self,
        guard: &Guard,
        flow: &FlowPermit,
        claims: Option<&Claims>,
        now: Timestamp,
    ) -> bool {
        let score = || guard.trust_score(flow, claims, now);
        self.is_any() && self.score != score().as_ref().map(TrustScore::value)
    }
}
