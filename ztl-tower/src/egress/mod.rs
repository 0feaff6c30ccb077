//! Egress: requests to workloads by name, each end proved, each flow permitted, each action authorized before a byte of it
//! leaves.
//!
//! 1. `https://retriever/v1/search` names a workload of the policy. Its address comes from [`endpoint`], else from the DNS,
//!    and proves nothing.
//! 2. What the policy does not permit is refused before anything is dialled.
//! 3. The target is proved by its SVID, which must be that of the named workload; its DNS name is never looked at.
//! 4. The flow is permitted and the action authorized on the proved connection; then the request is sent, once.
//!
//! A **host outside the mesh** (`https://hub.example.org/x`, a name with a dot) goes the same way, where a permit of ours names it in
//! `[external.NAME]`: it is looked up in the DNS as it stands, dialled only at addresses that the section lets it have, and proved by
//! the Web PKI for exactly its name, by the roots of [`web_roots`]; our SVID is not shown to it, and nothing of a trace (T27).
//!
//! Raw bytes go the same two ways, by [`Guard::connect`](crate::Guard::connect) and
//! [`Guard::connect_host`](crate::Guard::connect_host).
//!
//! Connections are kept by target, its SPIFFE ID and port, and used again only while their flow is permitted under the policy
//! in force. When the policy or what proofs rest on changes, and every second for expiry, an open connection is judged again,
//! and cut if its flow would no longer be permitted, to a host also if what was asked for would not, running responses with it (law 8). After a rotation of our own SVID new
//! requests take new connections, and what runs on the old ones has a deadline. One that nobody uses for a minute is closed. What
//! belongs to one connection (`Connection` and what it names, framing, fields for proxies) is not passed on, and upgrades are
//! not sent.
//!
//! The deadline of a connection covers the look-up of its name, the dialling and the handshake. **A response has none**: a host
//! that cannot wait puts its own around the request. Over HTTP/2 a target that is gone is noticed by pings within 40 seconds.
//!
//! Redirects are not followed, no proxy of the environment is used, and nothing is retried that a target may have taken (T27). A
//! request that was not written, or that a target going away has not taken (RFC 9113 §6.8), takes another connection, unless more
//! than 64 KiB of its body were read by then.
//!
//! [`endpoint`]: crate::GuardBuilder::endpoint
//! [`web_roots`]: crate::GuardBuilder::web_roots

mod body;
mod client;
mod connect;
mod dial;
mod error;
mod fields;
mod handover;
mod live;
mod outside;
mod pool;
mod sender;
mod target;

pub use client::Client;
pub use error::EgressError;

pub(crate) use live::as_named;
pub(crate) use pool::Pool;
