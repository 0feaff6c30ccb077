//! Whom the permits of a document speak of, on one side: asked once for each workload, whatever the number of rules.

use std::collections::HashSet;

use ztl_core::policy::{Effect, Mode, Policy, Principal, RuleDecl, Target, WorkloadDecl};
use ztl_core::{IdPattern, SpiffeId, TrustDomain};

/// The workloads that some enforced permit names on one side.
#[derive(Debug, Default)]
pub(super) struct Spoken<'a> {
    names: HashSet<&'a str>,
    exact: HashSet<SpiffeId>,
    below: HashSet<SpiffeId>,
    domains: HashSet<&'a str>,
    labels: HashSet<(&'a str, &'a str)>,
    zones: HashSet<&'a str>,
    any: bool,
}

impl<'a> Spoken<'a> {
    /// Of the callers.
    pub(super) fn from(policy: &'a Policy) -> Self {
        let mut spoken = Self::default();
        for from in permits(policy).flat_map(|rule| &rule.from) {
            match &from.value {
                Principal::Workload(name) => spoken.name(name),
                Principal::Id(pattern) => spoken.pattern(pattern, policy),
                Principal::Label { key, value } => spoken.label(key, value),
                Principal::Zone(name) => spoken.zone(name),
                Principal::Public => {}
                // What is not known here cannot be a reason to complain.
                _ => spoken.any = true,
            }
        }
        spoken
    }

    /// Of the targets.
    pub(super) fn to(policy: &'a Policy) -> Self {
        let mut spoken = Self::default();
        for to in permits(policy).flat_map(|rule| &rule.to) {
            match &to.value {
                Target::Workload(name) => spoken.name(name),
                Target::Id(pattern) => spoken.pattern(pattern, policy),
                Target::Label { key, value } => spoken.label(key, value),
                Target::Zone(name) => spoken.zone(name),
                Target::External(_) => {}
                _ => spoken.any = true,
            }
        }
        spoken
    }

    /// Whether some permit speaks of the workload; `id` is its id in the primary trust domain.
    pub(super) fn of(&self, decl: &WorkloadDecl, id: &SpiffeId) -> bool {
        let zone = decl
            .zone
            .as_ref()
            .is_some_and(|zone| self.zones.contains(&*zone.value));
        self.any
            || zone
            || self.names.contains(&*decl.name.value)
            || self.exact.contains(id)
            || self.domains.contains(id.trust_domain_name())
            || decl
                .labels
                .iter()
                .any(|(key, value)| self.labels.contains(&(&**key, &**value)))
            || self.is_below(id)
    }

    fn is_below(&self, id: &SpiffeId) -> bool {
        let mut text = id.as_str();
        while let Some((above, _)) = text.rsplit_once('/') {
            if SpiffeId::parse(above).is_ok_and(|above| self.below.contains(&above)) {
                return true;
            }
            text = above;
        }
        false
    }

    fn name(&mut self, name: &'a str) {
        self.names.insert(name);
    }

    fn zone(&mut self, name: &'a str) {
        self.zones.insert(name);
    }

    fn label(&mut self, key: &'a str, value: &'a str) {
        self.labels.insert((key, value));
    }

    fn pattern(&mut self, pattern: &'a IdPattern, policy: &'a Policy) {
        match pattern {
            IdPattern::Exact(id) => self.exact.extend(primary(id, policy)),
            IdPattern::Below(id) => self.below.extend(primary(id, policy)),
            IdPattern::TrustDomain(domain) => {
                let primary = if is_alias(domain.as_str(), policy) {
                    policy.trust_domain()
                } else {
                    domain
                };
                self.domains.insert(TrustDomain::as_str(primary));
            }
            _ => self.any = true,
        }
    }
}

/// The permits that count.
fn permits(policy: &Policy) -> impl Iterator<Item = &RuleDecl> {
    let rules = &policy.document().rules;
    rules
        .iter()
        .filter(|rule| rule.effect == Effect::Permit && rule.mode == Mode::Enforce)
}

/// The id in the primary trust domain (rule 28).
fn primary(id: &SpiffeId, policy: &Policy) -> Option<SpiffeId> {
    if is_alias(id.trust_domain_name(), policy) {
        id.with_trust_domain(policy.trust_domain()).ok()
    } else {
        Some(id.clone())
    }
}

fn is_alias(domain: &str, policy: &Policy) -> bool {
    policy
        .document()
        .aliases
        .iter()
        .any(|alias| alias.value.as_str() == domain)
}
