//! What a workload's own guard lets out of the mesh. Nobody else judges there.

use std::collections::HashSet;

use super::edge::{Edge, Grant, Need, Veto};
use crate::policy::{Aim, Effect, External, Policy, RuleIdx, Workload, WorkloadIdx, calling};

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
        let caller = calling(self.me);
        let rules = Aim::External(self.external).enforced(self.policy, port);
        let mut edge = Edge::default();
        for (index, rule, decl) in rules {
            let absent = self.without.contains(&index);
            if absent || !rule.speaks_of(&caller, self.policy.zones()) {
                continue;
            }
            match rule.effect {
                Effect::Forbid if rule.forbids_flow() => return None,
                // What is outside no forbid of it may ask a condition of.
                Effect::Forbid => {
                    edge.forbids
                        .extend(Veto::of(self.policy, (index, rule, decl), true))
                }
                Effect::Permit => {
                    let need = Need::of(self.policy, rule, decl);
                    edge.permits.extend(Grant::of(index, rule, &need));
                }
            }
        }
        (!edge.permits.is_empty()).then_some(edge)
    }
}
