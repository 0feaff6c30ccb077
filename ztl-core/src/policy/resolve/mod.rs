//! Every name of a document resolved; every rule checked for what it can mean.
//!
//! A rule that can never match by itself, a name that nothing declares, a forbid that could be dodged through a fact that is
//! not stated: each refuses the whole document.

mod authorizers;
mod dodged;
mod names;
mod oblige;
mod outward;
mod ports;
mod rules;
mod schemas;
mod unasked;

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;

use crate::texts::Texts;
use crate::zone::{Zone, ZoneIdx, ZoneMap};

use self::names::Names;
pub(super) use self::schemas::Schemas;
use super::Policy;
use super::diagnostic::Report;
use super::document::{Document, Effect, Mode, Spanned};
use super::external::External;
use super::index::{self, Index};
use super::limits::MAX_MEETINGS;
use super::load::Loader;
use super::rule::{RuleIdx, TargetRule};
use super::workload::WorkloadIdx;

/// Makes a policy of a document, or says what is wrong with it.
pub(super) fn resolve(
    loader: &Loader,
    mut document: Document,
    report: &mut Report,
) -> Option<Policy> {
    let authorizers = authorizers::authorizers(&document, loader, report);
    document.revision = authorizers::revision(document.revision, &authorizers);
    let schemas = schemas::schemas(&mut document, loader, report);
    document.revision = schemas::revision(document.revision, &schemas);
    for decl in &mut document.authorizers {
        let made = authorizers.get(&*decl.name.value);
        decl.made_from = made.and_then(|authorizer| authorizer.digest());
    }
    let zones = zone_map(&document, report);
    let mut names = Names {
        document: &document,
        zones: HashMap::new(),
        by_name: HashMap::default(),
        by_id: HashMap::default(),
        authorizers,
        labels: names::labels(&document),
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
    for (workload, decl) in workloads.iter_mut().zip(&document.workloads) {
        let forwards = decl.forwards.iter();
        workload.forwards = forwards
            .filter_map(|whose| names.who(whose, Effect::Permit, report))
            .collect();
    }
    let mut externals = outward::externals(&document, report);
    let mut rules = Vec::with_capacity(document.rules.len());
    let mut meetings = 0;
    for (index, decl) in document.rules.iter().enumerate() {
        let index = RuleIdx(u32::try_from(index).ok()?);
        let targets = names.targets(decl, &workloads, &externals, report);
        meetings += targets.len() * decl.from.len().clamp(1, index::FEW);
        if meetings > MAX_MEETINGS {
            report.error_with_help(
                decl.span,
                format!("up to here the rules speak of more than {MAX_MEETINGS} pairs of a caller and a target"),
                "write fewer rules that name many targets, or split the document",
            );
            return None;
        }
        for (target, ports) in targets {
            let at = usize::try_from(target.0).ok()?;
            let beyond = at.checked_sub(workloads.len());
            let external = beyond.and_then(|at| externals.get_mut(at));
            let lists = match (workloads.get_mut(at), external) {
                (Some(one), _) => [&mut one.shadow, &mut one.forbids, &mut one.permits],
                (None, Some(one)) => [&mut one.shadow, &mut one.forbids, &mut one.permits],
                (None, None) => continue,
            };
            let [shadow, forbids, permits] = lists;
            let list = match (decl.mode, decl.effect) {
                (Mode::Off, _) => continue,
                (Mode::Shadow, _) => shadow,
                (Mode::Enforce, Effect::Forbid) => forbids,
                (Mode::Enforce, Effect::Permit) => permits,
            };
            list.push(TargetRule { rule: index, ports });
        }
        rules.push(names.rule(loader, decl, report));
    }
    for workload in &mut workloads {
        for list in [
            &mut workload.forbids,
            &mut workload.permits,
            &mut workload.shadow,
        ] {
            list.shrink_to_fit();
        }
    }
    names.overrides(report);
    dodged::check(&document, &workloads, &rules, report);
    unasked::check(&document, &workloads, &externals, &rules, &zones, report);
    let Names { by_name, by_id, .. } = names;
    let first = u32::try_from(workloads.len()).ok()?;
    Some(Policy {
        index: Index::new(&workloads, &externals, &rules),
        revision_text: document.revision.to_string().into(),
        zones,
        workloads,
        by_name: by_name.into_iter().collect(),
        by_id: (by_id.into_iter())
            .map(|(id, index)| (id.shared_text(), index))
            .collect(),
        by_host: by_host(&externals, first),
        externals,
        rules,
        schemas,
        document,
    })
}

/// The destinations outside the mesh by host, numbered from `first` on.
fn by_host(externals: &[External], first: u32) -> Texts<WorkloadIdx> {
    let mut hosts = Vec::new();
    for (index, external) in (first..).zip(externals) {
        let index = WorkloadIdx(index);
        hosts.extend(external.hosts.iter().map(|host| (Arc::clone(host), index)));
    }
    hosts.into_iter().collect()
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
fn values<T: Copy>(spanned: &[Spanned<T>]) -> Vec<T> {
    spanned.iter().map(|one| one.value).collect()
}
