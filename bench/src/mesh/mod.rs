//! A mesh of services: who may ask whom for what, and questions about it with their right answers.
//!
//! Every target has [`RULES_PER_TARGET`] rules: four for all workloads of one namespace and three for each of two callers, one
//! of them inside that namespace. A mesh of `n` rules is the first `n` rules of every larger one, so what a decision costs at
//! two sizes can be compared on the very same rules and questions.

mod pattern;
mod query;
mod route;

use std::collections::HashMap;

pub use pattern::Pattern;
pub use query::{Query, Questions};

use crate::random::Random;

/// The methods that rules and questions are made of.
pub const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];
/// How many rules speak of one target.
pub const RULES_PER_TARGET: usize = 10;
/// The trust domain.
pub const TRUST_DOMAIN: &str = "prod.example";

/// Targets of one cell; a cell has twice as many workloads, in two namespaces.
const CELL: usize = 16;
/// Rules for the namespace of a target, and for each of its two callers.
const SHARES: [usize; 3] = [4, 3, 3];
/// Sets of methods, as bits over [`METHODS`].
const METHOD_SETS: [u8; 4] = [0b0_0001, 0b0_0010, 0b0_0011, 0b0_1101];

const NAMESPACES: [&str; 8] = [
    "payments",
    "checkout",
    "search",
    "identity",
    "ml-serving",
    "shipping",
    "ledger",
    "edge",
];
const ACCOUNTS: [&str; 8] = [
    "frontend",
    "api-server",
    "worker",
    "indexer",
    "ranker",
    "gateway",
    "scheduler",
    "model-router",
];

/// A workload.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its name in a policy.
    pub name: String,
    /// Its SPIFFE ID.
    pub id: String,
    /// Its namespace.
    pub namespace: String,
}

/// Whom a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Caller {
    /// The workload at this place in [`Mesh::workloads`].
    One(usize),
    /// All workloads of this namespace.
    Namespace(String),
}

/// One permission.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The place of the target in [`Mesh::workloads`].
    pub target: usize,
    /// Who may ask.
    pub caller: Caller,
    /// By which methods: bits over [`METHODS`].
    pub methods: u8,
    /// For what.
    pub path: Pattern,
}

impl Rule {
    /// The names of its methods.
    pub fn method_names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let methods = self.methods;
        METHODS
            .into_iter()
            .enumerate()
            .filter(move |(at, _)| methods & (1 << at) != 0)
            .map(|(_, name)| name)
    }
}

/// Workloads and the rules about them.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// All workloads, targets and others.
    pub workloads: Vec<Workload>,
    /// All rules, those of one target together.
    pub rules: Vec<Rule>,
}

impl Mesh {
    /// The mesh of this many rules, a multiple of [`RULES_PER_TARGET`].
    #[must_use]
    pub fn new(rules: usize) -> Self {
        assert_eq!(rules % RULES_PER_TARGET, 0, "targets are whole");
        let targets = rules / RULES_PER_TARGET;
        let workloads: Vec<_> = (0..targets.div_ceil(CELL) * CELL * 2)
            .map(workload)
            .collect();
        let rules = (0..targets)
            .flat_map(|number| target_rules(number, &workloads))
            .collect();
        Self { workloads, rules }
    }

    /// Whether a rule speaks of this caller.
    #[must_use]
    pub fn speaks_of(&self, rule: &Rule, caller: &str) -> bool {
        match &rule.caller {
            Caller::One(at) => self.workloads[*at].id == caller,
            Caller::Namespace(namespace) => namespace_of(caller) == Some(namespace),
        }
    }

    /// The rules of each target, by its name.
    #[must_use]
    pub fn by_target(&self) -> HashMap<&str, Vec<&Rule>> {
        let mut targets: HashMap<&str, Vec<&Rule>> = HashMap::new();
        for rule in &self.rules {
            let name = self.workloads[rule.target].name.as_str();
            targets.entry(name).or_default().push(rule);
        }
        targets
    }
}

/// The SPIFFE ID of a workload.
#[must_use]
pub fn spiffe_id(namespace: &str, account: &str) -> String {
    format!("spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{account}")
}

/// The namespace of a SPIFFE ID of the mesh's own form and trust domain.
#[must_use]
pub fn namespace_of(id: &str) -> Option<&str> {
    let rest = id.strip_prefix("spiffe://prod.example/ns/")?;
    rest.split_once("/sa/").map(|(namespace, _)| namespace)
}

fn workload(at: usize) -> Workload {
    let number = at / (CELL * 2) * 2 + at % 2;
    let namespace = format!(
        "{}-{}",
        NAMESPACES[number % NAMESPACES.len()],
        number / NAMESPACES.len()
    );
    let name = format!("{}-{at:05}", ACCOUNTS[at / 2 % ACCOUNTS.len()]);
    Workload {
        id: spiffe_id(&namespace, &name),
        name,
        namespace,
    }
}

/// The rules of one target. Its callers stand in its own cell or in an earlier one.
fn target_rules(number: usize, workloads: &[Workload]) -> Vec<Rule> {
    let mut random = Random::new(0x5eed + number as u64);
    let cell = number / CELL;
    let target = cell * CELL * 2 + number % CELL;
    let known = (cell + 1) * CELL * 2;
    let namespace = workloads[random.below(known)].namespace.clone();
    let mut caller = |inside: bool| loop {
        let at = random.below(known);
        if at != target && (workloads[at].namespace == namespace) == inside {
            return Caller::One(at);
        }
    };
    let callers = [caller(false), caller(true)];
    let routes = route::routes(&mut random);
    let mut rules = Vec::with_capacity(RULES_PER_TARGET);
    for (share, caller) in SHARES
        .into_iter()
        .zip([Caller::Namespace(namespace)].into_iter().chain(callers))
    {
        let mut free: Vec<&Pattern> = routes.iter().collect();
        for _ in 0..share {
            let path = free.swap_remove(random.below(free.len())).clone();
            rules.push(Rule {
                target,
                caller: caller.clone(),
                methods: *random.pick(&METHOD_SETS),
                path,
            });
        }
    }
    rules
}
