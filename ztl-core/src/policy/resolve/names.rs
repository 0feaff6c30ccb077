//! The names of a document, and whom and what they stand for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::authorizer::Authorizer;
use crate::id::{IdPattern, SpiffeId, TrustDomain};
use crate::policy::diagnostic::{Report, suggest};
use crate::policy::document::{
    Document, Effect, Principal, Span, Spanned, Subject, Target, WorkloadDecl,
};
use crate::policy::index::Hashed;
use crate::policy::rule::{Named, Who};
use crate::policy::workload::{Workload, WorkloadIdx};
use crate::zone::ZoneIdx;

use super::values;

/// The names of a document.
pub(super) struct Names<'a> {
    pub(super) document: &'a Document,
    pub(super) zones: HashMap<&'a str, ZoneIdx>,
    pub(super) by_name: HashMap<Arc<str>, WorkloadIdx, Hashed>,
    pub(super) by_id: HashMap<SpiffeId, WorkloadIdx, Hashed>,
    pub(super) authorizers: HashMap<Box<str>, Arc<dyn Authorizer>>,
    pub(super) labels: HashMap<&'a str, Label<'a>>,
}

/// Who states a label's key, and with which values.
#[derive(Default)]
pub(super) struct Label<'a> {
    values: HashSet<&'a str>,
    stated_by: usize,
}

/// The labels of all workloads, by key.
pub(super) fn labels(document: &Document) -> HashMap<&str, Label<'_>> {
    let mut labels: HashMap<&str, Label<'_>> = HashMap::new();
    for (key, value) in document.workloads.iter().flat_map(|decl| &decl.labels) {
        let label = labels.entry(key).or_default();
        label.values.insert(value);
        label.stated_by += 1;
    }
    labels
}

