//! The callers that rules tell apart.

use std::sync::Arc;

use crate::id::{IdPattern, SpiffeId};
use crate::policy::{Policy, Who};

/// An undeclared id for every pattern, one of each home domain, and one of a trust domain that nothing names: the exact id, or
/// one below that nothing names. None where an id is too long for another below it.
///
/// Patterns by `/**` lie in each other or apart, so that one fresh id below each stands for all that it alone holds.
pub(crate) fn undeclared(policies: &[&Policy], asserted: &[IdPattern]) -> Option<Vec<SpiffeId>> {
    let mut patterns: Vec<IdPattern> = asserted.to_vec();
    for policy in policies {
        let whos = policy.rules().flat_map(|rule| rule.from.iter());
        patterns.extend(whos.filter_map(|who| match who {
            Who::Id(pattern) => Some(pattern.clone()),
            _ => None,
        }));
        patterns.push(IdPattern::TrustDomain(policy.trust_domain().clone()));
    }
    patterns.sort();
    patterns.dedup();
    let fresh = fresh(policies, &patterns)?;
    let mut ids = vec![SpiffeId::parse(&format!("spiffe://{fresh}.invalid/{fresh}")).ok()?];
    for pattern in &patterns {
        let id = match pattern {
            IdPattern::Exact(id) => id.clone(),
            IdPattern::Below(id) => SpiffeId::parse(&format!("{id}/{fresh}")).ok()?,
            IdPattern::TrustDomain(domain) => {
                SpiffeId::parse(&format!("spiffe://{domain}/{fresh}")).ok()?
            }
        };
        let declared = |policy: &&Policy| policy.workload_with_id(&id).is_some();
        if !policies.iter().all(declared) {
            ids.push(id);
        }
    }
    ids.sort();
    ids.dedup();
    Some(ids)
}

/// A segment that occurs nowhere; there are more of these than documents have names.
fn fresh(policies: &[&Policy], patterns: &[IdPattern]) -> Option<Arc<str>> {
    let mut texts: Vec<String> = patterns.iter().map(ToString::to_string).collect();
    for policy in policies {
        let ids = policy.workloads().iter().map(|workload| workload.id());
        texts.extend(ids.map(ToString::to_string));
    }
    (0..=u32::MAX)
        .map(|at| format!("x{at}"))
        .find(|text| !texts.iter().any(|named| named.contains(text.as_str())))
        .map(Arc::from)
}

/// Every caller that one of the policies tells apart from the others, as it shows itself; `None` for one that proves nothing.
/// None at all where one cannot be made up, for an id is too long.
pub(crate) fn callers(policies: &[&Policy]) -> Option<Vec<Option<SpiffeId>>> {
    let mut ids = undeclared(policies, &[])?;
    for policy in policies {
        ids.extend(
            policy
                .workloads()
                .iter()
                .map(|workload| workload.id().clone()),
        );
    }
    let domains = |policy: &Policy| {
        let aliases = policy
            .document()
            .aliases
            .iter()
            .map(|alias| alias.value.clone());
        let mut domains: Vec<_> = aliases.chain([policy.trust_domain().clone()]).collect();
        domains.sort();
        domains
    };
    let named: Vec<_> = policies
        .iter()
        .map(|policy| (policy.trust_domain(), domains(policy)))
        .collect();
    // Where all agree on what is an alias of what, an id in an alias is the id.
    if named.windows(2).any(|pair| pair.first() != pair.last()) {
        let mut all: Vec<_> = named.into_iter().flat_map(|(_, domains)| domains).collect();
        all.sort();
        all.dedup();
        let mut more = Vec::new();
        for id in &ids {
            if all
                .iter()
                .any(|domain| domain.as_str() == id.trust_domain_name())
            {
                for domain in &all {
                    more.push(id.with_trust_domain(domain).ok()?);
                }
            }
        }
        ids.extend(more);
    }
    ids.sort();
    ids.dedup();
    Some(ids.into_iter().map(Some).chain([None]).collect())
}
