//! What a rule requires beside identity and route.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::action::Action;
use crate::authorizer::{Authorizer, Facts, Opinion, Reads};
use crate::decision::Lack;
use crate::evidence::{Attributes, Claims, OBSERVATION_SKEW, TrustScore};
use crate::obligation::Obligations;
use crate::policy::document::{Mfa, RuleDecl, TokenRequire};
use crate::reason::Reason;

use super::{Asked, Ends};

impl Asked<'_> {
    /// What `[permit.require]` asks for, in its order (§7.3, §7.5–11). Where all of it holds, what is obliged to (§11).
    pub(super) fn require(
        &self,
        ends: &Ends<'_>,
        rule: &RuleDecl,
        action: &Action<'_>,
        params: &[(Arc<str>, String)],
    ) -> Result<Obligations, (Reason, Lack)> {
        let require = &rule.require;
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
            && !self.condition(ends, rule, &when.value, action, params)?
        {
            return Err((Reason::Objected, Lack::Condition));
        }
        let mut obliged = self.obligations(rule);
        for name in &require.authorizer {
            let failed = (Reason::AuthorizerFailed, Lack::Authorizer);
            let authorizer = self.authorizer(&name.value).ok_or(failed)?;
            self.fresh(authorizer.reads())?;
            let opinion = self.with_facts(ends, rule, action, params, |facts| {
                authorizer.speaks(&authorizer.reads().mask(facts)).opinion
            });
            match opinion.map_err(|_| failed)? {
                Opinion::Objects(_) => return Err((Reason::Objected, Lack::Authorizer)),
                Opinion::Agrees(more) => obliged = self.obliged(&obliged, &more).ok_or(failed)?,
            }
        }
        Ok(obliged)
    }

    /// The authorizer of this name: registered, or built as the document says.
    fn authorizer(&self, name: &str) -> Option<Arc<dyn Authorizer>> {
        if let Some(authorizer) = self.loader.authorizers.get(name) {
            return Some(Arc::clone(authorizer));
        }
        let mut declared = self.document.authorizers.iter();
        let decl = declared.find(|decl| *decl.name.value == *name)?;
        let factory = self.loader.kinds.get(&*decl.kind.value)?;
        factory.build(name, &decl.settings).ok()
    }

    /// §7.11
    pub(super) fn condition(
        &self,
        ends: &Ends<'_>,
        rule: &RuleDecl,
        source: &str,
        action: &Action<'_>,
        params: &[(Arc<str>, String)],
    ) -> Result<bool, (Reason, Lack)> {
        let failed = (Reason::AuthorizerFailed, Lack::Condition);
        let compiler = self.loader.conditions.as_ref().ok_or(failed)?;
        let condition = compiler.compile(source, &rule.setting());
        let condition = condition.map_err(|_| failed)?;
        self.fresh(condition.reads())?;
        self.with_facts(ends, rule, action, params, |facts| {
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
        if reads.posture {
            self.attributes(self.input.evidence.posture)?;
        }
        if reads.context {
            self.attributes(self.input.evidence.context)?;
        }
        Ok(())
    }

    fn attributes(&self, attributes: Option<&Attributes>) -> Result<(), (Reason, Lack)> {
        let missing = (Reason::EvidenceMissing, Lack::Condition);
        let attributes = attributes.ok_or(missing)?;
        if attributes.observed_at() > self.now.saturating_add(OBSERVATION_SKEW) {
            return Err(missing);
        }
        if attributes.expires_at() <= self.now {
            return Err((Reason::EvidenceStale, Lack::Condition));
        }
        Ok(())
    }

    fn with_facts<T>(
        &self,
        ends: &Ends<'_>,
        rule: &RuleDecl,
        action: &Action<'_>,
        params: &[(Arc<str>, String)],
        ask: impl Fn(&Facts<'_>) -> T,
    ) -> T {
        ask(&Facts {
            peer: self.input.flow.peer,
            caller: ends.caller.as_ref(),
            workload: ends.declared.map(|decl| &*decl.name.value),
            labels: ends.declared.map(|decl| &decl.labels),
            zone: ends
                .zones
                .as_ref()
                .and_then(|zones| zones.first())
                .map(|zone| &*zone.name.value),
            target: ends.target.name(),
            action,
            params,
            claims: self.input.evidence.claims,
            trust_score: self.input.evidence.trust_score,
            posture: self.input.evidence.posture,
            context: self.input.evidence.context,
            steps: self.steps(ends, rule),
            now: self.now,
        })
    }

    /// §7.12
    fn steps(&self, ends: &Ends<'_>, of: &RuleDecl) -> u32 {
        let mut asked = 0;
        for rule in &self.document.rules {
            let same = rule.mode == of.mode;
            let is_about = (rule.to.iter()).any(|to| self.is_target(&to.value, rule, ends.target));
            let asks = rule.when.is_some() || rule.require.when.is_some();
            if same && is_about && asks {
                asked += rule.actions.len().max(1);
            }
        }
        let part = 100_000 / asked.max(1);
        u32::try_from(part.max(100)).unwrap_or(u32::MAX)
    }

    /// §7.5
    fn score(&self) -> Result<TrustScore, (Reason, Lack)> {
        let missing = (Reason::EvidenceMissing, Lack::TrustScore);
        let score = self.input.evidence.trust_score.ok_or(missing)?;
        if score.observed_at() > self.now.saturating_add(OBSERVATION_SKEW) {
            return Err(missing);
        }
        if score.expires_at() <= self.now {
            Err((Reason::EvidenceStale, Lack::TrustScore))
        } else {
            Ok(score)
        }
    }

    /// §7.7
    pub(super) fn claims(&self) -> Result<&Claims, (Reason, Lack)> {
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

    /// §7.8
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
        if token
            .claims
            .iter()
            .all(|(name, wanted)| Self::claim(claims.as_map(), name, wanted))
        {
            Ok(())
        } else {
            unmet(Lack::Claim)
        }
    }

    /// §7.8: a table asks for an object, and for each of its own names in turn.
    fn claim(among: &Map<String, Value>, name: &str, wanted: &Value) -> bool {
        let found = among.get(name);
        if let Some(table) = wanted.as_object() {
            let object = found.and_then(Value::as_object);
            return object.is_some_and(|object| {
                let mut names = table.iter();
                names.all(|(name, wanted)| Self::claim(object, name, wanted))
            });
        }
        match found {
            Some(Value::Array(list)) => list.contains(wanted),
            found => found == Some(wanted),
        }
    }
}
