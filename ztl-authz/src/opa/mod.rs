//! Rego policies compiled to WebAssembly by `opa build -t wasm`.
//!
//! A module is compiled once, when it is loaded, and asked in instances that are kept ready with their data in memory. It can
//! only object (law 4).
//!
//! 1. A module gets what [`WasmModule::compile`] checked: its memory and the functions of OPA's WebAssembly ABI, 1.0 to 1.3.
//!    It sees no clock but the decision's, no environment, no network, no chance.
//! 2. It wants no builtin but those that are given here, or it is refused when it is loaded, with the builtin's name and how to
//!    do without it: nothing is found missing while a decision is made.
//! 3. Time, memory, input, answer, module and data are bounded by [`Limits`] (rule 15); so is the wait for an instance.
//! 4. An error is an error: a builtin of the host that cannot answer, an answer that is no result set, a bound that was met. None of
//!    them is "undefined", and `undefined` is no permit either (rule 7). A builtin that OPA compiled into the module (`regex.match`,
//!    `net.cidr_contains`, `to_number`) is undefined where it cannot answer, and a `not` around it holds: no host sees that.
//! 5. A policy that OPA compiled has nothing of one evaluation in the next: each begins with the heap as the first did. An
//!    instance that was cut short, by a trap or a bound, is thrown away, and another made beside the evaluations.
//!
//! [docs/opa.md](https://github.com/ztl-rs/ztl/blob/main/docs/opa.md) lists the builtins.
//!
//! **Does not** keep a module from using a processor for as long as [`Limits::time`]: give modules to a bounded number of
//! threads. Does not read bundles. Does not take back what a module that somebody wrote by hand puts into globals of its own, or
//! below its heap: such a one can keep what it was asked and answer the next question by it, so that what one caller sent shows
//! in whether it objects to another. Only ever to object is all that it can do with it (law 4), and nothing else is within its
//! reach; but take modules from whom you would take the policy from, and signed bundles where they come over a network.

#[cfg(feature = "opa")]
mod clock;
#[cfg(feature = "opa-readers")]
#[doc(hidden)]
pub mod door;
#[cfg(feature = "opa")]
mod engine;
mod error;
#[cfg(feature = "opa")]
mod host;
#[cfg(feature = "opa")]
mod instance;
#[cfg(feature = "opa")]
mod kind;
#[cfg(feature = "opa")]
mod limits;
#[cfg(feature = "opa")]
mod module;
#[cfg(feature = "opa-wasm")]
mod opa_wasm;
#[cfg(feature = "opa")]
mod policy;
#[cfg(feature = "opa")]
mod pool;
mod readers;
mod refused;
#[cfg(feature = "opa")]
mod stop;

use crate::rego::{RegoError, builtins};

pub use error::ModuleError;
#[cfg(feature = "opa")]
pub use kind::WasmBuilder;
#[cfg(feature = "opa")]
pub use limits::Limits;
#[cfg(feature = "opa")]
pub use module::WasmModule;
#[cfg(feature = "opa-wasm")]
pub use opa_wasm::OpaWasmPolicy;
#[cfg(feature = "opa")]
pub use policy::WasmPolicy;

/// The builtins that a policy is given beside those that OPA compiles into it.
///
/// ```
/// assert!(ztl_authz::opa::given_builtins().any(|name| name == "sprintf"));
/// assert!(!ztl_authz::opa::given_builtins().any(|name| name == "http.send"));
/// ```
pub fn given_builtins() -> impl Iterator<Item = &'static str> {
    builtins::names()
}
