//! What a policy holds, in numbers.

use core::fmt;
use std::collections::BTreeSet;

use serde_json::{Map, Value};
use ztl_core::policy::{Effect, Mode, Policy, Revision};

#[derive(Debug)]
pub(super) struct Summary<'a> {
    trust_domain: &'a str,
    revision: Revision,
    serial: Option<u64>,
    workloads: usize,
    zones: usize,
    permits: usize,
    forbids: usize,
    shadow: usize,
    off: usize,
    nevers: usize,
    tests: usize,
    /// Schemas that the document names and this tool does not read.
    unread: usize,
}

impl<'a> Summary<'a> {
    pub(super) fn of(policy: &'a Policy) -> Self {
        let document = policy.document();
        let of_effect = |effect| {
            document
                .rules
                .iter()
                .filter(|rule| rule.effect == effect)
                .count()
        };
        let in_mode = |mode| {
            document
                .rules
                .iter()
                .filter(|rule| rule.mode == mode)
                .count()
        };
        let schemas: BTreeSet<&str> = document
            .rules
            .iter()
            .filter_map(|rule| rule.oblige.schema.as_ref())
            .map(|schema| &*schema.value)
            .collect();
        let unread = schemas
            .into_iter()
            .filter(|name| policy.schema(name).is_none());
        Self {
            trust_domain: policy.trust_domain().as_str(),
            revision: policy.revision(),
            serial: policy.serial(),
            workloads: policy.workloads().len(),
            zones: policy.zones().iter().count(),
            permits: of_effect(Effect::Permit),
            forbids: of_effect(Effect::Forbid),
            shadow: in_mode(Mode::Shadow),
            off: in_mode(Mode::Off),
            nevers: document.nevers.len(),
            tests: document.tests.len(),
            unread: unread.count(),
        }
    }

    pub(super) fn json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("trust_domain".to_owned(), self.trust_domain.into());
        object.insert("revision".to_owned(), self.revision.to_string().into());
        object.insert("serial".to_owned(), self.serial.into());
        for (name, count) in [
            ("workloads", self.workloads),
            ("zones", self.zones),
            ("permits", self.permits),
            ("forbids", self.forbids),
            ("shadow", self.shadow),
            ("off", self.off),
            ("nevers", self.nevers),
            ("tests", self.tests),
            ("schemas_unread", self.unread),
        ] {
            object.insert(name.to_owned(), count.into());
        }
        object
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let serial = self
            .serial
            .map_or_else(|| "none".to_owned(), |serial| serial.to_string());
        writeln!(f, "  trust domain  {}", self.trust_domain)?;
        writeln!(f, "  revision      {}", self.revision)?;
        writeln!(f, "  serial        {serial}")?;
        writeln!(f, "  workloads     {}", self.workloads)?;
        writeln!(f, "  zones         {}", self.zones)?;
        write!(
            f,
            "  rules         {} permit, {} forbid",
            self.permits, self.forbids
        )?;
        if self.shadow + self.off > 0 {
            write!(f, " (of these {} in shadow, {} off)", self.shadow, self.off)?;
        }
        writeln!(f, "\n  assertions    {} never, all proved", self.nevers)?;
        writeln!(f, "  tests         {} (`ztl test` runs them)", self.tests)?;
        if self.unread > 0 {
            writeln!(
                f,
                "  schemas       {} not read: a service has another revision (build `ztl` with the feature `schema`)",
                self.unread
            )?;
        }
        Ok(())
    }
}
