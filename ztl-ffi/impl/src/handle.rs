//! Opaque handles: what C holds of a Rust object.
//!
//! A handle is a `Box`, made by [`give`] and ended by [`release`]; in between it is only ever lent, by [`borrow`]. It begins
//! with a tag of its kind, so that a handle of another kind is refused. Whatever is behind one can be shared by threads: the
//! bound on [`Handle::Body`] says so.

use core::ptr;

use crate::boundary::Fault;

/// A type that C knows by name only.
pub(crate) trait Handle: Sized {
    /// What C calls it.
    const NAME: &'static str;
    /// What its memory begins with. No two kinds have the same.
    const TAG: u64;
    /// What it stands for.
    type Body: Send + Sync + 'static;
}

/// What a handle that was freed begins with, as long as its memory is not used again.
const FREED: u64 = u64::from_be_bytes(*b"ztlfreed");

#[repr(C)]
struct Allocation<B> {
    tag: u64,
    body: B,
}

/// Gives a body to C.
pub(crate) fn give<H: Handle>(body: H::Body) -> *mut H {
    Box::into_raw(Box::new(Allocation { tag: H::TAG, body })).cast()
}

/// Lends the body of a handle that has to be there.
///
/// # Safety
/// `handle` is NULL, or a live handle of this library, and stays live for `'a`.
#[expect(unsafe_code, reason = "follows a pointer that came from C")]
pub(crate) unsafe fn borrow<'a, H: Handle>(handle: *const H) -> Result<&'a H::Body, Fault> {
    if handle.is_null() {
        return Err(Fault::arg(format!("the `{}` is NULL", H::NAME)));
    }
    let allocation = handle.cast::<Allocation<H::Body>>();
    // SAFETY: not NULL, so a live handle of this library.
    if !unsafe { is_one(allocation, H::TAG) } {
        return Err(Fault::arg(format!(
            "what was passed as `{}` is none",
            H::NAME
        )));
    }
    // SAFETY: the tag says that this kind is behind it, and it stays live for `'a`; nothing ever changes it in place.
    Ok(unsafe { &(*allocation).body })
}

/// Ends a handle. NULL is none; what is no handle of this kind is left alone.
///
/// # Safety
/// `handle` is NULL, or a live handle of this library that is not used by anybody else now, nor by anybody ever after.
#[expect(unsafe_code, reason = "follows a pointer that came from C")]
pub(crate) unsafe fn release<H: Handle>(handle: *mut H) {
    let allocation = handle.cast::<Allocation<H::Body>>();
    // SAFETY: where not NULL, it is a live handle of this library.
    if allocation.is_null() || !unsafe { is_one(allocation, H::TAG) } {
        return;
    }
    // SAFETY: this kind is behind it. Volatile, or the compiler would leave out a write to memory that is about to go.
    unsafe { ptr::write_volatile(&raw mut (*allocation).tag, FREED) };
    // SAFETY: `give` made it from a `Box` of this type, and the caller gave up its only right to it.
    drop(unsafe { Box::from_raw(allocation) });
}

/// # Safety
/// `allocation` is a live handle of this library, of whatever kind.
#[expect(unsafe_code, reason = "follows a pointer that came from C")]
unsafe fn is_one<B>(allocation: *const Allocation<B>, tag: u64) -> bool {
    // Every kind begins with its tag, and lies where a `u64` may lie.
    // SAFETY: aligned, and readable as promised to this function.
    allocation.is_aligned() && unsafe { allocation.cast::<u64>().read() } == tag
}
