//! The nearest requests that would have been permitted: each was decided before it is named.

use core::fmt;
use std::sync::Arc;

use crate::action::Method;
use crate::clause::Clause;
use crate::decision::Decision;
use crate::peer::{Peer, Proof};
use crate::policy::Policy;
use crate::policy::decide::{Input, decide};
use crate::policy::document::{Effect, Mode};
use crate::policy::rule::RuleIdx;
use crate::reason::{Reason, Verdict};
use crate::time::Timestamp;

use super::draft::{Asked, Draft};
use super::mend::{Beyond, become_one};
use super::{Finish, MAX_RULES_SHOWN, fared, with_scene};

/// Most decisions that are made in search of them.
const MAX_DECISIONS: usize = 64;
/// Most changes of one request.
const MAX_CHANGES: usize = 4;
/// Most of them that are named.
const MAX_SHOWN: usize = 4;

/// What would have been permitted, had it been asked instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nearest {
    /// The nearest requests, the fewest changes first. Each was decided, and permitted.
    pub otherwise: Vec<Otherwise>,
    /// Permits that come near, and hang on a condition or an authorizer: what would satisfy it cannot be told, so that no
    /// request is named for them.
    pub opaque: Vec<Arc<str>>,
    /// How many decisions were made in search of them.
    pub decisions: usize,
}

/// A request that would have been permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Otherwise {
    /// All that is different in it.
    pub changes: Vec<Change>,
    /// The rule that permits it.
    pub rule: Arc<str>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Which clause it mends.
    pub clause: Clause,
    /// What would be there instead.
    pub to: String,
}

impl Change {
    pub(super) const fn new(clause: Clause, to: String) -> Self {
        Self { clause, to }
    }

    /// How much it asks of who calls: another method is nothing, being somebody else is everything.
    const fn weight(&self) -> u8 {
        match self.clause {
            Clause::Method => 0,
            Clause::Path => 1,
            Clause::Upgrade | Clause::Action => 2,
            Clause::Port => 3,
            Clause::Header | Clause::Forwards => 4,
            Clause::Zone => 5,
            Clause::Scope | Clause::TrustScore => 6,
            Clause::From => 9,
            Clause::Subject | Clause::Actors => 8,
            _ => 7,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = &self.to;
        match self.clause {
            Clause::Proof => write!(f, "the proof were {to}"),
            Clause::Zone => write!(f, "it arrived from the zone `{to}`"),
            Clause::From => write!(f, "the caller were `{to}`"),
            Clause::Port => write!(f, "the port were {to}"),
            Clause::Forwards => write!(f, "{to} were passed on"),
            Clause::Action => write!(f, "the action were `{to}`"),
            Clause::Upgrade => write!(f, "it asked to become {to}"),
            Clause::Method => write!(f, "the method were `{to}`"),
            Clause::Path => write!(f, "the path were `{to}`"),
            Clause::Subject => write!(f, "the token's subject were {to}"),
            Clause::Actors => write!(f, "the token's actor were {to}"),
            Clause::TrustScore => write!(f, "the trust score were at least {to}"),
            Clause::Scope => write!(f, "the token had the scope `{to}`"),
            Clause::Claim => write!(f, "the token had {to}"),
            Clause::Mfa => write!(f, "the token were of {to}"),
            Clause::Header => write!(f, "it had the field `{to}`"),
            _ => write!(f, "there were {to}"),
        }
    }
}

impl fmt::Display for Otherwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, change) in self.changes.iter().enumerate() {
            write!(f, "{}{change}", if at == 0 { "" } else { " and " })?;
        }
        Ok(())
    }
}

/// Looks for them, from a question that was denied.
pub(super) fn nearest(
    policy: &Policy,
    input: &Input<'_>,
    now: Timestamp,
    finish: &Finish<'_>,
    denied: &Decision,
) -> Nearest {
    let mut search = Search {
        policy,
        now,
        finish,
        found: Nearest::default(),
    };
    let base = Draft::of(input);
    search.other_methods(&base, denied);
    for rule in search.near_permits(input, denied) {
        search.towards(rule, &base);
    }
    search.found.narrow();
    search.found
}

struct Search<'a> {
    policy: &'a Policy,
    now: Timestamp,
    finish: &'a Finish<'a>,
    found: Nearest,
}

