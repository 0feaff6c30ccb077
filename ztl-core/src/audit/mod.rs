//! The audit: one record a decision, written by the engine before a permit is returned (law 6).

#[cfg(feature = "audit-file")]
pub mod chain;
mod inputs;
#[cfg(feature = "audit-file")]
mod lines;
mod mask;
mod memory;
mod record;
mod text;
#[cfg(feature = "audit-file")]
mod writer;
mod written;

use std::sync::Arc;

use thiserror::Error;

#[cfg(feature = "audit-file")]
pub use chain::ChainSink;
pub use inputs::Inputs;
#[cfg(feature = "audit-file")]
pub use lines::AppendedLines;
pub use mask::{Field, HashKey, Mask, MaskError, Masks};
pub use memory::MemorySink;
pub use record::Record;
pub(crate) use record::{About, Occasion};
pub use text::quoted;
#[cfg(feature = "audit-file")]
pub use writer::JsonLinesSink;

/// A record could not be written: a permit becomes a denial, `audit_unavailable`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the audit record could not be written: {0}")]
pub struct AuditError(pub String);

/// Where records go. Called on the path of every decision: quick, and never blocking for long.
pub trait Sink: Send + Sync {
    /// Takes one record.
    ///
    /// # Errors
    /// [`AuditError`] where the record is not kept. Dropping one in silence is not allowed.
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError>;
}

impl<S: Sink + ?Sized> Sink for Arc<S> {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        (**self).record(record)
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        (**self).record(record)
    }
}

/// Two sinks: both take every record, and both must keep it.
impl<A: Sink, B: Sink> Sink for (A, B) {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        let (one, two) = (self.0.record(record), self.1.record(record));
        one.and(two)
    }
}
