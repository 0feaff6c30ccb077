//! What the C ABI gives, owned: ended once, when nobody holds it any more.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ptr;

use pyo3::prelude::*;
use ztl_ffi_impl::{
    ztl_claims, ztl_claims_free, ztl_engine, ztl_engine_free, ztl_error, ztl_error_free, ztl_flow,
    ztl_flow_free, ztl_peer, ztl_peer_free, ztl_status, ztl_str, ztl_text, ztl_text_free,
};

use crate::answers::{Decision, raised};

/// A type of the C ABI that somebody has to end.
pub(crate) trait Ends: Sized {
    /// # Safety
    /// `handle` is live, and not used after this.
    unsafe fn end(handle: *mut Self);
}

macro_rules! ends {
    ($($handle:ty, $end:ident;)*) => {$(
        impl Ends for $handle {
            unsafe fn end(handle: *mut Self) {
                // SAFETY: as promised to this function.
                unsafe { $end(handle) }
            }
        }
    )*};
}

ends! {
    ztl_claims, ztl_claims_free;
    ztl_engine, ztl_engine_free;
    ztl_error, ztl_error_free;
    ztl_flow, ztl_flow_free;
    ztl_peer, ztl_peer_free;
    ztl_text, ztl_text_free;
}

/// A handle that is live until this is dropped. It may be NULL.
pub(crate) struct Owned<H: Ends>(*mut H);

// SAFETY: the C ABI's handles may be used, and ended, by any thread.
unsafe impl<H: Ends> Send for Owned<H> {}
// SAFETY: the C ABI's handles may be used by any number of threads at once.
unsafe impl<H: Ends> Sync for Owned<H> {}

impl<H: Ends> Owned<H> {
    pub(crate) const fn none() -> Self {
        Self(ptr::null_mut())
    }

    pub(crate) const fn get(&self) -> *const H {
        self.0
    }

    /// Where a function of the C ABI writes the handle that it gives. To be called on one that holds none.
    pub(crate) const fn out(&mut self) -> *mut *mut H {
        &raw mut self.0
    }
}

impl<H: Ends> Drop for Owned<H> {
    fn drop(&mut self) {
        // SAFETY: live or NULL, and nobody has it any more.
        unsafe { H::end(self.0) }
    }
}

/// Bytes that are lent to one call.
pub(crate) const fn lent(bytes: &[u8]) -> ztl_str {
    ztl_str {
        ptr: bytes.as_ptr(),
        len: bytes.len(),
    }
}

/// What is not there.
pub(crate) const ABSENT: ztl_str = ztl_str {
    ptr: ptr::null(),
    len: 0,
};

/// The same, of what may be absent.
pub(crate) fn maybe(bytes: Option<&[u8]>) -> ztl_str {
    bytes.map_or(ABSENT, lent)
}

/// What a call came to, before Python hears of it.
pub(crate) struct Outcome {
    pub(crate) status: ztl_status,
    pub(crate) error: Owned<ztl_error>,
    pub(crate) decision: Option<Box<Decision>>,
}

impl Outcome {
    /// Runs a call that may give an error.
    pub(crate) fn of(call: impl FnOnce(*mut *mut ztl_error) -> ztl_status) -> Self {
        let mut error = Owned::none();
        let status = call(error.out());
        Self {
            status,
            error,
            decision: None,
        }
    }

    /// With what was decided, where that is to be told: of a permit nobody asks here.
    pub(crate) fn decided(mut self, decision: Decision) -> Self {
        self.decision = (self.status != ztl_ffi_impl::ZTL_OK).then(|| Box::new(decision));
        self
    }

    /// `Ok` where the call did what it says, and an exception everywhere else.
    pub(crate) fn heard(self, py: Python<'_>) -> PyResult<()> {
        if self.status == ztl_ffi_impl::ZTL_OK {
            Ok(())
        } else {
            Err(raised(py, &self))
        }
    }
}
