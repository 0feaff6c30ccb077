//! Trace context of the W3C, taken from a request and passed on with the requests that are made for it.
//!
//! 1. `traceparent` and `tracestate` of a request that a listener took are read strictly and in bounds. What is bad is as good as
//!    none, and never a reason to refuse: no decision reads them.
//! 2. A request of [`Guard::client`](crate::Guard::client) carries a context on: the one in its extensions, else the one in its
//!    own field `traceparent`, else that of the request that is being answered just now, else a new one. The span id in it is new
//!    each time.
//! 3. "Just now" is while a handler or a response body is polled by a listener. In a task that a handler spawns, there is no such
//!    request: hand the [`TraceContext`] in the extensions of the one to that of the other.

mod context;
#[cfg(any(feature = "client", feature = "serve"))]
#[cfg_attr(
    not(all(feature = "client", feature = "serve")),
    allow(dead_code, reason = "the one hands on what the other takes")
)]
mod current;
mod state;

pub use context::{SpanId, TraceContext, TraceId};
#[cfg(feature = "serve")]
pub(crate) use current::{Asked, Sits};
#[cfg(feature = "client")]
pub(crate) use current::{came_with, pass_on};
