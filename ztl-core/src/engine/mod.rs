//! The policy decision point of one process: the policy in force, the audit, and the only place where permits are made.

mod action;
mod clock;
mod error;
mod explain;
mod flow;
mod record;

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use self::clock::Clock;
pub use self::clock::{CLOCK_LEAP, CLOCK_SKEW};
pub use self::error::EngineError;

use crate::audit::Sink;
use crate::decision::IdSource;
use crate::flow::InForce;
use crate::obligation::ObligationKinds;
use crate::policy::Policy;
use crate::time::Timestamp;

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
    clock: Clock,
    ids: &'static IdSource,
    sink: Box<dyn Sink>,
    discharges: ObligationKinds,
    explains: bool,
    for_tests: bool,
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
            clock: Clock::default(),
            ids: IdSource::of_process().map_err(random)?,
            sink: Box::new(sink),
            discharges: ObligationKinds::none(),
            explains: false,
            for_tests: false,
        })
    }

    /// The same, for tests: also takes peers that nobody proved, and claims that nobody verified.
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
    /// other kind is denied with [`Reason::ObligationUnknown`](crate::Reason::ObligationUnknown), so that none can be forgotten (law 1).
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

    /// Takes along what time it is, as a decision does, and says whether that is believed (T23). For an enforcement point that may decide nothing
    /// for long: to be told each second or so, so that a clock that was set back in between revives nothing that has expired.
    ///
    /// ```
    /// # use ztl_core::{Engine, Timestamp, audit::MemorySink, policy::Policy};
    /// # let policy = Policy::from_toml("schema = 1\ntrust_domain = 'prod.example'\n")?;
    /// # let engine = Engine::new(policy, MemorySink::new(1))?;
    /// let at = Timestamp::from_unix_secs;
    /// assert!(engine.sees(at(1_790_003_600)));
    /// assert!(engine.is_set_back(at(1_790_000_000)) && !engine.sees(at(1_790_000_000)));
    /// // As much as clocks differ by.
    /// assert!(!engine.is_set_back(at(1_790_003_540)) && engine.sees(at(1_790_003_540)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sees(&self, now: Timestamp) -> bool {
        self.clock.trusts(now)
    }

    /// Whether the time lies further behind the latest that was seen than [`CLOCK_SKEW`]: every decision denies then, with
    /// [`Reason::ClockUntrusted`](crate::Reason::ClockUntrusted), so that what runs has to be judged again (T23). Takes nothing along.
    #[must_use]
    pub fn is_set_back(&self, now: Timestamp) -> bool {
        self.clock.is_behind(now)
    }

    /// Counts the calls of [`withdraw_flows`](Self::withdraw_flows).
    #[must_use]
    pub fn trust_generation(&self) -> u64 {
        self.trust_generation.load(Ordering::Acquire)
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
