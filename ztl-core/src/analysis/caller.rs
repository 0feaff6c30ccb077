//! The callers that rules tell apart.

use std::borrow::Cow;
use std::collections::HashSet;

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

/// A segment that occurs nowhere.
fn fresh(policies: &[&Policy], patterns: &[IdPattern]) -> Option<String> {
    let patterns = patterns.iter().map(|one| Cow::Owned(one.to_string()));
    let ids = policies.iter().flat_map(|policy| policy.workloads().iter());
    let ids = ids.map(|workload| Cow::Borrowed(workload.id().as_str()));
    free("x", patterns.chain(ids))
}

/// The prefix and a number that occur in none of the texts; there are more of these than documents have names. It takes a look at
/// each text alone.
pub(super) fn free<'t>(prefix: &str, texts: impl Iterator<Item = Cow<'t, str>>) -> Option<String> {
    let mut taken = HashSet::new();
    texts.for_each(|text| numbers(prefix, &text, &mut taken));
    let first = (0..=u32::MAX).find(|number| !taken.contains(number))?;
    Some(format!("{prefix}{first}"))
}

/// Takes in the numbers for which the text has the prefix and the number behind it.
fn numbers(prefix: &str, text: &str, taken: &mut HashSet<u32>) {
    for (at, _) in text.match_indices(prefix) {
        let digits = text.get(at + prefix.len()..).unwrap_or_default().bytes();
        let mut number = Some(0_u32);
        for (before, digit) in digits.take_while(u8::is_ascii_digit).enumerate() {
            // No number is written with a 0 before it.
            if before > 0 && number == Some(0) {
                break;
            }
            number = number
                .and_then(|number| number.checked_mul(10)?.checked_add(u32::from(digit - b'0')));
            let Some(number) = number else { break };
            taken.insert(number);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fresh_is_in_no_name() {
        for (text, wanted) in [
            ("", "x0"),
            ("x", "x0"),
            ("x0", "x1"),
            ("x00x01x1", "x2"),
            ("ax0/bx12x2", "x3"),
            ("x10x0x2", "x3"),
            ("xx0x1x99999999999999999999x2", "x3"),
        ] {
            let id = SpiffeId::parse(&format!("spiffe://td/{text}z")).expect("id");
            let policy = Policy::from_toml("schema = 1\ntrust_domain = 'td'\n").expect("policy");
            let fresh = fresh(&[&policy], &[IdPattern::Exact(id)]);
            assert_eq!(fresh.as_deref(), Some(wanted), "{text}");
        }
    }

    /// In time that grows with the names alone: were each number looked for in every name, this would take minutes.
    #[test]
    fn so_it_is_beside_many_names() {
        let mut text = "schema = 1\ntrust_domain = 'td'\n".to_owned();
        for at in 0..30_000 {
            text.push_str(&format!("[workloads.w{at}]\nid = 'spiffe://td/x{at}'\n"));
        }
        let policy = Policy::from_toml(&text).expect("policy");
        assert_eq!(fresh(&[&policy], &[]).as_deref(), Some("x30000"));
    }
}
