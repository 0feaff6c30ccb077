//! The reference interpreter: the meaning of a document as a short, slow program to be read beside docs/policy.md.
//!
//! It reads the document itself, resolves every name each time it is met, tries every rule, and takes patterns apart as text.
//! The engine has to agree with it on verdict, stage, reason, rule, lack and shadow; property tests compare the two.

use core::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;

use crate::action::{Action, Resource, Upgrade};
use crate::authorizer::{Facts, Reads};
use crate::decision::{Decision, Lack, ShadowOutcome};
use crate::evidence::{Claims, TrustScore};
use crate::flow::Direction;
use crate::id::{IdPattern, SpiffeId};
use crate::path::CanonicalPath;
use crate::peer::{Peer, Proof};
use crate::reason::{Reason, Stage, Verdict};
use crate::time::Timestamp;

use super::decide::Input;
use super::document::{
    Document, Effect, Mfa, Mode, Principal, Require, RuleDecl, Target, TokenRequire, WorkloadDecl,
    ZoneDecl,
};
use super::load::Loader;

/// Decides as [`decide`](super::decide) does, from a document that loads.
#[must_use]
pub fn decide(document: &Document, loader: &Loader, input: &Input<'_>, now: Timestamp) -> Decision {
    Asked {
        document,
        loader,
        input,
        now,
    }
    .decide()
}

/// Stage, reason, rule and lack of an outcome.
type Outcome = (Stage, Reason, Option<Arc<str>>, Option<Lack>);

struct Asked<'a> {
    document: &'a Document,
    loader: &'a Loader,
    input: &'a Input<'a>,
    now: Timestamp,
}

/// The two ends as rules see them.
struct Ends<'a> {
    /// The caller's id in the primary trust domain; none where it proved nothing.
    caller: Option<SpiffeId>,
    declared: Option<&'a WorkloadDecl>,
    target: &'a WorkloadDecl,
    /// The zones that hold the caller, the longest prefix first; none where its place is unknown.
    zones: Option<Vec<&'a ZoneDecl>>,
}

impl<'a> Asked<'a> {
    fn decide(&self) -> Decision {
        let (outcome, shadow) = match self.ends() {
            Err((stage, reason)) => ((stage, reason, None, None), Vec::new()),
            Ok(ends) => self.judge(&ends),
        };
        let (stage, reason, rule, lack) = outcome;
        let verdict = if reason == Reason::Permitted {
            Verdict::Permit
        } else {
            Verdict::Deny
        };
        Decision {
            verdict,
            stage,
            reason,
            rule,
            shadow,
            lack,
        }
    }

