//! What a workload's own guard lets out of the mesh. Nobody else judges there.

use std::collections::HashSet;

use super::edge::{Edge, Grant, Need, Veto};
use crate::policy::{
    Aim, Caller, Effect, External, Mode, Place, Policy, Rule, RuleDecl, RuleIdx, Workload,
    WorkloadIdx,
};

/// What may be asked at one port of one destination outside the mesh.
pub(crate) struct Exit<'a> {
    pub(crate) external: &'a External,
    pub(crate) port: u16,
    pub(crate) edge: Edge<'a>,
}

/// A workload that calls one destination outside the mesh.
pub(crate) struct Outward<'q, 'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) external: &'a External,
    /// Who calls, as it sees itself.
    pub(crate) me: (WorkloadIdx, &'a Workload),
    /// Rules that are taken as absent.
    pub(crate) without: &'q HashSet<RuleIdx>,
}

impl<'a> Outward<'_, 'a> {
    /// Each port on which something may be asked.
    pub(crate) fn exits(&self) -> impl Iterator<Item = Exit<'a>> {
        let ports = self.external.ports.iter();
        ports.filter_map(|port| {
            Some(Exit {
                external: self.external,
                port: *port,
                edge: self.edge(*port)?,
            })
        })
    }

    /// None where the flow is denied.
    fn edge(&self, port: u16) -> Option<Edge<'a>> {
        let caller = Caller {
            id: Some(&self.me.1.id),
            workload: Some(self.me),
            place: Place::Declared(self.me.1.zone),
        };
        let mut edge = Edge::default();
        for (index, rule, decl) in self.rules(port) {
            let zones = self.policy.zones();
            let speaks = rule.from.iter().any(|who| {
                let found = who.speaks_of(&caller, rule.effect, zones);
                found.counts_for(rule.effect)
            });
            if !speaks {
                continue;
            }
            match rule.effect {
                Effect::Forbid if rule.forbids_flow() => return None,
                // A forbid with a condition says nothing of what is outside.
                Effect::Forbid => {
                    let vetoes = rule.actions.iter();
                    edge.forbids.extend(vetoes.map(|pattern| Veto {
                        rule: index,
                        pattern: Some(pattern),
                        when: None,
                        of_peer: true,
                        policy: self.policy,
                        of: rule,
                    }));
                }
                Effect::Permit => {
                    let need = Need::of(self.policy, rule, decl);
                    let grants = rule.actions.iter();
                    edge.permits.extend(grants.map(|pattern| Grant {
                        rule: index,
                        pattern,
                        need: need.clone(),
                    }));
                }
            }
        }
        (!edge.permits.is_empty()).then_some(edge)
    }

    /// The enforced rules about it on this port.
    fn rules(&self, port: u16) -> impl Iterator<Item = (RuleIdx, &'a Rule, &'a RuleDecl)> {
        let (policy, without) = (self.policy, self.without);
        let entries = Aim::External(self.external).rules();
        entries
            .filter(move |entry| entry.covers_port(port) && !without.contains(&entry.rule))
            .filter_map(move |entry| {
                let at = usize::try_from(entry.rule.0).ok()?;
                let decl = policy.document().rules.get(at)?;
                Some((entry.rule, policy.rule(entry.rule)?, decl))
            })
            .filter(|(_, rule, _)| rule.mode == Mode::Enforce)
    }
}
