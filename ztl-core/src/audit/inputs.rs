//! What a decision used beyond identity and route: only what the rule that decided reads, and in plain only what the policy
//! itself names (law 7, T30).

use core::fmt::{self, Write as _};

use serde_json::Value;
use smallvec::SmallVec;

use super::mask::{Field, Mask, Masks};
use super::text;
use crate::evidence::{Claims, Evidence};
use crate::flow::Direction;
use crate::policy::{Mfa, Policy, Read, RuleIdx, login};

/// Most things read that one record tells of, most values of one header field, and most bytes of them together.
const MAX_READS: usize = 32;
const MAX_VALUES: usize = 8;
const MAX_BYTES: usize = 8 * 1024;

/// The evidence that the deciding rule reads.
#[derive(Clone, Copy, Default)]
pub struct Inputs<'a>(Option<Used<'a>>);

#[derive(Clone, Copy)]
struct Used<'a> {
    policy: &'a Policy,
    rule: RuleIdx,
    evidence: &'a Evidence<'a>,
}

type Reads<'a> = SmallVec<[Read<'a>; MAX_READS]>;

impl<'a> Inputs<'a> {
    /// No evidence was read.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    pub(crate) fn of(
        policy: &'a Policy,
        rule: RuleIdx,
        direction: Direction,
        evidence: &'a Evidence<'a>,
    ) -> Self {
        // Requirements are judged where the facts are: at the target.
        Self((direction == Direction::Ingress).then_some(Used {
            policy,
            rule,
            evidence,
        }))
    }

    /// Appends `,"inputs":{…}` where there is anything to tell.
    pub(super) fn write_json(&self, out: &mut String, masks: &Masks) {
        if let Some(used) = &self.0
            && used.policy.reads_evidence(used.rule)
        {
            used.write_json(out, masks);
        }
    }
}

impl Used<'_> {
    // Apart, because most rules read no evidence.
    #[inline(never)]
    fn write_json(&self, out: &mut String, masks: &Masks) {
        let used = self;
        let mut reads = Reads::new();
        let mut more = false;
        used.policy.each_read(used.rule, &mut |read| {
            if reads.len() < MAX_READS {
                reads.push(read);
            } else {
                more = true;
            }
        });
        if reads.is_empty() {
            return;
        }
        let before = out.len();
        out.push_str(",\"inputs\":{");
        let start = out.len();
        let mut object = Members { out, masks, start };
        object.trust_score(used, &reads);
        more |= object.token(used, &reads);
        object.attributes(used, &reads);
        more |= object.headers(used, &reads);
        if more {
            object.name("more");
            object.out.push_str("true");
        }
        if out.len() == start {
            out.truncate(before);
        } else {
            out.push('}');
        }
    }
}

impl fmt::Debug for Inputs<'_> {
    /// Not what they are: that is for the record, which masks it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inputs")
    }
}

/// Writes the members of one object.
struct Members<'o, 'm> {
    out: &'o mut String,
    masks: &'m Masks,
    start: usize,
}

impl Members<'_, '_> {
    fn name(&mut self, name: &str) {
        if !self.out.ends_with(['{', '[']) {
            self.out.push(',');
        }
        text::quoted(self.out, name);
        self.out.push(':');
    }

    fn is_full(&self) -> bool {
        self.out.len() - self.start > MAX_BYTES
    }

    /// A value in plain where it may be, else its hash.
    fn value(&mut self, field: Field, value: &str, in_plain: bool) {
        if in_plain && self.masks.get(field) == Mask::Keep {
            text::quoted(self.out, value);
        } else {
            self.masks.hashed(self.out, field, value.as_bytes());
        }
    }

    fn trust_score(&mut self, used: &Used<'_>, reads: &Reads<'_>) {
        let read = reads.iter().any(|read| matches!(read, Read::TrustScore));
        let mask = self.masks.get(Field::TrustScore);
        let (true, Some(score), false) = (read, used.evidence.trust_score, mask == Mask::Drop)
        else {
            return;
        };
        self.name("trust_score");
        if mask == Mask::Hash {
            self.masks
                .hashed(self.out, Field::TrustScore, &[score.value()]);
            return;
        }
        self.out.push_str("{\"value\":");
        text::number(self.out, score.value().into());
        self.out.push_str(",\"observed_at\":");
        text::time(self.out, score.observed_at());
        self.out.push_str(",\"expires_at\":");
        text::time(self.out, score.expires_at());
        self.out.push('}');
    }

    /// Whether some is left out.
    fn token(&mut self, used: &Used<'_>, reads: &Reads<'_>) -> bool {
        let mut more = false;
        let read = reads.iter().any(|read| {
            matches!(
                read,
                Read::Token | Read::Scope(_) | Read::Claim(..) | Read::Login
            )
        });
        let (true, Some(claims)) = (read, used.evidence.claims) else {
            return false;
        };
        self.name("token");
        self.out.push_str("{\"expires_at\":");
        text::time(self.out, claims.expires_at());
        if self.masks.get(Field::Claims) != Mask::Drop {
            self.login(claims, reads);
            self.scopes(claims, reads);
            more = self.claims(claims, reads);
        }
        self.out.push('}');
        more
    }

