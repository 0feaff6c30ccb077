//! Whom and what rules speak of, as keys that can be looked up.
//!
//! Each caller or target that a rule names is one key; whoever is meant by it is meant by its wider keys too. So whether one rule
//! speaks of all that another does is a few look-ups, however many rules and workloads there are.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::id::{IdPattern, SpiffeId};
use crate::policy::{Effect, Mode, Policy, Principal, RuleDecl, Target, Workload, WorkloadDecl};

use super::pattern::Read;

/// Whom a rule speaks of; ids are in the primary trust domain (rule 28).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key<'a> {
    Any,
    Public,
    Workload(&'a str),
    /// Of no declared workload.
    Id(Cow<'a, str>),
    /// Ids below this one.
    Below(Cow<'a, str>),
    Domain(Cow<'a, str>),
    Label(&'a str, &'a str),
    Zone(&'a str),
    External(&'a str),
}

/// A rule with its keys.
#[derive(Debug)]
pub(super) struct RuleKeys<'a> {
    pub(super) decl: &'a RuleDecl,
    pub(super) from: Vec<Key<'a>>,
    pub(super) to: Vec<Key<'a>>,
    pub(super) actions: Vec<Read<'a>>,
}

impl RuleKeys<'_> {
    pub(super) fn counts(&self, effect: Effect) -> bool {
        self.decl.effect == effect && self.decl.mode == Mode::Enforce
    }
}

/// A document's rules by key, and the workloads of each key.
#[derive(Debug)]
pub(super) struct Keys<'a> {
    pub(super) policy: &'a Policy,
    pub(super) rules: Vec<RuleKeys<'a>>,
    declared: HashMap<&'a str, (&'a WorkloadDecl, &'a Workload)>,
    /// The keys that occur in some rule.
    mentioned: HashSet<Key<'a>>,
    members: HashMap<Key<'a>, Vec<&'a Workload>>,
}

impl<'a> Keys<'a> {
    pub(super) fn of(policy: &'a Policy) -> Self {
        let document = policy.document();
        let declared = document.workloads.iter().zip(policy.workloads());
        let mut keys = Self {
            policy,
            rules: Vec::new(),
            declared: declared
                .map(|(decl, workload)| (&*decl.name.value, (decl, workload)))
                .collect(),
            mentioned: HashSet::new(),
            members: HashMap::new(),
        };
        for decl in &document.rules {
            let from: Vec<_> = decl
                .from
                .iter()
                .map(|from| keys.caller(&from.value))
                .collect();
            let to: Vec<_> = decl.to.iter().map(|to| keys.target(&to.value)).collect();
            keys.mentioned.extend(from.iter().chain(&to).cloned());
            let actions = decl.actions.iter();
            keys.rules.push(RuleKeys {
                decl,
                from,
                to,
                actions: actions.map(|action| Read::new(&action.value)).collect(),
            });
        }
        for workload in policy.workloads() {
            for key in keys.wider(&Key::Workload(workload.name())) {
                keys.members.entry(key).or_default().push(workload);
            }
        }
        keys
    }

    /// The workloads that a key of a rule means.
    pub(super) fn members(&self, key: &Key<'a>) -> &[&'a Workload] {
        self.members.get(key).map_or(&[], Vec::as_slice)
    }

    pub(super) fn declaration(&self, name: &str) -> Option<(&'a WorkloadDecl, &'a Workload)> {
        self.declared.get(name).copied()
    }

    /// The keys of rules that mean everyone who is meant by this one, itself among them.
    pub(super) fn wider(&self, key: &Key<'a>) -> Vec<Key<'a>> {
        let mut wider = vec![key.clone()];
        if !matches!(key, Key::Any | Key::Public | Key::External(_)) {
            wider.push(Key::Any);
        }
        match key {
            Key::Workload(name) => {
                if let Some((decl, workload)) = self.declaration(name) {
                    let id = workload.id();
                    wider.push(Key::Domain(Cow::Borrowed(id.trust_domain_name())));
                    wider.extend(above(id.as_str()).map(|id| Key::Below(Cow::Borrowed(id))));
                    let labels = decl.labels.iter();
                    wider.extend(labels.map(|(key, value)| Key::Label(key, value)));
                    // It calls from its zone or not at all.
                    wider.extend(decl.zone.as_ref().map(|zone| Key::Zone(&zone.value)));
                }
            }
            Key::Id(id) | Key::Below(id) => {
                let owned = |id: &str| Cow::Owned(id.to_owned());
                wider.extend(above(id).map(|id| Key::Below(owned(id))));
                let domain = SpiffeId::parse(id).map(|id| owned(id.trust_domain_name()));
                wider.extend(domain.map(Key::Domain));
            }
            Key::Any
            | Key::Public
            | Key::Domain(_)
            | Key::Label(..)
            | Key::Zone(_)
            | Key::External(_) => {}
        }
        wider.retain(|key| self.mentioned.contains(key));
        wider
    }

    fn caller(&self, from: &'a Principal) -> Key<'a> {
        match from {
            Principal::Workload(name) => Key::Workload(name),
            Principal::Id(pattern) => self.pattern(pattern),
            Principal::Label { key, value } => Key::Label(key, value),
            Principal::Zone(name) => Key::Zone(name),
            Principal::Public => Key::Public,
            Principal::Any => Key::Any,
        }
    }

    fn target(&self, to: &'a Target) -> Key<'a> {
        match to {
            Target::Workload(name) => Key::Workload(name),
            Target::Id(pattern) => self.pattern(pattern),
            Target::Label { key, value } => Key::Label(key, value),
            Target::Zone(name) => Key::Zone(name),
            Target::External(name) => Key::External(name),
            Target::Any => Key::Any,
        }
    }

    fn pattern(&self, pattern: &IdPattern) -> Key<'a> {
        let primary = self.policy.primary_pattern(pattern);
        match primary.unwrap_or_else(|| pattern.clone()) {
            IdPattern::Exact(id) => match self.policy.workload_by_id(&id) {
                Some(workload) => Key::Workload(workload.name()),
                None => Key::Id(Cow::Owned(id.to_string())),
            },
            IdPattern::Below(id) => Key::Below(Cow::Owned(id.to_string())),
            IdPattern::TrustDomain(domain) => Key::Domain(Cow::Owned(domain.to_string())),
        }
    }
}

/// The ids that an id lies below, the trust domain's last.
fn above(id: &str) -> impl Iterator<Item = &str> {
    let up = |id: &&'_ str| -> Option<usize> { id.rfind('/') };
    let mut rest = id;
    core::iter::from_fn(move || {
        rest = rest.get(..up(&rest)?)?;
        // Not into `spiffe://`.
        (!rest.ends_with('/')).then_some(rest)
    })
}