    /// Stage one: who is at either end.
    fn ends(&self) -> Result<Ends<'a>, (Stage, Reason)> {
        let flow = &self.input.flow;
        let peer = flow.peer;
        let me = self
            .document
            .workloads
            .iter()
            .find(|decl| *decl.name.value == *flow.me);
        let me = me.ok_or((Stage::Flow, Reason::NoFlowPermitted))?;
        if peer.is_some_and(|peer| peer.expires_at() <= self.now) {
            return Err((Stage::Identity, Reason::IdentityExpired));
        }
        let id = peer.map(|peer| self.primary(peer.id()));
        let declared = id.as_ref().and_then(|id| {
            self.document
                .workloads
                .iter()
                .find(|decl| self.primary(&decl.id.value) == *id)
        });
        let certified = matches!(peer.map(Peer::proof), Some(Proof::X509 { .. }));
        if flow.direction == Direction::Egress {
            let target = declared.ok_or((Stage::Flow, Reason::NoFlowPermitted))?;
            if !certified {
                return Err((Stage::Identity, Reason::IdentityUnproven));
            }
            let zones = me.zone.as_ref().map(|zone| {
                self.document
                    .zones
                    .iter()
                    .filter(|decl| decl.name.value == zone.value)
                    .collect()
            });
            return Ok(Ends {
                caller: Some(self.primary(&me.id.value)),
                declared: Some(me),
                target,
                zones,
            });
        }
        let enough = match peer.map(Peer::proof) {
            Some(Proof::X509 { .. }) => true,
            Some(Proof::Asserted { by, .. }) => {
                me.asserted_by.iter().any(|party| *party.value == **by)
            }
            None => me.public_ports.iter().any(|port| port.value == flow.port),
        };
        if !enough {
            return Err((Stage::Identity, Reason::IdentityUnproven));
        }
        Ok(Ends {
            caller: id,
            declared,
            target: me,
            zones: flow.arrival.addr().and_then(|addr| self.zones_of(addr)),
        })
    }

    /// Stages two and three.
    fn judge(&self, ends: &Ends<'_>) -> (Outcome, Vec<ShadowOutcome>) {
        let enforced: Vec<_> = self.speaking(ends, Mode::Enforce).collect();
        let mut outcome = self.flow(ends, &enforced);
        let mut shadowed: Vec<_> = self.speaking(ends, Mode::Shadow).collect();
        let action = match &self.input.action {
            None => None,
            Some(Ok(action)) => Some(action),
            Some(Err(_)) => {
                if outcome.1 == Reason::Permitted {
                    outcome = (Stage::Action, Reason::PathAmbiguous, None, None);
                }
                shadowed.clear();
                None
            }
        };
        if let (Some(action), Reason::Permitted) = (action, outcome.1) {
            outcome = self.action(ends, &enforced, action);
        }
        let shadow = shadowed.into_iter().filter_map(|rule| {
            let would = match (rule.effect, action) {
                (Effect::Permit, None) => Some(Verdict::Permit),
                (Effect::Permit, Some(action)) => {
                    matches!(self.permit(ends, rule, action), Some(Ok(())))
                        .then_some(Verdict::Permit)
                }
                (Effect::Forbid, None) => {
                    (rule.actions.is_empty() && rule.when.is_none()).then_some(Verdict::Deny)
                }
                (Effect::Forbid, Some(action)) => {
                    self.forbid(ends, rule, action).then_some(Verdict::Deny)
                }
            };
            would.map(|would| ShadowOutcome {
                rule: Arc::clone(&rule.name.value),
                would,
            })
        });
        (outcome, shadow.collect())
    }

    fn flow(&self, ends: &Ends<'_>, rules: &[&RuleDecl]) -> Outcome {
        if self.input.flow.direction == Direction::Ingress {
            let zone = ends.zones.as_ref().and_then(|zones| zones.first());
            let bound = ends.declared.and_then(|decl| decl.zone.as_ref());
            match zone {
                None if bound.is_some() || ends.target.zone.is_some() => {
                    return (Stage::Flow, Reason::ZoneUnknown, None, None);
                }
                Some(zone) if bound.is_some_and(|bound| bound.value != zone.name.value) => {
                    return (Stage::Flow, Reason::ZoneMismatch, None, None);
                }
                _ => {}
            }
        }
        let named = |rule: &&&RuleDecl| Some(Arc::clone(&rule.name.value));
        let forbids = |rule: &&&RuleDecl| {
            rule.effect == Effect::Forbid && rule.actions.is_empty() && rule.when.is_none()
        };
        if let Some(rule) = rules.iter().find(forbids) {
            return (Stage::Flow, Reason::Forbidden, named(&rule), None);
        }
        match rules.iter().find(|rule| rule.effect == Effect::Permit) {
            Some(rule) => (Stage::Flow, Reason::Permitted, named(&rule), None),
            None => (Stage::Flow, Reason::NoFlowPermitted, None, None),
        }
    }

    fn action(&self, ends: &Ends<'_>, rules: &[&RuleDecl], action: &Action<'_>) -> Outcome {
        for rule in rules.iter().filter(|rule| rule.effect == Effect::Forbid) {
            if self.forbid(ends, rule, action) {
                return (
                    Stage::Action,
                    Reason::Forbidden,
                    Some(Arc::clone(&rule.name.value)),
                    None,
                );
            }
        }
        let mut nearest = (Stage::Action, Reason::NoActionPermitted, None, None);
        for rule in rules.iter().filter(|rule| rule.effect == Effect::Permit) {
            let name = Some(Arc::clone(&rule.name.value));
            match self.permit(ends, rule, action) {
                Some(Ok(())) => return (Stage::Action, Reason::Permitted, name, None),
                Some(Err((reason, lack))) if nearest.2.is_none() => {
                    nearest = (Stage::Action, reason, name, Some(lack))
                }
                _ => {}
            }
        }
        nearest
    }

    /// Whether a forbid that speaks of these ends covers the action.
    fn forbid(&self, ends: &Ends<'_>, rule: &RuleDecl, action: &Action<'_>) -> bool {
        let Action::Request(resource) = action else {
            return true;
        };
        let covered = rule.actions.is_empty()
            || rule
                .actions
                .iter()
                .any(|pattern| forbids(&pattern.value.to_string(), resource));
        match &rule.when {
            None => covered,
            Some(_) if self.input.flow.direction == Direction::Egress => false,
            Some(when) => covered && self.condition(ends, rule, &when.value, action) != Ok(false),
        }
    }

    /// Whether a permit that speaks of these ends names the action, and if so, the first requirement that does not hold.
    fn permit(
        &self,
        ends: &Ends<'_>,
        rule: &RuleDecl,
        action: &Action<'_>,
    ) -> Option<Result<(), (Reason, Lack)>> {
        let named = rule.actions.iter().any(|pattern| match action {
            Action::Connect => pattern.value.to_string() == "connect",
            Action::Request(resource) => permits(&pattern.value.to_string(), resource),
        });
        let egress = self.input.flow.direction == Direction::Egress;
        named.then(|| {
            if egress {
                Ok(())
            } else {
                self.require(ends, rule, &rule.require, action)
            }
        })
    }

    fn require(
        &self,
        ends: &Ends<'_>,
        rule: &RuleDecl,
        require: &Require,
        action: &Action<'_>,
    ) -> Result<(), (Reason, Lack)> {
        let unmet = |holds: bool, lack| {
            if holds {
                Ok(())
            } else {
                Err((Reason::RequirementUnmet, lack))
            }
        };
        if let Some(least) = require.trust_score {
            unmet(self.score()?.value() >= least.value, Lack::TrustScore)?;
        }
        if let Some(least) = require.zone_trust {
            let zone = ends
                .zones
                .as_ref()
                .and_then(|zones| zones.first())
                .ok_or((Reason::EvidenceMissing, Lack::ZoneTrust))?;
            unmet(zone.trust >= least.value, Lack::ZoneTrust)?;
        }
        if let Some(token) = &require.token {
            self.token(&token.value)?;
        }
        if let Some(mfa) = &require.mfa {
            let claims = self.claims()?;
            let acr = claims
                .get("acr")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let resistant = acr == "phr" || acr == "phrh";
            unmet(
                resistant || mfa.value == Mfa::Any && claims.has_amr("mfa"),
                Lack::Mfa,
            )?;
        }
        for header in &require.headers {
            let mut values: Vec<Vec<u8>> = Vec::new();
            if let Some(headers) = self.input.evidence.headers {
                headers.for_each(&header.name.value, &mut |value| values.push(value.to_vec()));
            }
            if values.is_empty() {
                return Err((Reason::EvidenceMissing, Lack::Header));
            }
            unmet(
                values
                    .iter()
                    .all(|value| header.values.iter().any(|one| one.as_bytes() == *value)),
                Lack::Header,
            )?;
        }
        if let Some(when) = &require.when
            && !self.condition(ends, rule, &when.value, action)?
        {
            return Err((Reason::Objected, Lack::Condition));
        }
        for name in &require.authorizer {
            let failed = (Reason::AuthorizerFailed, Lack::Authorizer);
            let authorizer = self.loader.authorizers.get(&*name.value).ok_or(failed)?;
            self.fresh(authorizer.reads())?;
            if self
                .with_facts(ends, rule, action, |facts| {
                    authorizer.objects(&authorizer.reads().mask(facts))
                })
                .map_err(|_| failed)?
            {
                return Err((Reason::Objected, Lack::Authorizer));
            }
        }
        Ok(())
    }

    fn condition(
        &self,
        ends: &Ends<'_>,
        rule: &RuleDecl,
        source: &str,
        action: &Action<'_>,
    ) -> Result<bool, (Reason, Lack)> {
        let failed = (Reason::AuthorizerFailed, Lack::Condition);
        let compiler = self.loader.conditions.as_ref().ok_or(failed)?;
        let condition = compiler.compile(source).map_err(|_| failed)?;
        self.fresh(condition.reads())?;
        self.with_facts(ends, rule, action, |facts| {
            condition.holds(&condition.reads().mask(facts))
        })
        .map_err(|_| failed)
    }

    fn fresh(&self, reads: Reads) -> Result<(), (Reason, Lack)> {
        if reads.token {
            self.claims()?;
        }
        if reads.trust_score {
            self.score()?;
        }
        Ok(())
    }

    fn with_facts<T>(
        &self,
        ends: &Ends<'_>,
        rule: &RuleDecl,
        action: &Action<'_>,
        ask: impl Fn(&Facts<'_>) -> T,
    ) -> T {
        let templates = rule
            .actions
            .iter()
            .filter_map(|pattern| pattern.value.template());
        let path = action.resource().map(Resource::path);
        let params = path
            .and_then(|path| {
                templates
                    .into_iter()
                    .find_map(|template| template.params(path))
            })
            .unwrap_or_default();
        ask(&Facts {
            peer: self.input.flow.peer,
            zone: ends
                .zones
                .as_ref()
                .and_then(|zones| zones.first())
                .map(|zone| &*zone.name.value),
            target: &ends.target.name.value,
            action,
            params: &params,
            claims: self.input.evidence.claims,
            trust_score: self.input.evidence.trust_score,
            now: self.now,
        })
    }

    fn score(&self) -> Result<TrustScore, (Reason, Lack)> {
        let missing = (Reason::EvidenceMissing, Lack::TrustScore);
        let score = self.input.evidence.trust_score.ok_or(missing)?;
        if score.observed_at()
            > self
                .now
                .saturating_add(super::requirement::OBSERVATION_SKEW)
        {
            return Err(missing);
        }
        if score.expires_at() <= self.now {
            Err((Reason::EvidenceStale, Lack::TrustScore))
        } else {
            Ok(score)
        }
    }

    fn claims(&self) -> Result<&Claims, (Reason, Lack)> {
        let claims = self
            .input
            .evidence
            .claims
            .ok_or((Reason::EvidenceMissing, Lack::Token))?;
        if claims.expires_at() <= self.now {
            Err((Reason::EvidenceStale, Lack::Token))
        } else {
            Ok(claims)
        }
    }

    fn token(&self, token: &TokenRequire) -> Result<(), (Reason, Lack)> {
        let claims = self.claims()?;
        let unmet = |lack| Err((Reason::RequirementUnmet, lack));
        if let Some(name) = &token.issuer {
            let declared = self
                .document
                .issuers
                .iter()
                .find(|issuer| issuer.name.value == name.value);
            let wanted = declared.map_or(&name.value, |issuer| &issuer.issuer.value);
            if claims.issuer() != Some(wanted) {
                return unmet(Lack::Token);
            }
        }
        if token
            .audience
            .as_ref()
            .is_some_and(|audience| !claims.has_audience(audience))
        {
            return unmet(Lack::Token);
        }
        if token.scopes.iter().any(|scope| !claims.has_scope(scope)) {
            return unmet(Lack::Scope);
        }
        let has = |name: &str, wanted: &Value| match claims.get(name) {
            Some(Value::Array(list)) => list.contains(wanted),
            value => value == Some(wanted),
        };
        if token.claims.iter().all(|(name, wanted)| has(name, wanted)) {
            Ok(())
        } else {
            unmet(Lack::Claim)
        }
    }

    /// The rules of a mode that speak of these ends and this port, in document order.
    fn speaking<'b>(
        &'b self,
        ends: &'b Ends<'_>,
        mode: Mode,
    ) -> impl Iterator<Item = &'a RuleDecl> + 'b {
        self.document.rules.iter().filter(move |rule| {
            rule.mode == mode
                && rule
                    .to
                    .iter()
                    .any(|to| self.is_target(&to.value, ends.target))
                && self.covers_port(rule, ends.target)
                && rule
                    .from
                    .iter()
                    .any(|from| self.is_caller(&from.value, ends, rule.effect))
        })
    }

    fn covers_port(&self, rule: &RuleDecl, target: &WorkloadDecl) -> bool {
        let port = self.input.flow.port;
        if !rule.ports.is_empty() {
            return rule.ports.iter().any(|range| range.value.contains(port));
        }
        if rule.effect == Effect::Forbid {
            return true;
        }
        let only = |ports: Vec<u16>| {
            if let [port] = ports.as_slice() {
                Some(*port)
            } else {
                None
            }
        };
        let public: Vec<_> = target.public_ports.iter().map(|port| port.value).collect();
        let all: Vec<_> = target.ports.iter().map(|port| port.value).collect();
        let private = all
            .iter()
            .copied()
            .filter(|port| !public.contains(port))
            .collect();
        let names_public = rule.from.iter().any(|from| from.value == Principal::Public);
        let names_others = rule.from.iter().any(|from| from.value != Principal::Public);
        (names_others && only(private).or_else(|| only(all)) == Some(port))
            || (names_public && only(public) == Some(port))
    }

    /// Whether a rule speaks of the caller; in a forbid, what is not known counts as yes.
    fn is_caller(&self, from: &Principal, ends: &Ends<'_>, effect: Effect) -> bool {
        let forbid = effect == Effect::Forbid;
        match from {
            Principal::Workload(name) => ends.declared.is_some_and(|decl| decl.name.value == *name),
            Principal::Id(pattern) => ends
                .caller
                .as_ref()
                .is_some_and(|id| self.matches(pattern, id)),
            Principal::Label { key, value } => {
                match ends.declared.and_then(|decl| decl.labels.get(key)) {
                    Some(have) => have == value,
                    None => forbid,
                }
            }
            Principal::Zone(name) if forbid => ends
                .zones
                .as_ref()
                .is_none_or(|zones| zones.iter().any(|zone| zone.name.value == *name)),
            Principal::Zone(name) => {
                let zone = ends.zones.as_ref().and_then(|zones| zones.first());
                ends.caller.is_some() && zone.is_some_and(|zone| zone.name.value == *name)
            }
            Principal::Public => ends.caller.is_none(),
            Principal::Any => ends.caller.is_some(),
        }
    }

    fn is_target(&self, to: &Target, target: &WorkloadDecl) -> bool {
        match to {
            Target::Workload(name) => target.name.value == *name,
            Target::Id(pattern) => self.matches(pattern, &self.primary(&target.id.value)),
            Target::Label { key, value } => target.labels.get(key) == Some(value),
            Target::Zone(name) => target.zone.as_ref().is_some_and(|zone| zone.value == *name),
            Target::External(_) => false,
            Target::Any => true,
        }
    }

    fn matches(&self, pattern: &IdPattern, id: &SpiffeId) -> bool {
        match pattern {
            IdPattern::Exact(exact) => self.primary(exact) == *id,
            IdPattern::Below(above) => id
                .as_str()
                .starts_with(&format!("{}/", self.primary(above))),
            IdPattern::TrustDomain(domain) => {
                let alias = self
                    .document
                    .aliases
                    .iter()
                    .any(|alias| alias.value == *domain);
                let domain = if alias {
                    &self.document.trust_domain.value
                } else {
                    domain
                };
                id.trust_domain_name() == domain.as_str()
            }
        }
    }

    fn primary(&self, id: &SpiffeId) -> SpiffeId {
        let alias = self
            .document
            .aliases
            .iter()
            .any(|alias| alias.value.as_str() == id.trust_domain_name());
        let primary = alias
            .then(|| id.with_trust_domain(&self.document.trust_domain.value).ok())
            .flatten();
        primary.unwrap_or_else(|| id.clone())
    }

    fn zones_of(&self, addr: IpAddr) -> Option<Vec<&'a ZoneDecl>> {
        if self
            .document
            .relays
            .iter()
            .any(|relay| relay.value.contains(&addr))
        {
            return None;
        }
        let mut holding: Vec<_> = self
            .document
            .zones
            .iter()
            .flat_map(|zone| {
                zone.networks
                    .iter()
                    .map(move |network| (network.value, zone))
            })
            .collect();
        holding.retain(|(network, _)| network.contains(&addr));
        holding.sort_by_key(|(network, _)| core::cmp::Reverse(network.prefix_len()));
        (!holding.is_empty()).then(|| holding.into_iter().map(|(_, zone)| zone).collect())
    }
}

