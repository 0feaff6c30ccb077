//! A flow between two workloads, and the proof that the policy permits it.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use crate::decision::DecisionId;
use crate::forwarding::{Forwarding, ForwardingError};
use crate::id::SpiffeId;
use crate::obligation::Obligations;
use crate::peer::Peer;
use crate::policy::{Edge, Policy, RuleIdx, Workload};
use crate::time::Timestamp;
use crate::web_host::{Outside, WebHost};
use crate::word::{WordError, read};
use crate::zone::Arrival;

/// Which end of a flow judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a flow has two ends")]
pub enum Direction {
    /// The target: somebody connects to me.
    Ingress,
    /// The caller: I connect to somebody.
    Egress,
}

impl Direction {
    /// `ingress` or `egress`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Direction {
    type Err = WordError;

    /// Reads `ingress` or `egress`.
    fn from_str(text: &str) -> Result<Self, WordError> {
        let all = [Self::Ingress, Self::Egress];
        read(
            text,
            all,
            Self::as_str,
            "a direction: `ingress` or `egress`",
        )
    }
}

/// A flow to be judged: who, to whom, where.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    pub(crate) direction: Direction,
    pub(crate) me: &'a str,
    pub(crate) peer: Option<&'a Peer>,
    /// Whom outside the mesh it goes to.
    pub(crate) outside: Option<Outside<'a>>,
    pub(crate) arrival: Arrival,
    pub(crate) port: u16,
}

impl<'a> Flow<'a> {
    /// A connection that `peer` makes to the workload `me` on its port `port`. `peer` is `None` on a public port, where
    /// callers prove nothing.
    #[must_use]
    pub const fn ingress(me: &'a str, port: u16, arrival: Arrival, peer: Option<&'a Peer>) -> Self {
        Self {
            direction: Direction::Ingress,
            me,
            peer,
            outside: None,
            arrival,
            port,
        }
    }

    /// A connection that the workload `me` makes to `peer` on its port `port`.
    #[must_use]
    pub const fn egress(me: &'a str, port: u16, peer: &'a Peer) -> Self {
        Self {
            direction: Direction::Egress,
            me,
            peer: Some(peer),
            outside: None,
            arrival: Arrival::unknown(),
            port,
        }
    }

    /// A connection that the workload `me` would make to a port, before anybody has proved itself there: for the record of a
    /// refusal. Judged, it is denied, for nobody is proved.
    #[must_use]
    pub const fn egress_unproved(me: &'a str, port: u16) -> Self {
        Self {
            direction: Direction::Egress,
            me,
            peer: None,
            outside: None,
            arrival: Arrival::unknown(),
            port,
        }
    }

    /// A connection that the workload `me` makes to a port of a host outside the mesh. Its address takes the place of the arrival.
    #[must_use]
    pub fn external(me: &'a str, port: u16, host: &'a WebHost) -> Self {
        let addr = host.addr();
        Self {
            outside: Some(Outside::Proved(host)),
            arrival: addr.map_or_else(Arrival::unknown, Arrival::from_addr),
            ..Self::egress_unproved(me, port)
        }
    }

    /// The same before the host has proved itself, at an address or none: for the record of a refusal. Judged, it is denied.
    #[must_use]
    pub const fn external_unproved(me: &'a str, port: u16, host: &'a str, at: Arrival) -> Self {
        let mut flow = Self::egress_unproved(me, port);
        flow.outside = Some(Outside::Named(host));
        flow.arrival = at;
        flow
    }

    /// From when on what proved the other end no longer holds.
    pub(crate) fn expires_at(&self) -> Timestamp {
        match (self.peer, self.outside.and_then(Outside::proved)) {
            (Some(peer), _) => peer.expires_at(),
            (None, Some(host)) => host.expires_at(),
            (None, None) => Timestamp::MAX,
        }
    }

    /// Who is called, by name or id, as far as that is known.
    pub(crate) fn called(&self) -> &'a str {
        match (self.outside, self.peer, self.direction) {
            (Some(host), ..) => host.name(),
            (None, Some(peer), Direction::Egress) => peer.id().as_str(),
            _ => self.me,
        }
    }

    /// Whether what proved the other end is good at an engine for tests alone.
    pub(crate) fn is_test_only(&self) -> bool {
        let host = self.outside.and_then(Outside::proved);
        self.peer.is_some_and(Peer::is_test_only) || host.is_some_and(WebHost::is_test_only)
    }
}

