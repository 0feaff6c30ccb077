//! One record: what was asked, what came of it, and under which policy.

use core::fmt::{self, Write as _};
use core::net::IpAddr;

use super::inputs::Inputs;
use super::mask::{Field, Mask, Masks};
use super::text::{self, Quoted};
use crate::action::{Action, Upgrade};
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

/// Most outcomes of shadow rules in one record; of others it tells how many there are.
const MAX_SHADOWS: usize = 32;

/// What is known about one decision. No query, token or key is ever in it, and in plain no header
/// value or claim but those that the policy itself names (law 7).
///
/// It is looked up where it is asked for, so that a record costs what its sink reads of it.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    id: DecisionId,
    judged: &'a Judgement<'a>,
    about: &'a About<'a>,
}

/// What a decision was about.
pub(crate) struct About<'a> {
    pub(crate) flow: AnyFlow<'a>,
    pub(crate) edge: Option<&'a Edge>,
    pub(crate) policy: &'a Policy,
    pub(crate) action: Option<&'a Action<'a>>,
    /// What was known beyond identity and route, where rules were asked about it.
    pub(crate) evidence: Option<&'a Evidence<'a>>,
    pub(crate) now: Timestamp,
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

impl Record<'_> {
    /// Appends the record as one JSON object, without a line end. Fields that are not known are left out.
    pub fn write_json(&self, out: &mut String) {
        self.write_masked_json(out, &Masks::none());
    }

    /// The same with some fields hashed or left out.
    pub fn write_masked_json(&self, out: &mut String, masks: &Masks) {
        out.push('{');
        self.write_members(out, masks);
        out.push('}');
    }

    /// The members of that object.
    pub(super) fn write_members(&self, out: &mut String, masks: &Masks) {
        // Most records are shorter.
        out.reserve(640);
        let plain_addr = match self.addr() {
            Some(IpAddr::V4(addr)) if masks.get(Field::Addr) == Mask::Keep => Some(addr),
            _ => None,
        };
        text::front(out, self.id.as_u128(), self.time(), self.port(), plain_addr);
        // Codes, words and names of ours need no escape.
        let (verdict, stage, reason) = (self.verdict(), self.stage(), self.reason());
        match (verdict, stage) {
            (Verdict::Permit, Stage::Action) if reason == Reason::Permitted => out
                .push_str(",\"verdict\":\"permit\",\"stage\":\"action\",\"reason\":\"permitted\""),
            _ => {
                out.push_str(",\"verdict\":\"");
                out.push_str(verdict.as_str());
                out.push_str("\",\"stage\":\"");
                out.push_str(stage.as_str());
                out.push_str("\",\"reason\":\"");
                out.push_str(reason.code());
                out.push('"');
            }
        }
        if let Some(rule) = self.rule() {
            text::plain(out, ",\"rule\":\"", rule);
        }
        out.push_str(match self.direction() {
            Direction::Ingress => ",\"direction\":\"ingress\",\"me\":",
            Direction::Egress => ",\"direction\":\"egress\",\"me\":",
        });
        text::quoted(out, self.me());
        if let Some(peer) = self.peer() {
            if masks.get(Field::Peer) == Mask::Keep {
                text::plain(out, ",\"peer\":\"", peer.as_str());
            } else {
                write_masked(out, masks, Field::Peer, ",\"peer\":", peer.as_str());
            }
        }
        if let Some(host) = self.host() {
            write_masked(out, masks, Field::Host, ",\"host\":", host);
        }
        if let Some(by) = self.asserted_by() {
            write_masked(out, masks, Field::AssertedBy, ",\"asserted_by\":", by);
        }
        if let Some((issuer, subject)) = self.subject() {
            write_masked(out, masks, Field::Issuer, ",\"issuer\":", issuer);
            write_masked(out, masks, Field::Subject, ",\"subject\":", subject);
        }
        self.write_along(out, masks);
        if let (Some(addr), None) = (self.addr(), plain_addr) {
            write_addr(out, masks, addr);
        }
        if let Some(zone) = self.zone() {
            if masks.get(Field::Zone) == Mask::Keep {
                text::plain(out, ",\"zone\":\"", zone);
            } else {
                write_masked(out, masks, Field::Zone, ",\"zone\":", zone);
            }
        }
        if let Some(action) = self.action() {
            write_action(out, masks, action);
        }
        self.inputs().write_json(out, masks);
        if let Some(failure) = self.failure() {
            out.push_str(",\"failed\":");
            text::quoted(out, failure);
        }
        if let Some(code) = self.objection() {
            text::plain(out, ",\"objection\":\"", code);
        }
        if let Some(obligations) = self.obligations().filter(|all| !all.is_empty()) {
            write_obligations(out, obligations);
        }
        if !self.shadow().is_empty() {
            self.write_shadow(out);
        }
        if let Some((rule, clause)) = self.near() {
            text::plain(out, ",\"near\":{\"rule\":\"", rule);
            text::plain(out, ",\"clause\":\"", clause.code());
            out.push('}');
        }
        out.push_str(",\"revision\":\"");
        out.push_str(self.about.policy.revision_text());
        out.push('"');
    }

    /// Who comes along beside the subject.
    fn write_along(&self, out: &mut String, masks: &Masks) {
        let mut first = true;
        for (issuer, subject) in self.actors() {
            out.push_str(if first { ",\"actors\":[{" } else { ",{" });
            first = false;
            let start = out.len();
            if let Some(issuer) = issuer {
                write_masked(out, masks, Field::Issuer, "\"issuer\":", issuer);
            }
            let name = if out.len() == start {
                "\"subject\":"
            } else {
                ",\"subject\":"
            };
            write_masked(out, masks, Field::Subject, name, subject);
            out.push('}');
        }
        out.push_str(if first { "" } else { "]" });
        if let Some(forwarded) = self.forwarded() {
            write_masked(
                out,
                masks,
                Field::Peer,
                ",\"forwarded\":",
                forwarded.as_str(),
            );
        }
    }

    fn write_shadow(&self, out: &mut String) {
        out.push_str(",\"shadow\":[");
        for (at, shadow) in self.shadow().iter().take(MAX_SHADOWS).enumerate() {
            out.push_str(if at == 0 { "{\"rule\":" } else { ",{\"rule\":" });
            text::quoted(out, &shadow.rule);
            out.push_str(",\"would\":\"");
            out.push_str(shadow.would.as_str());
            out.push_str("\"}");
        }
        out.push(']');
        if let Some(more @ 1..) = self.shadow().len().checked_sub(MAX_SHADOWS) {
            out.push_str(",\"shadow_more\":");
            text::number(out, u64::try_from(more).unwrap_or(u64::MAX));
        }
    }
}