impl Names<'_> {
    /// Takes in a declared workload.
    pub(super) fn workload(
        &mut self,
        decl: &WorkloadDecl,
        index: WorkloadIdx,
        report: &mut Report,
    ) -> Workload {
        let id = self.primary(&decl.id.value, decl.id.span, report);
        if let Some(other) = self.by_id.insert(id.clone(), index) {
            let other = usize::try_from(other.0)
                .ok()
                .and_then(|at| self.document.workloads.get(at));
            report.error_with_help(
                decl.id.span,
                format!("the workloads `{}` and `{}` have one id, `{id}`", other.map_or("?", |other| &other.name.value), decl.name.value),
                "one workload has one SPIFFE ID; an id in an alias of the trust domain is the same id",
            );
        }
        self.by_name.insert(Arc::clone(&decl.name.value), index);
        Workload {
            name: Arc::clone(&decl.name.value),
            id,
            zone: decl.zone.as_ref().and_then(|zone| self.zone(zone, report)),
            labels: decl.labels.clone(),
            ports: values(&decl.ports),
            public_ports: values(&decl.public_ports),
            hosts: decl
                .hosts
                .iter()
                .map(|host| Arc::clone(&host.value))
                .collect(),
            asserted_by: decl
                .asserted_by
                .iter()
                .map(|party| Arc::clone(&party.value))
                .collect(),
            // Resolved once every workload has its name.
            forwards: Vec::new(),
            forwards_in: decl.forwards_in,
            forbids: Vec::new(),
            permits: Vec::new(),
            shadow: Vec::new(),
        }
    }

    /// Whom `from` speaks of.
    pub(super) fn who(
        &self,
        from: &Spanned<Principal>,
        effect: Effect,
        report: &mut Report,
    ) -> Option<Who> {
        let span = from.span;
        match &from.value {
            Principal::Workload(name) => self.named(name, span, report).map(Who::Workload),
            Principal::Id(pattern) => Some(Who::Id(self.primary_pattern(pattern, span, report))),
            Principal::Label { key, value } => {
                self.check_label(key, value, span, effect, report);
                Some(Who::Label {
                    key: Arc::clone(key),
                    value: Arc::clone(value),
                })
            }
            Principal::Zone(name) => self
                .zone(&Spanned::new(Arc::clone(name), span), report)
                .map(Who::Zone),
            Principal::Public => Some(Who::Public),
            Principal::Any => Some(Who::Any),
        }
    }

    /// Whom `subject` or `actors` speak of.
    pub(super) fn subject(
        &self,
        subject: &Spanned<Subject>,
        effect: Effect,
        report: &mut Report,
    ) -> Option<Named> {
        let identity = |principal, report: &mut Report| {
            let principal = Spanned::new(principal, subject.span);
            self.who(&principal, effect, report).map(Named::Identity)
        };
        match subject.value.clone() {
            Subject::Workload(name) => identity(Principal::Workload(name), report),
            Subject::Id(pattern) => identity(Principal::Id(pattern), report),
            Subject::Label { key, value } => identity(Principal::Label { key, value }, report),
            // Taken for an `iss`, which is a URI with its scheme, a name that is written wrongly would forbid nobody.
            Subject::Issuer(name) if effect == Effect::Forbid && !name.contains(':') => {
                let declared = self.declared_issuer(&name, subject.span, report)?;
                Some(Named::Issuer(Arc::clone(declared)))
            }
            Subject::Issuer(name) => Some(Named::Issuer(self.issuer(&name))),
            Subject::User {
                issuer,
                subject: user,
            } => {
                let declared = self.declared_issuer(&issuer, subject.span, report)?;
                Some(Named::User {
                    issuer: Arc::clone(declared),
                    subject: user,
                })
            }
            Subject::Any => Some(Named::Any),
        }
    }

    /// The exact `iss` of a declared issuer.
    fn declared_issuer(&self, name: &str, span: Span, report: &mut Report) -> Option<&Arc<str>> {
        let found = self.issuer_named(name);
        if found.is_none() {
            let declared = &self.document.issuers;
            let known = declared.iter().map(|decl| &*decl.name.value);
            unknown(report, span, "issuer", name, known, "issuers");
        }
        found
    }

    /// The exact `iss` that a rule means: of the declared issuer, else the text itself.
    pub(super) fn issuer(&self, name: &Arc<str>) -> Arc<str> {
        Arc::clone(self.issuer_named(name).unwrap_or(name))
    }

    fn issuer_named(&self, name: &str) -> Option<&Arc<str>> {
        let mut declared = self.document.issuers.iter();
        let found = declared.find(|issuer| *issuer.name.value == *name);
        found.map(|issuer| &issuer.issuer.value)
    }

    /// The declared workloads that a `to` speaks of.
    pub(super) fn target(
        &self,
        to: &Spanned<Target>,
        effect: Effect,
        workloads: &[Workload],
        report: &mut Report,
    ) -> Vec<WorkloadIdx> {
        let all = |keep: &dyn Fn(&Workload) -> bool| -> Vec<WorkloadIdx> {
            let indexes = workloads
                .iter()
                .enumerate()
                .filter(|(_, workload)| keep(workload));
            indexes
                .filter_map(|(index, _)| u32::try_from(index).ok().map(WorkloadIdx))
                .collect()
        };
        let found = match &to.value {
            Target::Workload(name) => {
                return self.named(name, to.span, report).into_iter().collect();
            }
            // Looked up with the ports that are meant there.
            Target::External(_) => return Vec::new(),
            Target::Id(pattern) => {
                let pattern = self.primary_pattern(pattern, to.span, report);
                all(&|workload| pattern.matches(&workload.id))
            }
            Target::Label { key, value } => {
                self.check_label(key, value, to.span, effect, report);
                all(&|workload| workload.labels.get(key) == Some(value))
            }
            Target::Zone(name) => {
                let zone = self.zone(&Spanned::new(Arc::clone(name), to.span), report);
                if let (Effect::Forbid, Some(decl)) = (
                    effect,
                    self.document
                        .workloads
                        .iter()
                        .find(|decl| decl.zone.is_none()),
                ) {
                    report.error_with_help(
                        to.span,
                        format!("this forbid speaks of a zone, and the workload `{}` states none", decl.name.value),
                        "give every workload a `zone`: a forbid must not be dodged through a fact that is not stated",
                    );
                }
                all(&|workload| zone.is_some() && workload.zone == zone)
            }
            Target::Any => all(&|_| true),
        };
        if found.is_empty() && report.is_empty() {
            report.error_with_help(
                to.span,
                "no declared workload is meant by this `to`, so the rule can never match",
                "declare the workload under `[workloads.NAME]`",
            );
        }
        found
    }

    fn check_label(&self, key: &str, value: &str, span: Span, effect: Effect, report: &mut Report) {
        let workloads = &self.document.workloads;
        let label = self.labels.get(key);
        if !label.is_some_and(|label| label.values.contains(value)) {
            let known: Vec<_> = workloads
                .iter()
                .flat_map(|decl| {
                    decl.labels
                        .iter()
                        .map(|(key, value)| format!("{key}={value}"))
                })
                .collect();
            unknown(
                report,
                span,
                "label",
                &format!("{key}={value}"),
                known.iter().map(String::as_str),
                "labels",
            );
        } else if effect == Effect::Forbid
            && label.is_some_and(|label| label.stated_by < workloads.len())
            && let Some(decl) = workloads.iter().find(|decl| !decl.labels.contains_key(key))
        {
            report.error_with_help(
                span,
                format!("this forbid speaks of the label `{key}`, and the workload `{}` does not state it", decl.name.value),
                "state the label on every workload: a forbid must not be dodged through a fact that is not stated",
            );
        }
    }

    fn named(&self, name: &str, span: Span, report: &mut Report) -> Option<WorkloadIdx> {
        let found = self.by_name.get(name).copied();
        if found.is_none() {
            unknown(
                report,
                span,
                "workload",
                name,
                self.by_name.keys().map(|name| &**name),
                "workloads",
            );
        }
        found
    }

    fn zone(&self, zone: &Spanned<Arc<str>>, report: &mut Report) -> Option<ZoneIdx> {
        let found = self.zones.get(&*zone.value).copied();
        if found.is_none() {
            unknown(
                report,
                zone.span,
                "zone",
                &zone.value,
                self.zones.keys().copied(),
                "zones",
            );
        }
        found
    }

    /// The id in the primary trust domain. One that does not fit there refuses the document.
    fn primary(&self, id: &SpiffeId, span: Span, report: &mut Report) -> SpiffeId {
        let domain = &self.document.trust_domain.value;
        let named = |alias: &Spanned<TrustDomain>| alias.value.as_str() == id.trust_domain_name();
        if !self.document.aliases.iter().any(named) {
            return id.clone();
        }
        id.with_trust_domain(domain).unwrap_or_else(|error| {
            let message = format!("`{id}` does not fit in the trust domain `{domain}`: it {error}");
            report.error_with_help(span, message, error.help());
            id.clone()
        })
    }

    fn primary_pattern(&self, pattern: &IdPattern, span: Span, report: &mut Report) -> IdPattern {
        match pattern {
            IdPattern::Exact(id) => IdPattern::Exact(self.primary(id, span, report)),
            IdPattern::Below(id) => IdPattern::Below(self.primary(id, span, report)),
            IdPattern::TrustDomain(domain)
                if self
                    .document
                    .aliases
                    .iter()
                    .any(|alias| alias.value == *domain) =>
            {
                IdPattern::TrustDomain(self.document.trust_domain.value.clone())
            }
            IdPattern::TrustDomain(_) => pattern.clone(),
        }
    }
}
pub(super) fn unknown<'a>(
    report: &mut Report,
    span: Span,
    kind: &str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
    section: &str,
) {
    let message = format!("there is no {kind} `{name}`");
    match suggest(name, known) {
        Some(near) => report.error_with_help(span, message, format!("did you mean `{near}`?")),
        None => report.error_with_help(span, message, format!("declare it under `{section}`")),
    }
}