impl Search<'_> {
    /// Decides a changed question; none where enough were decided.
    fn decide(&mut self, draft: &Draft<'_>) -> Option<Decision> {
        if self.found.decisions >= MAX_DECISIONS {
            return None;
        }
        self.found.decisions += 1;
        let mut decision = draft.with_input(|input| decide(self.policy, input, self.now));
        (self.finish)(&mut decision);
        Some(decision)
    }

    fn keep(&mut self, changes: Vec<Change>, decision: Decision) {
        if let Some(rule) = decision.rule {
            self.found.otherwise.push(Otherwise { changes, rule });
        }
    }

    fn other_methods(&mut self, base: &Draft<'_>, denied: &Decision) {
        let reason = denied.reason;
        if !matches!(reason, Reason::NoActionPermitted | Reason::Forbidden) {
            return;
        }
        for other in Method::NAMED {
            let mut draft = base.clone();
            match &mut draft.asked {
                Asked::Request { method, .. } if *method != other => *method = other,
                _ => continue,
            }
            match self.decide(&draft) {
                Some(decision) if decision.verdict == Verdict::Permit => {
                    let change = Change::new(Clause::Method, other.to_string());
                    self.keep(vec![change], decision);
                }
                _ => {}
            }
        }
    }

    /// The enforced permits that come nearest.
    fn near_permits(&self, input: &Input<'_>, denied: &Decision) -> Vec<RuleIdx> {
        let near = with_scene(self.policy, input, self.now, denied.stage, |scene| {
            let near = fared(scene, denied).into_iter();
            let permits =
                near.filter(|one| (one.effect, one.mode) == (Effect::Permit, Mode::Enforce));
            permits.map(|one| one.rule).take(MAX_RULES_SHOWN).collect()
        });
        near.unwrap_or_else(|| {
            let target = self.policy.workload_by_name(input.flow.me);
            let permits = target.map_or(&[][..], |target| &target.permits);
            let permits = permits.iter().map(|entry| entry.rule);
            permits.take(MAX_RULES_SHOWN).collect()
        })
    }

    /// Changes the question clause by clause until a permit holds.
    fn towards(&mut self, rule: RuleIdx, base: &Draft<'_>) {
        let mut draft = base.clone();
        let mut changes: Vec<Change> = Vec::new();
        loop {
            let Some(decision) = self.decide(&draft) else {
                return;
            };
            if decision.verdict == Verdict::Permit {
                return self.keep(changes, decision);
            }
            let change = match self.mend(rule, &decision, &mut draft) {
                Ok(change) => change,
                Err(Beyond::Reach) => return,
                Err(Beyond::Sight) => {
                    let name = self.policy.rule(rule).map(|rule| Arc::clone(&rule.name));
                    self.found.opaque.extend(name);
                    return;
                }
            };
            let again = changes.iter().any(|one| one.clause == change.clause);
            if again || changes.len() >= MAX_CHANGES {
                return;
            }
            changes.push(change);
        }
    }

    fn mend(
        &self,
        index: RuleIdx,
        decision: &Decision,
        draft: &mut Draft<'_>,
    ) -> Result<Change, Beyond> {
        let before = draft.clone();
        before.with_input(|input| {
            match decision.reason {
                Reason::IdentityExpired => good_proof(draft),
                Reason::IdentityUnproven if draft.peer.is_some() => good_proof(draft),
                Reason::IdentityUnproven => self.prove(index, draft),
                Reason::ForwardedUntrusted => {
                    draft.forwarded = None;
                    Some(Change::new(Clause::Forwards, "nothing".to_owned()))
                }
                Reason::ZoneUnknown | Reason::ZoneMismatch => self.come_home(input, draft),
                Reason::NoFlowPermitted
                | Reason::NoActionPermitted
                | Reason::RequirementUnmet
                | Reason::EvidenceMissing
                | Reason::EvidenceStale
                | Reason::Objected
                | Reason::AuthorizerFailed
            // Out of the forbid's reach, perhaps, and into the permit's.
            | Reason::Forbidden => {
                    let mended =
                        with_scene(self.policy, input, self.now, decision.stage, |scene| {
                            let target = scene.target.ok_or(Beyond::Reach)?;
                            let entry = target.rules().find(|entry| entry.rule == index);
                            let port = entry.map(|entry| entry.covers_port(input.flow.port));
                            let fared = scene.walk(index, port).ok_or(Beyond::Reach)?;
                            scene.mend(&fared, draft)
                        });
                    return mended.unwrap_or(Err(Beyond::Reach));
                }
                _ => None,
            }
            .ok_or(Beyond::Reach)
        })
    }

    /// Lets somebody whom the rule speaks of prove who it is.
    fn prove(&self, index: RuleIdx, draft: &mut Draft<'_>) -> Option<Change> {
        let rule = self.policy.rule(index).filter(|_| draft.is_ingress())?;
        rule.from
            .iter()
            .find_map(|who| become_one(self.policy, who, draft))
    }

    /// Lets the caller arrive from where its workload stands, or from where the target's does.
    fn come_home(&self, input: &Input<'_>, draft: &mut Draft<'_>) -> Option<Change> {
        let caller = input.flow.peer;
        let caller = caller.and_then(|peer| self.policy.workload_by_id(peer.id()));
        let target = self.policy.workload_by_name(input.flow.me);
        let zone = caller.and_then(|one| one.zone).or(target?.zone)?;
        super::mend::arrive_from(self.policy, zone, draft)
    }
}

/// The same id, with a certificate that is good.
fn good_proof(draft: &mut Draft<'_>) -> Option<Change> {
    let peer = draft.peer.as_ref()?;
    let to = match peer.proof() {
        Proof::Asserted { .. } => "a certificate of its own",
        Proof::X509 { .. } => "one that has not expired",
    };
    draft.peer = Some(Peer::foreseen(peer.id().clone()));
    Some(Change::new(Clause::Proof, to.to_owned()))
}

impl Nearest {
    /// Keeps the nearest, each of them once and none that changes more than another does already.
    fn narrow(&mut self) {
        let weight = |one: &Otherwise| {
            let heaviest = one.changes.iter().map(Change::weight).max();
            (one.changes.len(), heaviest)
        };
        self.otherwise.sort_by_key(weight);
        let mut kept: Vec<Otherwise> = Vec::new();
        for one in self.otherwise.drain(..) {
            let more = |other: &Otherwise| {
                let mut changes = other.changes.iter();
                changes.all(|change| one.changes.contains(change))
            };
            if kept.len() < MAX_SHOWN && !kept.iter().any(more) {
                kept.push(one);
            }
        }
        self.otherwise = kept;
        self.opaque.truncate(MAX_RULES_SHOWN);
    }
}
