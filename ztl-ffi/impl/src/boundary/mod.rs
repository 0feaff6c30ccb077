//! The border to C. Every export is one [`export!`], which does the same for all of them, in this order:
//!
//! 1. Every output says no: handles are NULL, a decision denies. Before anything is read.
//! 2. The body runs where a panic is caught. It reads its inputs by [`input`] and returns values; it writes nothing.
//! 3. Outputs are written, last, and only from a whole answer: on success, or the decision of a denial.
//!
//! A test reads the sources and fails where an export is anything else than one [`export!`].

mod input;
mod output;

use std::panic::{AssertUnwindSafe, catch_unwind};

use ztl_core::Denial;

use crate::decision::ztl_decision;
use crate::error::ztl_error;
use crate::handle;
use crate::status::{
    ZTL_DENIED, ZTL_ERR_ARG, ZTL_ERR_PANIC, ZTL_ERR_UTF8, ZTL_LACK_NONE, ZTL_OK,
    ZTL_REASON_NOT_JUDGED, lack_number, ztl_status,
};

pub use input::ztl_str;
pub(crate) use input::{Plain, array, check_size, sized, utf8};
pub(crate) use output::{Out, Output, Outputs};

/// The whole body of an export; see the module.
macro_rules! export {
    (outputs: ($($output:ident),*), error: $error:ident, $body:expr) => {{
        // SAFETY: who calls an export vouches that each output is NULL or may be written.
        let (outputs, error) = unsafe {
            (($($crate::boundary::Out::new($output, stringify!($output)),)*), $crate::boundary::Out::new($error, "error"))
        };
        $crate::boundary::judge(outputs, Some(error), $body)
    }};
    (outputs: ($($output:ident),*), $body:expr) => {{
        // SAFETY: who calls an export vouches that each output is NULL or may be written.
        let outputs = unsafe { ($($crate::boundary::Out::new($output, stringify!($output)),)*) };
        $crate::boundary::judge(outputs, None, $body)
    }};
    (otherwise: $otherwise:expr, $body:expr) => {
        $crate::boundary::caught($body).unwrap_or($otherwise)
    };
}
pub(crate) use export;

/// What the host did wrong, or what the library could not do.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) status: ztl_status,
    /// Why the engine denied, where it did.
    pub(crate) reason: u32,
    /// Which requirement did not hold, where one did not.
    pub(crate) lack: u32,
    /// The denial's id in the audit, where something was decided.
    pub(crate) id: [u8; 16],
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(status: ztl_status, message: impl Into<String>) -> Self {
        Self {
            status,
            reason: ZTL_REASON_NOT_JUDGED,
            lack: ZTL_LACK_NONE,
            id: [0; 16],
            message: message.into(),
        }
    }

    /// An argument that cannot be meant.
    pub(crate) fn arg(message: impl Into<String>) -> Self {
        Self::new(ZTL_ERR_ARG, message)
    }

    pub(crate) fn utf8(name: &str) -> Self {
        Self::new(ZTL_ERR_UTF8, format!("`{name}` is not UTF-8"))
    }
}

/// Why an export does not return `ZTL_OK`.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Nothing was decided.
    Fault(Fault),
    /// The engine denied, and recorded it; with what more there is to say about it.
    Denied(Denial, Option<String>),
}

impl Refusal {
    /// Writes the decision of a denial, and says in words what it was where somebody wants to know.
    fn settle(self, outputs: impl Outputs, in_words: bool) -> Fault {
        match self {
            Self::Fault(fault) => fault,
            Self::Denied(denial, detail) => {
                let decision = ztl_decision::denied(&denial);
                outputs.write_denial(&decision);
                let message = match detail {
                    _ if !in_words => String::new(),
                    None => denial.to_string(),
                    Some(detail) => format!("{denial}: {detail}"),
                };
                Fault {
                    reason: decision.reason,
                    id: decision.id,
                    lack: denial.lack().map_or(ZTL_LACK_NONE, lack_number),
                    ..Fault::new(ZTL_DENIED, message)
                }
            }
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial, None)
    }
}

/// Runs the body of an export that returns a status.
pub(crate) fn judge<O: Outputs>(
    outputs: O,
    error: Option<Out<*mut ztl_error>>,
    body: impl FnOnce() -> Result<O::Values, Refusal>,
) -> ztl_status {
    outputs.close();
    if let Some(error) = error {
        error.close();
    }
    let error = error.filter(|error| error.is_given());
    let answer = caught(|| {
        outputs
            .check()
            .and_then(|()| error.map_or(Ok(()), Out::check))
            .map_err(Refusal::Fault)
            .and_then(|()| body())
            .map_err(|refusal| refusal.settle(outputs, error.is_some()))
    });
    let fault = match answer {
        Some(Ok(values)) => {
            outputs.write(values);
            return ZTL_OK;
        }
        Some(Err(fault)) => fault,
        None => Fault::new(ZTL_ERR_PANIC, "the library panicked, which is a bug in it"),
    };
    let status = fault.status;
    if let Some(error) = error {
        error.write(handle::give(fault));
    }
    status
}

/// Runs `body`; `None` where it panicked.
///
/// Nothing that a panic may have left half done is seen again: handles are immutable but for a flow, whose permit changes as a whole,
/// and the engine, whose policy changes in one atomic step and whose locks are taken over from a holder that panicked.
pub(crate) fn caught<T>(body: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => Some(value),
        Err(payload) => {
            // Dropping it may panic again, outside of any guard.
            core::mem::forget(payload);
            None
        }
    }
}

#[cfg(test)]
mod tests;
