//! One record: what was asked, what came of it, and under which policy.

use core::fmt;
use core::net::IpAddr;
use std::borrow::Cow;
use std::sync::Arc;

use super::inputs::Inputs;
use crate::action::Action;
use crate::authorizer::Version;
use crate::clause::Clause;
use crate::decision::{DecisionId, Lack, ShadowOutcome};
use crate::evidence::Evidence;
use crate::flow::{AnyFlow, Direction};
use crate::id::SpiffeId;
use crate::obligation::Obligations;
use crate::peer::{Peer, Proof};
use crate::policy::{Edge, Judgement, Policy, Revision, Said, actors};
use crate::reason::{Reason, Stage, Verdict};
use crate::time::Timestamp;
use crate::zone::Zone;

/// What is known about one decision. No query, token or key is ever in it, and in plain no header
/// value or claim but those that the policy itself names (law 7).
///
/// It is looked up where it is asked for, so that a record costs what its sink reads of it.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    id: DecisionId,
    judged: &'a Judgement<'a>,
    pub(super) about: &'a About<'a>,
}

/// What a decision was about.
pub(crate) struct About<'a> {
    pub(crate) flow: AnyFlow<'a>,
    pub(crate) edge: Option<&'a Edge>,
    pub(crate) policy: &'a Policy,
    pub(crate) action: Option<&'a Action<'a>>,
    /// What was known beyond identity and route, where rules were asked about it.
    pub(crate) evidence: Option<&'a Evidence<'a>>,
    pub(crate) occasion: Occasion,
    pub(crate) now: Timestamp,
}

/// Why something is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// Somebody asks for it.
    Asked,
    /// It runs already, and something that it rests on may have changed (law 8).
    Again,
    /// It was permitted, and an obligation of the permit does not come about.
    Unmet,
}

impl<'a> Record<'a> {
    #[inline]
    pub(crate) const fn new(
        id: DecisionId,
        judged: &'a Judgement<'a>,
        about: &'a About<'a>,
    ) -> Self {
        Self { id, judged, about }
    }

    /// The decision's id, the only thing that the caller is told.
    #[must_use]
    pub const fn id(&self) -> DecisionId {
        self.id
    }

