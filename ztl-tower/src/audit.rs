//! Audit records as `tracing` events.

use std::cell::RefCell;

use ztl_core::audit::{AuditError, Record, Sink};

/// Writes each record as one event of target `ztl::audit`, its JSON in the field `record`: permits at level info, denials at
/// level warn.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingSink;

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Sink for TracingSink {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        if !tracing::enabled!(target: "ztl::audit", tracing::Level::WARN) {
            return Ok(());
        }
        LINE.with_borrow_mut(|line| {
            line.clear();
            record.write_json(line);
            if record.is_permit() {
                tracing::info!(target: "ztl::audit", record = line.as_str());
            } else {
                tracing::warn!(target: "ztl::audit", record = line.as_str());
            }
        });
        Ok(())
    }
}
