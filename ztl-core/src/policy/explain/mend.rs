//! One change to a question that mends the first clause of a rule that failed.

use serde_json::{Map, Value, json};

use crate::action::Method;
use crate::clause::Clause;
use crate::evidence::TrustScore;
use crate::id::IdPattern;
use crate::peer::Peer;
use crate::policy::Policy;
use crate::policy::document::Mfa;
use crate::policy::pattern::ActionPattern;
use crate::policy::rule::{Named, Requirement, Rule, TokenClause, Who};
use crate::policy::template::Template;
use crate::zone::ZoneIdx;

use super::draft::{Asked, Draft};
use super::fared::{Fared, Rest, Scene};
use super::nearest::Change;
use super::somebody;
use super::words::{cut, token_wanted};

/// Why a clause cannot be mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    /// Nothing that is asked could change it.
    Reach,
    /// What would satisfy a condition or an authorizer cannot be told.
    Sight,
}

impl Scene<'_, '_> {
    /// Changes the question so that the first clause of a permit that failed holds.
    pub(super) fn mend(&self, fared: &Fared, draft: &mut Draft<'_>) -> Result<Change, Beyond> {
        let rule = self.policy.rule(fared.rule).ok_or(Beyond::Reach)?;
        let clause = fared.first().ok_or(Beyond::Reach)?;
        match (clause, fared.rest) {
            (_, Rest::Unmet(at, unmet)) => {
                let requirement = rule.require.get(at).ok_or(Beyond::Reach)?;
                self.mend_requirement(requirement, unmet.lack.into(), draft)
            }
            (Clause::From, _) => self.mend_from(rule, draft).ok_or(Beyond::Reach),
            (Clause::Port, _) => self.mend_port(fared, draft).ok_or(Beyond::Reach),
            (Clause::To, _) => Err(Beyond::Reach),
            (clause, _) => {
                let at = fared.misfit.map_or(0, |(at, _)| at);
                let pattern = rule.actions.get(at).ok_or(Beyond::Reach)?;
                mend_action(pattern, clause, draft).ok_or(Beyond::Reach)
            }
        }
    }

    fn mend_from(&self, rule: &Rule, draft: &mut Draft<'_>) -> Option<Change> {
        if !draft.is_ingress() {
            return None;
        }
        let home = self.caller.workload.and_then(|(_, workload)| workload.zone);
        let zones = rule.from.iter().filter_map(|who| match who {
            Who::Zone(zone) if draft.peer.is_some() => Some(*zone),
            _ => None,
        });
        let mut reachable = zones.filter(|zone| home.is_none_or(|home| home == *zone));
        if let Some(zone) = reachable.next() {
            return arrive_from(self.policy, zone, draft);
        }
        rule.from
            .iter()
            .find_map(|who| become_one(self.policy, who, draft))
    }

    fn mend_port(&self, fared: &Fared, draft: &mut Draft<'_>) -> Option<Change> {
        let target = self.target?;
        let entry = target.rules().find(|entry| entry.rule == fared.rule)?;
        let mut covered = target.ports().filter(|port| entry.covers_port(*port));
        let first = entry.ports.first().map(|range| range.first);
        draft.port = covered.next().or(first)?;
        Some(Change::new(Clause::Port, draft.port.to_string()))
    }

