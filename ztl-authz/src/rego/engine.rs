//! What evaluates a policy.

use core::fmt;

use serde_json::Value;

use super::RegoError;

/// A policy that is compiled, with one entrypoint and its data. Asked from several threads at once.
///
/// An engine bounds its own work: it answers or fails within a time that is known, whatever its input is (rule 15).
pub trait RegoEngine: fmt::Debug + Send + Sync {
    /// Evaluates the entrypoint with an [input](super::input), which is JSON text. None where the entrypoint is undefined.
    ///
    /// `time.now_ns` is [`input::now`](super::input::now) of the input.
    ///
    /// # Errors
    /// [`RegoError`] where it comes to no value.
    fn evaluate(&self, input: &str) -> Result<Option<Value>, RegoError>;
}
