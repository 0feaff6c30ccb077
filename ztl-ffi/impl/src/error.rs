//! `ztl_error`: what went wrong, in words.

#![expect(unsafe_code, reason = "exports")]

use crate::boundary::{Fault, export};
use crate::handle::{self, Handle};
use crate::status::{ZTL_ERR_ARG, ZTL_ERR_PANIC, ZTL_LACK_NONE, ZTL_REASON_NOT_JUDGED, ztl_status};

/// Why a call did not return `ZTL_OK`: a status and a text. Owned by who received it; end it with `ztl_error_free`.
///
/// For the host's own log. It may speak of the policy, so no word of it may be told to the peer.
#[derive(Debug)]
pub struct ztl_error {
    _opaque: (),
}

impl Handle for ztl_error {
    const NAME: &'static str = "ztl_error";
    const TAG: u64 = u64::from_be_bytes(*b"ztlerror");
    type Body = Fault;
}

/// The status that came with the error. NULL is no error object, and gives `ZTL_ERR_ARG`, so that it is never mistaken for
/// success.
///
/// # Safety
/// `error` is NULL or live.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_error_code(error: *const ztl_error) -> ztl_status {
    export!(otherwise: ZTL_ERR_PANIC, || {
        // SAFETY: as promised to this function.
        unsafe { handle::borrow(error) }.map_or(ZTL_ERR_ARG, |fault| fault.status)
    })
}

/// Why the engine denied: `ZTL_REASON_*`. `ZTL_REASON_NOT_JUDGED` where it did not, and of NULL.
///
/// # Safety
/// `error` is NULL or live.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_error_reason(error: *const ztl_error) -> u32 {
    export!(otherwise: ZTL_REASON_NOT_JUDGED, || {
        // SAFETY: as promised to this function.
        unsafe { handle::borrow(error) }.map_or(ZTL_REASON_NOT_JUDGED, |fault| fault.reason)
    })
}

/// Which requirement of the rule that came nearest did not hold: `ZTL_LACK_*`, so that the host can ask for what is missing, as
/// with 401 for a token (RFC 9110 §15.5.2). `ZTL_LACK_NONE` where that was not why, and of NULL.
///
/// # Safety
/// `error` is NULL or live.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_error_lack(error: *const ztl_error) -> u32 {
    export!(otherwise: ZTL_LACK_NONE, || {
        // SAFETY: as promised to this function.
        unsafe { handle::borrow(error) }.map_or(ZTL_LACK_NONE, |fault| fault.lack)
    })
}

/// The denial's id in the audit, as `ztl_decision.id` has it, also of a call that takes no `ztl_decision`, such as `ztl_peer_prove`. On any
/// other outcome, and where nothing was decided, it is zero.
///
/// @param error the error
/// @param id receives the id
///
/// # Safety
/// `error` is NULL or live; `id` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ztl_error_decision(
    error: *const ztl_error,
    id: *mut [u8; 16],
) -> ztl_status {
    export!(outputs: (id), || {
        // SAFETY: as promised to this function.
        Ok(unsafe { handle::borrow(error) }?.id)
    })
}

/// The text of an error: UTF-8, not NUL-terminated, borrowed from the error and good until that is freed. On any other
/// outcome `*ptr` is NULL and `*len` is 0.
///
/// # Safety
/// `error` is NULL or live; `ptr` and `len` are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ztl_error_message(
    error: *const ztl_error,
    ptr: *mut *const u8,
    len: *mut usize,
) -> ztl_status {
    export!(outputs: (ptr, len), || {
        // SAFETY: as promised to this function.
        let fault = unsafe { handle::borrow(error) }?;
        Ok((fault.message.as_ptr(), fault.message.len()))
    })
}

/// Ends an error. NULL is none.
///
/// # Safety
/// `error` is NULL or live, and is not used after this.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ztl_error_free(error: *mut ztl_error) {
    export!(otherwise: (), || {
        // SAFETY: as promised to this function.
        unsafe { handle::release(error) }
    })
}