    fn mend_requirement(
        &self,
        requirement: &Requirement,
        clause: Clause,
        draft: &mut Draft<'_>,
    ) -> Result<Change, Beyond> {
        let to = match requirement {
            Requirement::TrustScore(least) => {
                draft.score = TrustScore::new(*least, self.now, crate::time::Timestamp::MAX);
                least.to_string()
            }
            Requirement::ZoneTrust(least) => {
                let zones = self.policy.zones();
                let all = (0..).zip(zones.iter());
                let mut trusted = all.filter(|(_, zone)| zone.trust() >= *least);
                let (at, _) = trusted.next().ok_or(Beyond::Reach)?;
                return arrive_from(self.policy, ZoneIdx(at), draft).ok_or(Beyond::Reach);
            }
            Requirement::Token(wanted) => {
                let whole = !draft.has_fresh_token(self.now);
                mend_token(wanted, clause, whole, draft)
            }
            Requirement::Mfa(kind) => {
                draft.with_claims(|claims| log_in(*kind, claims));
                match kind {
                    Mfa::Any => "a login with more than one factor".to_owned(),
                    Mfa::PhishingResistant => "a login that cannot be phished".to_owned(),
                }
            }
            Requirement::Header { name, values } => {
                let value = values.first().ok_or(Beyond::Reach)?;
                draft.set_header(name, value);
                format!("{name}: {value}")
            }
            Requirement::Subject(named) => {
                let (issuer, subject) = self.one_of(named).ok_or(Beyond::Reach)?;
                let word = format!("{subject} of {issuer}");
                draft.with_claims(|claims| {
                    claims.insert("iss".to_owned(), issuer.into());
                    claims.insert("sub".to_owned(), subject.into());
                });
                word
            }
            Requirement::Actors(named) => {
                let (issuer, subject) = self.one_of(named).ok_or(Beyond::Reach)?;
                let word = format!("{subject} of {issuer}");
                draft.with_claims(|claims| {
                    claims.insert("act".to_owned(), json!({ "iss": issuer, "sub": subject }));
                });
                word
            }
            Requirement::When(_) | Requirement::Authorizer(..) => return Err(Beyond::Sight),
        };
        Ok(Change::new(clause, cut(&to)))
    }

    /// Issuer and subject of somebody whom a clause names, who is named by them or is a workload.
    fn one_of(&self, named: &[Named]) -> Option<(String, String)> {
        let declared = || {
            let issuer = self.policy.document.issuers.first();
            issuer.map_or_else(String::new, |issuer| issuer.issuer.value.to_string())
        };
        named.iter().find_map(|one| match one {
            Named::User { issuer, subject } => Some((issuer.to_string(), subject.to_string())),
            Named::Issuer(issuer) => Some((issuer.to_string(), "somebody".to_owned())),
            Named::Any => Some((declared(), "somebody".to_owned())),
            Named::Identity(Who::Id(IdPattern::Exact(id))) => Some((declared(), id.to_string())),
            Named::Identity(who) => {
                let id = somebody(self.policy, who)?.id.to_string();
                Some((declared(), id))
            }
        })
    }
}

/// Lets the caller arrive from a zone.
pub(super) fn arrive_from(policy: &Policy, zone: ZoneIdx, draft: &mut Draft<'_>) -> Option<Change> {
    draft.arrival = policy.zones().example(zone)?;
    let name = policy.zones().get(zone)?.name().to_owned();
    Some(Change::new(Clause::Zone, name))
}

/// Makes the caller one whom a rule speaks of.
pub(super) fn become_one(policy: &Policy, who: &Who, draft: &mut Draft<'_>) -> Option<Change> {
    let (peer, name) = match who {
        Who::Public => (None, "public".to_owned()),
        Who::Id(IdPattern::Exact(id)) if policy.workload_with_id(id).is_none() => {
            (Some(Peer::foreseen(id.clone())), id.to_string())
        }
        who => {
            let one = somebody(policy, who)?;
            (Some(Peer::foreseen(one.id.clone())), one.name().to_owned())
        }
    };
    draft.peer = peer;
    Some(Change::new(Clause::From, name))
}

