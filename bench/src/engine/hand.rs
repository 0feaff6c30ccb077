//! What somebody could write by hand for this mesh alone.

use core::fmt;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::Engine;
use crate::mesh::{Caller, Mesh, Pattern, Query, Rule, namespace_of};

type Map<T> = HashMap<Box<str>, T, RandomState>;

/// A hash per target and caller, and what that caller may ask for. The rules of its namespace are folded into its own.
pub struct Tuned {
    targets: Map<Target>,
}

#[derive(Default)]
struct Target {
    callers: Map<Arc<Table>>,
    namespaces: Map<Arc<Table>>,
}

/// What may be asked for on one edge, cheapest test first. The numbers are methods as bits.
struct Table {
    methods: u8,
    exact: Box<[(u8, Box<str>)]>,
    below: Box<[(u8, Box<str>)]>,
    templates: Box<[(u8, Template)]>,
}

/// The texts before, between and behind the parameters.
struct Template {
    before: Box<[Box<str>]>,
    behind: Box<str>,
}

impl Tuned {
    /// Indexes the mesh.
    #[must_use]
    pub fn new(mesh: &Mesh) -> Self {
        let mut targets = Map::default();
        for (name, rules) in mesh.by_target() {
            let mut target = Target::default();
            for rule in &rules {
                let same = |other: &&&Rule| other.caller == rule.caller;
                match &rule.caller {
                    Caller::One(at) => {
                        let id = mesh.workloads[*at].id.as_str();
                        let own = rules.iter().filter(|other| mesh.speaks_of(other, id));
                        target
                            .callers
                            .entry(id.into())
                            .or_insert_with(|| Arc::new(Table::new(own)));
                    }
                    Caller::Namespace(namespace) => {
                        target
                            .namespaces
                            .entry(namespace.as_str().into())
                            .or_insert_with(|| Arc::new(Table::new(rules.iter().filter(same))));
                    }
                }
            }
            targets.insert(name.into(), target);
        }
        Self { targets }
    }

    fn edge(&self, query: &Query) -> Option<&Arc<Table>> {
        let target = self.targets.get(query.target.as_str())?;
        target
            .callers
            .get(query.caller.as_str())
            .or_else(|| target.namespaces.get(namespace_of(&query.caller)?))
    }
}

impl Engine for Tuned {
    fn permits(&self, _: usize, query: &Query) -> bool {
        self.edge(query)
            .is_some_and(|table| table.permits(1 << query.method, &query.path))
    }
}

/// The same with the edge of each question looked up beforehand, as a server can when a connection opens.
pub struct Bound {
    edges: Vec<Option<Arc<Table>>>,
    // The rest of the mesh stays in memory, as it would in a server.
    _all: Tuned,
}

impl Bound {
    /// Indexes the mesh and looks up the edge of each question.
    #[must_use]
    pub fn new(mesh: &Mesh, queries: &[Query]) -> Self {
        let all = Tuned::new(mesh);
        let edges = queries.iter().map(|query| all.edge(query).cloned());
        Self {
            edges: edges.collect(),
            _all: all,
        }
    }
}

impl Engine for Bound {
    fn permits(&self, at: usize, query: &Query) -> bool {
        self.edges[at]
            .as_ref()
            .is_some_and(|table| table.permits(1 << query.method, &query.path))
    }
}

impl Table {
    fn new<'a>(rules: impl Iterator<Item = &'a &'a Rule>) -> Self {
        let (mut methods, mut exact, mut below, mut templates) = (0, vec![], vec![], vec![]);
        for rule in rules {
            methods |= rule.methods;
            match &rule.path {
                Pattern::Exact(path) => exact.push((rule.methods, path.as_str().into())),
                Pattern::Below(base) => below.push((rule.methods, format!("{base}/").into())),
                Pattern::Template(text) => templates.push((rule.methods, Template::new(text))),
            }
        }
        Self {
            methods,
            exact: exact.into(),
            below: below.into(),
            templates: templates.into(),
        }
    }

    fn permits(&self, method: u8, path: &str) -> bool {
        if self.methods & method == 0 {
            return false;
        }
        let exact =
            || (self.exact.iter()).any(|(methods, text)| methods & method != 0 && **text == *path);
        let below = || {
            self.below.iter().any(|(methods, base)| {
                let rest = path.as_bytes().strip_prefix(base.as_bytes());
                methods & method != 0 && rest.is_some_and(|rest| !matches!(rest, [] | [b'/', ..]))
            })
        };
        let template = || {
            self.templates
                .iter()
                .any(|(methods, template)| methods & method != 0 && template.matches(path))
        };
        exact() || below() || template()
    }
}

impl Template {
    fn new(text: &str) -> Self {
        let mut before = Vec::new();
        let mut rest = text;
        while let Some((literal, more)) = rest.split_once('{') {
            before.push(literal.into());
            rest = more.split_once('}').map_or("", |(_, more)| more);
        }
        Self {
            before: before.into(),
            behind: rest.into(),
        }
    }

    fn matches(&self, path: &str) -> bool {
        let mut rest = path.as_bytes();
        for literal in &self.before {
            let Some(more) = rest.strip_prefix(literal.as_bytes()) else {
                return false;
            };
            let end = more.iter().position(|byte| *byte == b'/');
            let end = end.unwrap_or(more.len());
            if end == 0 {
                return false;
            }
            rest = &more[end..];
        }
        *rest == *self.behind.as_bytes()
    }
}

impl fmt::Debug for Tuned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tuned")
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bound")
    }
}