/// A path's segments, decoded.
fn segments(resource: &Resource<'_>) -> Vec<String> {
    resource
        .path()
        .segments()
        .map(|segment| segment.decoded())
        .collect()
}

/// A template's segments, as they are written, escapes resolved where it is text.
fn parts(template: &str) -> Vec<String> {
    let decoded = |part: &str| {
        let target = format!("/{part}");
        let path = CanonicalPath::parse(&target).ok();
        path.and_then(|path| path.segments().next())
            .map(|segment| segment.decoded())
    };
    let parts = template.split('/').skip(1);
    parts
        .map(|part| decoded(part).unwrap_or_else(|| part.to_owned()))
        .collect()
}

/// Whether a permit on this pattern names the request.
fn permits(pattern: &str, resource: &Resource<'_>) -> bool {
    let method = resource.method().as_str();
    let (verb, rest) = pattern.split_once(' ').unwrap_or((pattern, ""));
    match (verb, resource.upgrade()) {
        ("any", None) => !matches!(method, "HEAD" | "?"),
        ("grpc", None) => method == "POST" && grpc(rest, resource),
        ("websocket", Some(Upgrade::WebSocket)) => {
            method == "GET" && exact(&parts(rest), &segments(resource))
        }
        ("connect" | "any" | "grpc" | "websocket", _) => false,
        (verb, Some(Upgrade::Other(token))) => {
            let named = verb
                .strip_prefix("upgrade:")
                .is_some_and(|named| named.eq_ignore_ascii_case(token));
            named && method == "GET" && exact(&parts(rest), &segments(resource))
        }
        (verb, None) => {
            verb.split(',').any(|one| one == method) && exact(&parts(rest), &segments(resource))
        }
        _ => false,
    }
}

