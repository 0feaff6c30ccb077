//! Who comes along with a request beside its peer: the subject of its token, the actors in between, an id that is passed on
//! (T12, T16).
//!
//! The subject of a token is the pair of `iss` and `sub` and, where `sub` is the SPIFFE ID of a workload, that id too. The
//! actors are the chain of `act` claims (RFC 8693 §4.1), each with an `iss` of its own or the token's. What cannot be read is
//! unknown: a permit does not hold by it, and a forbid does (rule 8).

use core::cell::{Cell, OnceCell};
use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use smallvec::SmallVec;

use crate::authorizer::{AuthorizerError, Demands, ObjectionCode, Version};
use crate::evidence::{Claims, Evidence};
use crate::id::{self, MAX_ID_BYTES, SpiffeId};
use crate::obligation::Obligations;
use crate::time::Timestamp;

use super::Policy;
use super::document::Effect;
use super::limits::MAX_ACTORS;
use super::rule::{Named, Rule};

/// One who comes along.
#[derive(Clone, Debug)]
pub(crate) struct Party<'a> {
    pub(super) issuer: Issuer<'a>,
    pub(super) subject: &'a str,
    /// Its SPIFFE ID in the primary trust domain, where it is known by one.
    pub(super) id: Option<Cow<'a, str>>,
}

/// Who says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Issuer<'a> {
    /// The issuer of a token.
    Of(&'a str),
    /// A token that does not say whose it is.
    Unknown,
    /// No token: the peer passes the id on.
    Peer,
}

/// What is there cannot be read, so nothing is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// All who come along.
#[derive(Debug)]
pub(crate) struct Parties<'a> {
    /// `None` where there is no token, or it names nobody.
    pub(crate) subject: Result<Option<Party<'a>>, Unreadable>,
    /// The nearest actor first; none where the token names none.
    pub(crate) actors: Result<SmallVec<[Party<'a>; MAX_ACTORS]>, Unreadable>,
    pub(crate) forwarded: Option<Party<'a>>,
}

/// The parties of one request, read when the first rule asks about them.
pub(crate) struct Along<'a> {
    policy: &'a Policy,
    evidence: Evidence<'a>,
    now: Timestamp,
    parties: OnceCell<Parties<'a>>,
    said: Cell<Aside>,
}

/// What was said beside an outcome, if anything.
pub(crate) type Aside = Option<Box<Heard>>;

/// What was said, and by what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) said: Option<Said>,
    /// The authorizers that spoke by something that the document's revision does not cover, in the order in which they were asked.
    pub(crate) versions: Vec<(Arc<str>, Version)>,
}

/// What a condition or an authorizer said beside yes and no.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// It could not tell (rule 7).
    Failed(AuthorizerError),
    /// It objects, and says why.
    Objected(ObjectionCode),
    /// It agrees, and obliges to more: with this, what the rule obliges to.
    Obliges(Obligations),
}

impl<'a> Along<'a> {
    pub(crate) const fn new(policy: &'a Policy, evidence: &Evidence<'a>, now: Timestamp) -> Self {
        Self {
            policy,
            evidence: *evidence,
            now,
            parties: OnceCell::new(),
            said: Cell::new(None),
        }
    }

    /// What a condition or an authorizer says. Kept until somebody takes it, who knows which rule asked.
    pub(crate) fn say(&self, said: Said) {
        let mut heard = self.take_said().unwrap_or_default();
        heard.said = Some(said);
        self.said.set(Some(heard));
    }

    /// An authorizer objects, and says why where it does; what was said before it does not count any more.
    pub(crate) fn object(&self, code: Option<ObjectionCode>) {
        let heard = self.take_said();
        let by = heard.map_or_else(Vec::new, |heard| heard.versions);
        if code.is_some() || !by.is_empty() {
            self.said.set(Some(Box::new(Heard {
                said: code.map(Said::Objected),
                versions: by,
            })));
        }
    }

