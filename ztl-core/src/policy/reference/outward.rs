//! Hosts outside the mesh.

use crate::policy::document::{Effect, ExternalDecl, RuleDecl, WorkloadDecl, ZoneDecl};
use crate::policy::external::External;
use crate::reason::{Reason, Stage};
use crate::web_host::Outside;

use super::{Asked, Called, Ends};

impl<'a> Called<'a> {
    /// Its name.
    pub(super) fn name(self) -> &'a str {
        match self {
            Self::Workload(decl) => &decl.name.value,
            Self::External(decl) => &decl.name.value,
        }
    }

    /// The zone that it is declared in.
    pub(super) fn zone(self) -> Option<&'a str> {
        match self {
            Self::Workload(decl) => decl.zone.as_ref().map(|zone| &*zone.value),
            Self::External(_) => None,
        }
    }
}

impl<'a> Asked<'a> {
    /// §2.9
    pub(super) fn outward(
        &self,
        me: &'a WorkloadDecl,
        outside: Outside<'_>,
    ) -> Result<Ends<'a>, (Stage, Reason)> {
        let named = |decl: &&ExternalDecl| {
            let mut hosts = decl.hosts.iter();
            hosts.any(|host| *host.value == *outside.name())
        };
        let found = self.document.externals.iter().find(named);
        let external = found.ok_or((Stage::Flow, Reason::NoFlowPermitted))?;
        let host = outside.proved();
        let host = host.ok_or((Stage::Identity, Reason::IdentityUnproven))?;
        let declared = External::declared(external);
        if host.addr().is_some_and(|addr| !declared.admits(addr)) {
            return Err((Stage::Flow, Reason::NoFlowPermitted));
        }
        Ok(Ends {
            caller: self.primary(&me.id.value),
            declared: Some(me),
            target: Called::External(external),
            zones: self.home(me),
        })
    }

    /// §2.5
    pub(super) fn home(&self, me: &WorkloadDecl) -> Option<Vec<&'a ZoneDecl>> {
        let zone = me.zone.as_ref()?;
        let zones = self.document.zones.iter();
        Some(zones.filter(|decl| decl.name.value == zone.value).collect())
    }
}

/// §3.7
pub(super) fn covers_outside(rule: &RuleDecl, external: &ExternalDecl, port: u16) -> bool {
    let written = rule.ports.iter().any(|range| range.value.contains(port));
    match rule.effect {
        Effect::Forbid => rule.ports.is_empty() || written,
        Effect::Permit => {
            let declared = external.ports.iter().any(|one| one.value == port);
            declared && (rule.ports.is_empty() || written)
        }
    }
}
