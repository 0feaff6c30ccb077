//! A record as JSON: its members in their order, as masks show them.

use core::fmt::Write as _;
use core::net::IpAddr;

use super::mask::{Field, Mask, Masks};
use super::record::Record;
use super::text::{self, Quoted};
use crate::action::{Action, Upgrade};
use crate::flow::Direction;
use crate::obligation::Obligations;
use crate::reason::{Reason, Stage, Verdict};

/// Most outcomes of shadow rules in one record; of others it tells how many there are.
const MAX_SHADOWS: usize = 32;
/// Most header fields in one record that a permit has logged, and most bytes that the versions of authorizers begin within; of
/// others it tells how many there are. A document may have more of both than a line of a chain holds.
const MAX_LOG: usize = 32;
const MAX_AUTHORIZERS_BYTES: usize = 8 * 1024;

/// Most records are shorter, in bytes.
const ROOM: usize = 640;

impl Record<'_> {
    /// Appends the record as one JSON object, without a line end. Fields that are not known are left out.
    pub fn write_json(&self, out: &mut String) {
        self.write_masked_json(out, &Masks::none());
    }

    /// The same with some fields hashed or left out.
    pub fn write_masked_json(&self, out: &mut String, masks: &Masks) {
        // At once, and not first for a brace alone.
        out.reserve(ROOM + 1);
        out.push('{');
        self.write_members(out, masks);
        out.push('}');
    }

    /// The members of that object.
    pub(super) fn write_members(&self, out: &mut String, masks: &Masks) {
        out.reserve(ROOM);
        let plain_addr = match self.addr() {
            Some(IpAddr::V4(addr)) if masks.get(Field::Addr) == Mask::Keep => Some(addr),
            _ => None,
        };
        text::front(
            out,
            self.id().as_u128(),
            self.time(),
            self.port(),
            plain_addr,
        );
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
        if self.is_again() {
            out.push_str(",\"again\":true");
        }
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
        if !self.authorizers().is_empty() {
            self.write_authorizers(out);
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

    #[cold]
    fn write_authorizers(&self, out: &mut String) {
        out.push_str(",\"authorizers\":{");
        let (start, mut more) = (out.len(), 0);
        for (at, (name, version)) in self.authorizers().iter().enumerate() {
            if out.len() - start > MAX_AUTHORIZERS_BYTES {
                more = self.authorizers().len() - at;
                break;
            }
            out.push_str(if at == 0 { "" } else { "," });
            text::quoted(out, name);
            out.push_str(":{\"sha256\":\"");
            crate::hex::push(version.sha256(), out);
            out.push('"');
            if let Some(revision) = version.revision() {
                out.push_str(",\"revision\":");
                text::quoted(out, revision);
            }
            out.push('}');
        }
        out.push('}');
        write_more(out, ",\"authorizers_more\":", more);
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
        let more = self.shadow().len().saturating_sub(MAX_SHADOWS);
        write_more(out, ",\"shadow_more\":", more);
    }
}

/// How many more there are, if any. `name` is the member's name with what stands around it.
fn write_more(out: &mut String, name: &str, more: usize) {
    if more > 0 {
        out.push_str(name);
        text::number(out, u64::try_from(more).unwrap_or(u64::MAX));
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
        for (at, field) in fields.iter().take(MAX_LOG).enumerate() {
            out.push_str(if at == 0 { "" } else { "," });
            text::quoted(out, field);
        }
        out.push_str(if fields.is_empty() { "" } else { "]" });
        write_more(out, ",\"log_more\":", fields.len().saturating_sub(MAX_LOG));
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
