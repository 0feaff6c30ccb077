//! Who comes along beside the peer, and what rules say of them.

use std::sync::Arc;

use serde_json::Value;

use crate::decision::Lack;
use crate::flow::Direction;
use crate::id::SpiffeId;
use crate::peer::Proof;
use crate::policy::document::{Effect, Principal, RuleDecl, Subject};
use crate::reason::Reason;

use super::{Asked, Ends};

/// One who comes along: the issuer that says so, where one does; the subject; and its SPIFFE ID, where it is one.
struct Party {
    issuer: Option<String>,
    subject: String,
    id: Option<SpiffeId>,
    forwarded: bool,
}

/// What cannot be read.
struct Unreadable;

impl Asked<'_> {
    /// Whether an id that the peer passes on may not be passed on by it (§8.7).
    pub(super) fn forwards_untrusted(&self, ends: &Ends<'_>) -> bool {
        if self.input.flow.direction == Direction::Egress {
            return false;
        }
        let Some(id) = self.input.evidence.forwarded else {
            return false;
        };
        let proof = self.input.flow.peer.map(crate::peer::Peer::proof);
        let Some(proxy) = ends
            .declared
            .filter(|_| matches!(proof, Some(Proof::X509 { .. })))
        else {
            return true;
        };
        let Some(party) = self.forwarded(id) else {
            return true;
        };
        !proxy.forwards.iter().any(|whose| match &whose.value {
            Principal::Any => true,
            whose => self.is_identity(whose, &party) == Some(true),
        })
    }

    /// Whether a forbid's `from` speaks of somebody who comes along (T12, §8.8).
    pub(super) fn forbids_along(&self, rule: &RuleDecl) -> bool {
        let ingress = self.input.flow.direction == Direction::Ingress;
        if rule.effect == Effect::Permit || !ingress {
            return false;
        }
        let unreadable = self.subject().is_err() || self.actors().is_err();
        let all: Vec<_> = self
            .subject()
            .ok()
            .flatten()
            .into_iter()
            .chain(self.actors().unwrap_or_default())
            .chain(
                self.input
                    .evidence
                    .forwarded
                    .and_then(|id| self.forwarded(id)),
            )
            .collect();
        rule.from.iter().any(|from| match &from.value {
            Principal::Zone(_) | Principal::Public | Principal::Any => false,
            from => {
                unreadable
                    || all
                        .iter()
                        .any(|party| self.is_identity(from, party) != Some(false))
            }
        })
    }

    /// Whether `subject` and `actors` of a forbid leave it standing: they match, or it cannot be told (§8.9).
    pub(super) fn forbids_parties(&self, rule: &RuleDecl) -> bool {
        let fresh = self.claims().is_ok();
        let meant = |named: &[_], party: &Party| self.is_any(named, party, true);
        let subjects: Vec<_> = rule.subject.iter().map(|one| one.value.clone()).collect();
        let actors: Vec<_> = rule.actors.iter().map(|one| one.value.clone()).collect();
        let subject_fires = match self.subject() {
            Ok(Some(subject)) if fresh => {
                let forwarded = self
                    .input
                    .evidence
                    .forwarded
                    .and_then(|id| self.forwarded(id));
                meant(&subjects, &subject) || forwarded.is_some_and(|id| meant(&subjects, &id))
            }
            _ => true,
        };
        let actors_fire = match self.actors() {
            Ok(chain) if fresh => chain.iter().any(|actor| meant(&actors, actor)),
            _ => true,
        };
        (subjects.is_empty() || subject_fires) && (actors.is_empty() || actors_fire)
    }

    /// Whether `subject` and `actors` of a permit hold (§8.10, §8.11).
    pub(super) fn parties(&self, rule: &RuleDecl) -> Result<(), (Reason, Lack)> {
        let missing = |lack| (Reason::EvidenceMissing, lack);
        let unmet = |lack| (Reason::RequirementUnmet, lack);
        let forwarded = self
            .input
            .evidence
            .forwarded
            .and_then(|id| self.forwarded(id));
        if !rule.subject.is_empty() {
            let named: Vec<_> = rule.subject.iter().map(|one| one.value.clone()).collect();
            let mut all: Vec<Party> = Vec::new();
            if self.input.evidence.claims.is_some() || forwarded.is_none() {
                self.claims()?;
                let subject = self.subject().unwrap_or_default();
                all.push(subject.ok_or(missing(Lack::Subject))?);
            }
            all.extend(forwarded);
            if !all.iter().all(|party| self.is_any(&named, party, false)) {
                return Err(unmet(Lack::Subject));
            }
        }
        if !rule.actors.is_empty() {
            let named: Vec<_> = rule.actors.iter().map(|one| one.value.clone()).collect();
            self.claims()?;
            let all = self.actors().unwrap_or_default();
            if all.is_empty() {
                return Err(missing(Lack::Actors));
            }
            if !all.iter().all(|party| self.is_any(&named, party, false)) {
                return Err(unmet(Lack::Actors));
            }
        }
        Ok(())
    }

    fn is_any(&self, named: &[Subject], party: &Party, unknown: bool) -> bool {
        named
            .iter()
            .any(|one| self.is_named(one, party).unwrap_or(unknown))
    }

    /// Whether a clause means somebody; none where it cannot be told (§8.6).
    fn is_named(&self, named: &Subject, party: &Party) -> Option<bool> {
        let issued_by = |name: &Arc<str>| {
            let declared = &self.document.issuers;
            let found = declared.iter().find(|decl| decl.name.value == *name);
            let wanted = found.map_or(name, |decl| &decl.issuer.value);
            match &party.issuer {
                _ if party.forwarded => Some(false),
                None => None,
                Some(issuer) => Some(**issuer == **wanted),
            }
        };
        match named {
            Subject::Any => Some(true),
            Subject::Issuer(name) => issued_by(name),
            Subject::User { issuer, subject } => {
                if **subject == *party.subject {
                    issued_by(issuer)
                } else {
                    Some(false)
                }
            }
            Subject::Workload(name) => {
                self.is_identity(&Principal::Workload(Arc::clone(name)), party)
            }
            Subject::Id(pattern) => self.is_identity(&Principal::Id(pattern.clone()), party),
            Subject::Label { key, value } => {
                let (key, value) = (Arc::clone(key), Arc::clone(value));
                self.is_identity(&Principal::Label { key, value }, party)
            }
        }
    }

    /// §8.5
    fn is_identity(&self, whose: &Principal, party: &Party) -> Option<bool> {
        let Some(id) = &party.id else {
            return Some(false);
        };
        let mut workloads = self.document.workloads.iter();
        let declared = workloads.find(|decl| self.primary(&decl.id.value).as_ref() == Some(id));
        match whose {
            Principal::Workload(name) => {
                Some(declared.is_some_and(|decl| decl.name.value == *name))
            }
            Principal::Id(pattern) => Some(self.matches(pattern, id)),
            Principal::Label { key, value } => declared?.labels.get(key).map(|have| have == value),
            Principal::Zone(_) | Principal::Public | Principal::Any => Some(false),
        }
    }

    /// §8.4
    fn forwarded(&self, id: &SpiffeId) -> Option<Party> {
        let subject = id.to_string();
        let id = self.primary(id).filter(|id| !id.path().is_empty())?;
        Some(Party {
            issuer: None,
            subject,
            id: Some(id),
            forwarded: true,
        })
    }

    /// The subject of the token; none where there is no token or it names nobody (§8.1).
    fn subject(&self) -> Result<Option<Party>, Unreadable> {
        let claims = self.input.evidence.claims;
        match claims.map(|claims| (claims.get("sub"), claims.get("iss"))) {
            None | Some((None, _)) => Ok(None),
            Some((Some(subject), issuer)) => self.party(subject, issuer).map(Some),
        }
    }

    /// The actors of the token, at most eight (§8.2, §8.3).
    fn actors(&self) -> Result<Vec<Party>, Unreadable> {
        let mut actors = Vec::new();
        let Some(claims) = self.input.evidence.claims else {
            return Ok(actors);
        };
        let mut next = claims.get("act");
        while let Some(act) = next {
            let subject = act.get("sub").ok_or(Unreadable)?;
            actors.push(self.party(subject, act.get("iss").or(claims.get("iss")))?);
            next = act.get("act");
        }
        let own = claims.get("iss").is_none_or(Value::is_string);
        if actors.len() > 8 || !actors.is_empty() && !own {
            return Err(Unreadable);
        }
        Ok(actors)
    }

    /// §8.3
    fn party(&self, subject: &Value, issuer: Option<&Value>) -> Result<Party, Unreadable> {
        let subject = subject.as_str().ok_or(Unreadable)?;
        let issuer = match issuer {
            None => None,
            Some(issuer) => Some(issuer.as_str().ok_or(Unreadable)?.to_owned()),
        };
        let id = if subject.to_ascii_lowercase().starts_with("spiffe:") {
            let id = SpiffeId::parse_workload(subject).map_err(|_| Unreadable)?;
            Some(self.primary(&id).ok_or(Unreadable)?)
        } else {
            None
        };
        if subject.is_empty() || issuer.is_none() && id.is_none() {
            return Err(Unreadable);
        }
        Ok(Party {
            issuer,
            subject: subject.to_owned(),
            id,
            forwarded: false,
        })
    }
}
