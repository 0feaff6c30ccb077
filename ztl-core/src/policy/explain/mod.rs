//! Why a decision came out as it did, down to the clause, and what would have come out otherwise.
//!
//! The decision of an explanation is made by [`decide`] itself, and every clause is asked of the very functions that it asks,
//! so that the two cannot disagree. An explanation is for whoever may read the policy; what the caller may know of it is
//! [`Explanation::redacted`] (law 7).

mod draft;
mod fared;
mod json;
mod mend;
mod misfit;
mod near;
mod nearest;
mod redacted;
mod step;
mod walk;
mod words;

use std::sync::Arc;

pub use self::nearest::{Change, Nearest, Otherwise};
pub use self::redacted::{Needs, Redacted};

use self::fared::{Fared, Scene};
use super::along::Along;
use super::decide::{Input, decide};
use super::document::{Effect, Mode, Span};
use super::edge::Edge;
use super::rule::{Caller, Place, Who};
use super::{Aim, Policy, Revision};
use crate::clause::Clause;
use crate::decision::Decision;
use crate::flow::Direction;
use crate::reason::{Stage, Verdict};
use crate::time::Timestamp;
use crate::trust::Scored;
use crate::web_host::Outside;

/// Most rules that an explanation shows, enforced and shadow rules each.
pub const MAX_RULES_SHOWN: usize = 16;

/// Why a decision came out as it did. Permits nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// Under which policy.
    pub revision: Revision,
    /// At what time.
    pub now: Timestamp,
    /// The stages that were reached, and what was seen at each.
    pub steps: Vec<Step>,
    /// How the trust score came about, where it was made for this question.
    pub trust: Option<Scored>,
    /// The enforced rules that came near: those that decided first, then by how many of their clauses held.
    pub rules: Vec<Walk>,
    /// How many more there are.
    pub more_rules: usize,
    /// The rules in shadow mode likewise. They decided nothing.
    pub shadow: Vec<Walk>,
    /// How many more there are.
    pub more_shadow: usize,
    /// The nearest requests that would have been permitted; none for a permit.
    pub nearest: Nearest,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Which.
    pub stage: Stage,
    /// Whether it let the question pass.
    pub passed: bool,
    /// What was known at it, by name.
    pub facts: Vec<(&'static str, String)>,
    /// What failed at it that no rule asks for: a proof, a place, a path with one reading.
    pub failed: Option<Checked>,
}

/// How one rule fared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Walk {
    /// Its name.
    pub rule: Arc<str>,
    /// What it does when it matches.
    pub effect: Effect,
    /// Whether it counts.
    pub mode: Mode,
    /// Where it stands in the document.
    pub span: Span,
    /// Whether it is the rule of the decision.
    pub decided: bool,
    /// Whether all its clauses match, as far as they were judged: a permit holds, a forbid fires.
    pub matches: bool,
    /// Its clauses in order. The first that failed has `held` false; of the requirements none is judged behind it.
    pub clauses: Vec<Checked>,
}

impl Walk {
    /// The first clause that failed; none where the rule matches.
    #[must_use]
    pub fn failed(&self) -> Option<&Checked> {
        self.clauses.iter().find(|clause| !clause.held)
    }
}

/// One clause.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// Which.
    pub clause: Clause,
    /// Whether it held; of a forbid, whether it matched.
    pub held: bool,
    /// What it asks for.
    pub expected: String,
    /// What there was.
    pub got: String,
    /// Where it stands in the document.
    pub span: Option<Span>,
}

/// Explains what [`decide`] says. Records nothing and permits nothing.
///
/// ```
/// use ztl_core::policy::{Policy, explain, Input};
/// use ztl_core::{Action, Arrival, Clause, Flow, Timestamp};
///
/// let policy = Policy::from_toml(r#"
///     schema = 1
///     trust_domain = "prod.example"
///     [workloads.web]
///     id = "spiffe://prod.example/web"
///     public_ports = [443]
///     [[permit]]
///     name = "anyone-reads"
///     from = "public"
///     to = "web"
///     actions = ["GET /news/{id}"]
///     anonymous = true
/// "#)?;
/// let flow = Flow::ingress("web", 443, Arrival::unknown(), None);
/// let input = Input::new(flow).with_action(Action::request("POST", "/news/7"));
/// let why = explain(&policy, &input, Timestamp::from_unix_secs(1_790_000_000));
/// assert_eq!(why.rules[0].failed().map(|failed| failed.clause), Some(Clause::Method));
/// assert_eq!(why.nearest.otherwise[0].to_string(), "the method were `GET`");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn explain(policy: &Policy, input: &Input<'_>, now: Timestamp) -> Explanation {
    explain_as(policy, input, now, &|_| {})
}

/// What an enforcement point makes of a decision by itself.
pub(crate) type Finish<'a> = dyn Fn(&mut Decision) + 'a;