    /// The strongest login that the token tells of, where a rule asks for one.
    fn login(&mut self, claims: &Claims, reads: &Reads<'_>) {
        if !reads.iter().any(|read| matches!(read, Read::Login)) {
            return;
        }
        self.name("login");
        self.out.push_str(match login(claims) {
            Some(Mfa::PhishingResistant) => "\"phishing-resistant\"",
            Some(Mfa::Any) => "\"mfa\"",
            None => "null",
        });
    }

    /// Posture and context, by their times alone: no rule names a value of them outside of its condition.
    fn attributes(&mut self, used: &Used<'_>, reads: &Reads<'_>) {
        let evidence = used.evidence;
        let read = |wanted: fn(&Read<'_>) -> bool| reads.iter().any(wanted);
        for (name, read, attributes) in [
            (
                "posture",
                read(|one| matches!(one, Read::Posture)),
                evidence.posture,
            ),
            (
                "context",
                read(|one| matches!(one, Read::Context)),
                evidence.context,
            ),
        ] {
            let (true, Some(attributes)) = (read, attributes) else {
                continue;
            };
            self.name(name);
            self.out.push_str("{\"observed_at\":");
            text::time(self.out, attributes.observed_at());
            self.out.push_str(",\"expires_at\":");
            text::time(self.out, attributes.expires_at());
            self.out.push('}');
        }
    }

    /// Of the scopes that rules name, those that the token has.
    fn scopes(&mut self, claims: &Claims, reads: &Reads<'_>) {
        let named = reads.iter().filter_map(|read| match read {
            Read::Scope(scope) if claims.has_scope(scope) => Some(*scope),
            _ => None,
        });
        let mut first = true;
        for (at, scope) in named.clone().enumerate() {
            if named.clone().take(at).any(|before| before == scope) || self.is_full() {
                continue;
            }
            if first {
                self.name("scopes");
                self.out.push('[');
                first = false;
            } else {
                self.out.push(',');
            }
            self.value(Field::Claims, scope, true);
        }
        if !first {
            self.out.push(']');
        }
    }

    /// The claims that rules name; one that the token lacks is null. Of an object only the members that they name. Whether some are
    /// left out.
    fn claims(&mut self, claims: &Claims, reads: &Reads<'_>) -> bool {
        let named = reads.iter().filter_map(|read| match read {
            Read::Claim(name, wanted) => Some((*name, *wanted)),
            _ => None,
        });
        let (mut first, mut left) = (true, MAX_READS);
        for (at, (name, wanted)) in named.clone().enumerate() {
            if named.clone().take(at).any(|(before, _)| before == name) || self.is_full() {
                continue;
            }
            if first {
                self.name("claims");
                self.out.push('{');
                first = false;
            }
            self.claim(name, claims.get(name), wanted, &mut left);
        }
        if !first {
            self.out.push('}');
        }
        left == 0
    }

    /// One claim, or the members of one that a table names, at most so many of them.
    fn claim(&mut self, name: &str, found: Option<&Value>, wanted: &Value, left: &mut usize) {
        let Some(fewer) = left.checked_sub(1).filter(|_| !self.is_full()) else {
            *left = 0;
            return;
        };
        *left = fewer;
        self.name(name);
        match (found, wanted) {
            (None, _) => self.out.push_str("null"),
            (Some(Value::Object(object)), Value::Object(members)) => {
                self.out.push('{');
                for (name, wanted) in members {
                    self.claim(name, object.get(name), wanted, left);
                }
                self.out.push('}');
            }
            (Some(Value::String(text)), _) => {
                let in_plain = wanted.as_str() == Some(text.as_str());
                self.value(Field::Claims, text, in_plain);
            }
            (Some(value @ (Value::Bool(_) | Value::Number(_))), _)
                if wanted == value && self.masks.get(Field::Claims) == Mask::Keep =>
            {
                // Writing to a String cannot fail.
                let _ = write!(self.out, "{value}");
            }
            (Some(value), _) => {
                self.value(Field::Claims, &value.to_string(), wanted == value);
            }
        }
    }

    /// The header fields that rules name, value by value; whether some are left out.
    fn headers(&mut self, used: &Used<'_>, reads: &Reads<'_>) -> bool {
        let (Some(headers), true) = (
            used.evidence.headers,
            self.masks.get(Field::Headers) != Mask::Drop,
        ) else {
            return false;
        };
        let named = reads.iter().filter_map(|read| match read {
            Read::Header(name, values) => Some((*name, *values)),
            _ => None,
        });
        let (mut first, mut more) = (true, false);
        for (at, (name, _)) in named.clone().enumerate() {
            if named.clone().take(at).any(|(before, _)| before == name) {
                continue;
            }
            if self.is_full() {
                more = true;
                break;
            }
            if first {
                self.name("headers");
                self.out.push('{');
                first = false;
            }
            self.name(name);
            self.out.push('[');
            let mut seen = 0;
            headers.for_each(name, &mut |value| {
                seen += 1;
                if seen > MAX_VALUES {
                    more = true;
                    return;
                }
                if seen > 1 {
                    self.out.push(',');
                }
                let wanted = named
                    .clone()
                    .filter(|(one, _)| *one == name)
                    .flat_map(|(_, values)| values)
                    .find(|wanted| wanted.as_bytes() == value);
                match wanted {
                    Some(wanted) => self.value(Field::Headers, wanted, true),
                    None => self.masks.hashed(self.out, Field::Headers, value),
                }
            });
            self.out.push(']');
        }
        if !first {
            self.out.push('}');
        }
        more
    }
}