    /// By which version an authorizer speaks.
    pub(crate) fn speaks_by(&self, name: &Arc<str>, version: Version) {
        let mut heard = self.take_said().unwrap_or_default();
        heard.versions.push((Arc::clone(name), version));
        self.said.set(Some(heard));
    }

    /// What was taken, put back.
    pub(crate) fn keep_said(&self, said: Aside) {
        self.said.set(said);
    }

    /// What was said last.
    pub(crate) fn take_said(&self) -> Aside {
        self.said.take()
    }

    /// An authorizer obliges to more than the rule, and than those that were asked before it.
    ///
    /// # Errors
    /// [`AuthorizerError`] where that cannot be added.
    pub(crate) fn oblige(
        &self,
        rule: &Obligations,
        demands: &Demands,
    ) -> Result<(), AuthorizerError> {
        let before = self.take_said();
        let all = match before.as_ref().and_then(|heard| heard.said.as_ref()) {
            Some(Said::Obliges(all)) => all,
            _ => rule,
        };
        let declared = &self.policy.document().limits;
        let all = all.and(demands, |name| {
            let found = declared.iter().find(|decl| *decl.name.value == *name);
            found.map(|decl| Arc::clone(&decl.limit))
        });
        self.keep_said(before);
        self.say(Said::Obliges(all?));
        Ok(())
    }

    pub(crate) fn parties(&self) -> &Parties<'a> {
        self.parties.get_or_init(|| {
            let claims = self.evidence.claims;
            let forwarded = self.evidence.forwarded;
            Parties {
                subject: claims.map_or(Ok(None), |claims| self.policy.subject_of(claims)),
                actors: claims.map_or(Ok(SmallVec::new()), |claims| self.policy.actors_of(claims)),
                forwarded: forwarded.and_then(|id| self.policy.forwarded_party(id)),
            }
        })
    }

    /// Whether one of them surely is one of those.
    pub(crate) fn is_one_of(&self, party: &Party<'_>, named: &[Named]) -> bool {
        self.any(party, named, Effect::Permit)
    }

    /// Whether a forbid's `from` speaks of one of them, although it speaks of workloads and they are not the peer (T12).
    pub(crate) fn are_forbidden(&self, rule: &Rule) -> bool {
        if self.evidence.claims.is_none() && self.evidence.forwarded.is_none() {
            return false;
        }
        let mut identities = rule.from.iter().filter(|who| who.is_identity()).peekable();
        if identities.peek().is_none() {
            return false;
        }
        let parties = self.parties();
        let (Ok(subject), Ok(actors)) = (&parties.subject, &parties.actors) else {
            return true;
        };
        let all = || subject.iter().chain(actors).chain(&parties.forwarded);
        identities.any(|who| {
            all().any(|party| {
                who.speaks_of_party(party, self.policy)
                    .counts_for(Effect::Forbid)
            })
        })
    }

    /// Whether the `subject` of a forbid speaks of the subject, or of an id that is passed on, or cannot tell.
    pub(crate) fn subject_is_forbidden(&self, named: &[Named]) -> bool {
        let parties = self.parties();
        match &parties.subject {
            Ok(Some(subject)) if self.has_fresh_token() => {
                [Some(subject), parties.forwarded.as_ref()]
                    .into_iter()
                    .flatten()
                    .any(|party| self.any(party, named, Effect::Forbid))
            }
            _ => true,
        }
    }

    /// Whether the `actors` of a forbid speak of an actor, or cannot tell. A token that names no actor has none.
    pub(crate) fn actors_are_forbidden(&self, named: &[Named]) -> bool {
        match &self.parties().actors {
            Ok(actors) if self.has_fresh_token() => actors
                .iter()
                .any(|party| self.any(party, named, Effect::Forbid)),
            _ => true,
        }
    }

    fn any(&self, party: &Party<'_>, named: &[Named], effect: Effect) -> bool {
        named
            .iter()
            .any(|named| named.speaks_of(party, self.policy).counts_for(effect))
    }

    fn has_fresh_token(&self) -> bool {
        let claims = self.evidence.claims;
        claims.is_some_and(|claims| claims.expires_at() > self.now)
    }
}

