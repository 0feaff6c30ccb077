//! `ztl_text`: an answer in words, owned by who received it.

#![expect(unsafe_code, reason = "exports")]

use crate::boundary::export;
use crate::handle::{self, Handle};
use crate::status::ztl_status;

/// A text that the library made, such as an explanation in JSON. Owned by who received it; end it with `ztl_text_free`.
///
/// For the host's own eyes. It speaks of the policy, so no word of it may be told to the peer.
#[derive(Debug)]
pub struct ztl_text {
    _opaque: (),
}

impl Handle for ztl_text {
    const NAME: &'static str = "ztl_text";
    const TAG: u64 = u64::from_be_bytes(*b"ztl-text");
    type Body = String;
}

/// The bytes of a text: UTF-8, not NUL-terminated, borrowed from the text and good until that is freed. On any other outcome
/// `*ptr` is NULL and `*len` is 0.
///
/// # Safety
/// `text` is NULL or live; `ptr` and `len` are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ztl_text_bytes(
    text: *const ztl_text,
    ptr: *mut *const u8,
    len: *mut usize,
) -> ztl_status {
    export!(outputs: (ptr, len), || {
        // SAFETY: as promised to this function.
        let text = unsafe { handle::borrow(text) }?;
        Ok((text.as_ptr(), text.len()))
    })
}

/// Ends a text. NULL is none.
///
/// # Safety
/// `text` is NULL or live, and is not used after this.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ztl_text_free(text: *mut ztl_text) {
    export!(otherwise: (), || {
        // SAFETY: as promised to this function.
        unsafe { handle::release(text) }
    })
}
