//! Whom rules name among those who come along with a request, as the document means it: two documents are compared by what
//! their names stand for (T10, T12).
//!
//! An id in the trust domain is the same in every alias of it (rule 28), so the one name stands for as many ids as the
//! document has names of its trust domain. Another document may have others.

use std::collections::BTreeSet;

use crate::id::{IdPattern, TrustDomain};
use crate::policy::{Named, Policy, Who};

/// Whom a list names. The same here is the same somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Among {
    /// The names of the trust domain; empty where nobody in it is named.
    homes: BTreeSet<TrustDomain>,
    names: BTreeSet<Name>,
}

/// Texts are shown quoted and escaped, so that none can pass for another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Name {
    /// In the trust domain, under each of its names.
    Home(String),
    /// In another trust domain.
    Abroad(TrustDomain, String),
    /// By something else than an id.
    Other(String),
}

impl Among {
    pub(crate) fn named(policy: &Policy, list: &[Named]) -> Self {
        let names = list.iter().filter_map(|named| match named {
            Named::Identity(who) => name_of(policy, who),
            Named::Issuer(_) | Named::User { .. } | Named::Any => {
                Some(Name::Other(format!("{named:?}")))
            }
        });
        Self::of(policy, names)
    }

    /// The same for the `from` of a forbid, as far as it speaks of somebody who comes along.
    pub(crate) fn from(policy: &Policy, list: &[Who]) -> Self {
        Self::of(policy, list.iter().filter_map(|who| name_of(policy, who)))
    }

    fn of(policy: &Policy, names: impl Iterator<Item = Name>) -> Self {
        let names: BTreeSet<_> = names.collect();
        let mut homes = BTreeSet::new();
        if names.iter().any(|name| matches!(name, Name::Home(_))) {
            homes.insert(policy.trust_domain().clone());
            homes.extend(policy.trust_domain_aliases().cloned());
        }
        Self { homes, names }
    }

    /// Whether all of these are among those.
    pub(crate) fn is_within(&self, wider: &Self) -> bool {
        let has = |name| wider.names.contains(&name);
        self.names.iter().all(|name| match name {
            Name::Home(text) => {
                let at_home = wider.names.contains(name);
                // What is not home there has to be named there, one by one: never more than it names.
                self.homes
                    .iter()
                    .filter(|home| !(at_home && wider.homes.contains(*home)))
                    .all(|home| has(Name::Abroad(home.clone(), text.clone())))
            }
            Name::Abroad(domain, text) => {
                wider.names.contains(name)
                    || (wider.homes.contains(domain) && has(Name::Home(text.clone())))
            }
            Name::Other(_) => wider.names.contains(name),
        })
    }
}

/// None for a place, which nobody has who comes along.
fn name_of(policy: &Policy, who: &Who) -> Option<Name> {
    let pattern = match who {
        Who::Workload(index) => &IdPattern::Exact(policy.workload(*index)?.id().clone()),
        Who::Id(pattern) => pattern,
        // Of a declared workload, whose id may be shown in an alias.
        Who::Label { .. } => return Some(Name::Home(format!("{who:?}"))),
        Who::Zone(_) | Who::Public | Who::Any => return None,
    };
    let (domain, text) = match pattern {
        IdPattern::Exact(id) => (id.trust_domain(), format!("{:?}", ("id", id.path()))),
        IdPattern::Below(id) => (id.trust_domain(), format!("{:?}", ("below", id.path()))),
        IdPattern::TrustDomain(domain) => (domain.clone(), String::new()),
    };
    Some(if domain == *policy.trust_domain() {
        Name::Home(text)
    } else {
        Name::Abroad(domain, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whom the first permit's `subject` names in a document with these aliases.
    fn among(aliases: &str, subject: &str) -> Among {
        let listed = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let subject = listed(subject);
        let aliases = match listed(aliases) {
            none if none.is_empty() => String::new(),
            some => format!("trust_domain_aliases = {some:?}\n"),
        };
        let text = format!(
            "schema = 1\ntrust_domain = 'td'\n{aliases}\
             [workloads.a]\nid = 'spiffe://td/a'\nports = [1]\nlabels = {{ tier = 'x' }}\n\
             [[permit]]\nname = 'p'\nfrom = 'any'\nto = 'a'\nactions = 'any'\nsubject = {subject:?}\n"
        );
        let policy = Policy::from_toml(&text).unwrap_or_else(|error| panic!("{error}"));
        let rule = policy.rules().next().expect("rule");
        let named = rule.require.iter().find_map(|one| match one {
            crate::policy::Requirement::Subject(named) => Some(named),
            _ => None,
        });
        Among::named(&policy, named.expect("subject"))
    }

    #[test]
    fn t10_a_name_is_what_it_stands_for() {
        let within = |one: &Among, other: &Among| (one.is_within(other), other.is_within(one));
        let (narrower, same, apart) = ((true, false), (true, true), (false, false));
        for (aliases, names, others, other_names, wanted) in [
            ("", "a", "", "spiffe://td/a", same),
            ("old", "spiffe://old/a", "old", "a", same),
            ("", "a", "old", "a", narrower),
            ("old", "a", "older", "a", apart),
            ("", "a spiffe://old/a", "old", "a", same),
            ("", "spiffe://old/a", "old", "a", narrower),
            ("", "trust-domain:old", "old", "trust-domain:old", narrower),
            ("", "trust-domain:far", "old", "trust-domain:far", same),
            ("", "label:tier=x", "old", "label:tier=x", narrower),
            ("", "spiffe://td/a/**", "", "a", apart),
            ("", "issuer:i", "old", "issuer:i any", narrower),
            ("old", "any", "older", "any a", narrower),
        ] {
            let (one, other) = (among(aliases, names), among(others, other_names));
            assert_eq!(within(&one, &other), wanted, "{one:?} {other:?}");
            assert_eq!(within(&one, &one), same);
        }
    }
}
