//! What a permit requires: whether two require the same, and how a person reads it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::among::Among;
use super::edge::{Need, When};
use crate::authorizer::Reads;
use crate::policy::{
    Mfa, Oblige, Policy, Require, Requirement, Rule, RuleDecl, Spanned, Subject, TokenRequire,
};

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
            rule: decl,
            policy,
            subject: &[],
            actors: &[],
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
                Requirement::Authorizer(_, authorizer) => authorizer.reads(),
                Requirement::ZoneTrust(_) => continue,
                // Whom they name is compared, and not made up.
                Requirement::Subject(named) => {
                    need.subject = named;
                    continue;
                }
                Requirement::Actors(named) => {
                    need.actors = named;
                    Reads::nothing().with_token()
                }
                Requirement::TrustScore(_)
                | Requirement::Token(_)
                | Requirement::Mfa(_)
                | Requirement::Header { .. } => {
                    need.native.push(requirement);
                    continue;
                }
            };
            need.reads = need.reads.and(reads);
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

    /// Whether no evidence is asked for; obligations are none.
    pub(crate) fn asks_nothing(&self) -> bool {
        self.native.is_empty()
            && self.when.is_none()
            && self.authorizers.is_empty()
            && self.rule.subject.is_empty()
            && self.rule.actors.is_empty()
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
                authorizers,
                Among::named(self.policy, self.subject),
                Among::named(self.policy, self.actors),
                obligation_key(&self.rule.oblige),
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
        let named = authorizer.iter();
        texts.extend(named.map(|name| format!("no objection by {}", name.value)));
        for (word, list) in [
            ("subject", &self.rule.subject),
            ("actors", &self.rule.actors),
        ] {
            if !list.is_empty() {
                let names: Vec<_> = names(list).into_iter().collect();
                texts.push(format!("{word} of {}", names.join(", ").escape_debug()));
            }
        }
        let oblige = obligations(&self.rule.oblige);
        texts.extend(oblige.map(|text| text.escape_debug().to_string()));
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

/// As a document writes them, for a person.
fn names(list: &[Spanned<Subject>]) -> BTreeSet<String> {
    let text = |one: &Spanned<Subject>| match &one.value {
        Subject::Workload(name) => name.to_string(),
        Subject::Id(pattern) => pattern.to_string(),
        Subject::Label { key, value } => format!("label:{key}={value}"),
        Subject::Issuer(issuer) => format!("issuer:{issuer}"),
        Subject::User { issuer, subject } => format!("user:{issuer}/{subject}"),
        Subject::Any => "any".to_owned(),
    };
    list.iter().map(text).collect()
}

/// Obligations count as something more that is asked: a permit without them is the looser one. For a comparison, as above.
pub(crate) fn obligation_key(oblige: &Oblige) -> Option<String> {
    let Oblige {
        limit,
        schema,
        max_body,
        log,
        made_from,
    } = oblige;
    let key = (
        limit.as_ref().map(|limit| &limit.value),
        schema.as_ref().map(|schema| &schema.value),
        max_body.map(|most| most.value),
        log,
        made_from,
    );
    (key != (None, None, None, &None, &None)).then(|| format!("{key:?}"))
}

/// The same for a person.
pub(crate) fn obligations(oblige: &Oblige) -> Option<String> {
    let Oblige {
        limit,
        schema,
        max_body,
        log,
        made_from,
    } = oblige;
    let mut parts = Vec::new();
    parts.extend(limit.as_ref().map(|limit| format!("limit {}", limit.value)));
    parts.extend(
        schema
            .as_ref()
            .map(|schema| format!("schema {}", schema.value)),
    );
    parts.extend(made_from.map(|digest| {
        let digits = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
        format!("made from {}", digits.collect::<String>())
    }));
    parts.extend(max_body.map(|most| format!("max_body {}", most.value)));
    parts.extend(
        log.as_ref()
            .map(|fields| format!("log {}", fields.join(", "))),
    );
    (!parts.is_empty()).then(|| format!("obliged to {}", parts.join(" and ")))
}
