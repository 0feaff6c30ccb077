//! The blast radius of a workload that was taken over: what it can do, and what can be done from there.
//!
//! 1. Whoever has taken over a workload has its SVID and its place, skips its own egress checks, and asks for whatever it
//!    likes. So the target decides alone, and only what stands at the target's end counts.
//! 2. Requirements may hold: a token may have been taken as well. They are told of, and hold nothing up. What is known from
//!    the document alone, that a place's zone is trusted enough, does.
//! 3. A forbid holds something up only if it is enforced and has no condition (T10).
//! 4. A workload can leave its SVID at home: where a public port reaches, it is tried as `public` too (T11). Where it is a
//!    party that a target lets say who a caller is (`asserted_by`), it is tried as everyone (T12).
//! 5. Each workload that is reached, over whatever action, can be taken over in turn.
//! 6. A workload without a `zone` is tried from every place.
//! 7. Outside the mesh only the guard of who calls judges, and who was taken over may skip it: there it is told what guards
//!    let out, and nothing is claimed of who has none.

mod chain;
mod outside;
mod step;
mod walk;

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};
use thiserror::Error;

pub(crate) use self::chain::{Chains, Start, Step, Way};
use self::outside::walk_back;
pub use self::outside::{ReachExit, ReachedBy, ReachedFrom};
pub(crate) use self::step::{Counting, Mesh};
use self::walk::walk;
use crate::policy::{Policy, RuleIdx, WorkloadIdx};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReachError {
    /// No workload has this name.
    #[error("there is no workload `{0}`")]
    UnknownWorkload(String),
    /// No destination outside the mesh has this name.
    #[error("there is no external destination `{0}`")]
    UnknownExternal(String),
    /// No rule has this name.
    #[error("there is no rule `{0}`")]
    UnknownRule(String),
    /// An id is so long that none fits below it.
    #[error("an id is too long for another below it")]
    IdTooLong,
}

/// What is asked beside the workload.
#[derive(Clone, Debug, Default)]
pub struct ReachOptions {
    without: Vec<String>,
    hops: Option<usize>,
}

impl ReachOptions {
    /// Every rule as it stands, and any number of hops.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// As though this rule were absent, by name.
    #[must_use]
    pub fn without(mut self, rule: &str) -> Self {
        self.without.push(rule.to_owned());
        self
    }

    /// At most so many hops.
    #[must_use]
    pub const fn hops(mut self, most: usize) -> Self {
        self.hops = Some(most);
        self
    }
}

/// The blast radius of a workload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reach {
    /// The workload that was taken over.
    pub start: Arc<str>,
    /// What can be reached from there, the nearest first and each once.
    pub reached: Vec<Reached>,
    /// What can be done from every workload that was taken over, nearest first.
    pub edges: Vec<ReachEdge>,
    /// What the guards of all these let out of the mesh, nearest first. One that is skipped lets out everything.
    pub exits: Vec<ReachExit>,
}

/// A workload that can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reached {
    /// Its name.
    pub workload: Arc<str>,
    /// After how many hops at the least.
    pub hops: usize,
    /// Whether it can be reached with nothing but what was taken over: over edges that require nothing.
    pub freely: bool,
}

/// What one workload can do at one port of another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReachEdge {
    /// Which hop this is: 1 from the start.
    pub hop: usize,
    /// Who calls.
    pub from: Arc<str>,
    /// How it shows itself: `svid`, `public`, or `asserted`.
    pub shown_as: &'static str,
    /// Whom.
    pub to: Arc<str>,
    /// On which port.
    pub port: u16,
    /// What it can ask for, by rule.
    pub uses: Vec<Use>,
}

impl ReachEdge {
    /// Whether anything can be done here with nothing but what was taken over.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.uses.iter().any(|one| one.requires.is_empty())
    }
}

/// What one permit lets somebody do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Use {
    /// The permit.
    pub rule: Arc<str>,
    /// Its action patterns of which something is left.
    pub actions: Vec<String>,
    /// What stands in the way: all of this must hold. Empty: nothing does.
    pub requires: Vec<String>,
    /// Forbids that take a part of this away.
    pub except: Vec<Arc<str>>,
    /// Forbids with a condition, which are not counted on.
    pub unless: Vec<Arc<str>>,
}

