//! Questions about a whole policy, answered as JSON.

#![expect(unsafe_code, reason = "calls the C ABI")]

use pyo3::prelude::*;
use ztl_ffi_impl as c;
use ztl_ffi_impl::ztl_engine;

use crate::answers::text;
use crate::handle::{Outcome, Owned, lent};

/// What a workload can reach.
pub(crate) fn reach(
    py: Python<'_>,
    engine: &Owned<ztl_engine>,
    workload: &str,
) -> PyResult<String> {
    let mut found = Owned::none();
    let out = found.out();
    // SAFETY: the engine is live, the text is lent for the call, the outputs may be written.
    Outcome::of(|error| unsafe {
        c::ztl_reach(engine.get(), lent(workload.as_bytes()), out, error)
    })
    .heard(py)?;
    Ok(text(&found))
}

/// What another policy would change.
pub(crate) fn diff(
    py: Python<'_>,
    engine: &Owned<ztl_engine>,
    policy: &[u8],
    format: u32,
) -> PyResult<String> {
    let mut found = Owned::none();
    let outcome = py.detach(|| {
        let out = found.out();
        // SAFETY: as above.
        Outcome::of(|error| unsafe { c::ztl_diff(engine.get(), lent(policy), format, out, error) })
    });
    outcome.heard(py)?;
    Ok(text(&found))
}