/// A flow as it was asked about, or as a permit keeps it.
#[derive(Clone, Copy)]
pub(crate) enum AnyFlow<'a> {
    Asked(&'a Flow<'a>),
    Kept(&'a Permitted),
}

impl<'a> AnyFlow<'a> {
    pub(crate) fn direction(self) -> Direction {
        match self {
            Self::Asked(flow) => flow.direction,
            Self::Kept(permitted) => permitted.direction,
        }
    }

    pub(crate) fn me(self) -> &'a str {
        match self {
            Self::Asked(flow) => flow.me,
            Self::Kept(permitted) => permitted.me(),
        }
    }

    pub(crate) fn peer(self) -> Option<&'a Peer> {
        match self {
            Self::Asked(flow) => flow.peer,
            Self::Kept(permitted) => permitted.peer.as_ref(),
        }
    }

    /// The host outside the mesh that is called.
    pub(crate) fn host(self) -> Option<&'a str> {
        match self {
            Self::Asked(flow) => flow.outside.map(Outside::name),
            Self::Kept(permitted) => permitted.host.as_ref().map(WebHost::name),
        }
    }

    /// Whether it was permitted where a rule could read a token.
    pub(crate) fn reads_token(self) -> bool {
        match self {
            Self::Asked(_) => false,
            Self::Kept(permitted) => permitted.edge.reads_token(),
        }
    }

    pub(crate) fn arrival(self) -> Arrival {
        match self {
            Self::Asked(flow) => flow.arrival,
            Self::Kept(permitted) => permitted.arrival,
        }
    }

    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Asked(flow) => flow.port,
            Self::Kept(permitted) => permitted.edge.port(),
        }
    }
}

/// The proof that a flow is permitted. Made by [`Engine::permit_flow`](crate::Engine::permit_flow) and nowhere else, and
/// good only at the engine that made it (law 2, T5). Cheap to clone.
#[derive(Clone)]
#[must_use = "a permit is what the next step takes; dropping it permits nothing"]
pub struct FlowPermit(pub(crate) Arc<Permitted>);

pub(crate) struct Permitted {
    pub(crate) engine: u64,
    pub(crate) id: DecisionId,
    pub(crate) direction: Direction,
    pub(crate) peer: Option<Peer>,
    pub(crate) host: Option<WebHost>,
    pub(crate) expires_at: Timestamp,
    pub(crate) arrival: Arrival,
    pub(crate) trust_generation: u64,
    /// The policy that permitted it.
    pub(crate) in_force: Arc<InForce>,
    pub(crate) edge: Edge,
    pub(crate) rule: Option<RuleIdx>,
}

/// A policy, and how many were in force before it.
pub(crate) struct InForce {
    pub(crate) policy: Arc<Policy>,
    pub(crate) epoch: u64,
}

impl Permitted {
    fn policy(&self) -> &Policy {
        &self.in_force.policy
    }

    fn me(&self) -> &str {
        let me = self.edge.me().and_then(|me| self.policy().workload(me));
        me.map_or("", Workload::name)
    }

    pub(crate) fn flow(&self) -> Flow<'_> {
        Flow {
            direction: self.direction,
            me: self.me(),
            peer: self.peer.as_ref(),
            outside: self.host.as_ref().map(Outside::Proved),
            arrival: self.arrival,
            port: self.edge.port(),
        }
    }
}

