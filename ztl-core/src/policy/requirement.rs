//! Whether a requirement holds: the native ones first, then conditions and authorizers (T34).

use serde_json::Value;

use crate::authorizer::{AuthorizerError, CLOCK_HOLDS, Facts, Opinion, Reads};
use crate::clause::Clause;
use crate::decision::Lack;
use crate::evidence::{Attributes, Claims, Evidence, OBSERVATION_SKEW, TrustScore};
use crate::obligation::Obligations;
use crate::reason::Reason;
use crate::time::Timestamp;

use super::along::{Along, Said};
use super::document::Mfa;
use super::rule::{Named, Requirement, TokenClause};

/// Why a requirement does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unmet {
    pub(crate) reason: Reason,
    pub(crate) lack: Lack,
}

impl Unmet {
    const fn new(reason: Reason, lack: Lack) -> Self {
        Self { reason, lack }
    }
}

/// Lends the facts to whoever asks; they are put together only then.
pub(crate) type Lend<'a> = dyn Fn(&mut dyn FnMut(&Facts<'_>)) + 'a;

/// What requirements are judged by.
pub(crate) struct Given<'a, 'e> {
    pub(crate) evidence: &'a Evidence<'a>,
    pub(crate) along: &'a Along<'e>,
    /// The trust of the arrival's zone.
    pub(crate) zone_trust: Option<u8>,
    pub(crate) facts: &'a Lend<'a>,
    /// What the rule that requires obliges to, which an authorizer can add to.
    pub(crate) obligations: &'a Obligations,
    pub(crate) now: Timestamp,
}

impl Requirement {
    /// Whether it holds; if so, until when what it read is good.
    pub(crate) fn check(&self, given: &Given<'_, '_>) -> Result<Timestamp, Unmet> {
        match self {
            Self::Subject(named) => check_subject(named, given),
            Self::Actors(named) => check_actors(named, given),
            Self::TrustScore(least) => {
                let score = fresh_score(given)?;
                if score.value() >= *least {
                    Ok(score.expires_at())
                } else {
                    Err(Unmet::new(Reason::RequirementUnmet, Lack::TrustScore))
                }
            }
            Self::ZoneTrust(least) => match given.zone_trust {
                None => Err(Unmet::new(Reason::EvidenceMissing, Lack::ZoneTrust)),
                Some(trust) if trust >= *least => Ok(Timestamp::MAX),
                Some(_) => Err(Unmet::new(Reason::RequirementUnmet, Lack::ZoneTrust)),
            },
            Self::Token(clause) => {
                let claims = fresh_claims(given, Lack::Token)?;
                clause.check(claims).map(|()| claims.expires_at())
            }
            Self::Mfa(kind) => {
                let claims = fresh_claims(given, Lack::Token)?;
                if mfa_holds(*kind, claims) {
                    Ok(claims.expires_at())
                } else {
                    Err(Unmet::new(Reason::RequirementUnmet, Lack::Mfa))
                }
            }
            Self::Header { name, values } => check_header(name, values, given.evidence),
            Self::When(condition) => {
                let until = reads_are_fresh(condition.reads(), given)?;
                match with_facts(given, condition.reads(), |facts| condition.holds(facts)) {
                    Some(true) => Ok(until),
                    Some(false) => Err(Unmet::new(Reason::Objected, Lack::Condition)),
                    None => Err(Unmet::new(Reason::AuthorizerFailed, Lack::Condition)),
                }
            }
            Self::Authorizer(name, authorizer) => {
                let until = reads_are_fresh(authorizer.reads(), given)?;
                let unmet = |reason| Err(Unmet::new(reason, Lack::Authorizer));
                let speaks = |facts: &Facts<'_>| {
                    let spoken = authorizer.speaks(facts);
                    if let Some(version) = spoken.version {
                        given.along.speaks_by(name, version);
                    }
                    spoken.opinion
                };
                match with_facts(given, authorizer.reads(), speaks) {
                    Some(Opinion::Agrees(demands)) if demands.is_empty() => Ok(until),
                    Some(Opinion::Agrees(demands)) => {
                        match given.along.oblige(given.obligations, &demands) {
                            Ok(()) => Ok(until),
                            Err(error) => {
                                given.along.say(Said::Failed(error));
                                unmet(Reason::AuthorizerFailed)
                            }
                        }
                    }
                    Some(Opinion::Objects(code)) => {
                        given.along.object(code);
                        unmet(Reason::Objected)
                    }
                    None => unmet(Reason::AuthorizerFailed),
                }
            }
        }
    }

    /// The clause that it is.
    pub(crate) const fn clause(&self) -> Clause {
        match self {
            Self::Subject(_) => Clause::Subject,
            Self::Actors(_) => Clause::Actors,
            Self::TrustScore(_) => Clause::TrustScore,
            Self::ZoneTrust(_) => Clause::ZoneTrust,
            Self::Token(_) => Clause::Token,
            Self::Mfa(_) => Clause::Mfa,
            Self::Header { .. } => Clause::Header,
            Self::When(_) => Clause::When,
            Self::Authorizer(..) => Clause::Authorizer,
        }
    }

    /// Whether it asks a condition or an authorizer that may take long (T34).
    pub(crate) fn is_heavy(&self) -> bool {
        match self {
            Self::When(condition) => condition.is_heavy(),
            Self::Authorizer(_, authorizer) => authorizer.is_heavy(),
            Self::Subject(_)
            | Self::Actors(_)
            | Self::TrustScore(_)
            | Self::ZoneTrust(_)
            | Self::Token(_)
            | Self::Mfa(_)
            | Self::Header { .. } => false,
        }
    }

    pub(crate) fn reads_token(&self) -> bool {
        match self {
            Self::Subject(_) | Self::Actors(_) | Self::Token(_) | Self::Mfa(_) => true,
            Self::When(condition) => condition.reads().token,
            Self::Authorizer(_, authorizer) => authorizer.reads().token,
            Self::TrustScore(_) | Self::ZoneTrust(_) | Self::Header { .. } => false,
        }
    }
}

