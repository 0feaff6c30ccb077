//! Gives the shared library its name at run time, so that a program cannot load another version of the ABI.

/// `ZTL_ABI_VERSION`; the tests of ztl-ffi-impl compare the two by running a program.
const ABI_VERSION: u32 = 1;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(target_os = "linux")]
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libztl.so.{ABI_VERSION}");
}
