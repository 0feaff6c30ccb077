//! Why an evaluation ended without an answer.

use thiserror::Error;
use wasmtime::{Store, Trap};

use super::host::Host;
use super::readers::bounded;
use crate::rego::RegoError;

/// What a function of the host ends an evaluation with.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct Halt(pub(super) RegoError);

/// Why the module stopped.
pub(super) fn reason(store: &Store<Host>, error: &wasmtime::Error) -> RegoError {
    if store.data().memory_refused() {
        return RegoError::Memory;
    }
    if let Some(Halt(why)) = error.downcast_ref::<Halt>() {
        return why.clone();
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => RegoError::Timeout,
        Some(trap) => RegoError::Trapped(bounded(&trap.to_string())),
        None => RegoError::Trapped(bounded(&error.to_string())),
    }
}
