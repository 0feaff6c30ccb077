//! Every name of a document resolved; every rule checked for what it can mean.
//!
//! A rule that can never match by itself, a name that nothing declares, a forbid that could be dodged through a fact that is
//! not stated: each refuses the whole document.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ipnet::IpNet;

use crate::id::{IdPattern, SpiffeId};
use crate::zone::{Zone, ZoneIdx, ZoneMap};

use super::diagnostic::{Report, suggest};
use super::document::{
    Document, Effect, Mode, Principal, RuleDecl, Span, Spanned, Target, WorkloadDecl,
};
use super::load::Loader;
use super::rule::{Requirement, Rule, RuleIdx, TargetRule, TokenClause, Who};
use super::workload::{Workload, WorkloadIdx};
use super::{Policy, Revision};

/// The names of a document.
pub(super) struct Names<'a> {
    document: &'a Document,
    zones: HashMap<&'a str, ZoneIdx>,
    by_name: HashMap<Arc<str>, WorkloadIdx>,
    by_id: HashMap<SpiffeId, WorkloadIdx>,
}

pub(super) fn resolve(
    loader: &Loader,
    document: Document,
    digest: [u8; 32],
    report: &mut Report,
) -> Option<Policy> {
    let zones = zone_map(&document, report);
    let mut names = Names {
        document: &document,
        zones: HashMap::new(),
        by_name: HashMap::new(),
        by_id: HashMap::new(),
    };
    for (index, zone) in document.zones.iter().enumerate() {
        names
            .zones
            .insert(&zone.name.value, ZoneIdx(u16::try_from(index).ok()?));
    }
    let mut workloads = Vec::with_capacity(document.workloads.len());
    for (index, decl) in document.workloads.iter().enumerate() {
        workloads.push(names.workload(decl, WorkloadIdx(u32::try_from(index).ok()?), report));
    }
    let mut rules = Vec::with_capacity(document.rules.len());
    for (index, decl) in document.rules.iter().enumerate() {
        let index = RuleIdx(u32::try_from(index).ok()?);
        for (target, ports) in names.targets(decl, &workloads, report) {
            if let (Some(workload), true) = (
                workloads.get_mut(usize::try_from(target.0).ok()?),
                decl.mode != Mode::Off,
            ) {
                workload.rules.push(TargetRule { rule: index, ports });
            }
        }
        rules.push(names.rule(loader, decl, report));
    }
    check_public_forbids(&document, &workloads, &rules, report);
    let has_shadow = rules.iter().any(|rule| rule.mode == Mode::Shadow);
    let Names { by_name, by_id, .. } = names;
    Some(Policy {
        revision: Revision(digest),
        zones,
        workloads,
        by_name,
        by_id,
        rules,
        has_shadow,
        document,
    })
}

fn zone_map(document: &Document, report: &mut Report) -> ZoneMap {
    let mut networks: Vec<(IpNet, ZoneIdx)> = Vec::new();
    let mut owners: HashMap<IpNet, &str> = HashMap::new();
    let mut zones = Vec::new();
    for (index, decl) in document.zones.iter().enumerate() {
        let Ok(index) = u16::try_from(index) else {
            break;
        };
        for network in &decl.networks {
            if let Some(owner) = owners.insert(network.value, &decl.name.value) {
                report.error_with_help(
                    network.span,
                    format!("the network `{}` is already in zone `{owner}`", network.value),
                    "an address is in the zone of its longest prefix; two zones cannot share one prefix",
                );
            }
            networks.push((network.value, ZoneIdx(index)));
        }
        zones.push(Zone::new(&decl.name.value, decl.trust));
    }
    ZoneMap::new(
        zones,
        networks,
        document.relays.iter().map(|relay| relay.value).collect(),
    )
}

