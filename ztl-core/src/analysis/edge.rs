//! One caller at one port of one target: the enforced rules that speak there, each with what else it asks.

use std::collections::HashSet;

use serde_json::Value;

use crate::action::Action;
use crate::authorizer::Reads;
use crate::id::SpiffeId;
use crate::policy::{
    ActionPattern, Caller, Effect, Mfa, Mode, Place, Policy, Require, Requirement, Rule, RuleDecl,
    RuleIdx, TokenRequire, Workload, WorkloadIdx,
};
use crate::zone::Arrival;

/// A caller as one policy sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen<'a> {
    /// In the primary trust domain; none for a caller that proves nothing.
    pub(crate) id: Option<SpiffeId>,
    pub(crate) workload: Option<(WorkloadIdx, &'a Workload)>,
}

impl<'a> Seen<'a> {
    /// None for an id that fits in no primary trust domain, which nothing lets in.
    pub(crate) fn of(policy: &'a Policy, shown: Option<&SpiffeId>) -> Option<Self> {
        let Some(shown) = shown else {
            return Some(Self {
                id: None,
                workload: None,
            });
        };
        let id = policy.primary_id(shown)?.into_owned();
        let workload = policy.workload_with_id(&id);
        Some(Self {
            id: Some(id),
            workload,
        })
    }

    pub(crate) fn from(&self, arrival: Arrival) -> Caller<'_> {
        Caller {
            id: self.id.as_ref(),
            workload: self.workload,
            place: Place::Arrival(arrival),
        }
    }
}

/// What is asked of a policy: may this caller, from there, reach this port, and what may it do there.
#[derive(Clone, Copy)]
pub(crate) struct Question<'q, 'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) target: &'a Workload,
    pub(crate) port: u16,
    pub(crate) caller: &'q Seen<'a>,
    pub(crate) arrival: Arrival,
    /// Rules that are taken as absent.
    pub(crate) without: &'q HashSet<RuleIdx>,
}

/// The rules that speak, where the flow is permitted.
#[derive(Debug, Default)]
pub(crate) struct Edge<'a> {
    pub(crate) forbids: Vec<Veto<'a>>,
    pub(crate) permits: Vec<Grant<'a>>,
}

/// A forbid that is narrowed to actions, by a condition, or both.
#[derive(Clone, Debug)]
pub(crate) struct Veto<'a> {
    pub(crate) rule: RuleIdx,
    /// None: every action.
    pub(crate) pattern: Option<&'a ActionPattern>,
    pub(crate) when: Option<When<'a>>,
}

/// A condition, and what it reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct When<'a> {
    pub(crate) text: &'a str,
    pub(crate) reads: Reads,
}

/// One action pattern of a permit, and what the permit requires.
#[derive(Clone, Debug)]
pub(crate) struct Grant<'a> {
    pub(crate) rule: RuleIdx,
    pub(crate) pattern: &'a ActionPattern,
    pub(crate) need: Need<'a>,
}

/// What a permit requires beside caller, place and action. That its zone is trusted enough is known here already.
#[derive(Clone, Debug)]
pub(crate) struct Need<'a> {
    pub(crate) decl: &'a Require,
    /// What the decision itself asks, without conditions and authorizers.
    pub(crate) native: Vec<&'a Requirement>,
    pub(crate) when: Option<When<'a>>,
    pub(crate) authorizers: Vec<&'a str>,
    pub(crate) reads: Reads,
    pub(crate) issuer: Option<&'a str>,
}

