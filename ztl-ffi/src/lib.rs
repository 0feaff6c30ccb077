//! The linker's side of the C ABI: every export of [`ztl_ffi_impl`], in a shared and a static library.

// Linked for its exported symbols; nothing of it is named here.
extern crate ztl_ffi_impl as _;