/// Hands to `ask` what it says that it reads, and returns its answer: none where it could not tell, which is kept then.
pub(crate) fn with_facts<T>(
    given: &Given<'_, '_>,
    reads: Reads,
    ask: impl Fn(&Facts<'_>) -> Result<T, AuthorizerError>,
) -> Option<T> {
    let mut answer = None;
    (given.facts)(&mut |facts| match ask(&reads.mask(facts)) {
        Ok(told) => answer = Some(told),
        Err(error) => given.along.say(Said::Failed(error)),
    });
    answer
}

/// Whether all that a condition reads is there and fresh; if so, until when.
pub(crate) fn reads_are_fresh(reads: Reads, given: &Given<'_, '_>) -> Result<Timestamp, Unmet> {
    let mut until = Timestamp::MAX;
    if reads.token {
        until = until.min(fresh_claims(given, Lack::Token)?.expires_at());
    }
    if reads.trust_score {
        until = until.min(fresh_score(given)?.expires_at());
    }
    for (read, attributes) in [
        (reads.posture, given.evidence.posture),
        (reads.context, given.evidence.context),
    ] {
        if read {
            until = until.min(fresh_attributes(attributes, given.now)?);
        }
    }
    if reads.clock {
        until = until.min(given.now.saturating_add(CLOCK_HOLDS));
    }
    Ok(until)
}

/// Until when they are good.
fn fresh_attributes(attributes: Option<&Attributes>, now: Timestamp) -> Result<Timestamp, Unmet> {
    match attributes {
        Some(one) if one.observed_at() > now.saturating_add(OBSERVATION_SKEW) => {
            Err(Unmet::new(Reason::EvidenceMissing, Lack::Condition))
        }
        Some(one) if one.expires_at() <= now => {
            Err(Unmet::new(Reason::EvidenceStale, Lack::Condition))
        }
        Some(one) => Ok(one.expires_at()),
        None => Err(Unmet::new(Reason::EvidenceMissing, Lack::Condition)),
    }
}

fn fresh_score(given: &Given<'_, '_>) -> Result<TrustScore, Unmet> {
    match given.evidence.trust_score {
        Some(score) if score.observed_at() > given.now.saturating_add(OBSERVATION_SKEW) => {
            Err(Unmet::new(Reason::EvidenceMissing, Lack::TrustScore))
        }
        Some(score) if score.expires_at() <= given.now => {
            Err(Unmet::new(Reason::EvidenceStale, Lack::TrustScore))
        }
        Some(score) => Ok(score),
        None => Err(Unmet::new(Reason::EvidenceMissing, Lack::TrustScore)),
    }
}

fn fresh_claims<'a>(given: &Given<'a, '_>, lack: Lack) -> Result<&'a Claims, Unmet> {
    match given.evidence.claims {
        Some(claims) if claims.expires_at() <= given.now => {
            Err(Unmet::new(Reason::EvidenceStale, lack))
        }
        Some(claims) => Ok(claims),
        None => Err(Unmet::new(Reason::EvidenceMissing, lack)),
    }
}

/// Every subject that is there, of the token and passed on, is one of those, and there is one.
fn check_subject(named: &[Named], given: &Given<'_, '_>) -> Result<Timestamp, Unmet> {
    let parties = given.along.parties();
    let mut until = Timestamp::MAX;
    if given.evidence.claims.is_some() || parties.forwarded.is_none() {
        until = fresh_claims(given, Lack::Token)?.expires_at();
        if !matches!(parties.subject, Ok(Some(_))) {
            return Err(Unmet::new(Reason::EvidenceMissing, Lack::Subject));
        }
    }
    let subject = parties.subject.iter().flatten();
    let mut all = subject.chain(&parties.forwarded);
    if all.all(|party| given.along.is_one_of(party, named)) {
        Ok(until)
    } else {
        Err(Unmet::new(Reason::RequirementUnmet, Lack::Subject))
    }
}

/// Every actor of the token is one of those, and there is one.
fn check_actors(named: &[Named], given: &Given<'_, '_>) -> Result<Timestamp, Unmet> {
    let claims = fresh_claims(given, Lack::Token)?;
    match &given.along.parties().actors {
        Ok(actors) if !actors.is_empty() => {
            let mut actors = actors.iter();
            if actors.all(|party| given.along.is_one_of(party, named)) {
                Ok(claims.expires_at())
            } else {
                Err(Unmet::new(Reason::RequirementUnmet, Lack::Actors))
            }
        }
        _ => Err(Unmet::new(Reason::EvidenceMissing, Lack::Actors)),
    }
}

impl TokenClause {
    fn check(&self, claims: &Claims) -> Result<(), Unmet> {
        let unmet = |lack| Err(Unmet::new(Reason::RequirementUnmet, lack));
        if self
            .issuer
            .as_deref()
            .is_some_and(|issuer| claims.issuer() != Some(issuer))
        {
            return unmet(Lack::Token);
        }
        if self
            .audience
            .as_deref()
            .is_some_and(|audience| !claims.has_audience(audience))
        {
            return unmet(Lack::Token);
        }
        if !self.scopes.iter().all(|scope| claims.has_scope(scope)) {
            return unmet(Lack::Scope);
        }
        let holds =
            |(name, wanted): &(std::sync::Arc<str>, Value)| is_met(claims.get(name), wanted);
        if self.claims.iter().all(holds) {
            Ok(())
        } else {
            unmet(Lack::Claim)
        }
    }
}

/// Whether a claim is what a rule wants: equal, or a list that holds it; where a table is wanted, an object of which each member
/// that it names is so.
fn is_met(found: Option<&Value>, wanted: &Value) -> bool {
    match (wanted, found) {
        // As deep as a document can write it.
        (Value::Object(members), Some(Value::Object(found))) => members
            .iter()
            .all(|(name, wanted)| is_met(found.get(name), wanted)),
        (Value::Object(_), _) | (_, None) => false,
        (_, Some(Value::Array(list))) => list.contains(wanted),
        (_, Some(found)) => found == wanted,
    }
}

/// `mfa = true`: `amr` (RFC 8176 §2) holds `mfa`, or the login was phishing-resistant. `mfa = "phishing-resistant"`: `acr` is
/// `phr` or `phrh` (OpenID Connect EAP ACR Values 1.0 §2).
fn mfa_holds(kind: Mfa, claims: &Claims) -> bool {
    match kind {
        Mfa::PhishingResistant => login(claims) == Some(Mfa::PhishingResistant),
        Mfa::Any => login(claims).is_some(),
    }
}

/// The strongest login that a token tells of.
pub(crate) fn login(claims: &Claims) -> Option<Mfa> {
    let acr = claims.get("acr").and_then(Value::as_str);
    match acr {
        Some("phr" | "phrh") => Some(Mfa::PhishingResistant),
        _ => claims.has_amr("mfa").then_some(Mfa::Any),
    }
}

/// Rule 43: every value of a repeated field must be one of those named, and there must be one.
fn check_header(
    name: &str,
    values: &[std::sync::Arc<str>],
    evidence: &Evidence<'_>,
) -> Result<Timestamp, Unmet> {
    let Some(headers) = evidence.headers else {
        return Err(Unmet::new(Reason::EvidenceMissing, Lack::Header));
    };
    let (mut seen, mut all) = (false, true);
    headers.for_each(name, &mut |value| {
        seen = true;
        all &= values.iter().any(|wanted| wanted.as_bytes() == value);
    });
    match (seen, all) {
        (true, true) => Ok(Timestamp::MAX),
        (true, false) => Err(Unmet::new(Reason::RequirementUnmet, Lack::Header)),
        (false, _) => Err(Unmet::new(Reason::EvidenceMissing, Lack::Header)),
    }
}