/// Whether a forbid on this pattern covers the request: wider, since another view of it may be looser.
fn forbids(pattern: &str, resource: &Resource<'_>) -> bool {
    let method = resource.method().as_str();
    let (verb, rest) = pattern.split_once(' ').unwrap_or((pattern, ""));
    match verb {
        "any" => true,
        "connect" => false,
        "grpc" => grpc(rest, resource),
        "websocket" => resource.upgrade().is_some() && loose(rest, resource),
        verb if verb.starts_with("upgrade:") => {
            resource.upgrade().is_some() && loose(rest, resource)
        }
        verb => {
            let named = |wanted: &str| verb.split(',').any(|one| one == wanted);
            let covered = named(method) || method == "?" || (method == "HEAD" && named("GET"));
            covered && loose(rest, resource)
        }
    }
}

fn grpc(pattern: &str, resource: &Resource<'_>) -> bool {
    match (pattern.split_once('/'), segments(resource).as_slice()) {
        (Some((service, "*")), [one, two]) => one == service && !two.is_empty(),
        (Some((service, method)), [one, two]) => one == service && two == method,
        _ => false,
    }
}

fn exact(parts: &[String], path: &[String]) -> bool {
    match (parts, path) {
        ([], []) => true,
        ([part, ..], [first, ..]) if part.starts_with("{*") => !first.is_empty(),
        ([part, parts @ ..], [first, path @ ..]) => {
            let kind = part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'))
                .map(|part| part.split_once(':').map_or("", |(_, kind)| kind));
            let fits = match kind {
                None => part == first,
                Some("int") => is_int(first),
                Some("uuid") => is_uuid(first),
                Some(_) => !first.is_empty(),
            };
            fits && exact(parts, path)
        }
        _ => false,
    }
}

/// Without regard to slashes at the end and to what parameters look like.
fn loose(template: &str, resource: &Resource<'_>) -> bool {
    let mut parts: Vec<_> = parts(template)
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    for part in &mut parts {
        if part.starts_with('{') && !part.starts_with("{*") {
            *part = "{any}".to_owned();
        }
    }
    let path: Vec<_> = segments(resource)
        .into_iter()
        .filter(|segment| !segment.is_empty())
        .collect();
    exact(&parts, &path)
}

fn is_int(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit())
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').collect();
    let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups
            .iter()
            .all(|group| group.chars().all(|digit| digit.is_ascii_hexdigit()))
}
