//! What an export reads: texts, structures that begin with their size, arrays.

use core::slice;

use crate::boundary::Fault;

/// Bytes that the caller lends for the time of a call.
///
/// Not NUL-terminated. `{NULL, 0}` is an absent text, which differs from an empty one; NULL with a length is refused.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ztl_str {
    /// The first byte.
    pub ptr: *const u8,
    /// How many bytes.
    pub len: usize,
}

#[expect(unsafe_code, reason = "reads what C lends")]
impl ztl_str {
    /// Whether it says that it is absent.
    pub(crate) fn is_absent(&self) -> bool {
        self.ptr.is_null() && self.len == 0
    }

    /// Checks what can be known about it without reading it.
    #[inline]
    pub(crate) fn check(&self, name: &str) -> Result<(), Fault> {
        if self.is_sound() {
            Ok(())
        } else {
            Err(self.unsound(name))
        }
    }

    /// Whether it is absent, or not NULL and of a length that an object can have.
    #[inline]
    fn is_sound(&self) -> bool {
        isize::try_from(self.len).is_ok() && (self.len == 0 || !self.ptr.is_null())
    }

    #[cold]
    fn unsound(&self, name: &str) -> Fault {
        if self.ptr.is_null() {
            return Fault::arg(format!("`{name}` is NULL with a length of {}", self.len));
        }
        Fault::arg(format!(
            "`{name}` has a length of {}, which no object has",
            self.len
        ))
    }

    /// The bytes of one that was checked; `None` where absent.
    ///
    /// # Safety
    /// It was [checked](Self::check). Where not NULL, `ptr` is good for reading `len` bytes, which nobody changes for `'a`.
    #[inline]
    pub(crate) unsafe fn checked<'a>(&self) -> Option<&'a [u8]> {
        if self.ptr.is_null() {
            return None;
        }
        // SAFETY: not NULL, of a length that an object can have, and readable as promised to this function.
        Some(unsafe { slice::from_raw_parts(self.ptr, self.len) })
    }

    /// The bytes; `None` where absent. More than `max` are refused unread.
    ///
    /// # Safety
    /// Where not NULL, `ptr` is good for reading `len` bytes, which nobody changes for `'a`.
    pub(crate) unsafe fn bytes<'a>(
        &self,
        name: &str,
        max: usize,
    ) -> Result<Option<&'a [u8]>, Fault> {
        self.check(name)?;
        if self.len > max {
            return Err(Fault::arg(format!(
                "`{name}` has {} bytes; at most {max} are taken",
                self.len
            )));
        }
        // SAFETY: checked, and readable as promised to this function.
        Ok(unsafe { self.checked() })
    }

    /// The text; `None` where absent.
    ///
    /// # Safety
    /// As [`bytes`](Self::bytes).
    pub(crate) unsafe fn text<'a>(&self, name: &str, max: usize) -> Result<Option<&'a str>, Fault> {
        // SAFETY: as promised to this function.
        let bytes = unsafe { self.bytes(name, max) }?;
        bytes
            .map(|bytes| utf8(bytes).ok_or_else(|| Fault::utf8(name)))
            .transpose()
    }

    /// The text, which has to be there.
    ///
    /// # Safety
    /// As [`bytes`](Self::bytes).
    pub(crate) unsafe fn required<'a>(&self, name: &str, max: usize) -> Result<&'a str, Fault> {
        // SAFETY: as promised to this function.
        let text = unsafe { self.text(name, max) }?;
        text.filter(|text| !text.is_empty())
            .ok_or_else(|| Fault::arg(format!("`{name}` is absent or empty")))
    }
}

/// The text, if it is one. Most are ASCII, for which the quick test is enough.
#[expect(
    unsafe_code,
    reason = "saves the second look at what is known to be ASCII"
)]
pub(crate) fn utf8(bytes: &[u8]) -> Option<&str> {
    if bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8.
        return Some(unsafe { core::str::from_utf8_unchecked(bytes) });
    }
    core::str::from_utf8(bytes).ok()
}

/// A structure of numbers and pointers that begins with its own size.
///
/// # Safety
/// `repr(C)`, every bit pattern is a value, and the first field is a `u32`, the size.
#[expect(unsafe_code, reason = "implementing it is a promise")]
pub(crate) unsafe trait Plain: Copy {}

/// Refuses a structure whose size is not the one that this library knows: a longer one may hold what must not be ignored, and
/// a shorter one lacks what has to be read.
pub(crate) fn check_size<T>(given: u32, name: &str) -> Result<(), Fault> {
    let known = size_of::<T>();
    if usize::try_from(given) == Ok(known) {
        return Ok(());
    }
    Err(Fault::arg(format!(
        "`{name}` says that its size is {given}; this library knows {known}: set `size` to sizeof, and use the header of this library"
    )))
}

/// Reads a structure.
///
/// # Safety
/// `at` is NULL, or good for reading the size and as many bytes as that says.
#[expect(unsafe_code, reason = "reads what C lends")]
pub(crate) unsafe fn sized<T: Plain>(at: *const T, name: &str) -> Result<T, Fault> {
    if at.is_null() {
        return Err(Fault::arg(format!("`{name}` is NULL")));
    }
    if !at.is_aligned() {
        return Err(Fault::arg(format!("`{name}` is not aligned")));
    }
    // SAFETY: not NULL, aligned, and every such structure begins with its size.
    let size = unsafe { at.cast::<u32>().read() };
    check_size::<T>(size, name)?;
    // SAFETY: it says that it is as long as `T`, and every bit pattern is a `T`.
    Ok(unsafe { at.read() })
}

/// Lends an array.
///
/// # Safety
/// Where not NULL, `at` is good for reading `len` elements, which nobody changes for `'a`.
#[expect(unsafe_code, reason = "reads what C lends")]
pub(crate) unsafe fn array<'a, T>(
    at: *const T,
    len: usize,
    max: usize,
    name: &str,
) -> Result<&'a [T], Fault> {
    if len == 0 {
        return Ok(&[]);
    }
    if at.is_null() {
        return Err(Fault::arg(format!(
            "`{name}` is NULL with a length of {len}"
        )));
    }
    if !at.is_aligned() {
        return Err(Fault::arg(format!("`{name}` is not aligned")));
    }
    if len > max {
        return Err(Fault::arg(format!(
            "`{name}` has {len} elements; at most {max} are taken"
        )));
    }
    // SAFETY: not NULL, aligned, not longer than an object can be (`max` elements), and readable as promised.
    Ok(unsafe { slice::from_raw_parts(at, len) })
}
