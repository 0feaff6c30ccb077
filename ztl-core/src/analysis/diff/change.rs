//! One thing that became permitted, or denied.

use core::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::id::SpiffeId;
use crate::reason::Reason;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Caller {
    /// A declared workload, by name.
    Workload(Arc<str>),
    /// One that the document does not declare: this id stands for all that no rule tells apart from it.
    Undeclared(SpiffeId),
    /// A caller without an SVID, on a public port.
    Public,
}

impl fmt::Display for Caller {
    /// The name, the id, or `public`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload(name) => f.write_str(name),
            Self::Undeclared(id) => id.fmt(f),
            Self::Public => f.write_str("public"),
        }
    }
}

/// What the other document says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Otherwise {
    /// Why it denies the witness.
    pub reason: Reason,
    /// The rule that does, or the nearest.
    pub rule: Option<Arc<str>>,
    /// What that rule requires, where it is a permit.
    pub requires: Vec<String>,
}

/// One thing that became permitted, or denied: on these edges, what one action pattern of one permit lets in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// The callers, alike in this.
    pub callers: Vec<Caller>,
    /// From where: names of zones, `None` for an unknown place.
    pub places: Vec<Option<Arc<str>>>,
    /// The target's name.
    pub to: Arc<str>,
    /// Its ports. Where it declares none of them, one of those that the permit speaks of.
    pub ports: Vec<u16>,
    /// The action pattern; the change may be a part of it. `None`: the flow alone, on which nothing can be asked.
    pub action: Option<String>,
    /// The permit, of the document that permits.
    pub rule: Arc<str>,
    /// What it requires.
    pub requires: Vec<String>,
    /// What the other document says.
    pub otherwise: Otherwise,
    /// A decide request: permitted under one document, denied under the other.
    pub witness: Map<String, Value>,
    /// Whether [`decide`](crate::policy::decide) says so of the witness. It cannot where the difference hangs on a condition
    /// or an authorizer that says otherwise of this very request.
    pub confirmed: bool,
}

impl Change {
    /// The change as documented in docs/analysis.md.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let callers: Vec<_> = self.callers.iter().map(ToString::to_string).collect();
        let places: Vec<_> = self.places.iter().map(Option::as_deref).collect();
        json!({
            "from": callers,
            "places": places,
            "to": &*self.to,
            "ports": self.ports,
            "action": self.action,
            "rule": &*self.rule,
            "requires": self.requires,
            "otherwise": {
                "reason": self.otherwise.reason.code(),
                "rule": self.otherwise.rule.as_deref(),
                "requires": self.otherwise.requires,
            },
            "witness": self.witness,
            "confirmed": self.confirmed,
        })
    }
}
