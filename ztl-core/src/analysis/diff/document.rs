//! Changes of what stands around the rules, and of modes: they count as newly permitted, whatever they change today (T10).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::policy::{Document, Mode, Policy, RuleDecl, WorkloadDecl};

/// A change of the document itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct DocumentChange {
    /// What changed: `mode`, `zone`, `relays`, `trust-domain`, `aliases`, `workload`, `external`, `issuer` or `never`.
    pub kind: &'static str,
    /// Its name; empty where there is but one.
    pub name: Arc<str>,
    /// How, in words.
    pub how: String,
}

impl DocumentChange {
    /// The change as documented in docs/analysis.md.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "kind": self.kind, "name": &*self.name, "how": self.how })
    }
}

/// A named part, and what of it matters.
type Parts = BTreeMap<Arc<str>, String>;

pub(super) fn changes(old: &Policy, new: &Policy) -> Vec<DocumentChange> {
    let mut found = Vec::new();
    let (old, new) = (old.document(), new.document());
    // A key that is not looked at here would be one that nobody is told of.
    let Document {
        serial: _,
        trust_domain,
        aliases,
        relays,
        zones: _,
        workloads: _,
        externals: _,
        issuers: _,
        rules: _,
        nevers: _,
        tests: _,
        end_rules: _,
    } = old;
    let mut one = |kind, name: &str, was: String, is: String| {
        if was != is {
            found.push(DocumentChange {
                kind,
                name: name.into(),
                how: format!("was {was}, is {is}"),
            });
        }
    };
    let domain = |document: &Document| document.trust_domain.value.to_string();
    one("trust-domain", "", trust_domain.value.to_string(), domain(new));
    let listed = |list: BTreeSet<String>| shown(&list.into_iter().collect::<Vec<_>>());
    let texts = |list: &[crate::policy::Spanned<crate::id::TrustDomain>]| {
        listed(list.iter().map(|one| one.value.to_string()).collect())
    };
    one("aliases", "", texts(aliases), texts(&new.aliases));
    let networks = |list: &[crate::policy::Spanned<ipnet::IpNet>]| {
        listed(list.iter().map(|one| one.value.to_string()).collect())
    };
    one("relays", "", networks(relays), networks(&new.relays));
    for (kind, part) in KINDS {
        let (was, is) = (part(old), part(new));
        for (name, was) in &was {
            match is.get(name) {
                Some(is) => one(kind, name, was.clone(), is.clone()),
                None => one(kind, name, was.clone(), "gone".to_owned()),
            }
        }
        // An assertion more is no risk; a workload, zone or issuer more is.
        for (name, is) in is.iter().filter(|(name, _)| kind != "never" && !was.contains_key(*name)) {
            one(kind, name, "not there".to_owned(), is.clone());
        }
    }
    // A rule that is new, or gone, differs in what it permits alone.
    let modes = |document: &Document| -> BTreeMap<Arc<str>, Mode> {
        let mode = |rule: &RuleDecl| (Arc::clone(&rule.name.value), rule.mode);
        document.rules.iter().map(mode).collect()
    };
    let is = modes(new);
    for (name, was) in modes(old) {
        if let Some(is) = is.get(&name) {
            one("mode", &name, mode_text(was), mode_text(*is));
        }
    }
    found
}

/// The kinds of named parts.
type Kind = (&'static str, fn(&Document) -> Parts);

const KINDS: [Kind; 5] = [
    ("zone", zones),
    ("workload", workloads),
    ("external", externals),
    ("issuer", issuers),
    ("never", nevers),
];

fn zones(document: &Document) -> Parts {
    let part = |zone: &crate::policy::ZoneDecl| {
        let networks: BTreeSet<_> = zone.networks.iter().map(|net| net.value).collect();
        let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
        let text = format!("trust {} and networks {}", zone.trust, shown(&networks));
        (Arc::clone(&zone.name.value), text)
    };
    document.zones.iter().map(part).collect()
}

/// Who a workload is, and what is decided beside its rules. Where it stands, its labels and its ports are compared by what
/// they change.
fn workloads(document: &Document) -> Parts {
    let part = |workload: &WorkloadDecl| {
        let hosts: Vec<_> = workload.hosts.iter().map(|host| &host.value).collect();
        let parties: Vec<_> = workload.asserted_by.iter().map(|party| &party.value).collect();
        let mut text = workload.id.value.to_string();
        if !hosts.is_empty() {
            text.push_str(&format!(" with hosts {}", shown(&hosts)));
        }
        if !parties.is_empty() {
            text.push_str(&format!(" asserted by {}", shown(&parties)));
        }
        (Arc::clone(&workload.name.value), text)
    };
    document.workloads.iter().map(part).collect()
}

fn externals(document: &Document) -> Parts {
    let part = |external: &crate::policy::ExternalDecl| {
        let hosts: Vec<_> = external.hosts.iter().map(|host| &host.value).collect();
        let ports: Vec<_> = external.ports.iter().map(|port| port.value).collect();
        let text = format!("hosts {} and ports {}", shown(&hosts), shown(&ports));
        (Arc::clone(&external.name.value), text)
    };
    document.externals.iter().map(part).collect()
}

fn issuers(document: &Document) -> Parts {
    let part = |issuer: &crate::policy::IssuerDecl| {
        let value = |text: &Option<crate::policy::Spanned<Arc<str>>>| {
            text.as_ref().map_or_else(|| "none".to_owned(), |text| format!("`{}`", text.value))
        };
        let text = format!(
            "`{}` with audience {} and keys in {}",
            issuer.issuer.value,
            value(&issuer.audience),
            value(&issuer.jwks_file)
        );
        (Arc::clone(&issuer.name.value), text)
    };
    document.issuers.iter().map(part).collect()
}

fn nevers(document: &Document) -> Parts {
    let part = |never: &crate::policy::NeverDecl| {
        let from: Vec<_> = never.from.iter().map(|one| &one.value).collect();
        let to: Vec<_> = never.to.iter().map(|one| &one.value).collect();
        let ports: Vec<_> = never.ports.iter().map(|one| one.value.to_string()).collect();
        let actions: Vec<_> = never.actions.iter().map(|one| one.value.to_string()).collect();
        let mut text = format!("from {from:?} to {to:?}");
        if never.transitive {
            text.push_str(" over any number of hops");
        }
        if !ports.is_empty() {
            text.push_str(&format!(" on ports {}", shown(&ports)));
        }
        if !actions.is_empty() {
            text.push_str(&format!(" with actions {}", shown(&actions)));
        }
        (Arc::clone(&never.name.value), text)
    };
    document.nevers.iter().map(part).collect()
}

fn mode_text(mode: Mode) -> String {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Shadow => "shadow",
        Mode::Off => "off",
    }
    .to_owned()
}

/// Values in the way they stand in a document, in the order that the document gives them.
fn shown<T: Debug>(values: &[T]) -> String {
    format!("{values:?}")
}
