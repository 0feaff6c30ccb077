//! Open connections and running requests: what each rests on, and their end when that is gone (law 8, rule 27).
//!
//! 1. A connection is registered before it is judged, so that no change slips in between.
//! 2. It rests on the peer's chain, on bundles and revocations, on the policy, on our own SVID, and on time. When one of them
//!    changes, and every second by the wall clock (T23), it is judged again: the chain proved, the flow permitted. Still good, it
//!    lives on with a new permit. No longer good, the denial is recorded under its reason and the connection revoked.
//! 3. A revoked connection ends whatever is in flight: reads and writes fail and wake whoever waits for them, also on a stream
//!    that was upgraded and handed out, and what the kernel has not sent yet is discarded (T14).
//! 4. A request that comes between a change and that judgement has the connection judged at once: it is never denied for
//!    staleness, and never let in on what is stale (T5).
//! 5. A running request is judged again as an action when the policy changes or something that it rests on expires (T15). What
//!    is no longer authorized is cut; the other requests of the connection live on. Where that judgement could take long it is
//!    made on threads of its own, so that no connection waits for another's policy (T34); what is not judged in time ends.
//!    What was asked of a host outside the mesh is judged again as well, for no guard of ours is there; its connection ends whole.
//! 6. A rotation of our own SVID ends nothing: the connection takes no new request and has a deadline.

#[cfg(feature = "serve")]
mod again;
mod asking;
mod connection;
mod grounds;
#[cfg(any(feature = "client", feature = "serve"))]
mod raw;
mod registry;
#[cfg(feature = "serve")]
mod request;
#[cfg(any(feature = "client", feature = "serve"))]
mod revocable;
#[cfg(feature = "client")]
mod sent;
mod shown;
mod sweep;
#[cfg(feature = "serve")]
mod task;

pub(crate) use asking::{Asking, Link};
#[cfg(any(feature = "client", feature = "serve"))]
pub(crate) use connection::{Live, State};
#[cfg(any(feature = "client", feature = "serve"))]
pub(crate) use grounds::Begun;
#[cfg(any(feature = "client", feature = "serve"))]
pub(crate) use registry::Registered;
pub(crate) use registry::Registry;
#[cfg(feature = "serve")]
pub(crate) use request::{Carried, Request, Waits};
#[cfg(any(feature = "client", feature = "serve"))]
pub(crate) use revocable::Revocable;
#[cfg(feature = "client")]
pub(crate) use sent::Earlier;
pub use shown::{Connection, ConnectionState};
#[cfg(feature = "serve")]
pub(crate) use task::{Tasks, claim};
