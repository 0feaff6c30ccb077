//! Questions about a mesh, half of them to be permitted and half denied by a hair's breadth.

use std::collections::HashMap;

use super::{Caller, METHODS, Mesh, Rule, namespace_of, spiffe_id};
use crate::random::Random;

/// A question, and its answer.
#[derive(Clone, Debug)]
pub struct Query {
    /// The SPIFFE ID that asks.
    pub caller: String,
    /// The name of the workload that is asked.
    pub target: String,
    /// The method, by its place in [`METHODS`].
    pub method: usize,
    /// The path.
    pub path: String,
    /// Whether the caller may speak to the target at all.
    pub flow: bool,
    /// Whether it may ask for this.
    pub permitted: bool,
}

impl Query {
    /// The method's name.
    #[must_use]
    pub const fn method_name(&self) -> &'static str {
        METHODS[self.method]
    }
}

/// The same number of questions of each kind.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Questions {
    /// About all rules.
    pub any: Vec<Query>,
    /// On flows that are permitted.
    pub bound: Vec<Query>,
    /// About all rules, all to be denied.
    pub denied: Vec<Query>,
    /// On flows that are permitted, all to be denied.
    pub refused: Vec<Query>,
}

impl Mesh {
    /// `count` questions of each kind.
    #[must_use]
    pub fn questions(&self, count: usize) -> Questions {
        let denied = |queries: Vec<Query>| {
            let denied = queries.into_iter().filter(|query| !query.permitted);
            denied.collect()
        };
        Questions {
            any: self.queries(count),
            bound: self.queries_on_permitted_flows(count),
            denied: denied(self.queries(2 * count)),
            refused: denied(self.queries_on_permitted_flows(2 * count)),
        }
    }

    /// The same, all about the first target, which is the same at every size.
    #[must_use]
    pub fn questions_of_first_target(&self, count: usize) -> Questions {
        let all = self.queries_of_first_target(count);
        Questions {
            any: all.clone(),
            bound: all.clone(),
            denied: all.clone(),
            refused: all,
        }
    }

    /// `count` questions about all rules.
    #[must_use]
    pub fn queries(&self, count: usize) -> Vec<Query> {
        Asker::new(self, self.rules.len()).queries(count, |_| true)
    }

    /// The same on flows that are permitted, so that only the action decides.
    #[must_use]
    pub fn queries_on_permitted_flows(&self, count: usize) -> Vec<Query> {
        Asker::new(self, self.rules.len()).queries(count, |query| query.flow)
    }

    /// The same about the first target, which is the same at every size.
    #[must_use]
    pub fn queries_of_first_target(&self, count: usize) -> Vec<Query> {
        Asker::new(self, super::RULES_PER_TARGET)
            .queries(count, |query| query.flow && self.is_of_first_cell(query))
    }

    fn is_of_first_cell(&self, query: &Query) -> bool {
        let first = self.workloads.iter().take(super::CELL * 2);
        first
            .filter(|workload| workload.name == query.target || workload.id == query.caller)
            .count()
            == 2
    }
}

/// Makes questions up.
struct Asker<'a> {
    mesh: &'a Mesh,
    /// The rules that are asked about.
    rules: &'a [Rule],
    by_target: HashMap<&'a str, Vec<&'a Rule>>,
    namespaces: HashMap<&'a str, Vec<&'a str>>,
    random: Random,
}

impl<'a> Asker<'a> {
    fn new(mesh: &'a Mesh, rules: usize) -> Self {
        let mut namespaces: HashMap<&str, Vec<&str>> = HashMap::new();
        for workload in &mesh.workloads {
            let members = namespaces.entry(&workload.namespace).or_default();
            members.push(&workload.id);
        }
        Self {
            mesh,
            rules: &mesh.rules[..rules],
            by_target: mesh.by_target(),
            namespaces,
            random: Random::new(7),
        }
    }

    fn queries(mut self, count: usize, wanted: impl Fn(&Query) -> bool) -> Vec<Query> {
        let mut queries = Vec::with_capacity(count);
        while queries.len() < count {
            let permitted = queries.len() % 2 == 0;
            let mut query = self.hit();
            if !permitted {
                self.spoil(&mut query);
            }
            self.judge(&mut query);
            if query.permitted == permitted && wanted(&query) {
                queries.push(query);
            }
        }
        queries
    }

    /// A question that some rule permits.
    fn hit(&mut self) -> Query {
        let rule = self.random.pick(self.rules);
        let caller = match &rule.caller {
            Caller::One(at) => &self.mesh.workloads[*at].id,
            Caller::Namespace(namespace) => *self.random.pick(&self.namespaces[namespace.as_str()]),
        };
        let method = loop {
            let method = self.random.below(METHODS.len());
            if rule.methods & (1 << method) != 0 {
                break method;
            }
        };
        Query {
            caller: caller.to_owned(),
            target: self.mesh.workloads[rule.target].name.clone(),
            method,
            path: rule.path.instance(&mut self.random),
            flow: true,
            permitted: true,
        }
    }

    /// Changes one thing about a question.
    fn spoil(&mut self, query: &mut Query) {
        match self.random.below(100) {
            0..20 => query.method = self.random.below(METHODS.len()),
            20..30 => query.path.push_str("/extra"),
            30..38 => query.path.push('x'),
            38..45 => {
                if let Some((parent, _)) =
                    query.path.rsplit_once('/').filter(|(up, _)| !up.is_empty())
                {
                    query.path = parent.to_owned();
                }
            }
            45..51 => query.path.insert_str(0, "/internal"),
            51..66 => query
                .caller
                .clone_from(&self.random.pick(&self.mesh.workloads).id),
            66..80 => query
                .target
                .clone_from(&self.random.pick(&self.mesh.workloads).name),
            80..87 => {
                // A namespace whose name begins alike.
                let (namespace, account) = parts(&query.caller);
                query.caller = spiffe_id(&format!("{namespace}0"), account);
            }
            87..93 => query.caller = query.caller.replace(super::TRUST_DOMAIN, "dev.example"),
            _ => {
                // A namespace with something behind its name's end.
                let (namespace, account) = parts(&query.caller);
                query.caller = spiffe_id(&format!("x-{namespace}"), account);
            }
        }
    }

    fn judge(&self, query: &mut Query) {
        let rules = self.by_target.get(query.target.as_str());
        let speaking = rules
            .into_iter()
            .flatten()
            .filter(|rule| self.mesh.speaks_of(rule, &query.caller));
        (query.flow, query.permitted) = (false, false);
        for rule in speaking {
            query.flow = true;
            query.permitted |=
                rule.methods & (1 << query.method) != 0 && rule.path.matches(&query.path);
        }
    }
}

fn parts(id: &str) -> (&str, &str) {
    let namespace = namespace_of(id).expect("an id of the mesh");
    let (_, account) = id.rsplit_once('/').expect("an id of the mesh");
    (namespace, account)
}
