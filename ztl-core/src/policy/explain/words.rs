//! What a rule asks for and what there was instead, in words.

use core::fmt::Display;

use serde_json::Value;

use crate::authorizer::Reads;
use crate::evidence::Claims;
use crate::policy::document::{Mfa, Principal, RuleDecl, Span, Spanned, Subject, Target};
use crate::policy::rule::{Requirement, TokenClause};

use super::fared::Scene;

/// Most entries of a list that are named.
const FEW: usize = 4;
/// Longest text that is repeated, in characters.
const LONGEST: usize = 256;

/// A list as a sentence has it: `a, b or 3 more`.
pub(super) fn any_of<T: Display>(all: impl ExactSizeIterator<Item = T>) -> String {
    let count = all.len();
    let shown: Vec<String> = all.take(FEW).map(|one| cut(&one.to_string())).collect();
    let more = count.saturating_sub(shown.len());
    match (shown.as_slice(), more) {
        ([one], 0) => one.clone(),
        ([first @ .., last], 0) => format!("{} or {last}", first.join(", ")),
        (_, 0) => "nothing".to_owned(),
        (shown, more) => format!("{} or {more} more", shown.join(", ")),
    }
}

/// A text, bounded.
pub(super) fn cut(text: &str) -> String {
    if text.chars().nth(LONGEST).is_none() {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(LONGEST).collect();
    short.push('…');
    short
}

pub(super) fn principal(from: &Spanned<Principal>) -> String {
    match &from.value {
        Principal::Workload(name) => name.to_string(),
        Principal::Id(pattern) => pattern.to_string(),
        Principal::Label { key, value } => format!("label:{key}={value}"),
        Principal::Zone(name) => format!("zone:{name}"),
        Principal::Public => "public".to_owned(),
        Principal::Any => "any".to_owned(),
    }
}

pub(super) fn target(to: &Spanned<Target>) -> String {
    match &to.value {
        Target::Workload(name) => name.to_string(),
        Target::Id(pattern) => pattern.to_string(),
        Target::Label { key, value } => format!("label:{key}={value}"),
        Target::Zone(name) => format!("zone:{name}"),
        Target::External(name) => format!("external:{name}"),
        Target::Any => "any".to_owned(),
    }
}

pub(super) fn subject(subject: &Spanned<Subject>) -> String {
    match &subject.value {
        Subject::Workload(name) => name.to_string(),
        Subject::Id(pattern) => pattern.to_string(),
        Subject::Label { key, value } => format!("label:{key}={value}"),
        Subject::Issuer(issuer) => format!("issuer:{issuer}"),
        Subject::User { issuer, subject } => format!("user:{issuer}/{subject}"),
        Subject::Any => "any".to_owned(),
    }
}

impl Scene<'_, '_> {
    /// Who calls, by name where it is declared.
    pub(super) fn caller_word(&self) -> String {
        match (self.caller.workload, self.caller.id) {
            (Some((_, workload)), _) => workload.name().to_owned(),
            (None, Some(id)) => id.to_string(),
            (None, None) => "a caller that proved nothing".to_owned(),
        }
    }

    /// Who calls, and from which zone.
    pub(super) fn caller_and_place(&self) -> String {
        let zone = self.caller.place.zone(self.policy.zones());
        let zone = zone.and_then(|zone| self.policy.zones().get(zone));
        match zone {
            Some(zone) => format!("{} in zone:{}", self.caller_word(), zone.name()),
            None => format!("{} in no zone", self.caller_word()),
        }
    }

    fn fresh_claims(&self) -> Option<&Claims> {
        let claims = self.input.evidence.claims;
        claims.filter(|claims| claims.expires_at() > self.now)
    }

    /// What there is instead of a token that counts.
    fn token_word(&self) -> &'static str {
        match self.input.evidence.claims {
            None => "no token",
            Some(_) if self.fresh_claims().is_none() => "an expired token",
            Some(_) => "a token",
        }
    }

    fn claim(&self, name: &str) -> String {
        match self.fresh_claims().map(|claims| claims.get(name)) {
            None => self.token_word().to_owned(),
            Some(None) => format!("no `{name}`"),
            Some(Some(value)) => format!("{name} = {}", cut(&value.to_string())),
        }
    }

    /// Of an object that a table is wanted of, only what the table names.
    fn claim_among(&self, name: &str, wanted: &Value) -> String {
        let found = self.fresh_claims().and_then(|claims| claims.get(name));
        match (found, wanted) {
            (Some(found @ Value::Object(_)), Value::Object(_)) => {
                let read = among(found, wanted);
                format!("{name} = {}", cut(&read.to_string()))
            }
            _ => self.claim(name),
        }
    }

    fn parties_word(&self, name: &str) -> String {
        let mut words = vec![self.claim(name)];
        let forwarded = self.input.evidence.forwarded;
        words.extend(forwarded.map(|id| format!("passed on: {id}")));
        words.join(", ")
    }

    /// What a requirement looked at.
    pub(super) fn got(&self, requirement: &Requirement) -> String {
        match requirement {
            Requirement::Subject(_) => self.parties_word("sub"),
            Requirement::Actors(_) => self.claim("act"),
            Requirement::TrustScore(_) => self.score_word(),
            Requirement::ZoneTrust(_) => self.zone_word(),
            Requirement::Token(clause) => self.token_got(clause),
            Requirement::Mfa(_) => format!("{}, {}", self.claim("amr"), self.claim("acr")),
            // Neither more than a count: a field may hold a credential.
            Requirement::Header { name, values } => self.header_word(name, values),
            Requirement::When(condition) => self.reads_word(condition.reads()),
            Requirement::Authorizer(_, one) => self.reads_word(one.reads()),
        }
    }

    fn score_word(&self) -> String {
        match self.input.evidence.trust_score {
            None => "no score".to_owned(),
            Some(score) if score.expires_at() <= self.now => {
                format!("{}, which is stale", score.value())
            }
            Some(score) if score.observed_at() > self.now => {
                format!("{}, observed later than now", score.value())
            }
            Some(score) => score.value().to_string(),
        }
    }

    fn zone_word(&self) -> String {
        let zone = self.edge.zone;
        let zone = zone.and_then(|zone| self.policy.zones().get(zone));
        zone.map_or_else(
            || "no zone".to_owned(),
            |zone| format!("{} of zone:{}", zone.trust(), zone.name()),
        )
    }

    fn token_got(&self, clause: &TokenClause) -> String {
        if self.fresh_claims().is_none() {
            return self.token_word().to_owned();
        }
        let names = [
            clause.issuer.as_ref().map(|_| "iss"),
            clause.audience.as_ref().map(|_| "aud"),
            (!clause.scopes.is_empty()).then_some("scope"),
        ];
        let names = names.into_iter().flatten();
        let claims = clause.claims.iter();
        let claims = claims.map(|(name, wanted)| self.claim_among(name, wanted));
        let words: Vec<_> = names.map(|name| self.claim(name)).chain(claims).collect();
        words.join(", ")
    }

    fn header_word(&self, name: &str, allowed: &[std::sync::Arc<str>]) -> String {
        let (mut count, mut other) = (0_usize, 0_usize);
        if let Some(headers) = self.input.evidence.headers {
            headers.for_each(name, &mut |value| {
                count = count.saturating_add(1);
                other = other.saturating_add(usize::from(
                    allowed.iter().all(|one| one.as_bytes() != value),
                ));
            });
        }
        match count {
            0 => "no such field".to_owned(),
            count => format!("{count} values, {other} of them others"),
        }
    }

    fn reads_word(&self, reads: Reads) -> String {
        let evidence = &self.input.evidence;
        let mut words = Vec::new();
        words.extend((reads.token).then(|| self.token_word().to_owned()));
        words.extend((reads.trust_score).then(|| format!("score {}", self.score_word())));
        for (name, read, one) in [
            ("posture", reads.posture, evidence.posture),
            ("context", reads.context, evidence.context),
        ] {
            words.extend(read.then(|| match one {
                None => format!("no {name}"),
                Some(one) if one.expires_at() <= self.now => format!("a stale {name}"),
                Some(_) => format!("a {name}"),
            }));
        }
        if words.is_empty() {
            "nothing that is shown here".to_owned()
        } else {
            words.join(", ")
        }
    }
}