impl Policy {
    /// Whom a forwarded id stands for. None where it is no workload's in the primary trust domain.
    pub(crate) fn forwarded_party<'a>(&self, id: &'a SpiffeId) -> Option<Party<'a>> {
        let party = self.party(Issuer::Peer, id.as_str()).ok()?;
        Some(party).filter(|party| party.id.is_some())
    }

    fn subject_of<'a>(&self, claims: &'a Claims) -> Result<Option<Party<'a>>, Unreadable> {
        let Some(subject) = claims.get("sub") else {
            return Ok(None);
        };
        let subject = subject.as_str().ok_or(Unreadable)?;
        self.party(issuer(claims.get("iss"), Issuer::Unknown)?, subject)
            .map(Some)
    }

    fn actors_of<'a>(
        &self,
        claims: &'a Claims,
    ) -> Result<SmallVec<[Party<'a>; MAX_ACTORS]>, Unreadable> {
        let mut actors = SmallVec::new();
        let mut next = claims.get("act");
        if next.is_none() {
            return Ok(actors);
        }
        let own = issuer(claims.get("iss"), Issuer::Unknown)?;
        while let Some(act) = next {
            let Some(Value::String(subject)) = act.get("sub") else {
                return Err(Unreadable);
            };
            if actors.len() == MAX_ACTORS {
                return Err(Unreadable);
            }
            actors.push(self.party(issuer(act.get("iss"), own)?, subject)?);
            next = act.get("act");
        }
        Ok(actors)
    }

    fn party<'a>(&self, issuer: Issuer<'a>, subject: &'a str) -> Result<Party<'a>, Unreadable> {
        let id = self.id_of(subject)?;
        // Without its issuer a subject is nobody, unless it is an id, which is the same whoever says so.
        if subject.is_empty() || (issuer == Issuer::Unknown && id.is_none()) {
            return Err(Unreadable);
        }
        Ok(Party {
            issuer,
            subject,
            id,
        })
    }

    /// The SPIFFE ID that a subject is, in the primary trust domain. What is written like one and is none, or does not fit
    /// there, cannot be read.
    fn id_of<'a>(&self, subject: &'a str) -> Result<Option<Cow<'a, str>>, Unreadable> {
        let scheme = subject.split_once(':').map(|(scheme, _)| scheme);
        if !scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe")) {
            return Ok(None);
        }
        match id::split(subject) {
            Ok((_, "")) | Err(_) => Err(Unreadable),
            Ok((domain, path)) if self.is_alias(domain) => {
                let id = format!("spiffe://{}{path}", self.trust_domain());
                if id.len() > MAX_ID_BYTES {
                    return Err(Unreadable);
                }
                Ok(Some(Cow::Owned(id)))
            }
            Ok(_) => Ok(Some(Cow::Borrowed(subject))),
        }
    }
}

/// The actors that a token names, the nearest first, as far as they can be read: each with its own issuer, and its subject.
pub(crate) fn actors(claims: Option<&Claims>) -> impl Iterator<Item = (Option<&str>, &str)> {
    let first = claims.and_then(|claims| claims.get("act"));
    let acts = core::iter::successors(first, |act| act.get("act")).take(MAX_ACTORS);
    acts.map_while(|act| Some((text(act, "iss"), text(act, "sub")?)))
}

fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

/// An `iss` that is there has to be a text.
fn issuer<'a>(claim: Option<&'a Value>, absent: Issuer<'a>) -> Result<Issuer<'a>, Unreadable> {
    match claim {
        None => Ok(absent),
        Some(Value::String(issuer)) => Ok(Issuer::Of(issuer)),
        Some(_) => Err(Unreadable),
    }
}
