//! The policy decision point of one process: the policy in force, the audit, and the only place where permits are made.

mod about;
mod error;

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use self::about::About;
pub use self::error::EngineError;

use crate::action::Action;
use crate::audit::Sink;
use crate::decision::{Decision, DecisionId, Denial, IdSource};
use crate::evidence::Evidence;
use crate::flow::{ActionPermit, Direction, Flow, FlowPermit, Permitted};
use crate::obligation::{ObligationKinds, Obligations};
use crate::peer::Peer;
use crate::policy::{Edge, Input, Outcome, Policy, Workload, decide};
use crate::reason::{Reason, Stage, Verdict};
use crate::time::Timestamp;

/// How far `now` may lie behind the latest `now` that was seen, before the clock is no longer trusted (T23).
pub const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// How far ahead of the latest `now` another may lie without a second one that agrees: longer than a machine sleeps (T23).
pub const CLOCK_LEAP: Duration = Duration::from_secs(7 * 24 * 3600);

/// Judges flows and actions under the policy in force, and records every decision.
///
/// ```
/// use std::sync::Arc;
/// use ztl_core::audit::MemorySink;
/// use ztl_core::{Arrival, Engine, Flow, Reason, Timestamp, policy::Policy};
///
/// let policy = Policy::from_toml("schema = 1\ntrust_domain = 'prod.example'\n\
///     [workloads.db]\nid = 'spiffe://prod.example/db'\nports = [5432]\n")?;
/// let audit = Arc::new(MemorySink::new(100));
/// let engine = Engine::new(policy, Arc::clone(&audit))?;
/// let now = Timestamp::from_unix_secs(1_790_000_000);
/// let denial = engine.permit_flow(&Flow::ingress("db", 5432, Arrival::unknown(), None), now).unwrap_err();
/// assert_eq!(denial.reason(), Reason::IdentityUnproven);
/// assert!(audit.lines()[0].contains(&denial.id().to_string()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Engine {
    id: u64,
    current: ArcSwap<InForce>,
    swap: Mutex<()>,
    epoch: AtomicU64,
    trust_generation: AtomicU64,
    latest: AtomicU64,
    leap: AtomicU64,
    ids: IdSource,
    sink: Box<dyn Sink>,
    discharges: ObligationKinds,
    for_tests: bool,
}

struct InForce {
    policy: Arc<Policy>,
    epoch: u64,
}

/// A flow as it was judged under one policy.
#[derive(Clone, Copy)]
struct Judged<'a> {
    policy: &'a Policy,
    edge: &'a Edge,
    epoch: u64,
}

impl Engine {
    /// An engine with a policy and the sink that keeps its records.
    ///
    /// # Errors
    /// [`EngineError::Random`].
    pub fn new(policy: Policy, sink: impl Sink + 'static) -> Result<Self, EngineError> {
        let random = |error: getrandom::Error| EngineError::Random(error.to_string());
        Ok(Self {
            id: getrandom::u64().map_err(random)?,
            current: ArcSwap::from_pointee(InForce {
                policy: Arc::new(policy),
                epoch: 0,
            }),
            swap: Mutex::new(()),
            epoch: AtomicU64::new(0),
            trust_generation: AtomicU64::new(0),
            latest: AtomicU64::new(0),
            leap: AtomicU64::new(0),
            ids: IdSource::new().map_err(random)?,
            sink: Box::new(sink),
            discharges: ObligationKinds::none(),
            for_tests: false,
        })
    }

    /// The same, for tests: also takes peers that nobody proved.
    ///
    /// # Errors
    /// [`EngineError::Random`].
    #[cfg(feature = "test-util")]
    pub fn for_test(policy: Policy, sink: impl Sink + 'static) -> Result<Self, EngineError> {
        Ok(Self {
            for_tests: true,
            ..Self::new(policy, sink)?
        })
    }