/// A text, as its mask says. `name` is the member's name with what stands around it.
fn write_masked(out: &mut String, masks: &Masks, field: Field, name: &str, value: &str) {
    match masks.get(field) {
        Mask::Keep => {
            out.push_str(name);
            text::quoted(out, value);
        }
        Mask::Hash => {
            out.push_str(name);
            masks.hashed(out, field, value.as_bytes());
        }
        Mask::Drop => {}
    }
}

/// What was obliged to, with the keys that it has in a document.
fn write_obligations(out: &mut String, obligations: &Obligations) {
    out.push_str(",\"obligations\":{");
    let start = out.len();
    let key = |out: &mut String, key: &str| {
        out.push_str(if out.len() == start { "\"" } else { ",\"" });
        out.push_str(key);
        out.push_str("\":");
    };
    if let Some(limit) = obligations.limit() {
        key(out, "limit");
        text::quoted(out, &limit.name);
    }
    if let Some(schema) = obligations.schema() {
        key(out, "schema");
        text::quoted(out, schema);
    }
    if let Some(bytes) = obligations.max_body() {
        key(out, "max_body");
        text::number(out, bytes);
    }
    if let Some(fields) = obligations.log() {
        key(out, "log");
        out.push_str(if fields.is_empty() { "true" } else { "[" });
        for (at, field) in fields.iter().enumerate() {
            out.push_str(if at == 0 { "" } else { "," });
            text::quoted(out, field);
        }
        out.push_str(if fields.is_empty() { "" } else { "]" });
    }
    out.push('}');
}

fn write_addr(out: &mut String, masks: &Masks, addr: IpAddr) {
    match masks.get(Field::Addr) {
        Mask::Keep => {
            out.push_str(",\"addr\":\"");
            text::address(out, addr);
            out.push('"');
        }
        Mask::Hash => {
            let octets = match addr {
                IpAddr::V4(addr) => addr.to_ipv6_mapped(),
                IpAddr::V6(addr) => addr,
            };
            out.push_str(",\"addr\":");
            masks.hashed(out, Field::Addr, &octets.octets());
        }
        Mask::Drop => {}
    }
}

fn write_action(out: &mut String, masks: &Masks, action: &Action<'_>) {
    let resource = action.resource();
    match (masks.get(Field::Path), resource) {
        (Mask::Keep, Some(resource)) if resource.upgrade().is_none() => {
            out.push_str(",\"action\":\"");
            out.push_str(resource.method().as_str());
            out.push(' ');
            // Writing to a String cannot fail.
            let _ = Quoted::new(out).write_str(resource.path().as_str());
            out.push('"');
        }
        (Mask::Keep, _) | (_, None) => {
            out.push_str(",\"action\":\"");
            // Writing to a String cannot fail.
            let _ = write!(Quoted::new(out), "{action}");
            out.push('"');
        }
        (mask, Some(resource)) => {
            out.push_str(",\"action\":\"");
            out.push_str(match resource.upgrade() {
                None => resource.method().as_str(),
                Some(Upgrade::WebSocket) => "websocket",
                Some(Upgrade::Other(_)) => "upgrade",
            });
            out.push('"');
            if mask == Mask::Hash {
                out.push_str(",\"path\":");
                masks.hashed(out, Field::Path, resource.path().as_str().as_bytes());
            }
        }
    }
}
