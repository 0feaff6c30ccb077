//! Which version of the ABI, and of the library, this is.

#![expect(unsafe_code, reason = "exports")]

use core::ffi::{CStr, c_char};

use crate::boundary::export;

/// The version of the ABI that this header describes. Only an incompatible change counts it up, and the name of the shared
/// library with it. A field more in a structure is such a change: each structure is taken in the one size that this version has.
pub const ZTL_ABI_VERSION: u32 = 1;

/// The version of the ABI that the loaded library has. Refuse to start where it is not `ZTL_ABI_VERSION`.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn ztl_abi_version() -> u32 {
    export!(otherwise: 0, || ZTL_ABI_VERSION)
}

/// The version of the library, such as `0.1.0`: ended by NUL, never freed.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn ztl_version() -> *const c_char {
    export!(otherwise: core::ptr::null(), || VERSION.as_ptr())
}

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_crates() {
        assert_eq!(VERSION.to_str(), Ok(env!("CARGO_PKG_VERSION")));
    }
}