/// Changes one aspect of the action into what a pattern names.
fn mend_action(pattern: &ActionPattern, clause: Clause, draft: &mut Draft<'_>) -> Option<Change> {
    let named = match pattern {
        ActionPattern::Http { methods, .. } => methods.iter().next()?,
        ActionPattern::Grpc { .. } => Method::Post,
        _ => Method::Get,
    };
    let token = match pattern {
        ActionPattern::WebSocket(_) => Some("websocket".to_owned()),
        ActionPattern::Upgrade { token, .. } => Some(token.to_string()),
        _ => None,
    };
    let like = |path: &str| match pattern {
        ActionPattern::Grpc { service, method } => {
            Template::of_grpc(service, method.as_deref()).like(path)
        }
        pattern => (pattern.template()).map_or_else(|| "/".to_owned(), |one| one.like(path)),
    };
    if *pattern == ActionPattern::Connect {
        draft.asked = Asked::Connect;
        return Some(Change::new(Clause::Action, "connect".to_owned()));
    }
    let to = match (&mut draft.asked, clause) {
        (Asked::Request { upgrade, .. }, Clause::Upgrade) => {
            upgrade.clone_from(&token);
            token.unwrap_or_else(|| "nothing else".to_owned())
        }
        (Asked::Request { method, .. }, Clause::Method) => {
            *method = named;
            named.to_string()
        }
        (Asked::Request { path, .. }, Clause::Path) => {
            *path = like(path);
            path.clone()
        }
        (asked @ Asked::Connect, Clause::Action) => {
            let path = like("/");
            let word = format!("{named} {path}");
            *asked = Asked::Request {
                method: named,
                path,
                upgrade: token,
            };
            word
        }
        _ => return None,
    };
    Some(Change::new(clause, cut(&to)))
}

/// Gives the token what a clause asks for: all of it where there is none that counts.
fn mend_token(wanted: &TokenClause, clause: Clause, whole: bool, draft: &mut Draft<'_>) -> String {
    let has = |claims: &Map<String, Value>, scope: &str| {
        let scopes = claims.get("scope").and_then(Value::as_str);
        scopes.is_some_and(|scopes| scopes.split(' ').any(|one| one == scope))
    };
    let mut missing = Vec::new();
    draft.with_claims(|claims| {
        if whole || clause == Clause::Token {
            let issuer = wanted.issuer.as_deref();
            claims.extend(issuer.map(|issuer| ("iss".to_owned(), issuer.into())));
            let audience = wanted.audience.as_deref();
            claims.extend(audience.map(|audience| ("aud".to_owned(), audience.into())));
        }
        if whole || clause == Clause::Scope {
            let scopes = wanted.scopes.iter();
            missing.extend(scopes.filter(|scope| !has(claims, scope)).cloned());
            let before = claims.get("scope").and_then(Value::as_str);
            let before = before.into_iter().filter(|text| !text.is_empty());
            let all: Vec<&str> = before.chain(missing.iter().map(|one| &**one)).collect();
            if !all.is_empty() {
                let all = all.join(" ");
                claims.insert("scope".to_owned(), all.into());
            }
        }
        if whole || clause == Clause::Claim {
            for (name, value) in &wanted.claims {
                give(claims, name, value);
            }
        }
    });
    match clause {
        Clause::Scope => missing.join(" "),
        Clause::Claim => {
            let claims = wanted.claims.iter();
            let words = claims.map(|(name, value)| format!("{name} = {value}"));
            words.collect::<Vec<_>>().join(", ")
        }
        _ => token_wanted(wanted),
    }
}

/// Gives an object a member; where it has a table to be one, what is inside and not asked for stays.
fn give(object: &mut Map<String, Value>, name: &str, value: &Value) {
    match (value, object.get_mut(name)) {
        (Value::Object(members), Some(Value::Object(held))) => {
            for (name, value) in members {
                give(held, name, value);
            }
        }
        _ => {
            object.insert(name.to_owned(), value.clone());
        }
    }
}

/// Makes the token one of a stronger login.
fn log_in(kind: Mfa, claims: &mut Map<String, Value>) {
    match kind {
        Mfa::Any => claims.insert("amr".to_owned(), json!(["mfa"])),
        Mfa::PhishingResistant => claims.insert("acr".to_owned(), "phr".into()),
    };
}
