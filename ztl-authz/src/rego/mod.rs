//! Policies in [Rego](https://www.openpolicyagent.org/docs/policy-language), the language of the Open Policy Agent.
//!
//! A policy in Rego can only object: what it says narrows a permit that holds already, and never grants anything (law 4).
//!
//! 1. It is asked with a documented [input], modelled on that of the OPA-Envoy plugin. Of the evidence it gets only what it
//!    says that it reads, all of that is there and fresh, and the rest is not (T7).
//! 2. What its entrypoint comes to is its [answer]: `true`, or an object that says `"allow": true` and may oblige to more.
//!    Everything else, nothing at all and every error among it, denies (law 1).
//! 3. It is compiled once, when the policy document is loaded, and the time that it may take is bounded. It is marked as heavy
//!    ([`Authorizer::is_heavy`](ztl_core::authorizer::Authorizer::is_heavy)), so that whoever serves requests asks it on a
//!    bounded pool (T34).
//! 4. Nothing but its input and its data reaches it: neither network nor environment, and as time that of the decision.
//!
//! What evaluates a policy is a [`RegoEngine`]; the rest is the same whichever it is.
//! [docs/rego.md](https://github.com/ztl-rs/ztl/blob/main/docs/rego.md) has the input, the answer and the settings field by
//! field.

pub mod answer;
mod authorizer;
pub(crate) mod builtins;
#[cfg(all(feature = "bundle", any(feature = "opa", feature = "rego")))]
mod bundled;
mod engine;
mod error;
pub mod input;
#[cfg(feature = "rego")]
mod interpreter;
mod kind;
mod settings;
pub(crate) mod term;

pub use crate::artefacts::{Artefacts, Folder, MAX_ARTEFACT_BYTES};
pub use authorizer::RegoAuthorizer;
#[cfg(all(feature = "bundle", any(feature = "opa", feature = "rego")))]
pub use bundled::RegoBundle;
pub use engine::RegoEngine;
pub use error::RegoError;
#[cfg(feature = "rego")]
pub use interpreter::{Interpreter, InterpreterError, MAX_CHAIN, MAX_RANGE, Refused};
pub use kind::{EngineBuilder, Material, RegoKind};
pub use settings::{DEFAULT_TIMEOUT, MAX_TIMEOUT, Settings};