/// The blast radius of a workload under a policy.
///
/// ```
/// use ztl_core::{analysis::{self, ReachOptions}, policy::Policy};
///
/// let policy = Policy::from_toml(r#"
///     schema = 1
///     trust_domain = "prod.example"
///     [workloads.web]
///     id = "spiffe://prod.example/web"
///     [workloads.api]
///     id = "spiffe://prod.example/api"
///     ports = [8443]
///     [workloads.db]
///     id = "spiffe://prod.example/db"
///     ports = [5432]
///     [[permit]]
///     name = "web-asks"
///     from = "web"
///     to = "api"
///     actions = ["GET /{*all}"]
///     [permit.require]
///     trust_score = 70
///     [[permit]]
///     name = "api-stores"
///     from = "api"
///     to = "db"
///     actions = ["connect"]
/// "#)?;
/// let reach = analysis::reach(&policy, "web", &ReachOptions::new())?;
/// let found: Vec<_> = reach.reached.iter().map(|one| (&*one.workload, one.hops, one.freely)).collect();
/// assert_eq!(found, [("api", 1, false), ("db", 2, false)]);
/// assert_eq!(reach.edges[0].uses[0].requires, ["trust_score >= 70"]);
///
/// let after = analysis::reach(&policy, "web", &ReachOptions::new().without("api-stores"))?;
/// assert_eq!(after.reached.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ReachError`] where there is no such workload or rule.
pub fn reach(policy: &Policy, workload: &str, options: &ReachOptions) -> Result<Reach, ReachError> {
    let Some((start, _)) = policy.workload_named(workload) else {
        return Err(ReachError::UnknownWorkload(workload.to_owned()));
    };
    let mesh = mesh(policy, options)?;
    Ok(walk(&mesh, start, options.hops.unwrap_or(usize::MAX)))
}

/// Who reaches a destination outside the mesh, `[external.NAME]`: every workload whose guard lets it out there, and every one
/// that can have another call there for it.
///
/// ```
/// use ztl_core::{analysis::{self, ReachOptions}, policy::Policy};
///
/// let policy = Policy::from_toml(r#"
///     schema = 1
///     trust_domain = "prod.example"
///     [workloads.web]
///     id = "spiffe://prod.example/web"
///     [workloads.trainer]
///     id = "spiffe://prod.example/trainer"
///     ports = [8443]
///     [external.hub]
///     hosts = ["hub.example.org"]
///     [[permit]]
///     name = "web-trains"
///     from = "web"
///     to = "trainer"
///     actions = ["POST /runs"]
///     [[permit]]
///     name = "trainer-fetches"
///     from = "trainer"
///     to = "external:hub"
///     actions = ["GET /models/{*path}"]
/// "#)?;
/// let found = analysis::reached_by(&policy, "hub", &ReachOptions::new())?;
/// let callers: Vec<_> = found.callers.iter().map(|one| (&*one.workload, one.over.as_deref())).collect();
/// assert_eq!(callers, [("trainer", None), ("web", Some("trainer"))]);
/// assert_eq!(&*found.exits[0].uses[0].rule, "trainer-fetches");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ReachError`] where there is no such destination or rule.
pub fn reached_by(
    policy: &Policy,
    external: &str,
    options: &ReachOptions,
) -> Result<ReachedBy, ReachError> {
    let first = policy.workloads().len();
    let mut numbered = (0_u32..)
        .map(WorkloadIdx)
        .skip(first)
        .zip(policy.externals());
    let found = numbered.find(|(_, one)| one.name() == external);
    let found = found.ok_or_else(|| ReachError::UnknownExternal(external.to_owned()))?;
    let mesh = mesh(policy, options)?;
    Ok(walk_back(&mesh, found, options.hops.unwrap_or(usize::MAX)))
}

fn mesh<'a>(policy: &'a Policy, options: &ReachOptions) -> Result<Mesh<'a>, ReachError> {
    let mut without = HashSet::new();
    for name in &options.without {
        let mut rules = policy.rules().zip(0_u32..);
        let found = rules.find(|(rule, _)| *rule.name == **name);
        let (_, index) = found.ok_or_else(|| ReachError::UnknownRule(name.clone()))?;
        without.insert(RuleIdx(index));
    }
    Mesh::new(policy, without, Counting::Known, usize::MAX).ok_or(ReachError::IdTooLong)
}

impl Reach {
    /// The blast radius as documented in docs/analysis.md.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let reached: Vec<_> = self
            .reached
            .iter()
            .map(
                |one| json!({ "workload": &*one.workload, "hops": one.hops, "freely": one.freely }),
            )
            .collect();
        let edges = self.edges.iter().map(|edge| {
            json!({
                "hop": edge.hop,
                "from": &*edge.from,
                "as": edge.shown_as,
                "to": &*edge.to,
                "port": edge.port,
                "free": edge.is_free(),
                "uses": edge.uses.iter().map(Use::to_json).collect::<Value>(),
            })
        });
        json!({
            "start": &*self.start,
            "reached": reached,
            "edges": edges.collect::<Vec<_>>(),
            "exits": self.exits.iter().map(ReachExit::to_json).collect::<Value>(),
        })
    }
}

impl Use {
    fn to_json(&self) -> Value {
        json!({
            "rule": &*self.rule,
            "actions": self.actions,
            "requires": self.requires,
            "except": texts(&self.except),
            "unless": texts(&self.unless),
        })
    }
}

fn texts(texts: &[Arc<str>]) -> Value {
    texts.iter().map(|one| Value::from(&**one)).collect()
}
