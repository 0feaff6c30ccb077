//! Egress: requests to workloads by name, each end proved, each flow permitted, each action authorized before a byte of it
//! leaves.
//!
//! 1. `https://retriever/v1/search` names a workload of the policy. Its address comes from [`endpoint`], else from the DNS,
//!    and proves nothing.
//! 2. What the policy does not permit is refused before anything is dialled.
//! 3. The target is proved by its SVID, which must be that of the named workload; its DNS name is never looked at.
//! 4. The flow is permitted and the action authorized on the proved connection; then the request is sent, once.
//!
//! Connections are kept by target and port, and used again only while their flow is permitted under the policy in force.
//! Redirects are not followed, no proxy of the environment is used, and nothing is retried after it was sent (T27).
//!
//! [`endpoint`]: crate::GuardBuilder::endpoint

mod client;
mod dial;
mod error;
mod pool;
mod sender;

pub use client::Client;
pub use error::EgressError;

pub(crate) use pool::Pool;
