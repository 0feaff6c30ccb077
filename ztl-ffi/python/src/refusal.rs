//! Refusals of the host's own.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ptr;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use ztl_ffi_impl as c;
use ztl_ffi_impl::{ztl_action_request, ztl_engine};

use crate::answers::{Decision, reason_number};
use crate::handle::{Outcome, Owned};
use crate::held::Flow;

/// Has a denial of the host's own recorded. Never `Ok`.
pub(crate) fn refuse(
    py: Python<'_>,
    engine: &Owned<ztl_engine>,
    flow: &Flow,
    request: &ztl_action_request,
    reason: &str,
) -> PyResult<()> {
    let number = reason_number(reason).ok_or_else(|| {
        PyValueError::new_err(format!("`reason` is '{reason}', which is no reason"))
    })?;
    let mut decision = Decision::blank();
    // SAFETY: engine and flow are live, the request's texts and headers outlive the call, the outputs may be written.
    let mut outcome = Outcome::of(|error| unsafe {
        c::ztl_action_refuse(
            engine.get(),
            flow.flow.get(),
            ptr::from_ref(request),
            number,
            &raw mut decision,
            error,
        )
    });
    if outcome.status == c::ZTL_OK {
        outcome.status = c::ZTL_ERR_PANIC;
    }
    outcome.decided(Decision::read(&decision)).heard(py)
}