impl FlowPermit {
    /// The proved peer; `None` for a caller without SVID on a public port, and for a host outside the mesh.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        self.0.peer.as_ref()
    }

    /// The proved host outside the mesh that is called.
    #[must_use]
    pub fn host(&self) -> Option<&WebHost> {
        self.0.host.as_ref()
    }

    /// The id under which the audit log has this decision.
    #[must_use]
    pub fn id(&self) -> DecisionId {
        self.0.id
    }

    /// The first rule in document order that permits the flow.
    #[must_use]
    pub fn rule(&self) -> &str {
        let rule = self.0.rule.and_then(|rule| self.0.policy().rule(rule));
        rule.map_or("", |rule| &rule.name)
    }

    /// Which end judged.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.0.direction
    }

    /// The workload that judged.
    #[must_use]
    pub fn me(&self) -> &str {
        self.0.me()
    }

    /// The workload that is called, by its name in the policy that permitted the flow; `None` where it is a host outside the mesh.
    #[must_use]
    pub fn called(&self) -> Option<&str> {
        let target = self.0.edge.target()?;
        self.0.policy().workload(target).map(Workload::name)
    }

    /// The target's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.edge.port()
    }

    /// Where the connection arrived from; of one to a host outside the mesh, the address that it goes to.
    #[must_use]
    pub fn arrival(&self) -> Arrival {
        self.0.arrival
    }

    /// From when on the peer's proof no longer holds, and with it this permit.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.0.expires_at
    }

    /// The host names that the workload that judged answers to, in lower case; empty for any (rule 42).
    #[must_use]
    pub fn hosts(&self) -> &[Arc<str>] {
        let me = self.0.edge.me().and_then(|me| self.0.policy().workload(me));
        me.map_or(&[], Workload::hosts)
    }

    /// The header field in which the caller of this flow passes on whom it speaks for, where its workload says `forwards_in`.
    /// None of anybody else: nothing is read then (T12).
    #[must_use]
    pub fn forwards_in(&self) -> Option<Forwarding> {
        self.forwarder()?.forwards_in()
    }

    /// Whom the peer says that it speaks for, by the lines of that field. Whether it may is judged with the action
    /// ([`Evidence::with_forwarded`](crate::Evidence::with_forwarded)).
    ///
    /// # Errors
    /// [`ForwardingError`]: whoever enforces denies with [`Reason::ForwardedUntrusted`](crate::Reason::ForwardedUntrusted).
    pub fn passed_on<'a>(
        &self,
        lines: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<SpiffeId>, ForwardingError> {
        let ingress = self.direction() == Direction::Ingress;
        let proxy = self.forwarder().filter(|_| ingress);
        proxy.map_or(Ok(None), |proxy| proxy.passed_on(self.0.policy(), lines))
    }

    /// The workload of the caller, where it proved itself.
    fn forwarder(&self) -> Option<&Workload> {
        let index = self.0.edge.forwarder()?;
        self.0.policy().workload(index)
    }

    /// Whether any rule on this flow could ask for a token, so that one is worth verifying (T34).
    #[must_use]
    pub fn reads_token(&self) -> bool {
        self.0.edge.reads_token()
    }

    /// Whether any rule about the target could ask for a trust score, so that one is worth making (T34).
    #[must_use]
    pub fn reads_trust_score(&self) -> bool {
        self.0.edge.reads().trust_score
    }

    /// Whether any rule about the target could read the posture of the caller's device (T34).
    #[must_use]
    pub fn reads_posture(&self) -> bool {
        self.0.edge.reads().posture
    }

    /// Whether any rule about the target could read what the service says of a request (T34).
    #[must_use]
    pub fn reads_context(&self) -> bool {
        self.0.edge.reads().context
    }
}

impl fmt::Debug for FlowPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowPermit")
            .field("direction", &self.0.direction)
            .field("me", &self.0.me())
            .field("peer", &self.0.peer)
            .field("port", &self.port())
            .field("epoch", &self.0.in_force.epoch)
            .finish_non_exhaustive()
    }
}

/// The proof that an action is authorized. Made by [`Engine::authorize`](crate::Engine::authorize) from a [`FlowPermit`] and
/// nowhere else (law 2).
#[derive(Clone, Debug)]
#[must_use = "a permit is what the next step takes; dropping it permits nothing"]
pub struct ActionPermit {
    pub(crate) engine: u64,
    pub(crate) epoch: u64,
    pub(crate) trust_generation: u64,
    pub(crate) id: DecisionId,
    pub(crate) rule: Arc<str>,
    /// Its place in the policy of that epoch.
    pub(crate) rule_at: Option<RuleIdx>,
    pub(crate) expires_at: Timestamp,
    pub(crate) obligations: Obligations,
}

impl ActionPermit {
    /// The id under which the audit log has this decision.
    #[must_use]
    pub const fn id(&self) -> DecisionId {
        self.id
    }

    /// The rule that permits it.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// What has to be done beside: only kinds that the enforcement point said it can discharge.
    #[must_use]
    pub const fn obligations(&self) -> &Obligations {
        &self.obligations
    }

    /// When the first thing it rests on expires: the peer's proof, the token, the score (T15).
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Whether both were made by one engine under one policy, and so mean the same by a name such as a schema's.
    #[must_use]
    pub const fn is_of_one_policy_with(&self, other: &Self) -> bool {
        self.engine == other.engine && self.epoch == other.epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_is_read_as_it_is_written() {
        for direction in [Direction::Ingress, Direction::Egress] {
            assert_eq!(direction.to_string().parse(), Ok(direction));
        }
        assert!("Ingress".parse::<Direction>().is_err());
    }
}