impl<'a> Question<'_, 'a> {
    /// The edge; none where the flow is denied.
    pub(crate) fn edge(&self) -> Option<Edge<'a>> {
        self.edge_counting(true)
    }

    /// The same; where `trust` is not counted, also what the caller's zone is not trusted enough for.
    pub(crate) fn edge_counting(&self, trust: bool) -> Option<Edge<'a>> {
        let counted = trust;
        if self.caller.id.is_none() && !self.target.public_ports().contains(&self.port) {
            return None;
        }
        let caller = self.caller.from(self.arrival);
        let zone = caller.place.zone(self.policy.zones());
        let bound = self.caller.workload.and_then(|(_, workload)| workload.zone);
        if (zone.is_none() && (bound.is_some() || self.target.zone.is_some()))
            || bound.is_some_and(|bound| zone != Some(bound))
        {
            return None;
        }
        let speaking = |effect| self.speaking(&caller, effect);
        let permits: Vec<_> = speaking(Effect::Permit).collect();
        if permits.is_empty() || speaking(Effect::Forbid).any(|(_, rule, _)| rule.forbids_flow()) {
            return None;
        }
        let trust = zone
            .and_then(|zone| self.policy.zones().get(zone))
            .map(crate::zone::Zone::trust);
        let mut edge = Edge::default();
        for (index, rule, decl) in speaking(Effect::Forbid) {
            let when = decl.when.as_ref().zip(rule.when.as_ref());
            let when = when.map(|(text, condition)| When {
                text: &text.value,
                reads: condition.reads(),
            });
            let veto = |pattern| Veto {
                rule: index,
                pattern,
                when,
            };
            if rule.actions.is_empty() {
                edge.forbids.push(veto(None));
            }
            edge.forbids
                .extend(rule.actions.iter().map(|pattern| veto(Some(pattern))));
        }
        for (index, rule, decl) in permits {
            let trusted = |one: &Requirement| match one {
                Requirement::ZoneTrust(least) => trust.is_some_and(|trust| trust >= *least),
                _ => true,
            };
            if counted && !rule.require.iter().all(trusted) {
                continue;
            }
            let need = Need::of(self.policy, rule, decl);
            edge.permits
                .extend(rule.actions.iter().map(|pattern| Grant {
                    rule: index,
                    pattern,
                    need: need.clone(),
                }));
        }
        Some(edge)
    }

    fn speaking<'s>(
        &'s self,
        caller: &'s Caller<'s>,
        effect: Effect,
    ) -> impl Iterator<Item = (RuleIdx, &'a Rule, &'a RuleDecl)> + 's {
        let policy = self.policy;
        let target: &'a Workload = self.target;
        target
            .rules()
            .filter(|entry| entry.covers_port(self.port) && !self.without.contains(&entry.rule))
            .filter_map(move |entry| {
                let decl = policy
                    .document()
                    .rules
                    .get(usize::try_from(entry.rule.0).ok()?)?;
                Some((entry.rule, policy.rule(entry.rule)?, decl))
            })
            .filter(move |(_, rule, _)| rule.mode == Mode::Enforce && rule.effect == effect)
            .filter(move |(_, rule, _)| {
                rule.from.iter().any(|who| {
                    who.speaks_of(caller, effect, policy.zones())
                        .counts_for(effect)
                })
            })
    }
}

impl<'a> Need<'a> {
    pub(crate) fn of(policy: &'a Policy, rule: &'a Rule, decl: &'a RuleDecl) -> Self {
        // A key that is not looked at here would be taken for one that asks nothing.
        let Require {
            trust_score: _,
            zone_trust: _,
            token,
            mfa: _,
            headers: _,
            when: text,
            authorizer,
        } = &decl.require;
        let mut need = Self {
            decl: &decl.require,
            native: Vec::new(),
            when: None,
            authorizers: authorizer.iter().map(|name| &*name.value).collect(),
            reads: Reads::nothing(),
            issuer: None,
        };
        for requirement in &rule.require {
            let reads = match requirement {
                Requirement::When(condition) => {
                    let reads = condition.reads();
                    need.when = text.as_ref().map(|text| When {
                        text: &text.value,
                        reads,
                    });
                    reads
                }
                Requirement::Authorizer(authorizer) => authorizer.reads(),
                Requirement::ZoneTrust(_) => continue,
                Requirement::TrustScore(_)
                | Requirement::Token(_)
                | Requirement::Mfa(_)
                | Requirement::Header { .. } => {
                    need.native.push(requirement);
                    continue;
                }
            };
            need.reads.token |= reads.token;
            need.reads.trust_score |= reads.trust_score;
        }
        need.issuer = token
            .as_ref()
            .and_then(|token| token.value.issuer.as_ref())
            .map(|issuer| {
                let issuers = &policy.document().issuers;
                let declared = issuers.iter().find(|one| one.name.value == issuer.value);
                &**declared.map_or(&issuer.value, |declared| &declared.issuer.value)
            });
        need
    }

    /// The same for two that ask for the same.
    pub(crate) fn key(&self) -> String {
        let Require {
            trust_score,
            zone_trust: _,
            token,
            mfa,
            headers,
            when,
            authorizer,
        } = self.decl;
        let token = token.as_ref().map(|token| {
            let TokenRequire {
                issuer: _,
                audience,
                scopes,
                claims,
            } = &token.value;
            (self.issuer, audience, scopes, claims)
        });
        let headers: Vec<_> = headers
            .iter()
            .map(|header| (&header.name.value, &header.values))
            .collect();
        let authorizers: Vec<_> = authorizer.iter().map(|name| &name.value).collect();
        // Texts are shown quoted and escaped, so that none can pass for another.
        format!(
            "{:?}",
            (
                trust_score.map(|least| least.value),
                token,
                mfa.map(|mfa| mfa.value),
                headers,
                when.as_ref().map(|when| &when.value),
                authorizers
            )
        )
    }

