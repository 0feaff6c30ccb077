//! Step three as a tower layer: every request is named, judged, and only then handed on.
//!
//! 1. A request without a [`FlowPermit`](ztl_core::FlowPermit) into this workload in its extensions was never let in:
//!    `not_judged`, 403; and so is what was kept of a request that is over. The permit goes into the
//!    [`ActionPermit`](crate::ActionPermit) of a request that is permitted, for layers further in.
//! 2. A target with more than one reading: `path_ambiguous`, 400.
//! 3. What no rule permits: 403 with the decision id and nothing else; 401 where a rule asks for a token and there is none.
//! 4. A request that was judged already passes, unless method, target, upgrade or credential were rewritten since: then
//!    `not_judged`. On another flow, or after something was withdrawn, it is judged anew.
//!    A router that takes a prefix off for a nested one may, where it says what it matched.
//! 5. Where axum matched a route before, its template filled with the decoded parameters has to be the judged path, or the answer is
//!    400 (rule 49).
//! 6. A host that is not that of the connection, or not listed by the workload: `misdirected`, 421.
//! 7. What could ask an authorizer that may take long (a policy in Rego) is judged on threads of its own: those who wait for it
//!    have a share each, and where there is no place the answer is 503 (T34).

mod alike;
mod came;
mod judge;
mod layer;
mod pool;
mod response;
mod service;
mod switch;
mod witness;

pub use layer::AuthorizeLayer;
pub use response::{Refused, ResponseBody};
pub use service::{Authorize, ResponseFuture};

#[cfg(any(feature = "serve", feature = "test-util"))]
pub(crate) use alike::Moment;
pub(crate) use came::judged_on;
pub(crate) use judge::plain;
pub(crate) use pool::Pool as JudgingPool;
#[cfg(feature = "axum-core")]
pub(crate) use response::lacking;
pub(crate) use response::{Answer, Credential, Dress, refusal};
#[cfg(any(feature = "schema", feature = "serve"))]
pub(crate) use service::caller;
pub(crate) use service::dress;
