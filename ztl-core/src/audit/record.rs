//! One record: what was asked, what came of it, and under which policy.

use core::fmt::Write;
use core::net::IpAddr;

use crate::action::Action;
use crate::decision::{Decision, DecisionId};
use crate::flow::Direction;
use crate::id::SpiffeId;
use crate::policy::Revision;
use crate::reason::Verdict;
use crate::time::Timestamp;

/// Longest value of a text field in characters; what is longer is cut and ends with `…`.
const MAX_TEXT: usize = 256;

/// What is known about one decision. No query, header value, token or key is ever in it (law 7).
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
    /// Under which policy.
    pub revision: Revision,
}

impl Record<'_> {
    /// Appends the record as one JSON object, without a line end. Fields that are not known are left out.
    pub fn write_json(&self, out: &mut String) {
        out.push_str("{\"id\":\"");
        // Writing to a String cannot fail.
        let _ = write!(out, "{}\",\"time\":{}", self.id, self.time);
        text(out, "verdict", self.decision.verdict.as_str());
        text(out, "stage", self.decision.stage.as_str());
        text(out, "reason", self.decision.reason.code());
        optional(out, "rule", self.decision.rule.as_deref());
        text(out, "direction", self.direction.as_str());
        text(out, "me", self.me);
        optional(out, "peer", self.peer.map(SpiffeId::as_str));
        optional(out, "asserted_by", self.asserted_by);
        if let Some((issuer, subject)) = self.subject {
            text(out, "issuer", issuer);
            text(out, "subject", subject);
        }
        if let Some(addr) = self.addr {
            let _ = write!(out, ",\"addr\":\"{addr}\"");
        }
        optional(out, "zone", self.zone);
        let _ = write!(out, ",\"port\":{}", self.port);
        if let Some(action) = self.action {
            out.push_str(",\"action\":\"");
            // Writing to a String cannot fail.
            let _ = write!(Quoted::new(out), "{action}");
            out.push('"');
        }
        if !self.decision.shadow.is_empty() {
            out.push_str(",\"shadow\":[");
            for (at, shadow) in self.decision.shadow.iter().enumerate() {
                out.push_str(if at == 0 { "{\"rule\":" } else { ",{\"rule\":" });
                quoted(out, &shadow.rule);
                let _ = write!(out, ",\"would\":\"{}\"}}", shadow.would);
            }
            out.push(']');
        }
        let _ = write!(out, ",\"revision\":\"{}\"}}", self.revision);
    }

    /// Whether this is a permit.
    #[must_use]
    pub fn is_permit(&self) -> bool {
        self.decision.verdict == Verdict::Permit
    }
}

fn optional(out: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        text(out, name, value);
    }
}

fn text(out: &mut String, name: &str, value: &str) {
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":");
    quoted(out, value);
}

/// A JSON text in which nothing can end a line, start an escape sequence or turn the direction of writing (T30).
fn quoted(out: &mut String, value: &str) {
    out.push('"');
    let _ = Quoted::new(out).write_str(value);
    out.push('"');
}

/// Writes into a JSON text, at most [`MAX_TEXT`] characters of it.
struct Quoted<'a> {
    out: &'a mut String,
    left: usize,
}

impl<'a> Quoted<'a> {
    const fn new(out: &'a mut String) -> Self {
        Self {
            out,
            left: MAX_TEXT,
        }
    }

    fn push(&mut self, character: char) {
        match character {
            '"' => self.out.push_str("\\\""),
            '\\' => self.out.push_str("\\\\"),
            _ if must_be_escaped(character) => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(self.out, "\\u{unit:04x}");
                }
            }
            _ => self.out.push(character),
        }
    }
}

impl Write for Quoted<'_> {
    fn write_str(&mut self, value: &str) -> core::fmt::Result {
        // Nearly every value is plain and short.
        if value.len() <= self.left
            && value
                .bytes()
                .all(|byte| matches!(byte, b' '..=b'~' if byte != b'"' && byte != b'\\'))
        {
            self.left -= value.len();
            self.out.push_str(value);
            return Ok(());
        }
        for character in value.chars() {
            match self.left.checked_sub(1) {
                Some(left) => {
                    self.left = left;
                    self.push(character);
                }
                None => {
                    if !self.out.ends_with('…') {
                        self.out.push('…');
                    }
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Controls, line separators and the marks that steer bidirectional text.
fn must_be_escaped(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t30_a_hostile_text_stays_on_its_line() {
        let mut out = String::new();
        quoted(&mut out, "a\n\u{1b}[31m\"\\\u{202e}é\u{85}");
        assert_eq!(out, "\"a\\u000a\\u001b[31m\\\"\\\\\\u202eé\\u0085\"");
        assert_eq!(
            serde_json::from_str::<String>(&out).expect("json"),
            "a\n\u{1b}[31m\"\\\u{202e}é\u{85}"
        );
        let mut long = String::new();
        quoted(&mut long, &"x".repeat(10_000));
        assert!(long.chars().count() < MAX_TEXT + 4 && long.ends_with("…\""));
    }
}
