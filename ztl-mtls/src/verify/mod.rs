//! Proving a peer: chain, bundles and time in, [`Peer`](ztl_core::Peer) out; and the two adapters for rustls.

mod again;
mod cache;
mod chain;
mod ends;
mod error;
mod explain;
mod handshake;
mod judge;
mod path;
mod proved;
mod prover;
mod rustls;
mod status;

pub use self::chain::ProvedChain;
pub use self::error::{Position, ProveError, Unknown};
pub use self::handshake::{PeerHook, Refused};
pub use self::proved::{Generations, Proved};
pub use self::prover::{Prover, Purpose};
pub use self::rustls::{ClientVerifier, ServerVerifier};
