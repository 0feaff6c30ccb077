//! Evidence made up so that it meets what one permit requires, and as little else as can be.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::authorizer::Reads;
use crate::evidence::{Claims, Evidence, TrustScore};
use crate::headers::Headers;
use crate::obligation::Obligations;
use crate::policy::{Along, Given, Mfa, Policy, Require, TokenRequire};
use crate::time::Timestamp;

use super::caller::free;
use super::edge::Need;

/// When what is made up is asked: nothing of it expires.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

/// A value that no token requirement of the policies asks for.
pub(crate) fn beside(policies: &[&Policy]) -> String {
    let mut asked: Vec<String> = Vec::new();
    for policy in policies {
        let rules = policy.document().rules.iter();
        for token in rules.filter_map(|rule| rule.require.token.as_ref()) {
            let TokenRequire {
                issuer: _,
                audience,
                scopes,
                claims,
            } = &token.value;
            let texts = audience.iter().chain(scopes).map(ToString::to_string);
            asked.extend(texts.chain(claims.iter().map(|(_, value)| value.to_string())));
        }
    }
    free("other-", asked.into_iter().map(Cow::Owned)).unwrap_or_default()
}

/// Made-up evidence.
#[derive(Clone, Debug, Default)]
pub(crate) struct MadeUp {
    claims: Option<Claims>,
    score: Option<u8>,
    /// Posture and context are there, and say nothing that could be made up.
    posture: bool,
    context: bool,
    headers: Fields,
}

#[derive(Clone, Debug, Default)]
struct Fields(BTreeMap<Arc<str>, Vec<Arc<str>>>);

impl Headers for Fields {
    fn for_each(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for value in self.0.get(name).into_iter().flatten() {
            each(value.as_bytes());
        }
    }
}

impl MadeUp {
    /// Evidence that meets the need, and from which `more` can be read. Whatever other evidence meets it, meets every other
    /// requirement that one of these meets.
    ///
    /// A field has all the values that it may have, for then it meets only requirements that allow as many. Lists and texts
    /// of a token come with and without `beside`, which no document asks for, so that one of them meets no requirement of an
    /// exact value by chance.
    pub(crate) fn meeting(need: &Need<'_>, more: Reads, beside: &str) -> Vec<Self> {
        let Require {
            trust_score,
            zone_trust: _,
            token,
            mfa,
            headers,
            when: _,
            authorizer: _,
        } = need.decl;
        let mut base = Self::default();
        let reads_score = need.reads.trust_score || more.trust_score;
        base.score = trust_score
            .map(|least| least.value)
            .or(reads_score.then_some(0));
        base.posture = need.reads.posture || more.posture;
        base.context = need.reads.context || more.context;
        for header in headers {
            let name = Arc::clone(&header.name.value);
            base.headers.0.insert(name, header.values.clone());
        }
        if token.is_none() && mfa.is_none() && !need.reads.token && !more.token {
            return vec![base];
        }
        let none = TokenRequire::default();
        let token = token.as_ref().map_or(&none, |token| &token.value);
        let mfa = mfa.map(|mfa| mfa.value);
        let mut all = Vec::new();
        for beside in [None, Some(beside)] {
            for login in logins(mfa, beside) {
                let mut claims = token_claims(token, need.issuer, beside);
                if let Some((name, value)) = login {
                    claims.entry(name).or_insert(value);
                }
                all.push(Self {
                    claims: Some(verified(claims)),
                    ..base.clone()
                });
            }
        }
        all
    }

    /// Whether what a decision itself asks is met, and what conditions read is there.
    pub(crate) fn meets(&self, need: &Need<'_>, policy: &Policy) -> bool {
        let mut evidence = Evidence::none().with_headers(&self.headers);
        evidence.claims = self.claims.as_ref();
        evidence.trust_score = self
            .score
            .and_then(|score| TrustScore::new(score, Timestamp::EPOCH, Timestamp::MAX));
        let along = Along::new(policy, &evidence, Timestamp::EPOCH);
        let given = Given {
            evidence: &evidence,
            along: &along,
            zone_trust: None,
            facts: &|_| {},
            obligations: &Obligations::none(),
            now: Timestamp::EPOCH,
        };
        self.has(need.reads)
            && need
                .native
                .iter()
                .all(|requirement| requirement.check(&given).is_ok())
    }

    /// Whether there is what a condition reads.
    pub(crate) const fn has(&self, reads: Reads) -> bool {
        (!reads.token || self.claims.is_some())
            && (!reads.trust_score || self.score.is_some())
            && (!reads.posture || self.posture)
            && (!reads.context || self.context)
    }

    /// Writes it into a decide request.
    pub(crate) fn write(&self, request: &mut Map<String, Value>) {
        if let Some(claims) = &self.claims {
            request.insert("claims".to_owned(), claims.as_map().clone().into());
        }
        if let Some(score) = self.score {
            request.insert("trust_score".to_owned(), score.into());
        }
        for (name, there) in [("posture", self.posture), ("context", self.context)] {
            if there {
                request.insert(name.to_owned(), Value::Object(Map::new()));
            }
        }
        if self.headers.0.is_empty() {
            return;
        }
        let headers = request
            .entry("headers")
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(headers) = headers {
            for (name, values) in &self.headers.0 {
                let values: Vec<Value> = values.iter().map(|value| Value::from(&**value)).collect();
                headers.insert(name.to_string(), values.into());
            }
        }
    }
}

/// The ways to have logged in strongly enough: a claim and its value.
fn logins(mfa: Option<Mfa>, beside: Option<&str>) -> Vec<Option<(&'static str, Value)>> {
    let resistant = ["phr", "phrh"].map(|acr| Some(("acr", Value::from(acr))));
    match mfa {
        None => vec![None],
        Some(Mfa::PhishingResistant) => resistant.to_vec(),
        Some(Mfa::Any) => {
            let list: Vec<_> = core::iter::once("mfa").chain(beside).collect();
            let list = Some(("amr", json!(list)));
            core::iter::once(list).chain(resistant).collect()
        }
    }
}

fn token_claims(
    token: &TokenRequire,
    issuer: Option<&str>,
    beside: Option<&str>,
) -> Map<String, Value> {
    let TokenRequire {
        issuer: _,
        audience,
        scopes,
        claims: wanted,
    } = token;
    let mut claims: Map<String, Value> = wanted
        .iter()
        .map(|(name, value)| (name.to_string(), value.clone()))
        .collect();
    if let Some(issuer) = issuer {
        claims.entry("iss").or_insert_with(|| issuer.into());
    }
    if let Some(audience) = audience.as_deref() {
        match claims.get_mut("aud") {
            None => {
                claims.insert("aud".to_owned(), audience.into());
            }
            Some(Value::String(other)) if other != audience => {
                let mut both = vec![Value::from(other.as_str()), audience.into()];
                both.extend(beside.map(Value::from));
                claims.insert("aud".to_owned(), both.into());
            }
            Some(_) => {}
        }
    }
    if !scopes.is_empty() {
        let all: Vec<&str> = scopes.iter().map(|scope| &**scope).chain(beside).collect();
        if claims.contains_key("scope") {
            claims
                .entry("scp")
                .or_insert_with(|| all.into_iter().map(Value::from).collect());
        } else {
            claims.insert("scope".to_owned(), all.join(" ").into());
        }
    }
    claims
}

#[expect(
    clippy::disallowed_methods,
    reason = "nobody is let in by these claims: they foresee a decision"
)]
fn verified(claims: Map<String, Value>) -> Claims {
    Claims::assertion(claims, Timestamp::MAX, "made up to foresee a decision")
}
