//! What an operator watches: metrics, spans and events, each where the thing happens and under a fixed name.
//!
//! `docs/observability.md` lists every name, label and field. Metrics go through the facade of the crate `metrics`, with the
//! feature of the same name, and cost nothing without it; spans and events go through `tracing`, and cost a look at whether
//! anybody listens.

#[cfg(feature = "metrics")]
#[allow(dead_code, reason = "each feature has another part to watch")]
mod measure;
#[cfg(not(feature = "metrics"))]
#[allow(dead_code, reason = "each feature has another part to watch")]
#[path = "unmeasured.rs"]
mod measure;
#[allow(dead_code, reason = "each feature has another part to watch")]
mod outcomes;
#[allow(dead_code, reason = "each feature has another part to watch")]
mod span;

pub(crate) use measure::*;
#[allow(unused_imports, reason = "each feature has another part to watch")]
pub(crate) use outcomes::*;
pub(crate) use span::*;
