//! What an answer allocates, and engines whose records are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stats_alloc::Region;
use ztl_core::audit::{AuditError, MemorySink, Record, Sink};
use ztl_core::policy::Policy;
use ztl_core::{Action, Engine, Evidence, FlowPermit, ObligationKinds};

use super::{ALLOCATOR, NOW};

/// Counts records, and asks each of its verdict and rule.
#[derive(Default)]
pub(crate) struct Counting {
    pub(crate) permits: AtomicU64,
    pub(crate) denials: AtomicU64,
}

impl Sink for Counting {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        let which = match record.verdict() {
            ztl_core::Verdict::Permit => &self.permits,
            ztl_core::Verdict::Deny => &self.denials,
        };
        which.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// An engine whose records are counted, and one whose records go to a ring.
pub(crate) struct Engines {
    pub(crate) counting: Arc<Counting>,
    pub(crate) ring: Arc<MemorySink>,
    pub(crate) both: [(&'static str, Engine); 2],
}

impl Engines {
    pub(crate) fn new(policy: &str) -> Self {
        let (counting, ring) = (Arc::<Counting>::default(), Arc::new(MemorySink::new(8)));
        let kinds = ObligationKinds::none()
            .with_limit()
            .with_schema()
            .with_max_body();
        let load = || Policy::from_toml(policy).unwrap_or_else(|error| panic!("{error}"));
        let counted = Engine::new(load(), Arc::clone(&counting)).expect("engine");
        let ringed = Engine::new(load(), Arc::clone(&ring)).expect("engine");
        Self {
            counting,
            ring,
            // The one discharges a log, the other none.
            both: [
                ("counted", counted.with_obligations(kinds.with_log())),
                ("ring", ringed.with_obligations(kinds)),
            ],
        }
    }
}

/// How much the least of some rounds allocates: the test harness has a thread of its own, which may allocate meanwhile. What is
/// kept, such as a ring's buffers, is there after some rounds.
pub(crate) fn fewest<T>(ask: impl Fn() -> T) -> usize {
    for _ in 0..16 {
        ask();
    }
    let round = |_| {
        let region = Region::new(ALLOCATOR);
        let answer = ask();
        let change = region.change();
        drop(answer);
        change.allocations + change.reallocations
    };
    (0..20).map(round).min().expect("rounds")
}

/// Asks for a path with this evidence, of both engines; says what each answer allocated.
pub(crate) fn asked(
    engines: &Engines,
    permits: &[FlowPermit; 2],
    target: &str,
    evidence: &Evidence<'_>,
) -> Vec<(&'static str, usize, Result<String, String>)> {
    let action = Action::request("GET", target).expect("action");
    let each = engines.both.iter().zip(permits);
    each.map(|((name, engine), permit)| {
        let ask = || engine.authorize(permit, &action, evidence, NOW);
        let answer = match ask() {
            Ok(permit) => Ok(permit.rule().to_owned()),
            Err(denial) => Err(denial.reason().to_string()),
        };
        (*name, fewest(ask), answer)
    })
    .collect()
}