impl Names<'_> {
    fn workload(
        &mut self,
        decl: &WorkloadDecl,
        index: WorkloadIdx,
        report: &mut Report,
    ) -> Workload {
        let id = self.primary(&decl.id.value);
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
            rules: Vec::new(),
        }
    }

    fn rule(&self, loader: &Loader, decl: &RuleDecl, report: &mut Report) -> Rule {
        let from: Vec<_> = decl
            .from
            .iter()
            .filter_map(|from| self.who(from, decl.effect, report))
            .collect();
        self.check_public(decl, report);
        Rule {
            name: Arc::clone(&decl.name.value),
            effect: decl.effect,
            mode: decl.mode,
            from,
            actions: decl
                .actions
                .iter()
                .map(|action| action.value.clone())
                .collect(),
            require: self.requirements(loader, decl, report),
            when: decl
                .when
                .as_ref()
                .and_then(|when| compile(loader, when, report)),
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
            Principal::Id(pattern) => Some(Who::Id(self.primary_pattern(pattern))),
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

    /// The workloads that a rule's `to` speaks of, each with the ports it speaks of.
    fn targets(
        &self,
        decl: &RuleDecl,
        workloads: &[Workload],
        report: &mut Report,
    ) -> BTreeMap<WorkloadIdx, Vec<super::PortRange>> {
        let mut targets = BTreeMap::new();
        for to in &decl.to {
            for index in self.target(to, decl.effect, workloads, report) {
                let Some(workload) = usize::try_from(index.0)
                    .ok()
                    .and_then(|at| workloads.get(at))
                else {
                    continue;
                };
                let exact = matches!(to.value, Target::Workload(_));
                if let Some(ports) = rule_ports(decl, workload, exact, to.span, report) {
                    targets.insert(index, ports);
                }
            }
        }
        targets
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
            Target::External(name) => {
                if !self
                    .document
                    .externals
                    .iter()
                    .any(|external| external.name.value == *name)
                {
                    let known = self
                        .document
                        .externals
                        .iter()
                        .map(|external| &*external.name.value);
                    unknown(
                        report,
                        to.span,
                        "external destination",
                        name,
                        known,
                        "external",
                    );
                }
                return Vec::new();
            }
            Target::Id(pattern) => {
                let pattern = self.primary_pattern(pattern);
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

    fn requirements(
        &self,
        loader: &Loader,
        decl: &RuleDecl,
        report: &mut Report,
    ) -> Vec<Requirement> {
        let require = &decl.require;
        let mut all = Vec::new();
        all.extend(
            require
                .trust_score
                .map(|score| Requirement::TrustScore(score.value)),
        );
        if let Some(trust) = require.zone_trust {
            if !self
                .document
                .zones
                .iter()
                .any(|zone| zone.trust >= trust.value)
            {
                report.error_with_help(
                    trust.span,
                    format!(
                        "no zone has a trust of {} or more, so the rule can never match",
                        trust.value
                    ),
                    "state `trust` on the zones that are meant",
                );
            }
            all.push(Requirement::ZoneTrust(trust.value));
        }
        all.extend(require.token.as_ref().map(|token| {
            let token = &token.value;
            Requirement::Token(TokenClause {
                issuer: token
                    .issuer
                    .as_ref()
                    .map(|issuer| self.issuer(&issuer.value)),
                audience: token.audience.clone(),
                scopes: token.scopes.clone(),
                claims: token.claims.clone(),
            })
        }));
        all.extend(require.mfa.map(|mfa| Requirement::Mfa(mfa.value)));
        all.extend(require.headers.iter().map(|header| Requirement::Header {
            name: Arc::clone(&header.name.value),
            values: header.values.clone(),
        }));
        all.extend(
            require
                .when
                .as_ref()
                .and_then(|when| compile(loader, when, report))
                .map(Requirement::When),
        );
        for name in &require.authorizer {
            match loader.authorizers.get(&*name.value) {
                Some(authorizer) => all.push(Requirement::Authorizer(Arc::clone(authorizer))),
                None => report.error_with_help(
                    name.span,
                    format!("no authorizer `{}` is registered", name.value),
                    "register it with the loader; a permit whose authorizer nobody runs must not be granted",
                ),
            }
        }
        all
    }

    /// The exact `iss` that a rule means: of the declared issuer, else the text itself.
    fn issuer(&self, name: &Arc<str>) -> Arc<str> {
        let declared = self
            .document
            .issuers
            .iter()
            .find(|issuer| issuer.name.value == *name);
        Arc::clone(declared.map_or(name, |issuer| &issuer.issuer.value))
    }

    /// A `public` permit asks for a token or says that it does not (T3).
    fn check_public(&self, decl: &RuleDecl, report: &mut Report) {
        let public = decl
            .from
            .iter()
            .find(|from| from.value == Principal::Public);
        match public {
            Some(from)
                if decl.effect == Effect::Permit
                    && !decl.anonymous
                    && decl.require.token.is_none() =>
            {
                report.error_with_help(
                    from.span,
                    format!(
                        "the permit `{}` lets callers without an SVID in and asks for no token",
                        decl.name.value
                    ),
                    "require a `token`, or write `anonymous = true` if anyone may",
                )
            }
            None if decl.anonymous => {
                report.error_with_help(
                    decl.span,
                    format!(
                        "`anonymous` has no meaning in `{}`: its `from` does not name `public`",
                        decl.name.value
                    ),
                    "remove `anonymous`",
                );
            }
            _ => {}
        }
    }

    fn check_label(&self, key: &str, value: &str, span: Span, effect: Effect, report: &mut Report) {
        let workloads = &self.document.workloads;
        if !workloads
            .iter()
            .any(|decl| decl.labels.get(key).is_some_and(|have| **have == *value))
        {
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
        } else if let (Effect::Forbid, Some(decl)) = (
            effect,
            workloads.iter().find(|decl| !decl.labels.contains_key(key)),
        ) {
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

    fn primary(&self, id: &SpiffeId) -> SpiffeId {
        let aliased = self
            .document
            .aliases
            .iter()
            .any(|alias| alias.value.as_str() == id.trust_domain_name());
        let primary = aliased
            .then(|| id.with_trust_domain(&self.document.trust_domain.value).ok())
            .flatten();
        primary.unwrap_or_else(|| id.clone())
    }

    fn primary_pattern(&self, pattern: &IdPattern) -> IdPattern {
        match pattern {
            IdPattern::Exact(id) => IdPattern::Exact(self.primary(id)),
            IdPattern::Below(id) => IdPattern::Below(self.primary(id)),
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

/// The ports of a target that a rule speaks of; `None` where it speaks of none.
fn rule_ports(
    decl: &RuleDecl,
    workload: &Workload,
    exact: bool,
    span: Span,
    report: &mut Report,
) -> Option<Vec<super::PortRange>> {
    let all_public =
        !decl.from.is_empty() && decl.from.iter().all(|from| from.value == Principal::Public);
    let some_public = decl.from.iter().any(|from| from.value == Principal::Public);
    if decl.effect == Effect::Permit && exact && some_public && workload.public_ports.is_empty() {
        report.error_with_help(
            span,
            format!(
                "the workload `{}` has no public port, so `public` can never reach it",
                workload.name
            ),
            "list the port under `public_ports` of the workload",
        );
        return None;
    }
    if !decl.ports.is_empty() {
        let ranges = values(&decl.ports);
        let listens = |range: &super::PortRange| {
            workload
                .ports
                .iter()
                .chain(&workload.public_ports)
                .any(|port| range.contains(*port))
        };
        if exact && decl.effect == Effect::Permit && !ranges.iter().any(listens) {
            report.error_with_help(
                span,
                format!(
                    "the workload `{}` listens on none of these ports, so the rule can never match",
                    workload.name
                ),
                format!("`{}` declares {}", workload.name, listed(workload)),
            );
        }
        return Some(ranges);
    }
    if decl.effect == Effect::Forbid {
        return Some(Vec::new());
    }
    let default = if all_public {
        workload.default_public_port()
    } else {
        workload.default_port()
    };
    match default {
        Some(port) => {
            let mut ports = vec![single(port)];
            if some_public && !all_public {
                ports.extend(workload.default_public_port().map(single));
            }
            Some(ports)
        }
        None if exact => {
            report.error_with_help(
                span,
                format!(
                    "the permit `{}` names no port, and the workload `{}` declares {}",
                    decl.name.value,
                    workload.name,
                    listed(workload)
                ),
                "write `ports = [..]` in the rule, or give the workload exactly one port",
            );
            None
        }
        // `to = any` and the like pass over workloads that listen on nothing; where one listens on several, say which.
        None if workload.ports.len() > 1 => {
            report.error_with_help(
                span,
                format!(
                    "the permit `{}` names no port, and the workload `{}` declares {}",
                    decl.name.value,
                    workload.name,
                    listed(workload)
                ),
                "write `ports = [..]` in the rule",
            );
            None
        }
        None => None,
    }
}

/// A forbid by identity is no use beside a permit for `public` on the same port: the forbidden caller drops its SVID (T11).
fn check_public_forbids(
    document: &Document,
    workloads: &[Workload],
    rules: &[Rule],
    report: &mut Report,
) {
    let rule_at = |index: RuleIdx| {
        let at = usize::try_from(index.0).ok()?;
        Some((rules.get(at)?, document.rules.get(at)?))
    };
    for workload in workloads {
        let speaking = || {
            workload
                .rules
                .iter()
                .filter_map(|entry| rule_at(entry.rule).map(|(rule, decl)| (entry, rule, decl)))
        };
        let names_public = |rule: &Rule| rule.from.contains(&Who::Public);
        let opens = |port: &u16| {
            speaking().any(|(entry, rule, _)| {
                rule.effect == Effect::Permit && names_public(rule) && entry.covers_port(*port)
            })
        };
        let open: Vec<u16> = workload
            .public_ports
            .iter()
            .copied()
            .filter(opens)
            .collect();
        if open.is_empty() {
            continue;
        }
        for (entry, rule, decl) in speaking() {
            let by_identity = rule
                .from
                .iter()
                .any(|who| !matches!(who, Who::Zone(_) | Who::Public));
            if rule.effect == Effect::Forbid
                && by_identity
                && !names_public(rule)
                && open.iter().any(|port| entry.covers_port(*port))
            {
                report.error_with_help(
                    decl.name.span,
                    format!("the forbid `{}` can be dodged: `{}` takes callers without an SVID on a port it speaks of", rule.name, workload.name),
                    "add `public` to its `from`, or name the `ports` that are meant",
                );
            }
        }
    }
}

fn compile(
    loader: &Loader,
    when: &Spanned<Arc<str>>,
    report: &mut Report,
) -> Option<Arc<dyn crate::authorizer::Condition>> {
    let Some(compiler) = &loader.conditions else {
        report.error_with_help(
            when.span,
            "no condition language is registered, so `when` cannot be judged",
            "load the policy with one; a condition that nobody judges must not be skipped",
        );
        return None;
    };
    compiler
        .compile(&when.value)
        .map_err(|message| report.error(when.span, message))
        .ok()
}

fn unknown<'a>(
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

fn listed(workload: &Workload) -> String {
    let mut ports: Vec<_> = workload
        .ports
        .iter()
        .chain(&workload.public_ports)
        .collect();
    ports.dedup();
    match ports.as_slice() {
        [] => "no port".to_owned(),
        [port] => format!("port {port}"),
        several => format!(
            "the ports {}",
            several
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

const fn single(port: u16) -> super::PortRange {
    super::PortRange {
        first: port,
        last: port,
    }
}

fn values<T: Copy>(spanned: &[Spanned<T>]) -> Vec<T> {
    spanned.iter().map(|one| one.value).collect()
}
