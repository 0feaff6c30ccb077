//! Changes of what stands around the rules, and of modes: they count as newly permitted, whatever they change today (T10).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use serde_json::{Value, json};

use super::obliged;
use super::outward::{external_rules, externals, moved, names_nobody};
use crate::analysis::need::obligation_key;
use crate::policy::{
    AuthorizerDecl, Document, Effect, IssuerDecl, LimitDecl, Mode, NeverDecl, Policy, Principal,
    Require, RuleDecl, Spanned, Subject, Target, TokenRequire, WorkloadDecl, ZoneDecl,
};
use crate::trust::Weighed;

/// A change of the document itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct DocumentChange {
    /// What changed: `mode`, `zone`, `relays`, `trust-domain`, `aliases`, `workload`, `external`, `external-rule`, `issuer`,
    /// `limit`, `authorizer`, `trust`, `never` or `obligations` (of a target: which permit obliges, where several grant the same).
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
pub(super) type Parts = BTreeMap<Arc<str>, String>;

pub(super) fn changes(old: &Policy, new: &Policy) -> Vec<DocumentChange> {
    let mut found = Vec::new();
    let obliged = obliged::changes(old, new);
    let (old, new) = (old.document(), new.document());
    // A key that is not looked at here would be one that nobody is told of.
    let Document {
        revision: _,
        serial: _,
        trust_domain,
        aliases,
        relays,
        zones: _,
        workloads: _,
        externals: _,
        issuers: _,
        limits: _,
        authorizers: _,
        trust: _,
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
    one(
        "trust-domain",
        "",
        trust_domain.value.to_string(),
        domain(new),
    );
    let listed = |list: BTreeSet<String>| shown(&list.into_iter().collect::<Vec<_>>());
    let texts = |list: &[Spanned<crate::id::TrustDomain>]| {
        listed(list.iter().map(|one| one.value.to_string()).collect())
    };
    one("aliases", "", texts(aliases), texts(&new.aliases));
    let networks = |list: &[Spanned<ipnet::IpNet>]| {
        listed(list.iter().map(|one| one.value.to_string()).collect())
    };
    one("relays", "", networks(relays), networks(&new.relays));
    for (kind, part) in KINDS {
        let (was, is) = (part(old), part(new));
        for (name, was) in &was {
            match is.get(name) {
                Some(is) => one(kind, name, was.clone(), is.clone()),
                // Whom nobody declares any more is nobody's target, and as a caller is compared by what rules say of it.
                None if kind == "workload" => {}
                None => one(kind, name, was.clone(), "gone".to_owned()),
            }
        }
        // An assertion more is no risk, and what a workload more can do itself stands in rules.
        let counts = !matches!(kind, "never" | "workload");
        for (name, is) in is
            .iter()
            .filter(|(name, _)| counts && !was.contains_key(*name))
        {
            one(kind, name, "not there".to_owned(), is.clone());
        }
    }
    for (name, was, is) in moved(old, new) {
        one("workload", &name, was, is);
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
    found.extend(come_and_gone(old, new));
    found.extend(obliged);
    found
}

/// Workloads of one document alone, where what they are decides about others: whom they pass on, and what labels they give
/// somebody who comes along (T12). What they may do, and what may be done to them, is compared edge by edge.
fn come_and_gone(old: &Document, new: &Document) -> Vec<DocumentChange> {
    let mut found = Vec::new();
    let sides = [
        (old, new, "declared no more", true),
        (new, old, "not there", false),
    ];
    for (document, other, how, gone) in sides {
        let parts = workloads(document);
        let labels = telling_labels(document, gone);
        let calls_out = !gone && names_nobody(document);
        let declared: BTreeSet<_> = other.workloads.iter().map(|one| &one.name.value).collect();
        for workload in &document.workloads {
            let name = &workload.name.value;
            if declared.contains(name) {
                continue;
            }
            let tells = workload.labels.keys().any(|key| labels.contains(key));
            let passes_on = !gone && !workload.forwards.is_empty();
            if !(tells || passes_on || calls_out) {
                continue;
            }
            let text = parts.get(name).map_or("", String::as_str);
            found.push(DocumentChange {
                kind: "workload",
                name: Arc::clone(name),
                how: match gone {
                    true => format!("was {text}, is {how}"),
                    false => format!("was {how}, is {text}"),
                },
            });
        }
    }
    found
}

/// The keys of labels by which others than the peer are told apart; and the peers of permits, where any obliges, for which of
/// several permits obliges is decided by whom each speaks of. Whoever loses a label is told apart by the latter alone: permits
/// by a label no longer speak of it, and forbids by one fire.
fn telling_labels(document: &Document, lost: bool) -> BTreeSet<Arc<str>> {
    let mut keys = BTreeSet::new();
    let of_principals = |keys: &mut BTreeSet<_>, list: &[Spanned<Principal>]| {
        keys.extend(list.iter().filter_map(|one| match &one.value {
            Principal::Label { key, .. } => Some(Arc::clone(key)),
            _ => None,
        }));
    };
    let obliges = |rule: &RuleDecl| obligation_key(&rule.oblige).is_some();
    let obliging = document.rules.iter().any(obliges);
    for rule in &document.rules {
        if (rule.effect == Effect::Forbid && !lost) || (rule.effect == Effect::Permit && obliging) {
            of_principals(&mut keys, &rule.from);
        }
        let parties = rule.subject.iter().chain(&rule.actors).filter(|_| !lost);
        keys.extend(parties.filter_map(|one| match &one.value {
            Subject::Label { key, .. } => Some(Arc::clone(key)),
            _ => None,
        }));
    }
    for workload in document.workloads.iter().filter(|_| !lost) {
        of_principals(&mut keys, &workload.forwards);
    }
    keys
}

/// The kinds of named parts.
type Kind = (&'static str, fn(&Document) -> Parts);

const KINDS: [Kind; 9] = [
    ("zone", zones),
    ("workload", workloads),
    ("external", externals),
    ("external-rule", external_rules),
    ("issuer", issuers),
    ("limit", limits),
    ("authorizer", authorizers),
    ("trust", trust),
    ("never", nevers),
];

fn zones(document: &Document) -> Parts {
    let part = |zone: &ZoneDecl| {
        let networks: BTreeSet<_> = zone.networks.iter().map(|net| net.value).collect();
        let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
        let text = format!("trust {} and networks {}", zone.trust, shown(&networks));
        (Arc::clone(&zone.name.value), text)
    };
    document.zones.iter().map(part).collect()
}

/// Who a workload is, and what is decided beside its rules. Where it stands and its ports are compared by what
/// they change.
fn workloads(document: &Document) -> Parts {
    let part = |workload: &WorkloadDecl| {
        let hosts: Vec<_> = workload.hosts.iter().map(|host| &host.value).collect();
        let asserted = workload.asserted_by.iter();
        let parties: Vec<_> = asserted.map(|party| &party.value).collect();
        let mut text = workload.id.value.to_string();
        if !hosts.is_empty() {
            text.push_str(&format!(" with hosts {}", shown(&hosts)));
        }
        // A forbid or a `subject` may speak of a label of somebody who comes along.
        if !workload.labels.is_empty() {
            text.push_str(&format!(" with labels {:?}", workload.labels));
        }
        if !workload.forwards.is_empty() {
            text.push_str(&format!(" forwarding {}", principals(&workload.forwards)));
        }
        text.extend(workload.forwards_in.map(|field| format!(" in `{field}`")));
        if !parties.is_empty() {
            text.push_str(&format!(" asserted by {}", shown(&parties)));
        }
        (Arc::clone(&workload.name.value), text)
    };
    document.workloads.iter().map(part).collect()
}

/// What a permit requires, as far as it requires anything.
pub(super) fn required(require: &Require) -> String {
    let Require {
        trust_score,
        zone_trust,
        token,
        mfa,
        headers,
        when,
        authorizer,
    } = require;
    let mut parts = Vec::new();
    parts.extend(trust_score.map(|least| format!("trust_score {}", least.value)));
    parts.extend(zone_trust.map(|least| format!("zone_trust {}", least.value)));
    parts.extend(token.as_ref().map(|token| {
        let TokenRequire {
            issuer,
            audience,
            scopes,
            claims,
        } = &token.value;
        let issuer = issuer.as_ref().map(|issuer| &issuer.value);
        let texts = (issuer, audience, scopes, claims);
        format!("token of issuer, audience, scopes and claims {texts:?}")
    }));
    parts.extend(mfa.map(|mfa| format!("mfa {:?}", mfa.value)));
    parts.extend(
        headers
            .iter()
            .map(|one| format!("header {:?}", (&one.name.value, &one.values))),
    );
    parts.extend(when.as_ref().map(|when| format!("when {:?}", when.value)));
    parts.extend(
        authorizer
            .iter()
            .map(|one| format!("authorizer {:?}", one.value)),
    );
    match parts.is_empty() {
        true => String::new(),
        false => format!(" requiring {}", parts.join(", ")),
    }
}

fn issuers(document: &Document) -> Parts {
    let part = |issuer: &IssuerDecl| {
        let value = |text: &Option<Spanned<Arc<str>>>| {
            text.as_ref()
                .map_or_else(|| "none".to_owned(), |text| format!("`{}`", text.value))
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

fn limits(document: &Document) -> Parts {
    let part = |limit: &LimitDecl| (Arc::clone(&limit.name.value), format!("{:?}", limit.limit));
    document.limits.iter().map(part).collect()
}

fn authorizers(document: &Document) -> Parts {
    let part = |one: &AuthorizerDecl| {
        let settings = Value::Object(one.settings.clone());
        let made = one
            .made_from
            .map_or_else(String::new, |one| format!(", made from {one:02x?}"));
        let text = format!("kind {} with {settings}{made}", one.kind.value);
        (Arc::clone(&one.name.value), text)
    };
    document.authorizers.iter().map(part).collect()
}

fn trust(document: &Document) -> Parts {
    let Some(scorer) = &document.trust else {
        return Parts::new();
    };
    let base = ("base".into(), scorer.base().to_string());
    let signal = |one: &Weighed| (format!("signals.{}", one.name()).into(), one.to_string());
    core::iter::once(base)
        .chain(scorer.signals().map(signal))
        .collect()
}

fn nevers(document: &Document) -> Parts {
    let part = |never: &NeverDecl| {
        let ports: Vec<_> = never
            .ports
            .iter()
            .map(|one| one.value.to_string())
            .collect();
        let actions: Vec<_> = never
            .actions
            .iter()
            .map(|one| one.value.to_string())
            .collect();
        let mut text = format!("from {} to {}", principals(&never.from), targets(&never.to));
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

/// As a document writes them, each quoted, so that none can pass for two.
pub(super) fn principals(list: &[Spanned<Principal>]) -> String {
    let text = |one: &Spanned<Principal>| match &one.value {
        Principal::Workload(name) => name.to_string(),
        Principal::Id(pattern) => pattern.to_string(),
        Principal::Label { key, value } => format!("label:{key}={value}"),
        Principal::Zone(name) => format!("zone:{name}"),
        Principal::Public => "public".to_owned(),
        Principal::Any => "any".to_owned(),
    };
    shown(&list.iter().map(text).collect::<Vec<_>>())
}

pub(super) fn targets(list: &[Spanned<Target>]) -> String {
    let text = |one: &Spanned<Target>| match &one.value {
        Target::Workload(name) => name.to_string(),
        Target::Id(pattern) => pattern.to_string(),
        Target::Label { key, value } => format!("label:{key}={value}"),
        Target::Zone(name) => format!("zone:{name}"),
        Target::External(name) => format!("external:{name}"),
        Target::Any => "any".to_owned(),
    };
    shown(&list.iter().map(text).collect::<Vec<_>>())
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
pub(super) fn shown<T: Debug>(values: &[T]) -> String {
    format!("{values:?}")
}
