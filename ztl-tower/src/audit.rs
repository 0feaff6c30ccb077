//! Audit records as `tracing` events.

use std::cell::RefCell;

use ztl_core::audit::{AuditError, Record, Sink};

/// Writes each record as one event of target `ztl::audit`, its JSON in the field `record`: permits at level info, denials at
/// level warn.
///
/// An event that no subscriber would take is an error, so a permit becomes a denial (law 6): have a subscriber in place, and
/// let its filter pass `ztl::audit=info`, before a guard that writes here is asked anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingSink;

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Sink for TracingSink {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        let taken = if record.is_permit() {
            tracing::enabled!(target: "ztl::audit", tracing::Level::INFO)
        } else {
            tracing::enabled!(target: "ztl::audit", tracing::Level::WARN)
        };
        if !taken {
            return Err(AuditError(
                "no tracing subscriber takes events of target `ztl::audit` at this level; let its filter pass `ztl::audit=info`"
                    .to_owned(),
            ));
        }
        // Taken out while subscribers run: one of them may ask the engine something itself.
        let mut line = LINE.take();
        line.clear();
        record.write_json(&mut line);
        if record.is_permit() {
            tracing::info!(target: "ztl::audit", record = line.as_str());
        } else {
            tracing::warn!(target: "ztl::audit", record = line.as_str());
        }
        LINE.set(line);
        Ok(())
    }
}
