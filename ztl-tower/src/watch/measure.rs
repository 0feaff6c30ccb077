//! Counters, gauges and histograms, through the facade of the crate `metrics`.

use std::sync::Arc;
use std::time::Instant;

use metrics::{SharedString, counter, gauge, histogram};
use ztl_core::audit::{AuditError, Record, Sink};

use crate::guard::Guard;
use crate::live::{Connection, ConnectionState};

/// Has every decision counted that the sink is told of: where it is recorded, and so exactly once (law 6).
pub(crate) fn counted(workload: &str, sink: Box<dyn Sink>) -> Box<dyn Sink> {
    let workload = workload.into();
    Box::new(Counted { workload, sink })
}

struct Counted {
    workload: Arc<str>,
    sink: Box<dyn Sink>,
}

impl Sink for Counted {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        let kept = self.sink.record(record);
        // A permit that is not kept is none: the engine tells the denial that it becomes next.
        if kept.is_ok() || !record.is_permit() {
            self.count(record);
        }
        kept
    }
}

impl Counted {
    fn count(&self, record: &Record<'_>) {
        let workload = || SharedString::from(Arc::clone(&self.workload));
        let verdict = record.verdict().as_str();
        let rule = record.rule().unwrap_or_default().to_owned();
        counter!(
            "ztl_decisions_total",
            "workload" => workload(),
            "direction" => record.direction().as_str(),
            "stage" => record.stage().as_str(),
            "verdict" => verdict,
            "reason" => record.reason().code(),
            "rule" => rule
        )
        .increment(1);
        for shadow in record.shadow() {
            counter!(
                "ztl_shadow_outcomes_total",
                "workload" => workload(),
                "rule" => shadow.rule.to_string(),
                "would" => shadow.would.as_str(),
                "verdict" => verdict
            )
            .increment(1);
        }
    }
}

/// Something that decisions rest on was read again. `outcome` is `taken`, `refused`, `withdrawn` or `unknown`.
pub(crate) fn reloaded(guard: &Guard, what: &'static str, outcome: &'static str) {
    let workload = guard.name().to_owned();
    counter!("ztl_reloads_total", "workload" => workload, "what" => what, "outcome" => outcome)
        .increment(1);
}

/// Something was fetched, or was not. `outcome` is `changed`, `unchanged`, `failed`, `withdrawn` or `unknown`.
pub(crate) fn fetched(guard: &Guard, what: &'static str, from: &str, outcome: &'static str) {
    counter!(
        "ztl_fetches_total",
        "workload" => guard.name().to_owned(),
        "what" => what,
        "from" => from.to_owned(),
        "outcome" => outcome
    )
    .increment(1);
}

/// Begins to count what is read again, by each outcome that it can have: a counter that is made by its first increment was never seen at
/// nothing, so that whoever asks how much it rose is told of nothing.
pub(crate) fn counts_reloads(guard: &Guard, what: &'static str, outcomes: &[&'static str]) {
    for outcome in outcomes {
        let workload = guard.name().to_owned();
        counter!("ztl_reloads_total", "workload" => workload, "what" => what, "outcome" => *outcome)
            .increment(0);
    }
}

/// The same of what is fetched.
pub(crate) fn counts_fetches(
    guard: &Guard,
    what: &'static str,
    from: &str,
    outcomes: &[&'static str],
) {
    for outcome in outcomes {
        counter!(
            "ztl_fetches_total",
            "workload" => guard.name().to_owned(),
            "what" => what,
            "from" => from.to_owned(),
            "outcome" => *outcome
        )
        .increment(0);
    }
}

/// The same of connections that end, and of what is turned away.
pub(crate) fn counts_ends(guard: &Guard) {
    for direction in ["ingress", "egress"] {
        for cause in ["closed", "drained", "revoked", "unproved"] {
            counter!(
                "ztl_connections_ended_total",
                "workload" => guard.name().to_owned(),
                "direction" => direction,
                "cause" => cause
            )
            .increment(0);
        }
    }
    let workload = || guard.name().to_owned();
    counter!("ztl_judgements_turned_away_total", "workload" => workload()).increment(0);
    #[cfg(feature = "schema")]
    counter!("ztl_bodies_turned_away_total", "workload" => workload()).increment(0);
}

/// A handshake, timed from here until it is dropped.
pub(crate) struct Handshake {
    workload: Arc<str>,
    kind: &'static str,
    result: &'static str,
    begin: Instant,
}

impl Handshake {
    /// Begins one: `mutual`, `public` or `egress`. Unless it is told otherwise, it failed.
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a handshake takes is no input of a decision"
    )]
    pub(crate) fn begin(guard: &Guard, kind: &'static str) -> Self {
        Self {
            workload: guard.name().into(),
            kind,
            result: "failed",
            begin: Instant::now(),
        }
    }

    /// How it ended: `permitted`, `unproved`, `refused` or `turned_away`.
    pub(crate) const fn is(&mut self, result: &'static str) {
        self.result = result;
    }
}

impl Handshake {
    /// It is over.
    pub(crate) fn end(self) {
        drop(self);
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        histogram!(
            "ztl_handshake_duration_seconds",
            "workload" => SharedString::from(Arc::clone(&self.workload)),
            "kind" => self.kind,
            "result" => self.result
        )
        .record(self.begin.elapsed());
    }
}

/// A connection ended. `cause` is `closed`, `drained`, `revoked` or `unproved`.
pub(crate) fn ended(guard: &Guard, direction: &'static str, cause: &'static str) {
    counter!(
        "ztl_connections_ended_total",
        "workload" => guard.name().to_owned(),
        "direction" => direction,
        "cause" => cause
    )
    .increment(1);
}

/// The heavy pool had no place for a judgement.
pub(crate) fn judgement_turned_away(guard: &Guard) {
    let workload = guard.name().to_owned();
    counter!("ztl_judgements_turned_away_total", "workload" => workload).increment(1);
}

/// There was no room for a body that has to fit a schema.
pub(crate) fn body_turned_away(guard: &Guard) {
    let workload = guard.name().to_owned();
    counter!("ztl_bodies_turned_away_total", "workload" => workload).increment(1);
}

/// What is open, as the registry has it just now.
pub(crate) fn open(guard: &Guard) {
    let all = guard.connections();
    let float = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    for direction in ["ingress", "egress"] {
        for (state, is) in [
            ("handshake", ConnectionState::Handshake),
            ("open", ConnectionState::Open),
            ("draining", ConnectionState::Draining),
        ] {
            let one = |one: &&Connection| one.direction.as_str() == direction && one.state == is;
            gauge!("ztl_connections", "workload" => guard.name().to_owned(), "direction" => direction, "state" => state)
                .set(float(all.iter().filter(one).count()));
        }
    }
    let running = all.iter().map(|one| one.requests).sum();
    gauge!("ztl_requests_running", "workload" => guard.name().to_owned()).set(float(running));
    gauge!("ztl_judgements", "workload" => guard.name().to_owned())
        .set(float(guard.judging().taken()));
    #[cfg(feature = "schema")]
    gauge!("ztl_waiting_body_bytes", "workload" => guard.name().to_owned())
        .set(float(guard.duties().waiting()));
}
