//! Proving a peer: chain, bundles and time in, [`Peer`](ztl_core::Peer) out; and the two adapters for rustls.

mod error;
mod handshake;
mod path;
mod prover;
mod rustls;

pub use self::error::{Position, ProveError};
pub use self::handshake::{PeerHook, Refused};
pub use self::prover::{Prover, Purpose};
pub use self::rustls::{ClientVerifier, ServerVerifier};