/// What a requirement of a rule asks for, and where that is written.
pub(super) fn expected(
    decl: &RuleDecl,
    requirement: &Requirement,
    from_end: usize,
) -> (String, Option<Span>) {
    let require = &decl.require;
    match requirement {
        Requirement::Subject(_) => (
            any_of(decl.subject.iter().map(subject)),
            decl.subject.first().map(|one| one.span),
        ),
        Requirement::Actors(_) => (
            any_of(decl.actors.iter().map(subject)),
            decl.actors.first().map(|one| one.span),
        ),
        Requirement::TrustScore(least) => (
            format!("at least {least}"),
            require.trust_score.map(|score| score.span),
        ),
        Requirement::ZoneTrust(least) => (
            format!("at least {least}"),
            require.zone_trust.map(|trust| trust.span),
        ),
        Requirement::Token(clause) => (
            token_wanted(clause),
            require.token.as_ref().map(|token| token.span),
        ),
        Requirement::Mfa(kind) => (
            match kind {
                Mfa::Any => "a login with more than one factor",
                Mfa::PhishingResistant => "a login that cannot be phished",
            }
            .to_owned(),
            require.mfa.as_ref().map(|mfa| mfa.span),
        ),
        Requirement::Header { name, values } => {
            let mut headers = require.headers.iter();
            let header = headers.find(|header| header.name.value == *name);
            let wanted = format!("{name}: {}", any_of(values.iter()));
            (wanted, header.map(|header| header.name.span))
        }
        Requirement::When(_) => {
            let when = require.when.as_ref();
            let source = when.map_or("", |when| &when.value);
            (cut(source), when.map(|when| when.span))
        }
        Requirement::Authorizer(..) => {
            // They stand last, in the order of the document.
            let one = require.authorizer.iter().rev().nth(from_end);
            let name = one.map_or("", |one| &one.value);
            (format!("no objection of {name}"), one.map(|one| one.span))
        }
    }
}

/// What of an object a table reads: its names, with null where there is nothing.
fn among(found: &Value, wanted: &Value) -> Value {
    let (Value::Object(members), Value::Object(object)) = (wanted, found) else {
        return found.clone();
    };
    let read = members.iter().map(|(name, wanted)| {
        let found = object.get(name).map(|found| among(found, wanted));
        (name.clone(), found.unwrap_or(Value::Null))
    });
    Value::Object(read.collect())
}

pub(super) fn token_wanted(clause: &TokenClause) -> String {
    let mut words = vec!["a token".to_owned()];
    words.extend((clause.issuer.as_ref()).map(|issuer| format!("of {}", cut(issuer))));
    words.extend((clause.audience.as_ref()).map(|audience| format!("for {}", cut(audience))));
    if !clause.scopes.is_empty() {
        words.push(format!("with scope {}", cut(&clause.scopes.join(" "))));
    }
    if !clause.claims.is_empty() {
        let claims = clause.claims.iter();
        let claims = claims.map(|(name, value): &(_, Value)| format!("{name} = {value}"));
        words.push(format!(
            "with {}",
            cut(&claims.collect::<Vec<_>>().join(", "))
        ));
    }
    words.join(" ")
}