    /// When it was decided.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.about.now
    }

    /// What came of it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.judged.outcome.verdict()
    }

    /// Whether this is a permit.
    #[must_use]
    pub fn is_permit(&self) -> bool {
        self.judged.outcome.is_permit()
    }

    /// The last stage that was reached.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.judged.outcome.stage
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.judged.outcome.reason
    }

    /// The first rule in document order that decided; none where no rule came near.
    #[must_use]
    pub fn rule(&self) -> Option<&'a str> {
        self.judged.rule.map(|rule| &*rule.name)
    }

    /// What was lacking, where something was.
    #[must_use]
    pub const fn lack(&self) -> Option<Lack> {
        self.judged.outcome.lack
    }

    /// What the permit that decided obliges to.
    #[must_use]
    pub fn obligations(&self) -> Option<&'a Obligations> {
        self.judged.obligations()
    }

    /// What rules in shadow mode would have said.
    #[must_use]
    pub fn shadow(&self) -> &'a [ShadowOutcome] {
        self.judged.shadow()
    }

    /// On a denial that is to be explained: the rule that it hung on, and its clause.
    #[must_use]
    pub fn near(&self) -> Option<(&'a str, Clause)> {
        let near = self.judged.near;
        near.map(|(rule, clause)| (&*rule.name, clause))
    }

    /// What the condition or the authorizer that the denial hangs on said where it could not tell: a permit did not permit, or a
    /// forbid forbade, for an error (rule 7).
    #[must_use]
    pub fn failure(&self) -> Option<&'a str> {
        match self.judged.said() {
            Some(Said::Failed(error)) => Some(&error.0),
            _ => None,
        }
    }

    /// Why the authorizer that the denial hangs on objects, in its own code, where it said so.
    #[must_use]
    pub fn objection(&self) -> Option<&'a str> {
        match self.judged.said() {
            Some(Said::Objected(code)) => Some(code.as_str()),
            _ => None,
        }
    }

    /// Of the authorizers that the deciding rule asked those that speak by what may be replaced while the policy stays, in the order in
    /// which they were asked: name, and the version that spoke. [`revision`](Self::revision) does not cover it (T24).
    #[must_use]
    pub fn authorizers(&self) -> &'a [(Arc<str>, Version)] {
        self.judged.heard().map_or(&[], |heard| &heard.versions)
    }

    /// Which end judged.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.about.flow.direction()
    }

    /// The workload that judged.
    #[must_use]
    pub fn me(&self) -> &'a str {
        self.about.flow.me()
    }

    /// The other end, where it was proved.
    #[must_use]
    pub fn peer(&self) -> Option<&'a SpiffeId> {
        self.about.flow.peer().map(Peer::id)
    }

    /// The one id by which the other end is counted, whichever of its names it came by
    /// ([`Policy::one_id_of`](crate::policy::Policy::one_id_of), T13).
    #[must_use]
    pub fn one_id(&self) -> Option<Cow<'a, SpiffeId>> {
        Some(self.about.policy.one_id_of(self.peer()?))
    }

    /// The host outside the mesh that was called, proved or not.
    #[must_use]
    pub fn host(&self) -> Option<&'a str> {
        self.about.flow.host()
    }

    /// Who asserted the peer, where it was not proved by a certificate.
    #[must_use]
    pub fn asserted_by(&self) -> Option<&'a str> {
        match self.about.flow.peer().map(Peer::proof) {
            Some(Proof::Asserted { by, .. }) => Some(by),
            _ => None,
        }
    }

    /// Issuer and subject of the caller's token, where a rule of this flow could read one.
    #[must_use]
    pub fn subject(&self) -> Option<(&'a str, &'a str)> {
        let claims = self.about.evidence?.claims?;
        self.about.edge.filter(|edge| edge.reads_token())?;
        Some((claims.issuer()?, claims.subject()?))
    }

    /// Whether a user may have done this of whom nothing is known here, so that the peer need not be to blame for it (T33): a forbid that
    /// goes by a token fired, and none was good; or what was permitted where tokens are read is
    /// [refused after all](crate::Engine::refuse_permitted).
    #[must_use]
    pub fn may_be_of_a_user(&self) -> bool {
        let of_rule = self.reason() == Reason::Forbidden
            && self.judged.rule.is_some_and(|rule| rule.reads_token());
        let of_flow = self.about.occasion == Occasion::Unmet && self.about.flow.reads_token();
        (of_rule || of_flow) && self.subject().is_none()
    }

    /// The id that the peer passes on, whether or not it may (T12).
    #[must_use]
    pub fn forwarded(&self) -> Option<&'a SpiffeId> {
        let ingress = self.direction() == Direction::Ingress;
        self.about.evidence.filter(|_| ingress)?.forwarded
    }

    /// The actors of the caller's token (RFC 8693 §4.1), the nearest first: the issuer of each, where it names one, and its subject. As
    /// far as they can be read, and where a rule of this flow could read a token.
    pub fn actors(&self) -> impl Iterator<Item = (Option<&'a str>, &'a str)> {
        let claims = self.about.evidence.and_then(|evidence| evidence.claims);
        let read = self.about.edge.filter(|edge| edge.reads_token());
        actors(claims.filter(|_| read.is_some()))
    }

    /// Where the connection arrived from; of one to a host outside the mesh, the address that it goes to.
    #[must_use]
    pub fn addr(&self) -> Option<IpAddr> {
        self.about.flow.arrival().addr()
    }

    /// Its zone.
    #[must_use]
    pub fn zone(&self) -> Option<&'a str> {
        let About {
            flow, edge, policy, ..
        } = *self.about;
        match edge {
            Some(edge) => policy.edge_zone(edge),
            // Of a call outside the mesh it is the caller's, which nobody has looked up.
            None if flow.host().is_some() => None,
            None => policy.zones().zone_of(&flow.arrival()).map(Zone::name),
        }
    }

    /// The target's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.about.flow.port()
    }

    /// What was asked for; `None` where only the flow was.
    #[must_use]
    pub const fn action(&self) -> Option<&'a Action<'a>> {
        self.about.action
    }

    /// What of the evidence the rule that decided reads.
    #[must_use]
    pub fn inputs(&self) -> Inputs<'a> {
        let About { flow, policy, .. } = *self.about;
        match (self.about.evidence, self.judged.outcome.rule) {
            (Some(evidence), Some(rule)) => Inputs::of(policy, rule, flow.direction(), evidence),
            _ => Inputs::none(),
        }
    }

    /// Whether it was about what runs already: nobody asked for anything, something that it rests on may have changed (law 8).
    #[must_use]
    pub fn is_again(&self) -> bool {
        self.about.occasion == Occasion::Again
    }

    /// Under which policy.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.about.policy.revision()
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("time", &self.time())
            .field("judged", &self.judged)
            .finish_non_exhaustive()
    }
}