/// Explains a decision to which something is done before it counts.
pub(crate) fn explain_as(
    policy: &Policy,
    input: &Input<'_>,
    now: Timestamp,
    finish: &Finish<'_>,
) -> Explanation {
    let mut decision = decide(policy, input, now);
    finish(&mut decision);
    let mut explanation = Explanation::of(policy, input, now, decision);
    if explanation.decision.verdict == Verdict::Deny {
        explanation.nearest = nearest::nearest(policy, input, now, finish, &explanation.decision);
    }
    explanation
}

impl Explanation {
    /// A decision and what came near it, but for what would have been permitted.
    pub(crate) fn of(
        policy: &Policy,
        input: &Input<'_>,
        now: Timestamp,
        decision: Decision,
    ) -> Self {
        let near = with_scene(policy, input, now, decision.stage, |scene| {
            let fared = fared(scene, &decision);
            let (shadow, enforced): (Vec<_>, Vec<_>) = fared
                .into_iter()
                .partition(|fared| fared.mode == Mode::Shadow);
            let shown = |all: Vec<Fared>| {
                let more = all.len().saturating_sub(MAX_RULES_SHOWN);
                let few = all.iter().take(MAX_RULES_SHOWN);
                let walks = few.filter_map(|one| walk::walk(scene, one, &decision));
                (walks.collect::<Vec<_>>(), more)
            };
            (shown(enforced), shown(shadow))
        });
        let ((rules, more_rules), (shadow, more_shadow)) = near.unwrap_or_default();
        Self {
            revision: policy.revision(),
            now,
            steps: step::steps(policy, input, now, &decision),
            trust: None,
            rules,
            more_rules,
            shadow,
            more_shadow,
            nearest: Nearest::default(),
            decision,
        }
    }
}

/// The rules about the target, or where there is none, about the caller: the nearest first.
fn fared(scene: &Scene<'_, '_>, decision: &Decision) -> Vec<Fared> {
    let port = scene.input.flow.port;
    let mut all: Vec<Fared> = match scene.target {
        Some(target) => target
            .rules()
            .filter_map(|entry| scene.walk(entry.rule, Some(entry.covers_port(port))))
            .collect(),
        None => {
            let rules = scene.policy.rules_in_order();
            let walked = rules.filter_map(|index| scene.walk(index, None));
            walked
                .filter(|fared| fared.from && fared.mode != Mode::Off)
                .collect()
        }
    };
    let decided = |fared: &Fared| {
        let rule = scene.policy.rule(fared.rule);
        rule.is_some_and(|rule| decision.rule.as_ref() == Some(&rule.name))
    };
    all.sort_by_cached_key(|fared| {
        let idle = fared.effect == Effect::Forbid && !fared.applies;
        (
            !decided(fared),
            !fared.applies,
            idle,
            core::cmp::Reverse(fared.held()),
            fared.rule,
        )
    });
    all
}

/// Sets the scene for walking rules. None where nobody proved anything: then no rule is asked.
fn with_scene<T>(
    policy: &Policy,
    input: &Input<'_>,
    now: Timestamp,
    stage: Stage,
    show: impl FnOnce(&Scene<'_, '_>) -> T,
) -> Option<T> {
    if stage == Stage::Identity {
        return None;
    }
    let flow = &input.flow;
    let mut edge = Edge::default();
    policy.judge_flow(flow, now, &mut edge);
    let along = Along::new(policy, &input.evidence, now);
    let id;
    let mut mapped = None;
    let (target, caller) = match policy.ends(flow, now, &mut mapped) {
        Ok(((_, target), caller)) => (Some(target), caller),
        Err(_) => {
            id = flow.peer.and_then(|peer| policy.primary_id(peer.id()));
            let (id, workload, place) = match flow.direction {
                Direction::Ingress => {
                    let id = id.as_deref();
                    let workload = id.and_then(|id| policy.workload_with_id(id));
                    (id, workload, Place::Arrival(&flow.arrival))
                }
                Direction::Egress => {
                    let me = policy.workload_named(flow.me);
                    let zone = me.and_then(|(_, me)| me.zone);
                    (me.map(|(_, me)| &me.id), me, Place::Declared(zone))
                }
            };
            let caller = Caller {
                id,
                workload,
                place,
            };
            // A host at an address that it may not have: the rules about it were not asked, but who is called is known.
            let host = flow.outside.map(Outside::name);
            let external = host.and_then(|host| policy.external_by_host(host));
            (external.map(Aim::External), caller)
        }
    };
    Some(show(&Scene {
        policy,
        input,
        now,
        caller: &caller,
        target,
        edge: &edge,
        along: &along,
        at_action: stage == Stage::Action,
    }))
}

/// The first declared workload that a principal speaks of.
fn somebody<'a>(policy: &'a Policy, who: &Who) -> Option<&'a super::Workload> {
    let speaks = |workload: &&super::Workload| match who {
        Who::Id(pattern) => pattern.matches(&workload.id),
        Who::Label { key, value } => workload.labels.get(key) == Some(value),
        Who::Zone(zone) => workload.zone == Some(*zone),
        Who::Any => true,
        Who::Workload(_) | Who::Public => false,
    };
    match who {
        Who::Workload(index) => policy.workload(*index),
        _ => policy.workloads.iter().find(speaks),
    }
}
