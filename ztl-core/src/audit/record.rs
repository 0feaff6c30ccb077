//! One record: what was asked, what came of it, and under which policy.

use core::fmt::Write as _;
use core::net::IpAddr;

use super::inputs::Inputs;
use super::mask::{Field, Mask, Masks};
use super::text::{self, Quoted};
use crate::action::{Action, Upgrade};
use crate::decision::{Decision, DecisionId};
use crate::flow::Direction;
use crate::id::SpiffeId;
use crate::policy::Revision;
use crate::reason::{Reason, Stage, Verdict};
use crate::time::Timestamp;

/// Most outcomes of shadow rules in one record; of others it tells how many there are.
const MAX_SHADOWS: usize = 32;

/// What is known about one decision. No query, token or key is ever in it, and in plain no header
/// value or claim but those that the policy itself names (law 7).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Record<'a> {
    /// The decision's id, the only thing that the caller is told.
    pub id: DecisionId,
    /// When it was decided.
    pub time: Timestamp,
    /// What came of it.
    pub decision: &'a Decision,
    /// Which end judged.
    pub direction: Direction,
    /// The workload that judged.
    pub me: &'a str,
    /// The other end, where it was proved.
    pub peer: Option<&'a SpiffeId>,
    /// Who asserted the peer, where it was not proved by a certificate.
    pub asserted_by: Option<&'a str>,
    /// Issuer and subject of the caller's token, where a rule of this flow could read one.
    pub subject: Option<(&'a str, &'a str)>,
    /// Where the connection arrived from.
    pub addr: Option<IpAddr>,
    /// Its zone.
    pub zone: Option<&'a str>,
    /// The target's port.
    pub port: u16,
    /// What was asked for; `None` where only the flow was.
    pub action: Option<&'a Action<'a>>,
    /// What of the evidence the rule that decided reads.
    pub inputs: Inputs<'a>,
    /// Under which policy.
    pub revision: Revision,
    pub(crate) revision_text: &'a str,
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
        let plain_addr = match self.addr {
            Some(IpAddr::V4(addr)) if masks.get(Field::Addr) == Mask::Keep => Some(addr),
            _ => None,
        };
        text::front(out, self.id.as_u128(), self.time, self.port, plain_addr);
        // Codes, words and names of ours need no escape.
        let Decision {
            verdict,
            stage,
            reason,
            rule,
            ..
        } = self.decision;
        match (verdict, stage) {
            (Verdict::Permit, Stage::Action) if *reason == Reason::Permitted => out
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
        if let Some(rule) = rule {
            text::plain(out, ",\"rule\":\"", rule);
        }
        out.push_str(match self.direction {
            Direction::Ingress => ",\"direction\":\"ingress\",\"me\":",
            Direction::Egress => ",\"direction\":\"egress\",\"me\":",
        });
        text::quoted(out, self.me);
        if let Some(peer) = self.peer {
            if masks.get(Field::Peer) == Mask::Keep {
                text::plain(out, ",\"peer\":\"", peer.as_str());
            } else {
                write_masked(out, masks, Field::Peer, ",\"peer\":", peer.as_str());
            }
        }
        if let Some(by) = self.asserted_by {
            write_masked(out, masks, Field::AssertedBy, ",\"asserted_by\":", by);
        }
        if let Some((issuer, subject)) = self.subject {
            write_masked(out, masks, Field::Issuer, ",\"issuer\":", issuer);
            write_masked(out, masks, Field::Subject, ",\"subject\":", subject);
        }
        if let (Some(addr), None) = (self.addr, plain_addr) {
            write_addr(out, masks, addr);
        }
        if let Some(zone) = self.zone {
            if masks.get(Field::Zone) == Mask::Keep {
                text::plain(out, ",\"zone\":\"", zone);
            } else {
                write_masked(out, masks, Field::Zone, ",\"zone\":", zone);
            }
        }
        if let Some(action) = self.action {
            write_action(out, masks, action);
        }
        self.inputs.write_json(out, masks);
        if !self.decision.shadow.is_empty() {
            self.write_shadow(out);
        }
        if let Some(near) = &self.decision.near {
            text::plain(out, ",\"near\":{\"rule\":\"", &near.rule);
            text::plain(out, ",\"clause\":\"", near.clause.code());
            out.push('}');
        }
        out.push_str(",\"revision\":\"");
        out.push_str(self.revision_text);
        out.push('"');
    }

    fn write_shadow(&self, out: &mut String) {
        out.push_str(",\"shadow\":[");
        for (at, shadow) in self.decision.shadow.iter().take(MAX_SHADOWS).enumerate() {
            out.push_str(if at == 0 { "{\"rule\":" } else { ",{\"rule\":" });
            text::quoted(out, &shadow.rule);
            out.push_str(",\"would\":\"");
            out.push_str(shadow.would.as_str());
            out.push_str("\"}");
        }
        out.push(']');
        if let Some(more @ 1..) = self.decision.shadow.len().checked_sub(MAX_SHADOWS) {
            out.push_str(",\"shadow_more\":");
            text::number(out, u64::try_from(more).unwrap_or(u64::MAX));
        }
    }

    /// Whether this is a permit.
    #[must_use]
    pub fn is_permit(&self) -> bool {
        self.decision.verdict == Verdict::Permit
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