    /// Says which kinds of obligation the enforcement point discharges. Where this is not called: none. A permit with any
    /// other kind is denied with [`Reason::ObligationUnknown`], so that none can be forgotten (law 1).
    #[must_use]
    pub fn with_obligations(self, kinds: ObligationKinds) -> Self {
        Self {
            discharges: kinds,
            ..self
        }
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.current.load().policy)
    }

    /// Puts another policy in force, at once and for every decision from now on.
    ///
    /// # Errors
    /// [`EngineError::SerialWentBack`]; the policy in force stays.
    pub fn swap_policy(&self, policy: Policy) -> Result<(), EngineError> {
        let _one_at_a_time = self.swap.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current.load();
        match (current.policy.serial(), policy.serial()) {
            (Some(current), offered) if offered.is_none_or(|offered| offered < current) => {
                return Err(EngineError::SerialWentBack { current, offered });
            }
            _ => {}
        }
        let epoch = current.epoch.saturating_add(1);
        self.current.store(Arc::new(InForce {
            policy: Arc::new(policy),
            epoch,
        }));
        self.epoch.store(epoch, Ordering::Release);
        Ok(())
    }

    /// Counts the policies that were in force. What was permitted under another one has to be judged again (law 8).
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Says that what proofs rest on has changed: a bundle, a revocation, the own SVID. Every flow that was permitted before
    /// is withdrawn until it is proved and permitted anew (T5).
    pub fn withdraw_flows(&self) {
        self.trust_generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts the calls of [`withdraw_flows`](Self::withdraw_flows).
    #[must_use]
    pub fn trust_generation(&self) -> u64 {
        self.trust_generation.load(Ordering::Acquire)
    }

    /// Step two: permits a flow, or denies it. Recorded either way.
    ///
    /// # Errors
    /// [`Denial`] at stage identity or flow.
    pub fn permit_flow(&self, flow: &Flow<'_>, now: Timestamp) -> Result<FlowPermit, Denial> {
        // Read before the policy, so that what changes in between is noticed at the first action.
        self.permit_flow_proved_at(flow, self.trust_generation(), now)
    }

    fn permit_flow_proved_at(
        &self,
        flow: &Flow<'_>,
        trust_generation: u64,
        now: Timestamp,
    ) -> Result<FlowPermit, Denial> {
        let in_force = self.current.load_full();
        let policy = &in_force.policy;
        let (edge, outcome) = self.judge_flow(policy, flow, now);
        let shadow = policy.shadows(&edge, flow, None, &Evidence::none(), now);
        let decision = policy.decision(outcome, shadow);
        let about = About {
            flow,
            edge: Some(&edge),
            policy,
            action: None,
            claims: None,
            now,
        };
        let (id, permitted) = self.recorded(&decision, &about);
        if !permitted {
            return Err(self.unpermitted(id, decision, &about));
        }
        Ok(FlowPermit(Arc::new(Permitted {
            engine: self.id,
            direction: flow.direction,
            me: match (flow.direction, edge.target()) {
                (Direction::Ingress, Some(me)) => policy.shared_name(me),
                _ => policy.workload_by_name(flow.me).map(Workload::shared_name),
            }
            .unwrap_or_else(|| flow.me.into()),
            peer: flow.peer.cloned(),
            arrival: flow.arrival,
            port: flow.port,
            epoch: in_force.epoch,
            trust_generation,
            policy: Arc::clone(policy),
            edge,
            id,
            rule: decision.rule,
        })))
    }

    /// Permits the flow of an earlier permit again, under the policy in force: what a live connection asks when something
    /// changed (law 8). A permit that is still current is returned as it is.
    ///
    /// # Errors
    /// [`Denial`] where the flow would no longer be permitted.
    pub fn renew_flow(&self, permit: &FlowPermit, now: Timestamp) -> Result<FlowPermit, Denial> {
        self.check_permit(permit, now)?;
        if permit.0.epoch == self.epoch() {
            Ok(permit.clone())
        } else {
            // The proof is the old one, and so is what it rests on.
            self.permit_flow_proved_at(&permit.0.flow(), permit.0.trust_generation, now)
        }
    }

    /// Step three: authorizes an action on a permitted flow, or denies it. Recorded either way. A permit that was made under
    /// an earlier policy is judged again first.
    ///
    /// # Errors
    /// [`Denial`].
    pub fn authorize(
        &self,
        permit: &FlowPermit,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
    ) -> Result<ActionPermit, Denial> {
        self.check_permit(permit, now)?;
        // What was permitted under the policy in force is judged by what the permit brings along.
        if permit.0.epoch == self.epoch() {
            let judged = Judged {
                policy: &permit.0.policy,
                edge: &permit.0.edge,
                epoch: permit.0.epoch,
            };
            return self.authorize_on(judged, permit, action, evidence, now);
        }
        self.authorize_anew(permit, action, evidence, now)
    }

    /// On a permit of an earlier policy: permits the flow again, under the one in force, and authorizes the action on that.
    #[cold]
    fn authorize_anew(
        &self,
        permit: &FlowPermit,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
    ) -> Result<ActionPermit, Denial> {
        let in_force = self.current.load_full();
        let (policy, flow) = (&*in_force.policy, permit.0.flow());
        let (edge, outcome) = self.judge_flow(policy, &flow, now);
        if outcome.is_permit() {
            let judged = Judged {
                policy,
                edge: &edge,
                epoch: in_force.epoch,
            };
            return self.authorize_on(judged, permit, action, evidence, now);
        }
        let about = About {
            flow: &flow,
            edge: Some(&edge),
            policy,
            action: Some(action),
            claims: None,
            now,
        };
        Err(self.denied(policy.decision(outcome, Vec::new()), &about))
    }

    fn authorize_on(
        &self,
        judged: Judged<'_>,
        permit: &FlowPermit,
        action: &Action<'_>,
        evidence: &Evidence<'_>,
        now: Timestamp,
    ) -> Result<ActionPermit, Denial> {
        let Judged {
            policy,
            edge,
            epoch,
        } = judged;
        let flow = permit.0.flow();
        let outcome = policy.judge_action(edge, &flow, action, evidence, now);
        let shadow = policy.shadows(edge, &flow, Some(action), evidence, now);
        let mut decision = policy.decision(outcome, shadow);
        self.check_obligations(&mut decision);
        let claims = evidence.claims.filter(|_| edge.reads_token());
        let about = About {
            flow: &flow,
            edge: Some(edge),
            policy,
            action: Some(action),
            claims,
            now,
        };
        let (id, permitted) = self.recorded(&decision, &about);
        if !permitted {
            return Err(self.unpermitted(id, decision, &about));
        }
        Ok(ActionPermit {
            engine: self.id,
            epoch,
            trust_generation: permit.0.trust_generation,
            id,
            rule: decision.rule.unwrap_or_else(|| "".into()),
            expires_at: outcome.until.min(permit.expires_at()),
            obligations: decision.obligations,
        })
    }

    /// Whether an action permit was made by this engine under the policy in force, and has not expired.
    #[must_use]
    pub fn is_current(&self, permit: &ActionPermit, now: Timestamp) -> bool {
        permit.engine == self.id
            && permit.epoch == self.epoch()
            && permit.trust_generation == self.trust_generation()
            && now < permit.expires_at
    }

    /// What [`permit_flow`](Self::permit_flow) and [`authorize`](Self::authorize) would say to an egress flow to a declared
    /// workload that had proved itself: asked before anything is dialled, so that what the policy does not name costs no
    /// connection. Permits nothing; only a denial is recorded.
    ///
    /// # Errors
    /// [`Denial`].
    pub fn foresee_egress(
        &self,
        me: &str,
        target: &str,
        port: u16,
        action: &Action<'_>,
        now: Timestamp,
    ) -> Result<(), Denial> {
        let policy = self.policy();
        let unproved = Flow {
            direction: Direction::Egress,
            me,
            peer: None,
            arrival: crate::zone::Arrival::unknown(),
            port,
        };
        let Some(workload) = policy.workload_by_name(target) else {
            let decision = policy.decision(
                Outcome::denied(Stage::Flow, Reason::NoFlowPermitted),
                Vec::new(),
            );
            let about = About {
                flow: &unproved,
                edge: None,
                policy: &policy,
                action: Some(action),
                claims: None,
                now,
            };
            return Err(self.denied(decision, &about));
        };
        let peer = Peer::foreseen(workload.id().clone());
        let flow = Flow::egress(me, port, &peer);
        let decision = decide(&policy, &Input::new(flow).with_action(Ok(*action)), now);
        if decision.verdict == Verdict::Permit {
            return Ok(());
        }
        Err(self.denied(
            decision,
            &About {
                flow: &flow,
                edge: None,
                policy: &policy,
                action: Some(action),
                claims: None,
                now,
            },
        ))
    }

    /// Records a refusal that an enforcement point makes by itself, such as `identity_unproven` after a failed handshake or
    /// `path_ambiguous` before there is an action, and returns it.
    pub fn refuse(
        &self,
        flow: &Flow<'_>,
        action: Option<&Action<'_>>,
        stage: Stage,
        reason: Reason,
        now: Timestamp,
    ) -> Denial {
        let reason = if reason == Reason::Permitted {
            Reason::NotJudged
        } else {
            reason
        };
        let policy = self.policy();
        let decision = policy.decision(Outcome::denied(stage, reason), Vec::new());
        self.denied(
            decision,
            &About {
                flow,
                edge: None,
                policy: &policy,
                action,
                claims: None,
                now,
            },
        )
    }

    /// The same on a flow that was permitted.
    pub fn refuse_on(
        &self,
        permit: &FlowPermit,
        action: Option<&Action<'_>>,
        reason: Reason,
        now: Timestamp,
    ) -> Denial {
        self.refuse(&permit.0.flow(), action, Stage::Action, reason, now)
    }

    fn judge_flow(&self, policy: &Policy, flow: &Flow<'_>, now: Timestamp) -> (Edge, Outcome) {
        if !self.clock_is_trusted(now) {
            return (
                Edge::default(),
                Outcome::denied(Stage::Identity, Reason::ClockUntrusted),
            );
        }
        // T18: what a test helper made is good only at an engine that was made for tests.
        if flow.peer.is_some_and(Peer::is_test_only) && !self.for_tests {
            return (
                Edge::default(),
                Outcome::denied(Stage::Identity, Reason::IdentityUnproven),
            );
        }
        policy.judge_flow(flow, now)
    }

    /// Whether a permit is this engine's, and still good (T5).
    fn check_permit(&self, permit: &FlowPermit, now: Timestamp) -> Result<(), Denial> {
        let reason =
            if permit.0.engine != self.id || permit.0.trust_generation != self.trust_generation() {
                Reason::FlowWithdrawn
            } else if !self.clock_is_trusted(now) {
                Reason::ClockUntrusted
            } else if now >= permit.expires_at() {
                Reason::IdentityExpired
            } else {
                return Ok(());
            };
        let stage = if reason == Reason::FlowWithdrawn {
            Stage::Flow
        } else {
            Stage::Identity
        };
        Err(self.refuse(&permit.0.flow(), None, stage, reason, now))
    }

    /// T23. Time stands or goes on; a step back is a clock that was set, and one far ahead is believed only when a second
    /// reading agrees, so that one wrong reading does not deny everything that comes after it.
    fn clock_is_trusted(&self, now: Timestamp) -> bool {
        if now == Timestamp::EPOCH {
            return false;
        }
        // Mostly the clock stands since the last decision, and a load disturbs no other core.
        let latest = Timestamp::from_unix_millis(self.latest.load(Ordering::Acquire));
        if now <= latest {
            return now >= latest.saturating_sub(CLOCK_SKEW);
        }
        if latest != Timestamp::EPOCH && now.since(latest) > CLOCK_LEAP {
            let before =
                Timestamp::from_unix_millis(self.leap.swap(now.as_unix_millis(), Ordering::AcqRel));
            if before >= now || now.since(before) > CLOCK_SKEW {
                return false;
            }
        }
        let latest = self
            .latest
            .fetch_max(now.as_unix_millis(), Ordering::AcqRel);
        now >= Timestamp::from_unix_millis(latest).saturating_sub(CLOCK_SKEW)
    }

    /// A permit with an obligation that nobody would discharge is none.
    fn check_obligations(&self, decision: &mut Decision) {
        if !self.discharges.contains(decision.obligations.kinds()) {
            decision.verdict = Verdict::Deny;
            decision.reason = Reason::ObligationUnknown;
            decision.obligations = Obligations::none();
        }
    }

    /// Records a decision, and says whether it is a permit; one that cannot be recorded is none (law 6).
    fn recorded(&self, decision: &Decision, about: &About<'_>) -> (DecisionId, bool) {
        let id = self.ids.next();
        let kept = self.sink.record(&about.record(id, decision));
        (id, decision.verdict == Verdict::Permit && kept.is_ok())
    }

    /// The denial of what was recorded as one, or could not be recorded as a permit.
    fn unpermitted(&self, id: DecisionId, mut decision: Decision, about: &About<'_>) -> Denial {
        if decision.verdict == Verdict::Permit {
            decision.verdict = Verdict::Deny;
            decision.reason = Reason::AuditUnavailable;
            decision.obligations = Obligations::none();
            // One of several sinks may have kept the permit; the denial is told to it as well.
            let _ = self.sink.record(&about.record(id, &decision));
        }
        Denial { id, decision }
    }

    fn denied(&self, decision: Decision, about: &About<'_>) -> Denial {
        let decision = Decision {
            verdict: Verdict::Deny,
            ..decision
        };
        let id = self.ids.next();
        // A denial stands whether or not it could be recorded; the sink reports its own failures.
        let _ = self.sink.record(&about.record(id, &decision));
        Denial { id, decision }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("epoch", &self.epoch())
            .field("policy", &self.policy().revision())
            .finish_non_exhaustive()
    }
}
