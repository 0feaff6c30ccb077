//! Why an evaluation ended without an answer.

use thiserror::Error;
use wasmtime::{Store, Trap};

use super::host::Host;
use crate::rego::RegoError;

/// Longest text of a module that an error repeats, in characters.
const MOST_TEXT: usize = 200;

/// What a function of the host ends an evaluation with.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct Halt(pub(super) RegoError);

/// Text of a module as an error may repeat it: printable and short.
pub(super) fn bounded(text: &str) -> String {
    let mut out: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MOST_TEXT)
        .collect();
    if text.chars().nth(MOST_TEXT).is_some() {
        out.push('…');
    }
    out
}

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
