//! Listeners: every connection proved and permitted, every request judged outside the router.
//!
//! 1. The address a connection arrives from is taken, and a slot of the listener. Until somebody is proved it counts against
//!    that address, then against the peer; whose share is full is turned away, so that nobody takes all slots alone (T35).
//! 2. Its TLS handshake runs in a task of its own, under a deadline, so that a slow client stalls nobody. Within it the client
//!    is proved and its flow permitted; a refusal is the alert `access_denied`.
//! 3. Each request is judged by [`Authorize`](crate::Authorize) before the service sees it: routes that are added later and
//!    fallbacks are covered, and a layer that was forgotten cannot be (T1).
//! 4. A connection that asks nothing within the header timeout, or nothing for the idle timeout, is let go (T35).
//! 5. One that lasts longer than it may, where a limit is set, is drained as at a shutdown: what is idle ends at once with TLS's
//!    `close_notify`, what runs has a deadline.
//! 6. Unix sockets, and hosts that accept connections themselves, go through the same door; a raw stream is authorized for
//!    `connect` before anybody gets it.
//! 7. When the policy or what proofs rest on changes, and every second for expiry and for what no notification told, an open
//!    connection and each running request is judged again, and cut if it would no longer be permitted: upgraded streams, slow
//!    readers and long responses too (law 8). A rotation of our own drains.

mod accept;
mod acceptor;
mod activity;
mod body;
mod carry;
mod connection;
mod door;
mod error;
mod handshake;
mod incoming;
mod listener;
mod overflow;
mod place;
mod protect;
mod protocols;
mod public;
mod remote;
mod run;
mod running;
mod share;
mod stop;
#[cfg(unix)]
mod unix;
mod watched;

pub use acceptor::{Accepted, Acceptor, NotAccepted};
pub(crate) use activity::{Activity, Ticket, Verdict};
pub use body::RequestBody;
pub use error::ServeError;
pub use incoming::{Incoming, Listener};
pub(crate) use place::Place;
#[cfg(feature = "axum")]
pub use protect::ProtectedRouter;
pub use protect::{Protect, Protected};
pub use public::PublicTls;
pub use run::Listen;
pub use running::Running;
pub(crate) use share::Busy;