    /// The same with what is asked of the caller's zone.
    pub(crate) fn all_texts(&self) -> Vec<String> {
        let trust = self.decl.zone_trust;
        let trust = trust.map(|least| format!("zone_trust >= {}", least.value));
        trust.into_iter().chain(self.texts()).collect()
    }

    /// What it asks for, one text for each, as a person reads it.
    pub(crate) fn texts(&self) -> Vec<String> {
        let Require {
            trust_score,
            zone_trust: _,
            token,
            mfa,
            headers,
            when,
            authorizer,
        } = self.decl;
        let mut texts = Vec::new();
        texts.extend(trust_score.map(|least| format!("trust_score >= {}", least.value)));
        texts.extend(token.as_ref().map(|token| self.token_text(&token.value)));
        texts.extend(mfa.map(|mfa| match mfa.value {
            Mfa::Any => "mfa".to_owned(),
            Mfa::PhishingResistant => "phishing-resistant mfa".to_owned(),
        }));
        texts.extend(headers.iter().map(|header| {
            let values: Vec<_> = header
                .values
                .iter()
                .map(|value| value.escape_debug())
                .collect();
            let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
            format!("header {} of {}", header.name.value, values.join(", "))
        }));
        texts.extend(
            when.as_ref()
                .map(|when| format!("when {}", when.value.escape_debug())),
        );
        texts.extend(
            authorizer
                .iter()
                .map(|name| format!("no objection by {}", name.value)),
        );
        texts
    }

    fn token_text(&self, token: &TokenRequire) -> String {
        let TokenRequire {
            issuer: _,
            audience,
            scopes,
            claims,
        } = token;
        let mut text = "token".to_owned();
        if let Some(issuer) = self.issuer {
            text.push_str(&format!(" from {}", issuer.escape_debug()));
        }
        let mut parts = Vec::new();
        parts.extend(
            audience
                .as_ref()
                .map(|audience| format!("audience {}", audience.escape_debug())),
        );
        parts.extend(
            scopes
                .iter()
                .map(|scope| format!("scope {}", scope.escape_debug())),
        );
        let claim = |(name, value): &(std::sync::Arc<str>, Value)| {
            format!("claim {} = {value}", name.escape_debug())
        };
        parts.extend(claims.iter().map(claim));
        if !parts.is_empty() {
            text.push_str(" with ");
            text.push_str(&parts.join(", "));
        }
        text
    }
}

impl Veto<'_> {
    /// Whether it covers the action in some view.
    pub(crate) fn covers(&self, action: &Action<'_>) -> bool {
        self.pattern.is_none_or(|pattern| pattern.forbids(action))
    }

    /// The condition that has to be false for the action to pass; none where it is forbidden whatever the facts are.
    pub(crate) fn condition(&self, action: &Action<'_>) -> Option<Variable> {
        let when = self.when?;
        // On a raw stream, and where a parameter cannot be told, a conditional forbid fires.
        let path = action.resource()?.path();
        let template = self.pattern.and_then(ActionPattern::template);
        if template.is_some_and(|template| !template.matches(path)) {
            return None;
        }
        Some(Variable::when(when.text, self.pattern))
    }
}

impl Grant<'_> {
    /// The conditions and authorizers that have to agree.
    pub(crate) fn variables(&self) -> Vec<Variable> {
        let when = self
            .need
            .when
            .map(|when| Variable::when(when.text, Some(self.pattern)));
        let template = template_text(Some(self.pattern));
        let authorizers = self.need.authorizers.iter();
        let named = authorizers.map(|name| Variable(format!("authorizer {name}\n{template}")));
        when.into_iter().chain(named).collect()
    }
}

/// Something of which nothing is known but that the same text, asked with the same parameters, has the same answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Variable(String);

impl Variable {
    fn when(text: &str, pattern: Option<&ActionPattern>) -> Self {
        Self(format!("when {text}\n{}", template_text(pattern)))
    }
}

/// What names the parameters.
fn template_text(pattern: Option<&ActionPattern>) -> String {
    let template = pattern.and_then(ActionPattern::template);
    template.map(ToString::to_string).unwrap_or_default()
}
